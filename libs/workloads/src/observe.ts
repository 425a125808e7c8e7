import type { Board } from './board.ts'
import type { Observed } from './scene.ts'
import { isFinal, type InstanceState, type WorkloadTask } from './task.ts'

/** Writes down what became of tasks. What has ended stays as it is, whatever is said of it later. */
export function observe(board: Board): void {
  for (const task of board.all()) {
    if (isFinal(task.state)) continue
    const next = seen(board, task)
    if (next !== undefined) board.put(next)
  }
}

/** Undefined when there is nothing new. */
function seen(board: Board, task: WorkloadTask): WorkloadTask | undefined {
  const { observed, refused, nowMs, workload } = board.scene
  const found = observed(task.taskId)
  if (found !== undefined) {
    return withObserved(task, found, nowMs, workload.spec.waitsForHealth && isUnproven(task, found))
  }
  const refusal = refused(task.taskId)
  const isLaunched = task.state !== 'pending' && task.state !== 'assigned'
  if (isLaunched) {
    const message = 'The cluster does not know the task any more'
    return { ...task, state: 'lost', message, stateAtMs: nowMs, endedAtMs: nowMs }
  }
  if (refusal === undefined) return undefined
  const { reason, message } = refusal
  return {
    ...task,
    state: 'rejected',
    taskState: 'TASK_ERROR',
    ...(reason === undefined ? {} : { reason }),
    message: message.slice(0, 4096),
    stateAtMs: nowMs,
    endedAtMs: nowMs,
  }
}

/** It has a health check that it has never passed. */
const isUnproven = ({ startedAtMs }: WorkloadTask, { isChecked, healthy }: Observed): boolean =>
  isChecked === true && healthy !== true && startedAtMs === undefined

function withObserved(
  task: WorkloadTask,
  { hasRun, state: taskState, ...found }: Observed,
  nowMs: number,
  isWaiting: boolean,
): WorkloadTask | undefined {
  const said = stateOf(taskState, found.reason, hasRun)
  const state = said === 'running' && isWaiting ? 'starting' : said
  const isNew =
    state !== task.state ||
    taskState !== task.taskState ||
    found.healthy !== task.healthy ||
    found.agentId !== task.agentId ||
    found.message?.slice(0, 4096) !== task.message
  if (!isNew) return undefined
  const { frameworkId, agentId, containerId, reason, message, exitCode, healthy } = found
  const { reason: _reason, message: _message, ...rest } = task
  return {
    ...rest,
    frameworkId,
    agentId,
    containerId,
    state,
    taskState,
    ...(reason === undefined ? {} : { reason }),
    ...(message === undefined ? {} : { message: message.slice(0, 4096) }),
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(healthy === undefined ? {} : { healthy }),
    stateAtMs: state === task.state ? task.stateAtMs : nowMs,
    ...(hasRun && !isWaiting && task.startedAtMs === undefined ? { startedAtMs: nowMs } : {}),
    ...(isFinal(state) ? { endedAtMs: nowMs } : {}),
  }
}

/** Source: mesos.md §5.4. A task whose container came to nothing was rejected, if it never ran. */
function stateOf(taskState: string, reason: string | undefined, hasRun: boolean): InstanceState {
  switch (taskState) {
    case 'TASK_STAGING':
      return 'staging'
    case 'TASK_STARTING':
      return 'starting'
    case 'TASK_RUNNING':
    case 'TASK_KILLING':
      return 'running'
    case 'TASK_FINISHED':
      return 'finished'
    case 'TASK_KILLED':
      return 'killed'
    case 'TASK_ERROR':
      return 'rejected'
    case 'TASK_FAILED':
      return reason === 'REASON_CONTAINER_LAUNCH_FAILED' && !hasRun ? 'rejected' : 'failed'
    default:
      return 'lost'
  }
}
