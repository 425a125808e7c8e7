import { parseOurs, SchedulerCall, type TaskStatus } from '@conclave/model'
import { describe, expect, test } from 'vitest'
import {
  command,
  DrivenCluster,
  openOffers,
  scalar,
  terminalsOf,
} from '../testing/driven-cluster.ts'

/*
 * Every rule of reference mesos.md §11, by a number of its own, as a framework meets it: what it sent,
 * and what it is told. S: a secret; E: an environment; V: a volume; C: a container; P: the place where
 * it stood. An `x` behind the number is stricter than Mesos, and its text is ours.
 */

const reference = { type: 'REFERENCE', reference: { name: 'dev/db', key: 'password' } }
const value = { data: 'aGk=' }
const inline = { type: 'VALUE', value }
const sealedNull = { sealed: { id: 'i', envelope: 'ZQ==', containsNull: true } }

const secretRules: readonly (readonly [string, object, string | undefined])[] = [
  ['S1', { type: 'REFERENCE' }, "Secret of type REFERENCE must have the 'reference' field set"],
  [
    'S2',
    { ...reference, value },
    "Secret 'dev/db' of type REFERENCE must not have the 'value' field set",
  ],
  ['S3', { type: 'VALUE' }, "Secret of type VALUE must have the 'value' field set"],
  [
    'S4',
    { ...inline, reference: { name: 'x' } },
    "Secret of type VALUE must not have the 'reference' field set",
  ],
  ['S5', { type: 'UNKNOWN' }, undefined],
  ['S6', {}, undefined],
]

const variableRules: readonly (readonly [string, object, string | undefined])[] = [
  [
    'E1',
    { name: 'A', type: 'SECRET' },
    "Environment variable 'A' of type 'SECRET' must have a secret set",
  ],
  [
    'E2',
    { name: 'A', type: 'SECRET', secret: reference, value: '' },
    "Environment variable 'A' of type 'SECRET' must not have a value set",
  ],
  ...secretRules.map(([number, secret, text]) => {
    const problem = text && `Environment variable 'A' specifies an invalid secret: ${text}`
    return [`E3 ${number}`, { name: 'A', type: 'SECRET', secret }, problem] as const
  }),
  [
    'E4',
    { name: 'A', type: 'SECRET', secret: { type: 'VALUE', value: sealedNull } },
    "Environment variable 'A' specifies a secret containing null bytes, which is not allowed in the environment",
  ],
  ['E5', { name: 'A' }, "Environment variable 'A' of type 'VALUE' must have a value set"],
  [
    'E5 null is unset',
    { name: 'A', type: 'VALUE', value: null },
    "Environment variable 'A' of type 'VALUE' must have a value set",
  ],
  ['E5 empty is set', { name: 'A', type: 'VALUE', value: '' }, undefined],
  [
    'E5 without a type',
    { name: 'A', secret: reference },
    "Environment variable 'A' of type 'VALUE' must have a value set",
  ],
  [
    'E6',
    { name: 'A', type: 'VALUE', value: 'x', secret: reference },
    "Environment variable 'A' of type 'VALUE' must not have a secret set",
  ],
  [
    'E6 an unknown type',
    { name: 'A', type: 'NO_SUCH', value: 'x', secret: reference },
    "Environment variable 'A' of type 'VALUE' must not have a secret set",
  ],
  [
    'E7',
    { name: 'A', type: 'UNKNOWN', value: 'x' },
    "Environment variable of type 'UNKNOWN' is not allowed",
  ],
  ['E8x', { name: '', value: 'x' }, 'Environment variable number 1 has an empty name'],
  [
    'E9x',
    { name: 'A=B', value: 'x' },
    "Environment variable number 1 has a name with '=' or a null byte in it",
  ],
  [
    'E10x',
    { name: 'A', value: 'x\0y' },
    "Environment variable 'A' has a value containing null bytes",
  ],
]

const volume = (more: object): object => ({ mode: 'RO', container_path: 'p', ...more })
const secretAt = (path: string, secret: object = reference): object =>
  volume({ container_path: path, source: { type: 'SECRET', secret } })
