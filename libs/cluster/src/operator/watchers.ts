import type { MasterEvent, TaskStatus } from '@conclave/model'
import type { TaskRecord } from '../records.ts'
import type { Agent, ClusterState, Framework } from '../state.ts'
import { agentMessage } from './agents.ts'
import { frameworkMessage } from './frameworks.ts'
import { taskMessage } from './tasks.ts'
import { getState } from './whole.ts'
import { maySee, type Viewer } from './viewer.ts'

/*
 * Those who follow the state: SUBSCRIBE of the operator API. Each hears first how it is, and then of
 * every change that they may see. Source: mesos.md §6.
 */

/** Past the limit, whoever came first is dropped. */
export function watch(state: ClusterState, viewer: Viewer, streamId: string): void {
  if (state.watchers.size >= state.limits.watchersMax) {
    for (const [oldest] of state.watchers) {
      state.watchers.delete(oldest)
      state.outbox.closeOperator(oldest)
      break
    }
  }
  const heartbeat_interval_seconds = state.limits.watcherHeartbeatTicks
  const heartbeatAtTick = state.ticks + heartbeat_interval_seconds
  state.watchers.set(streamId, { viewer, heartbeatAtTick })
  const get_state = getState(state, viewer)
  state.outbox.toOperator(streamId, {
    type: 'SUBSCRIBED',
    subscribed: { get_state, heartbeat_interval_seconds },
  })
  state.outbox.toOperator(streamId, { type: 'HEARTBEAT' })
}

export function watcherHeartbeats(state: ClusterState): void {
  for (const [streamId, watcher] of state.watchers) {
    if (watcher.heartbeatAtTick > state.ticks) continue
    watcher.heartbeatAtTick = state.ticks + state.limits.watcherHeartbeatTicks
    state.outbox.toOperator(streamId, { type: 'HEARTBEAT' })
  }
}

/** `event` is made once, and only when somebody may hear of it. */
function tell(
  state: ClusterState,
  mayHear: (viewer: Viewer) => boolean,
  event: () => MasterEvent,
): void {
  let made: MasterEvent | undefined
  for (const [streamId, { viewer }] of state.watchers) {
    if (!mayHear(viewer)) continue
    made ??= event()
    state.outbox.toOperator(streamId, made)
  }
}

const ofFramework =
  (state: ClusterState, frameworkId: string) =>
  (viewer: Viewer): boolean =>
    maySee(state, viewer, frameworkId)

const ofOperators = ({ isOperator }: Viewer): boolean => isOperator

export function tellTaskAdded(state: ClusterState, record: TaskRecord): void {
  tell(state, ofFramework(state, record.frameworkId), () => ({
    type: 'TASK_ADDED',
    task_added: { task: taskMessage(state, record) },
  }))
}

export function tellTaskUpdated(
  state: ClusterState,
  { frameworkId, state: latest }: TaskRecord,
  status: TaskStatus,
): void {
  tell(state, ofFramework(state, frameworkId), () => ({
    type: 'TASK_UPDATED',
    task_updated: { framework_id: { value: frameworkId }, status, state: latest },
  }))
}

export function tellAgentAdded(state: ClusterState, agent: Agent): void {
  tell(state, ofOperators, () => ({
    type: 'AGENT_ADDED',
    agent_added: { agent: agentMessage(state, agent) },
  }))
}

export function tellAgentRemoved(state: ClusterState, agentId: string): void {
  tell(state, ofOperators, () => ({
    type: 'AGENT_REMOVED',
    agent_removed: { agent_id: { value: agentId } },
  }))
}

export function tellFramework(
  state: ClusterState,
  framework: Framework,
  what: 'ADDED' | 'UPDATED' | 'REMOVED',
): void {
  const { frameworkId, info } = framework.record
  tell(state, ofFramework(state, frameworkId), (): MasterEvent => {
    if (what === 'REMOVED') {
      return { type: 'FRAMEWORK_REMOVED', framework_removed: { framework_info: info } }
    }
    const part = { framework: frameworkMessage(state, framework) }
    return what === 'ADDED'
      ? { type: 'FRAMEWORK_ADDED', framework_added: part }
      : { type: 'FRAMEWORK_UPDATED', framework_updated: part }
  })
}
