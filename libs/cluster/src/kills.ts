import { hasCapability, type KillPolicy } from '@conclave/model'
import { putTask, type TaskRecord } from './records.ts'
import type { ClusterState } from './state.ts'
import type { Task } from './tasks.ts'

/** How long SIGTERM is given: what the call says, else the task, else the cluster. */
export function graceOf(state: ClusterState, { info }: TaskRecord, asked?: KillPolicy): number {
  const period = asked?.grace_period ?? info.kill_policy?.grace_period
  const graceMs = Math.round((period?.nanoseconds ?? NaN) / 1e6)
  return Number.isSafeInteger(graceMs) && graceMs >= 0 ? graceMs : state.limits.killGraceMs
}

/**
 * Ends a task. The wish is written down first, so that an agent that is away, or a leader that comes
 * after this one, still carries it out; the task ends when its agent says so.
 */
export function requestKill(state: ClusterState, task: Task, graceMs: number): void {
  const kill = { requestedAtMs: state.nowMs, graceMs }
  const { record } = state.tasks.put({ ...task.record, kill })
  state.outbox.commit([putTask(record)])
  sendKill(state, record, graceMs)
}

export function sendKill(state: ClusterState, record: TaskRecord, graceMs: number): void {
  const connection = state.agents.get(record.agentId)?.connection
  if (connection === undefined) return
  const { frameworkId, taskId } = record
  const info = state.frameworkOf(record)?.record.info
  const tellKilling = info !== undefined && hasCapability(info, 'TASK_KILLING_STATE')
  state.outbox.toAgent(connection, { type: 'kill', frameworkId, taskId, graceMs, tellKilling })
}

/** Ends a container that no record stands behind. */
export function killStray(
  state: ClusterState,
  connection: number,
  stray: { readonly frameworkId: string; readonly taskId: string },
): void {
  const { frameworkId, taskId } = stray
  const kill = { type: 'kill', frameworkId, taskId, graceMs: 0, tellKilling: false } as const
  state.outbox.toAgent(connection, kill)
}
