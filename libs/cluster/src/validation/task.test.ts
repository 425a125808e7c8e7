import { parse, parseOurs, TaskInfo } from '@conclave/model'
import { describe, expect, test } from 'vitest'
import { defaultClusterLimits } from '../limits.ts'
import { scalar } from '../testing/driven-cluster.ts'
import { executorProblem, groupExecutorProblem } from './executor.ts'
import { groupTaskProblem, mixedCgroupsProblem, sameExecutorProblem } from './group.ts'
import { strictGroupProblem } from './strict.ts'
import { aloneProblem, pathsIn, taskProblem } from './task.ts'

const sound = {
  name: 't',
  task_id: { value: 't' },
  agent_id: { value: 'a' },
  resources: [scalar('cpus', 1)],
  command: { value: 'true' },
}
const taskOf = (part: object): TaskInfo => parse(TaskInfo, { ...sound, ...part })
const problemOf = (part: object): string | undefined =>
  taskProblem(taskOf(part), 'a', defaultClusterLimits)

const withVariable = (variable: object): object => ({
  command: { value: 'x', environment: { variables: [variable] } },
})
const volume = (more: object): object => ({ mode: 'RO', container_path: 'p', ...more })
const withVolumes = (...volumes: readonly object[]): object => ({
  container: { type: 'MESOS', volumes },
})
const reference = { type: 'REFERENCE', reference: { name: '/dev/db', key: 'password' } }
const inline = { type: 'VALUE', value: { data: 'aGk=' } }
const secretAt = (path: string, secret: object = reference): object =>
  volume({ container_path: path, source: { type: 'SECRET', secret } })

test('CL7: a sound task has no problem, with secrets in every form', () => {
  const task = {
    ...withVolumes(secretAt('keys/store'), secretAt('keys/other', inline)),
    command: {
      value: 'x',
      environment: {
        variables: [
          { name: 'PLAIN', value: '' },
          { name: 'A', type: 'SECRET', secret: reference },
          { name: 'B', type: 'SECRET', secret: inline },
          { name: 'B', type: 'SECRET', secret: { type: 'UNKNOWN', value: { data: '' } } },
        ],
      },
    },
    kill_policy: { grace_period: { nanoseconds: 0 } },
    health_check: { type: 'COMMAND', command: { value: 'true' } },
    check: { type: 'TCP', tcp: { port: 1 } },
    limits: { cpus: { value: 2 } },
  }

  expect(problemOf(task)).toBeUndefined()
})

