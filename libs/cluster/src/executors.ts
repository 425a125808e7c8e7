import { rolesOf, type FromAgent, type SchedulerCall } from '@conclave/model'
import type { ClusterState, Framework } from './state.ts'

type Told = Extract<FromAgent, { type: 'executor-message' | 'executor-started' | 'executor-ended' }>
type Running = NonNullable<Extract<FromAgent, { type: 'register' }>['executors']>

/*
 * Frameworks and their executors. The master carries what they say to each other, at most once and
 * unread, as Mesos does (mesos.md §5.2, §5.6): neither side may count on it.
 */

/** An agent's word of an executor, for the framework it names, if that framework has tasks there. */
export function toldOfExecutor(state: ClusterState, connection: number, told: Told): void {
  const agentId = state.agentBehind.get(connection)
  const { frameworkId, executorId } = told
  if (agentId === undefined) return
  const place = { agentId, frameworkId, executorId }
  if (told.type === 'executor-started') {
    return state.tasks.executorStarted(place, told.containerId)
  }
  if (told.type === 'executor-ended') {
    state.tasks.executorEnded(place, told.containerId)
    state.mayAllocate = true
  }
  const streamId = state.frameworks.get(frameworkId)?.streamId
  if (streamId === undefined) return
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

/** What an agent that registers runs of them. Nobody would ever end those of a framework that is gone. */
export function takeExecutors(state: ClusterState, agentId: string, running: Running = []): void {
  const reported = running.map((one) => ({ ...one, agentId, role: roleOf(state, one) }))
  state.tasks.setExecutors(agentId, reported)
  const frameworkIds = new Set(running.map(({ frameworkId }) => frameworkId))
  for (const id of frameworkIds) {
    if (state.frameworks.get(id)?.record.state !== 'completed' && state.frameworks.has(id)) continue
    shutDownExecutors(state, id)
  }
}

/** What it was given its resources for: a task that is known says so, or else the executor itself. */
function roleOf(state: ClusterState, { frameworkId, executorId, info }: Running[number]): string {
  const sibling = state.tasks
    .of(frameworkId)
    .find(({ record }) => record.info.executor?.executor_id.value === executorId)
  const framework = state.frameworks.get(frameworkId)
  const [first] = framework === undefined ? [] : rolesOf(framework.record.info)
  return sibling?.record.role ?? info.resources[0]?.allocation_info?.role ?? first ?? '*'
}

/** The end of a framework is the end of its executors, also of those that have no task any more. */
export function shutDownExecutors(state: ClusterState, frameworkId: string): void {
  for (const { agentId, executorId, containers, ...executor } of state.tasks.executors()) {
    const connection = state.agents.get(agentId)?.connection
    if (executor.frameworkId !== frameworkId || containers.size === 0) continue
    if (connection === undefined) continue
    state.outbox.toAgent(connection, { type: 'shutdown-executor', frameworkId, executorId })
  }
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
