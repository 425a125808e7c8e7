import { utf8 } from '@conclave/kernel'
import {
  idProblem,
  parseSecretPath,
  partsIn,
  PathInvalid,
  Secret,
  secretSizeBytesMax,
  TaskInfo,
  variableProblem,
  type CheckInfo,
  type CommandInfo,
  type EnvironmentVariable,
  type ExecutorInfo,
  type HealthCheck,
  type SecretPath,
} from '@conclave/model'
import { containerProblem } from './container-validation.ts'
import type { ClusterLimits } from './limits.ts'
import { firstOf, prefixed } from './problem.ts'
import { bagOf, resourcesProblem } from './resources.ts'

/*
 * What keeps a task from being launched: Mesos' checks, in Mesos' words and order (mesos.md §5.3, §11),
 * and stricter ones where upstream would let a mistake through to the container: `strict…` functions,
 * whose texts are ours. A message names the field, never a value.
 */

/** Every check of one task by itself. What it may use of an offer is checked where offers are known. */
export function taskProblem(
  task: TaskInfo,
  expectedAgentId: string,
  limits: ClusterLimits,
): string | undefined {
  const { task_id: id, agent_id: agentId, kill_policy: killPolicy } = task
  return (
    idProblem(id.value) ??
    (agentId.value === expectedAgentId
      ? undefined
      : `Task uses invalid agent ${agentId.value} while agent ${expectedAgentId} is expected`) ??
    durationProblem("Task's 'kill_policy.grace_period'", killPolicy?.grace_period) ??
    durationProblem("Task's 'max_completion_time'", task.max_completion_time) ??
    prefixed('Task uses invalid check: ', checkProblem(task.check)) ??
    prefixed('Task uses invalid health check: ', healthCheckProblem(task.health_check)) ??
    taskResourcesProblem(task) ??
    prefixed("Task's `CommandInfo` is invalid: ", commandProblem(task.command)) ??
    prefixed("Task's `ContainerInfo` is invalid: ", containerProblem(task.container)) ??
    limitsProblem(task) ??
    strictTaskProblem(task, limits)
  )
}

const durationProblem = (
  what: string,
  duration: { readonly nanoseconds: number } | undefined,
): string | undefined =>
  duration === undefined || duration.nanoseconds >= 0 ? undefined : `${what} must be non-negative`

function taskResourcesProblem({ resources }: TaskInfo): string | undefined {
  if (resources.length === 0) return 'Task uses no resources'
  return prefixed('Task uses invalid resources: ', resourcesProblem(resources))
}

function limitsProblem({ limits = {}, resources }: TaskInfo): string | undefined {
  const requested = bagOf(resources).scalars
  return firstOf(Object.entries(limits), ([name, { value }]) => {
    if (!(value >= 0)) return `Task's resource limit for '${name}' must be non-negative`
    if (value * 1000 >= (requested.get(name) ?? 0)) return undefined
    return `Task's resource limit for '${name}' is less than what it requests`
  })
}

/** Exactly one of command and executor; and of executors only what the master can do without one. */
export function executorProblem(task: TaskInfo): string | undefined {
  const { command, executor } = task
  if ((command === undefined) === (executor === undefined)) {
    return 'Task should have at least one (but not both) of CommandInfo or ExecutorInfo present'
  }
  if (executor === undefined) return undefined
  return (
    executorInfoProblem(executor) ??
    "'TaskInfo.executor' is not supported in LAUNCH: custom executors do not run here; " +
      "set 'TaskInfo.command', or use LAUNCH_GROUP with a DEFAULT executor"
  )
}

function executorInfoProblem(executor: ExecutorInfo): string | undefined {
  return (
    idProblem(executor.executor_id.value) ??
    durationProblem("Executor's 'shutdown_grace_period'", executor.shutdown_grace_period) ??
    prefixed("Executor's `CommandInfo` is invalid: ", commandProblem(executor.command)) ??
    prefixed("Executor's `ContainerInfo` is invalid: ", containerProblem(executor.container)) ??
    prefixed('Executor uses invalid resources: ', resourcesProblem(executor.resources))
  )
}

/** The executor of a task group. Only DEFAULT ones, and they are no process of their own here. */
export function groupExecutorProblem(executor: ExecutorInfo): string | undefined {
  const id = executor.executor_id.value
  if (executor.type === undefined) return "'ExecutorInfo.type' must be set"
  const problem = executorInfoProblem(executor)
  if (problem !== undefined) return problem
  if (executor.type !== 'DEFAULT') {
    return "'ExecutorInfo.type' must be 'DEFAULT': custom executors do not run here"
  }
  if (executor.command !== undefined) {
    return "'ExecutorInfo.command' must not be set for 'DEFAULT' executor"
  }
  if (executor.container?.mesos?.image !== undefined) {
    return "'ExecutorInfo.container.mesos.image' must not be set for 'DEFAULT' executor"
  }
  if ((executor.container?.volumes ?? []).length > 0) {
    return "'ExecutorInfo.container.volumes' must not be set: give each task of the group its own"
  }
  const { scalars } = bagOf(executor.resources)
  const [cpus = 0, mem = 0, disk = 0] = ['cpus', 'mem', 'disk'].map((name) => scalars.get(name))
  if (cpus < 10) {
    return `Executor '${id}' uses less CPUs (${cpus / 1000}) than the minimum required (0.01)`
  }
  if (mem < 32_000) {
    return `Executor '${id}' uses less memory (${mem / 1000}MB) than the minimum required (32MB)`
  }
  return disk > 0 ? undefined : `Executor '${id}' uses no disk`
}