describe("CL7: Mesos' words for a task (mesos.md §5.3)", () => {
  test.each([
    [{ task_id: { value: '' } }, 'ID must not be empty'],
    [{ task_id: { value: 'a/b' } }, "'a/b' contains invalid characters"],
    [{ agent_id: { value: 'b' } }, 'Task uses invalid agent b while agent a is expected'],
    [{ resources: [] }, 'Task uses no resources'],
    [
      { resources: [scalar('cpus', -1)] },
      "Task uses invalid resources: Resource 'cpus' is invalid: Invalid scalar resource: expected a value from 0 to 1099511627776",
    ],
    [
      { resources: [{ ...scalar('disk', 1), disk: { persistence: { id: 'v' } } }] },
      "Task uses invalid resources: Resource 'disk' is invalid: persistent volumes are not supported",
    ],
    [
      { health_check: { type: 'HTTP' } },
      "Task uses invalid health check: Expecting 'http' to be set for HTTP health check",
    ],
    [{ health_check: {} }, "Task uses invalid health check: HealthCheck must specify 'type'"],
    [
      {
        health_check: {
          type: 'COMMAND',
          command: { value: 'x', environment: { variables: [{ name: 'A' }] } },
        },
      },
      "Task uses invalid health check: Health check's `CommandInfo` is invalid: Environment variable 'A' of type 'VALUE' must have a value set",
    ],
    [
      {
        check: {
          type: 'COMMAND',
          command: { command: { value: 'x', environment: { variables: [{ name: 'A' }] } } },
        },
      },
      "Task uses invalid check: Check's `CommandInfo` is invalid: Environment variable 'A' of type 'VALUE' must have a value set",
    ],
    [
      { health_check: { type: 'COMMAND', command: {} } },
      "Task uses invalid health check: Command health check must contain 'shell command'",
    ],
    [
      { check: { type: 'COMMAND', command: { command: { shell: false } } } },
      "Task uses invalid check: Command check must contain 'executable path'",
    ],
    [
      { health_check: { type: 'HTTP', http: { port: 1, scheme: 'ftp' } } },
      "Task uses invalid health check: Unsupported HTTP health check scheme: 'ftp'",
    ],
    [
      { health_check: { type: 'HTTP', http: { port: 1, path: 'x' } } },
      "Task uses invalid health check: The path 'x' of HTTP health check must start with '/'",
    ],
    [
      { check: { type: 'HTTP', http: { port: 1, path: 'x' } } },
      "Task uses invalid check: The path 'x' of HTTP check must start with '/'",
    ],
    [
      { health_check: { type: 'TCP', tcp: { port: 1 }, interval_seconds: -1 } },
      "Task uses invalid health check: Expecting 'interval_seconds' to be non-negative",
    ],
    [
      { kill_policy: { grace_period: { nanoseconds: -1 } } },
      "Task's 'kill_policy.grace_period' must be non-negative",
    ],
    [
      { max_completion_time: { nanoseconds: -1 } },
      "Task's `max_completion_time` must be non-negative",
    ],
    [
      { limits: { cpus: { value: 0.5 } } },
      'The cpu limit must be greater than or equal to the cpu request',
    ],
    [
      { limits: { mem: { value: 5 } } },
      'When a memory limit is specified, a memory request must also be specified',
    ],
    [
      { limits: { disk: { value: 5 } } },
      "Only cpus and mem may be included in a task's resource limits",
    ],
  ])('%j', (part, problem) => {
    expect(problemOf(part)).toBe(problem)
  })
})

describe("CL7: Mesos' words for an environment (mesos.md §11)", () => {
  test.each([
    [
      { name: 'A', type: 'SECRET' },
      "Environment variable 'A' of type 'SECRET' must have a secret set",
    ],
    [
      { name: 'A', type: 'SECRET', secret: reference, value: '' },
      "Environment variable 'A' of type 'SECRET' must not have a value set",
    ],
    [
      { name: 'A', type: 'SECRET', secret: { type: 'REFERENCE' } },
      "Environment variable 'A' specifies an invalid secret: Secret of type REFERENCE must have the 'reference' field set",
    ],
    [
      { name: 'A', type: 'SECRET', secret: { ...reference, value: { data: 'aGk=' } } },
      "Environment variable 'A' specifies an invalid secret: Secret '/dev/db' of type REFERENCE must not have the 'value' field set",
    ],
    [
      { name: 'A', type: 'SECRET', secret: { type: 'VALUE' } },
      "Environment variable 'A' specifies an invalid secret: Secret of type VALUE must have the 'value' field set",
    ],
    [
      { name: 'A', type: 'SECRET', secret: { ...inline, reference: { name: 'x' } } },
      "Environment variable 'A' specifies an invalid secret: Secret of type VALUE must not have the 'reference' field set",
    ],
    [{ name: 'A' }, "Environment variable 'A' of type 'VALUE' must have a value set"],
    [
      { name: 'A', secret: reference },
      "Environment variable 'A' of type 'VALUE' must have a value set",
    ],
    [
      { name: 'A', type: 'NO_SUCH', value: 'x', secret: reference },
      "Environment variable 'A' of type 'VALUE' must not have a secret set",
    ],
    [{ name: 'A', type: 'UNKNOWN' }, "Environment variable of type 'UNKNOWN' is not allowed"],
  ])('%j', (variable, problem) => {
    expect(problemOf(withVariable(variable))).toBe(`Task's \`CommandInfo\` is invalid: ${problem}`)
  })

  test('sealed bytes with a null in them are known by their mark', () => {
    const sealed = { id: 'i', envelope: 'ZQ==', containsNull: true }
    const secret = { type: 'VALUE', value: { sealed } }
    const task = parseOurs(TaskInfo, {
      ...sound,
      ...withVariable({ name: 'A', type: 'SECRET', secret }),
    })

    expect(taskProblem(task, 'a', defaultClusterLimits)).toBe(
      "Task's `CommandInfo` is invalid: Environment variable 'A' specifies a secret containing null bytes, which is not allowed in the environment",
    )
  })
})

