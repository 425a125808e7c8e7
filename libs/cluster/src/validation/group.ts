import { dropSecretValues, ExecutorInfo, toJson, type TaskInfo } from '@conclave/model'
import { firstOf } from '../problem.ts'

/** What a task of a group may not have, beyond what no task may. */
export function groupTaskProblem(task: TaskInfo): string | undefined {
  const { container, health_check: healthCheck, limits = {} } = task
  const isOverNetwork = healthCheck?.type === 'HTTP' || healthCheck?.type === 'TCP'
  if ((container?.network_infos ?? []).length > 0 && isOverNetwork) {
    return "HTTP and TCP health checks are not supported for nested containers not joining parent's network"
  }
  if (container?.type === 'DOCKER') return 'Docker ContainerInfo is not supported on the task'
  if (Object.keys(limits).length > 0 && container?.linux_info?.share_cgroups !== false) {
    return "Resource limits may only be set for tasks within a task group when the 'share_cgroups' field is set to 'false'."
  }
  // The default executor runs commands and nothing else; upstream finds out there.
  return task.command === undefined ? "'TaskInfo.command' must be set" : undefined
}

/** Each task may repeat the executor of its group, and may not name another. */
export const sameExecutorProblem = (
  tasks: readonly TaskInfo[],
  executor: ExecutorInfo,
): string | undefined =>
  firstOf(tasks, ({ task_id: { value: id }, executor: own }) =>
    own === undefined || isSameExecutor(own, executor)
      ? undefined
      : `The \`ExecutorInfo\` of task '${id}' is different from executor '${executor.executor_id.value}'`,
  )

/** Whether two descriptions are of one executor. Inline secrets are sealed, and are not looked into. */
export const isSameExecutor = (a: ExecutorInfo, b: ExecutorInfo): boolean => shape(a) === shape(b)

const shape = (executor: ExecutorInfo): string =>
  JSON.stringify(
    toJson(ExecutorInfo, dropSecretValues(ExecutorInfo, { ...executor, framework_id: undefined })),
  )

const sharesCgroups = ({ container }: TaskInfo): boolean =>
  container?.linux_info?.share_cgroups ?? true

/** One kind of cgroups for all tasks of one executor. `others` run under it already. */
export function mixedCgroupsProblem(
  tasks: readonly TaskInfo[],
  others: readonly TaskInfo[],
): string | undefined {
  const kinds = new Set([...tasks, ...others].map(sharesCgroups))
  if (kinds.size <= 1) return undefined
  return "If set, the value of 'share_cgroups' must be the same for all tasks in each task group and under a single executor"
}
