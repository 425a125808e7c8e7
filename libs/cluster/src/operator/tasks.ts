import { isTerminal, type GetTasks, type Task } from '@conclave/model'
import type { TaskRecord } from '../records.ts'
import type { ClusterState } from '../state.ts'
import { isCompleted, isHolding } from '../tasks.ts'
import { maySee, type Viewer } from './viewer.ts'

export function getTasks(state: ClusterState, viewer: Viewer): GetTasks {
  const records = Array.from(state.tasks.all(), ({ record }) => record).filter(({ frameworkId }) =>
    maySee(state, viewer, frameworkId),
  )
  const shown = (isWanted: (record: TaskRecord) => boolean): readonly Task[] =>
    records.filter(isWanted).map((record) => taskMessage(state, record))
  return {
    tasks: shown(isKnown),
    unreachable_tasks: shown(isUnreachable),
    completed_tasks: shown(isCompleted),
  }
}

/** Runs, or ended without its framework knowing all of it. */
export const isKnown = (record: TaskRecord): boolean =>
  isHolding(record) || (isTerminal(record.state) && !isCompleted(record))

export const isUnreachable = ({ state }: TaskRecord): boolean => state === 'TASK_UNREACHABLE'

/** A task as state endpoints show it: it has no command, no environment and no data. */
export function taskMessage(state: ClusterState, record: TaskRecord): Task {
  const { info, pending } = record
  const next = pending[0]
  return {
    name: info.name,
    task_id: { value: record.taskId },
    framework_id: { value: record.frameworkId },
    executor_id: info.executor?.executor_id,
    agent_id: { value: record.agentId },
    state: record.state,
    resources: info.resources.map((resource) => ({
      ...resource,
      allocation_info: { role: record.role },
    })),
    statuses: record.statuses,
    status_update_state: next?.state ?? record.statuses.at(-1)?.state,
    status_update_uuid: next?.uuid ?? record.lastUuid,
    labels: info.labels,
    discovery: info.discovery,
    container: info.container,
    health_check: info.health_check,
    kill_policy: info.kill_policy,
    user: info.command?.user ?? state.frameworkOf(record)?.record.info.user,
    limits: info.limits,
  }
}