describe("CL7: Mesos' words for a container (mesos.md §11)", () => {
  const onlyOne = "Only one of them should be set: 'host_path', 'image' and 'source'"
  test.each([
    [volume({}), onlyOne],
    [volume({ host_path: '/a', source: { type: 'HOST_PATH' } }), onlyOne],
    [
      volume({ source: { type: 'DOCKER_VOLUME' } }),
      "'source.docker_volume' is not set for DOCKER_VOLUME volume",
    ],
    [
      volume({ source: { type: 'HOST_PATH' } }),
      "'source.host_path' is not set for HOST_PATH volume",
    ],
    [
      volume({ source: { type: 'SANDBOX_PATH' } }),
      "'source.sandbox_path' is not set for SANDBOX_PATH volume",
    ],
    [volume({ source: { type: 'SECRET' } }), "'source.secret' is not set for SECRET volume"],
    [volume({ source: { type: 'CSI_VOLUME' } }), "'source.csi_volume' is not set for CSI volume"],
    [
      volume({ source: { type: 'CSI_VOLUME', csi_volume: { plugin_name: 'p' } } }),
      "'source.csi_volume.static_provisioning' is not set for CSI volume",
    ],
    [volume({ source: {} }), "'source.type' is unknown"],
  ])('%j', (one, problem) => {
    expect(problemOf(withVolumes(one))).toBe(
      `Task's \`ContainerInfo\` is invalid: Invalid volume: ${problem}`,
    )
  })

  test.each([
    [{ type: 'DOCKER' }, "DockerInfo 'docker' is not set for DOCKER typed ContainerInfo"],
    [
      { type: 'DOCKER', docker: { image: 'i', parameters: [{ key: 'name', value: 'x' }] } },
      "Parameter in DockerInfo must not be 'name'",
    ],
  ])('%j', (container, problem) => {
    expect(problemOf({ container })).toBe(`Task's \`ContainerInfo\` is invalid: ${problem}`)
  })
})