const onlyOne = "Only one of them should be set: 'host_path', 'image' and 'source'"

const containerRules: readonly (readonly [string, object, string | undefined])[] = [
  ['V1 none', withVolumes(volume({})), `Invalid volume: ${onlyOne}`],
  [
    'V1 two',
    withVolumes(volume({ host_path: '/a', image: { type: 'APPC' } })),
    `Invalid volume: ${onlyOne}`,
  ],
  [
    'V2',
    withVolumes(volume({ source: { type: 'DOCKER_VOLUME' } })),
    "Invalid volume: 'source.docker_volume' is not set for DOCKER_VOLUME volume",
  ],
  [
    'V3',
    withVolumes(volume({ source: { type: 'HOST_PATH' } })),
    "Invalid volume: 'source.host_path' is not set for HOST_PATH volume",
  ],
  [
    'V4',
    withVolumes(volume({ source: { type: 'SANDBOX_PATH' } })),
    "Invalid volume: 'source.sandbox_path' is not set for SANDBOX_PATH volume",
  ],
  [
    'V5',
    withVolumes(volume({ source: { type: 'SECRET' } })),
    "Invalid volume: 'source.secret' is not set for SECRET volume",
  ],
  [
    'V6',
    withVolumes(volume({ source: { type: 'CSI_VOLUME' } })),
    "Invalid volume: 'source.csi_volume' is not set for CSI volume",
  ],
  ['V7', withVolumes(volume({ source: {} })), "Invalid volume: 'source.type' is unknown"],
  [
    'V8x',
    withVolumes(secretAt('a', { type: 'VALUE' })),
    "Invalid volume: Invalid secret specified in volume 'a': Secret of type VALUE must have the 'value' field set",
  ],
  [
    'V9x',
    withVolumes(secretAt('../a')),
    "Invalid volume: 'container_path' '../a' of a SECRET volume must not contain '..'",
  ],
  [
    'V10x',
    withVolumes(secretAt('a'), secretAt('./a')),
    "Invalid volume: 'container_path' './a' is mounted twice",
  ],
  ['V11', withVolumes(secretAt('a/b')), undefined],
  ['C1', { type: 'DOCKER' }, "DockerInfo 'docker' is not set for DOCKER typed ContainerInfo"],
  [
    'C2',
    { type: 'DOCKER', docker: { image: 'i', parameters: [{ key: 'name', value: 'x' }] } },
    "Parameter in DockerInfo must not be 'name'",
  ],
]

function withVolumes(...volumes: readonly object[]): object {
  return { type: 'MESOS', volumes }
}

const machine = [scalar('cpus', 4), scalar('mem', 4096), scalar('disk', 100)]
const small = [scalar('cpus', 0.1), scalar('mem', 32), scalar('disk', 1)]

/** What a framework hears of a launch, from a master that was asked with what it seals itself. */
function toldOf(operation: (agentId: object) => object): readonly TaskStatus[] {
  const cluster = new DrivenCluster()
  const framework = cluster.framework()
  cluster.agent('agent-1', machine)
  const [offer] = openOffers(framework)
  const call = parseOurs(SchedulerCall, {
    type: 'ACCEPT',
    framework_id: { value: framework.frameworkId },
    accept: { offer_ids: [offer?.id], operations: [operation(offer?.agent_id ?? {})] },
  })
  cluster.callAs('scheduler', framework.streamId, call)
  const told = terminalsOf(framework)
  const known = cluster.core.tasks().map(({ taskId }) => taskId)
  expect(known.filter((id) => told.some(({ task_id }) => task_id.value === id))).toEqual([])
  return told
}

const launched = (task: object): readonly TaskStatus[] =>
  toldOf((agent_id) => ({
    type: 'LAUNCH',
    launch: { task_infos: [{ ...command('t'), agent_id, ...task }] },
  }))

