import type { FromAgent, SchedulerCall } from '@conclave/model'
import type { ClusterState, Framework } from './state.ts'

type Told = Extract<FromAgent, { type: 'executor-message' | 'executor-ended' }>

/*
 * Frameworks and their executors. The master carries what they say to each other, at most once and
 * unread, as Mesos does (mesos.md §5.2, §5.6): neither side may count on it.
 */

/** An agent's word of an executor, for the framework it names, if that framework has tasks there. */
export function toldOfExecutor(state: ClusterState, connection: number, told: Told): void {
  const agentId = state.agentBehind.get(connection)
  const { frameworkId, executorId } = told
  const streamId = state.frameworks.get(frameworkId)?.streamId
  if (agentId === undefined || streamId === undefined) return
  const hasTasks = state.tasks.on(agentId).some(({ record }) => record.frameworkId === frameworkId)
  if (!hasTasks) return
  const who = { agent_id: { value: agentId }, executor_id: { value: executorId } }
  if (told.type === 'executor-message') {
    return state.outbox.toFramework(streamId, {
      type: 'MESSAGE',
      message: { ...who, data: told.data },
    })
  }
  state.outbox.toFramework(streamId, { type: 'FAILURE', failure: { ...who, status: told.status } })
}

/** MESSAGE. One to an executor that is not there is lost. */
export function messageToExecutor(
  state: ClusterState,
  { record: { frameworkId } }: Framework,
  { agent_id: agent, executor_id: executor, data }: NonNullable<SchedulerCall['message']>,
): void {
  const connection = state.agents.get(agent.value)?.connection
  if (connection === undefined) return
  const executorId = executor.value
  state.outbox.toAgent(connection, { type: 'executor-message', frameworkId, executorId, data })
}