describe('CL7: stricter than Mesos, naming the field', () => {
  test.each([
    ['../evil', "'container_path' '../evil' of a SECRET volume must not contain '..'"],
    ['a/../../evil', "'container_path' 'a/../../evil' of a SECRET volume must not contain '..'"],
    ['/etc/../x', "'container_path' '/etc/../x' of a SECRET volume must not contain '..'"],
    ['', "'container_path' of a SECRET volume must not be empty"],
    ['.', "'container_path' '.' of a SECRET volume must name a file"],
    ['a/', "'container_path' 'a/' of a SECRET volume must name a file"],
    ['a\0b', "'container_path' of a SECRET volume must not have control characters"],
  ])('a secret may not be at %j', (path, problem) => {
    expect(problemOf(withVolumes(secretAt(path)))).toBe(
      `Task's \`ContainerInfo\` is invalid: Invalid volume: ${problem}`,
    )
  })

  test('a secret may be at an absolute path', () => {
    expect(problemOf(withVolumes(secretAt('/etc/x')))).toBeUndefined()
  })

  test.each([
    [[secretAt('a'), secretAt('./a')], "'container_path' './a' is mounted twice"],
    [
      [volume({ container_path: 'a', host_path: '/x' }), secretAt('a')],
      "'container_path' 'a' is mounted twice",
    ],
    [
      [secretAt('a/b'), secretAt('a')],
      "'container_path' 'a' and 'a/b' are within each other, and one is a file",
    ],
    [
      [secretAt('a'), secretAt('a/b')],
      "'container_path' 'a/b' and 'a' are within each other, and one is a file",
    ],
    [
      [secretAt('a', { type: 'VALUE' })],
      "Invalid secret specified in volume 'a': Secret of type VALUE must have the 'value' field set",
    ],
  ])('volumes %#: %s', (volumes, problem) => {
    expect(problemOf(withVolumes(...volumes))).toBe(
      `Task's \`ContainerInfo\` is invalid: Invalid volume: ${problem}`,
    )
  })

  test('a folder may be mounted, and a secret put into it', () => {
    const folder = volume({ container_path: 'a', host_path: '/x' })

    expect(problemOf(withVolumes(folder, secretAt('a/key')))).toBeUndefined()
  })

  test.each([
    [{ name: '', value: 'x' }, 'Environment variable number 1 has an empty name'],
    [
      { name: 'A=B', value: 'x' },
      "Environment variable number 1 has a name with '=' or a null byte in it",
    ],
    [{ name: 'A', value: 'x\0y' }, "Environment variable 'A' has a value containing null bytes"],
    [
      { name: '', type: 'SECRET', secret: reference },
      'Environment variable number 1 has an empty name',
    ],
  ])('the variable %j', (variable, problem) => {
    expect(problemOf(withVariable(variable))).toBe(`Task's \`CommandInfo\` is invalid: ${problem}`)
  })

  test.each([
    ['', "'secret.reference.name' is empty"],
    ['a//b', "'secret.reference.name' has an empty segment (number 2)"],
    ['a/../b', '\'secret.reference.name\' has the segment ".."'],
  ])('the reference %j', (name, problem) => {
    const secret = { type: 'REFERENCE', reference: { name } }

    expect(problemOf(withVariable({ name: 'A', type: 'SECRET', secret }))).toContain(problem)
  })

  test('may have a limit of what it asks for, whatever decimals say of it', () => {
    const resources = ['cpus', 'mem'].map((name) => ({
      name,
      type: 'SCALAR',
      scalar: { value: 522.207 },
    }))
    expect(problemOf({ resources, limits: { mem: { value: 522.207 } } })).toBeUndefined()
    expect(problemOf({ resources, limits: { mem: { value: 522.206 } } })).toBe(
      'The memory limit must be greater than or equal to the memory request',
    )
  })

  test('an empty key, an empty name, too many secrets, too much of everything', () => {
    const keyless = { type: 'REFERENCE', reference: { name: 'a', key: '' } }
    const variable = { name: 'A', type: 'SECRET', secret: reference }
    const variables = Array.from({ length: 257 }, () => variable)

    expect(problemOf(withVariable({ name: 'A', type: 'SECRET', secret: keyless }))).toBe(
      "'secret.reference.key' must not be empty",
    )
    expect(problemOf({ name: '' })).toBe("'TaskInfo.name' must not be empty")
    expect(problemOf({ name: 'x'.repeat(256) })).toBe(
      "'TaskInfo.name' must not be greater than 255 characters",
    )
    expect(problemOf({ command: { environment: { variables } } })).toBe(
      'Task uses 257 secrets, more than the 256 it may',
    )
    expect(problemOf({ data: 'A'.repeat(700_000) })).toMatch(/^Task is larger than 655360 bytes/)
    expect(problemOf({ limits: { cpus: { value: 'Infinity' } } })).toBe(
      "'value' must be a finite number",
    )
  })

  test('no message holds a value', () => {
    const inlineTwice = { ...inline, reference: { name: 'x' } }
    const problem = problemOf(withVariable({ name: 'A', type: 'SECRET', secret: inlineTwice }))

    expect(problem).not.toMatch(/aGk=|hi/)
  })
})