const group = (executor: object, ...tasks: readonly object[]): readonly TaskStatus[] =>
  toldOf((agent_id) => ({
    type: 'LAUNCH_GROUP',
    launch_group: {
      executor: {
        type: 'DEFAULT',
        executor_id: { value: 'e' },
        resources: small,
        ...executor,
      },
      task_group: {
        tasks: tasks.map((task, index) => ({ ...command(`t${index}`), agent_id, ...task })),
      },
    },
  }))

/** The master's word, without a uuid: it is not acknowledged. */
const refusal = (reason: string, message: string, id: string): object => ({
  task_id: { value: id },
  state: 'TASK_ERROR',
  source: 'SOURCE_MASTER',
  reason,
  message,
})

const refusals = (
  reason: string,
  text: string | undefined,
  prefix: string,
  ids: readonly string[],
): unknown =>
  text === undefined
    ? []
    : ids.map((id) => {
        const told = refusal(reason, prefix + text, id)
        return expect.toSatisfy(
          (status: TaskStatus) =>
            status.uuid === undefined &&
            Object.entries(told).every(
              ([name, wanted]) =>
                JSON.stringify(status[name as keyof TaskStatus]) === JSON.stringify(wanted),
            ),
        )
      })

const environment = (variable: object): object => ({
  value: 'true',
  environment: { variables: [variable] },
})
const single = 'REASON_TASK_INVALID'
const ofGroup = 'REASON_TASK_GROUP_INVALID'

describe('the environment of a command', () => {
  test.each(variableRules)('P1 a task, %s', (_number, variable, text) => {
    expect(launched({ command: environment(variable) })).toEqual(
      refusals(single, text, "Task's `CommandInfo` is invalid: ", ['t']),
    )
  })

  test.each(variableRules)('P2 a task of a group, %s', (_number, variable, text) => {
    const prefix = "Task 't1' is invalid: Task's `CommandInfo` is invalid: "
    expect(group({}, {}, { command: environment(variable) })).toEqual(
      refusals(ofGroup, text, prefix, ['t0', 't1']),
    )
  })

  test.each(variableRules)('P3 the executor of a group, %s', (_number, variable, text) => {
    expect(group({ type: 'CUSTOM', command: environment(variable) }, {})).toEqual(
      refusals(ofGroup, text, "Executor's `CommandInfo` is invalid: ", ['t0']),
    )
  })

  test.each(variableRules.filter(([, , text]) => text !== undefined))(
    'P4 the executor of a task, %s',
    (_number, variable, text) => {
      const executor = {
        executor_id: { value: 'e' },
        resources: small,
        command: environment(variable),
      }
      expect(launched({ command: undefined, executor })).toEqual(
        refusals(single, text, "Executor's `CommandInfo` is invalid: ", ['t']),
      )
    },
  )

  test.each(variableRules)('P5 a health check, %s', (_number, variable, text) => {
    const health_check = { type: 'COMMAND', command: environment(variable) }
    const prefix = "Task uses invalid health check: Health check's `CommandInfo` is invalid: "
    expect(launched({ health_check })).toEqual(refusals(single, text, prefix, ['t']))
  })

  test.each(variableRules)('P6 a check, %s', (_number, variable, text) => {
    const check = { type: 'COMMAND', command: { command: environment(variable) } }
    const prefix = "Task uses invalid check: Check's `CommandInfo` is invalid: "
    expect(launched({ check })).toEqual(refusals(single, text, prefix, ['t']))
  })
})

describe('a container', () => {
  test.each(containerRules)('P7 of a task, %s', (_number, container, text) => {
    expect(launched({ container })).toEqual(
      refusals(single, text, "Task's `ContainerInfo` is invalid: ", ['t']),
    )
  })

  test.each(
    containerRules.filter(([, container]) => !('docker' in container) && !isDocker(container)),
  )('P8 of an executor, %s', (_number, container, text) => {
    expect(group({ container }, {})).toEqual(
      refusals(ofGroup, text, "Executor's `ContainerInfo` is invalid: ", ['t0']),
    )
  })
})

function isDocker(container: object): boolean {
  return 'type' in container && container.type === 'DOCKER'
}