/** What a task of a group may not have, beyond what no task may. */
export function groupTaskProblem(task: TaskInfo): string | undefined {
  if (task.container?.type === 'DOCKER') {
    return 'Docker ContainerInfo is not supported on the task'
  }
  if (task.command === undefined) return "'TaskInfo.command' must be set"
  if (task.executor !== undefined) return "'TaskInfo.executor' must not be set in a task group"
  return undefined
}

function healthCheckProblem(check: HealthCheck | undefined): string | undefined {
  if (check === undefined) return undefined
  const { type } = check
  if (type === undefined) return "HealthCheck must specify 'type'"
  if (type === 'UNKNOWN') return "'UNKNOWN' is not a valid health check type"
  return (
    partProblem('health check', type, check) ??
    prefixed("Health check's `CommandInfo` is invalid: ", commandProblem(check.command)) ??
    timesProblem(check)
  )
}

function checkProblem(check: CheckInfo | undefined): string | undefined {
  if (check === undefined) return undefined
  const { type } = check
  if (type === undefined) return "CheckInfo must specify 'type'"
  if (type === 'UNKNOWN') return "'UNKNOWN' is not a valid check type"
  return (
    partProblem('check', type, check) ??
    prefixed("Check's `CommandInfo` is invalid: ", commandProblem(check.command?.command)) ??
    timesProblem(check)
  )
}

function partProblem(
  what: string,
  type: 'COMMAND' | 'HTTP' | 'TCP',
  check: { readonly command?: unknown; readonly http?: unknown; readonly tcp?: unknown },
): string | undefined {
  const part = type.toLowerCase() as 'command' | 'http' | 'tcp'
  return check[part] === undefined ? `Expecting '${part}' to be set for ${type} ${what}` : undefined
}

const times = [
  'delay_seconds',
  'grace_period_seconds',
  'interval_seconds',
  'timeout_seconds',
] as const

const timesProblem = (check: HealthCheck | CheckInfo): string | undefined =>
  firstOf(times, (name) => {
    const seconds = (check as HealthCheck)[name] ?? 0
    return seconds >= 0 ? undefined : `Expecting '${name}' to be non-negative`
  })

function commandProblem(command: CommandInfo | undefined): string | undefined {
  return firstOf(command?.environment?.variables ?? [], environmentVariableProblem)
}

function environmentVariableProblem(
  variable: EnvironmentVariable,
  index: number,
): string | undefined {
  return (
    variableProblem(variable) ??
    strictNameProblem(variable.name, index) ??
    strictValueProblem(variable)
  )
}

/** Upstream takes any name. No environment can hold these, and nobody can ask for them. */
function strictNameProblem(name: string, index: number): string | undefined {
  if (name === '') return `Environment variable number ${index + 1} has an empty name`
  if (!/[=\0]/.test(name)) return undefined
  return `Environment variable number ${index + 1} has a name with '=' or a null byte in it`
}

/** Upstream hands the value to C, which cuts it off there. */
const strictValueProblem = ({ name, value = '' }: EnvironmentVariable): string | undefined =>
  value.includes('\0')
    ? `Environment variable '${name}' has a value containing null bytes`
    : undefined

const taskNameLengthMax = 255

function strictTaskProblem(task: TaskInfo, limits: ClusterLimits): string | undefined {
  if (task.name === '') return "'TaskInfo.name' must not be empty"
  if (task.name.length > taskNameLengthMax) {
    return `'TaskInfo.name' must not be greater than ${taskNameLengthMax} characters`
  }
  const secrets = partsIn(TaskInfo, task, Secret)
  if (secrets.length > limits.secretsPerTaskMax) {
    return `Task uses ${secrets.length} secrets, more than the ${limits.secretsPerTaskMax} it may`
  }
  const endless = infiniteField(task)
  if (endless !== undefined) return `'${endless}' must be a finite number`
  return firstOf(secrets, strictSecretProblem) ?? strictSizeProblem(task, limits)
}

function strictSecretProblem({ reference, value }: Secret): string | undefined {
  // An envelope is a little longer than its value, and base64 is longer by a third.
  const sealedBytes = ((value?.sealed?.envelope.length ?? 0) * 3) / 4
  if (sealedBytes > secretSizeBytesMax + 1024) {
    return `'secret.value' is longer than ${secretSizeBytesMax} bytes`
  }
  if (reference === undefined) return undefined
  try {
    parseSecretPath(reference.name, "'secret.reference.name'")
  } catch (error) {
    if (error instanceof PathInvalid) return error.message
    throw error
  }
  return reference.key === '' ? "'secret.reference.key' must not be empty" : undefined
}

/** JSON has no word for it, so a record that held it could not be read again. */
export function infiniteField(value: unknown): string | undefined {
  let found: string | undefined
  JSON.stringify(value, (name, item: unknown) => {
    if (typeof item === 'number' && !Number.isFinite(item)) found ??= name
    return item
  })
  return found
}

function strictSizeProblem(
  task: TaskInfo,
  { taskSizeBytesMax }: ClusterLimits,
): string | undefined {
  if (utf8(JSON.stringify(task)).length <= taskSizeBytesMax) return undefined
  return (
    `Task is larger than ${taskSizeBytesMax} bytes, its sealed secrets included; ` +
    'store a large secret, and refer to it'
  )
}

/** The paths that a valid task refers to, each once, in the order in which they stand there. */
export const pathsIn = (task: TaskInfo): readonly SecretPath[] => [
  ...new Set(
    partsIn(TaskInfo, task, Secret).flatMap(({ reference }) =>
      reference === undefined ? [] : [parseSecretPath(reference.name)],
    ),
  ),
]