describe('CL7: executors', () => {
  const executor = { executor_id: { value: 'e' } }

  test.each([
    [
      { command: null },
      'Task should have at least one (but not both) of CommandInfo or ExecutorInfo present',
    ],
    [
      { executor },
      'Task should have at least one (but not both) of CommandInfo or ExecutorInfo present',
    ],
    [
      {
        command: null,
        executor: { ...executor, command: { environment: { variables: [{ name: 'A' }] } } },
      },
      "Executor's `CommandInfo` is invalid: Environment variable 'A' of type 'VALUE' must have a value set",
    ],
    [
      { command: null, executor: { ...executor, container: { type: 'DOCKER' } } },
      "Executor's `ContainerInfo` is invalid: DockerInfo 'docker' is not set for DOCKER typed ContainerInfo",
    ],
    [{}, undefined],
  ])('of a task: %j', (part, problem) => {
    expect(executorProblem(taskOf(part))).toBe(problem)
  })

  test.each([
    [{}, "'ExecutorInfo.command' must be set"],
    [{ type: 'CUSTOM' }, "'ExecutorInfo.command' must be set for 'CUSTOM' executor"],
    [{ type: 'DEFAULT' }, "'ExecutorInfo.type' must be 'CUSTOM'"],
    [{ command: { value: 'x' }, executor_id: { value: '' } }, 'ID must not be empty'],
    [
      { command: { value: 'x' }, shutdown_grace_period: { nanoseconds: -1 } },
      "ExecutorInfo's 'shutdown_grace_period' must be non-negative",
    ],
    [
      { command: { value: 'x' }, framework_id: { value: 'g' } },
      'ExecutorInfo has an invalid FrameworkID (Actual: g vs Expected: f)',
    ],
    [
      {
        command: { value: 'x' },
        container: { type: 'MESOS', linux_info: { share_cgroups: true } },
      },
      "The 'share_cgroups' field cannot be set to 'true' on executor containers",
    ],
    [{ command: { value: 'x' } }, undefined],
  ])('of a framework: %j', (part, problem) => {
    const task = taskOf({ command: null, executor: { ...executor, ...part } })

    expect(executorProblem(task, 'f')).toBe(problem)
  })

  const resources = [scalar('cpus', 0.1), scalar('mem', 32), scalar('disk', 1)]
  test.each([
    [{ resources }, "'ExecutorInfo.type' must be set"],
    [{ type: 'CUSTOM', resources }, "'ExecutorInfo.command' must be set for 'CUSTOM' executor"],
    [{ type: 'UNKNOWN', resources }, 'Unknown executor type'],
    [
      { type: 'DEFAULT', resources, container: { type: 'DOCKER', docker: { image: 'i' } } },
      "'ExecutorInfo.container.type' must be 'MESOS' for 'DEFAULT' executor",
    ],
    [
      {
        type: 'CUSTOM',
        resources,
        command: { value: 'x' },
        container: { type: 'DOCKER', docker: { image: 'i' } },
      },
      'Docker ContainerInfo is not supported on the executor',
    ],
    [
      { type: 'DEFAULT', resources, command: { value: 'x' } },
      "'ExecutorInfo.command' must not be set for 'DEFAULT' executor",
    ],
    [
      {
        type: 'DEFAULT',
        resources,
        container: { type: 'MESOS', mesos: { image: { type: 'APPC' } } },
      },
      "'ExecutorInfo.container.mesos.image' must not be set for 'DEFAULT' executor",
    ],
    [
      { type: 'DEFAULT', resources: [scalar('cpus', 0.001)] },
      "Executor 'e' uses less CPUs (0.001) than the minimum required (0.01)",
    ],
    [
      { type: 'DEFAULT', resources: [scalar('cpus', 1), scalar('mem', 16)] },
      "Executor 'e' uses less memory (16MB) than the minimum required (32MB)",
    ],
    [
      { type: 'DEFAULT', resources: [scalar('cpus', 1), scalar('mem', 32)] },
      "Executor 'e' uses no disk",
    ],
    [{ type: 'DEFAULT', resources }, undefined],
  ])('of a group: %j', (part, problem) => {
    const { executor: asked } = taskOf({ executor: { ...executor, ...part } })

    expect(asked && groupExecutorProblem(asked)).toBe(problem)
  })

  test.each([
    [
      { container: { type: 'DOCKER', docker: { image: 'i' } } },
      'Docker ContainerInfo is not supported on the task',
    ],
    [{ command: null }, "'TaskInfo.command' must be set"],
    [
      {
        container: { type: 'MESOS', network_infos: [{ name: 'n' }] },
        health_check: { type: 'TCP', tcp: { port: 1 } },
      },
      "HTTP and TCP health checks are not supported for nested containers not joining parent's network",
    ],
    [
      { limits: { cpus: { value: 1 } } },
      "Resource limits may only be set for tasks within a task group when the 'share_cgroups' field is set to 'false'.",
    ],
    [
      {
        limits: { cpus: { value: 1 } },
        container: { type: 'MESOS', linux_info: { share_cgroups: false } },
      },
      undefined,
    ],
    [{}, undefined],
  ])('a task of a group: %j', (part, problem) => {
    expect(groupTaskProblem(taskOf(part))).toBe(problem)
  })

  test('a task of a group names its executor, or none', () => {
    const tasks = [taskOf({}), taskOf({ executor: { ...executor, name: 'other' } })]
    const own = { executor_id: { value: 'e' }, resources: [] }

    expect(sameExecutorProblem(tasks, own)).toBe(
      "The `ExecutorInfo` of task 't' is different from executor 'e'",
    )
    expect(sameExecutorProblem([taskOf({ executor })], own)).toBeUndefined()
  })

  test('cgroups are shared by all tasks of an executor, or by none', () => {
    const apart = taskOf({ container: { type: 'MESOS', linux_info: { share_cgroups: false } } })
    const mixed =
      "If set, the value of 'share_cgroups' must be the same for all tasks in each task group and under a single executor"

    expect(mixedCgroupsProblem([apart, apart], [])).toBeUndefined()
    expect(mixedCgroupsProblem([apart], [taskOf({})])).toBe(mixed)
    expect(aloneProblem(apart)).toBe(
      "Only tasks in a task group may have 'share_cgroups' set to 'false'",
    )
  })

  test('a group fits into one transaction of the store', () => {
    const limits = { ...defaultClusterLimits, tasksPerGroupMax: 2, secretsPerGroupMax: 1 }
    const secret = taskOf(withVariable({ name: 'A', type: 'SECRET', secret: reference }))

    expect(strictGroupProblem([secret, taskOf({})], limits)).toBeUndefined()
    expect(strictGroupProblem([secret, secret], limits)).toBe(
      'Task group uses 2 secrets, more than the 1 it may',
    )
    expect(strictGroupProblem([secret, secret, secret], limits)).toBe(
      'Task group has 3 tasks, more than the 2 it may',
    )
    expect(strictGroupProblem([secret], { ...limits, groupSizeBytesMax: 10 })).toBe(
      'Task group is larger than 10 bytes, its sealed secrets included',
    )
  })
})

const named = (name: string): object => ({ type: 'REFERENCE', reference: { name } })

test('CL9: each path that a task refers to is named once, wherever it stands', () => {
  const task = taskOf({
    command: {
      environment: {
        variables: [
          { name: 'A', type: 'SECRET', secret: named('/dev/a') },
          { name: 'B', type: 'SECRET', secret: named('dev/a') },
        ],
      },
    },
    container: {
      type: 'MESOS',
      volumes: [secretAt('k', named('dev/b'))],
      mesos: { image: { type: 'DOCKER', docker: { name: 'i', config: named('dev/c') } } },
    },
  })

  expect(pathsIn(task)).toEqual(['dev/a', 'dev/c', 'dev/b'])
})
