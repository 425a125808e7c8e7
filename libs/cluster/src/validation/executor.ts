import { idProblem, type ExecutorInfo, type TaskInfo } from '@conclave/model'
import { prefixed } from '../problem.ts'
import { bagOf, resourcesProblem } from '../resources.ts'
import { commandProblem } from './command.ts'
import { containerProblem } from './container.ts'

/*
 * What Mesos says of executors, in its order: first of any, then of a task's own, then of a group's.
 */

/** Exactly one of command and executor, and an executor that is one of the framework's own. */
export function executorProblem(task: TaskInfo, frameworkId?: string): string | undefined {
  const { command, executor } = task
  if ((command === undefined) === (executor === undefined)) {
    return 'Task should have at least one (but not both) of CommandInfo or ExecutorInfo present'
  }
  if (executor === undefined) return undefined
  const problem = anyExecutorProblem(executor, frameworkId)
  if (problem !== undefined) return problem
  if ((executor.type ?? 'CUSTOM') !== 'CUSTOM') return "'ExecutorInfo.type' must be 'CUSTOM'"
  if (executor.command === undefined) return "'ExecutorInfo.command' must be set"
  return sharedCgroupsProblem(executor)
}

/** The executor of a task group. */
export function groupExecutorProblem(
  executor: ExecutorInfo,
  frameworkId?: string,
): string | undefined {
  const problem = anyExecutorProblem(executor, frameworkId)
  if (problem !== undefined) return problem
  if (executor.type === undefined) return "'ExecutorInfo.type' must be set"
  if (executor.type === 'UNKNOWN') return 'Unknown executor type'
  if (executor.container?.type === 'DOCKER') {
    return 'Docker ContainerInfo is not supported on the executor'
  }
  return minimumProblem(executor) ?? sharedCgroupsProblem(executor)
}

function anyExecutorProblem(
  executor: ExecutorInfo,
  frameworkId: string | undefined,
): string | undefined {
  const { executor_id: id, framework_id: of, shutdown_grace_period: grace } = executor
  return (
    typeProblem(executor) ??
    idProblem(id.value) ??
    ((grace?.nanoseconds ?? 0) >= 0
      ? undefined
      : "ExecutorInfo's 'shutdown_grace_period' must be non-negative") ??
    prefixed("Executor's `CommandInfo` is invalid: ", commandProblem(executor.command)) ??
    prefixed("Executor's `ContainerInfo` is invalid: ", containerProblem(executor.container)) ??
    (of === undefined || frameworkId === undefined || of.value === frameworkId
      ? undefined
      : `ExecutorInfo has an invalid FrameworkID (Actual: ${of.value} vs Expected: ${frameworkId})`) ??
    prefixed('Executor uses invalid resources: ', resourcesProblem(executor.resources))
  )
}

function typeProblem({ type, command, container }: ExecutorInfo): string | undefined {
  if (type === 'CUSTOM' && command === undefined) {
    return "'ExecutorInfo.command' must be set for 'CUSTOM' executor"
  }
  if (type !== 'DEFAULT') return undefined
  if (command !== undefined) {
    return "'ExecutorInfo.command' must not be set for 'DEFAULT' executor"
  }
  if (container !== undefined && container.type !== 'MESOS') {
    return "'ExecutorInfo.container.type' must be 'MESOS' for 'DEFAULT' executor"
  }
  if (container?.mesos?.image === undefined) return undefined
  return "'ExecutorInfo.container.mesos.image' must not be set for 'DEFAULT' executor"
}

function sharedCgroupsProblem({ container }: ExecutorInfo): string | undefined {
  return container?.linux_info?.share_cgroups === true
    ? "The 'share_cgroups' field cannot be set to 'true' on executor containers"
    : undefined
}

/** In thousandths, as resources are counted. */
const cpusMin = 10
const memMin = 32_000

function minimumProblem({
  executor_id: { value: id },
  resources,
}: ExecutorInfo): string | undefined {
  const { scalars } = bagOf(resources)
  const [cpus, mem, disk] = ['cpus', 'mem', 'disk'].map((name) => scalars.get(name))
  if (cpus === undefined || cpus < cpusMin) {
    const amount = cpus === undefined ? 'None' : cpus / 1000
    return `Executor '${id}' uses less CPUs (${amount}) than the minimum required (0.01)`
  }
  if (mem === undefined || mem < memMin) {
    const amount = mem === undefined ? 'None' : `${mem / 1000}MB`
    return `Executor '${id}' uses less memory (${amount}) than the minimum required (32MB)`
  }
  return disk === undefined ? `Executor '${id}' uses no disk` : undefined
}
