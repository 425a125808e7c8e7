import { utf8 } from '@conclave/kernel'
import {
  exitCodeLabel,
  isTerminal,
  isUuid,
  type AgentInfo,
  type FromAgent,
  type TaskReason,
  type TaskState,
  type TaskStatus,
} from '@conclave/model'
import { takeExecutors } from './executors.ts'
import { closeInverseOffers } from './inverse-offers.ts'
import { killStray, sendKill } from './kills.ts'
import { isDown } from './machines.ts'
import { sendRotation } from './rotate.ts'
import { tellAgentAdded, tellAgentRemoved } from './operator/watchers.ts'
import { agentKey, putAgent, type AgentRecord } from './records.ts'
import { infoSizeBytesMax } from './validation/framework.ts'
import { bagOf, contains, resourcesProblem } from './resources.ts'
import type { Agent, ClusterState } from './state.ts'
import { decide, enqueue, stateFor } from './statuses.ts'
import { isHolding, type Task } from './tasks.ts'
import { infiniteField } from './validation/strict.ts'

type Register = Extract<FromAgent, { type: 'register' }>
type StatusUpdate = Extract<FromAgent, { type: 'status-update' }>

/** A registration, new or again. Who asks stands in the certificate: `agentName`. */
export function registerAgent(
  state: ClusterState,
  connection: number,
  agentName: string,
  message: Register,
): void {
  const problem = agentInfoProblem(message.info)
  if (problem !== undefined) return refuse(state, connection, problem)
  if (isDown(state, message.info))
    return refuse(state, connection, 'its machine is down for maintenance')
  if (message.agentId === undefined) return admit(state, connection, agentName, message)

  const agent = state.agents.get(message.agentId)
  if (agent === undefined) {
    return refuse(state, connection, `agent ${message.agentId} is not known, or was removed`)
  }
  if (agent.record.certificateName !== agentName) {
    refuse(state, connection, `agent ${message.agentId} belongs to another certificate`)
    return state.outbox.closeAgent(connection)
  }
  if (agent.record.state === 'unreachable') {
    removeAgent(state, agent, 'it was away for too long', 'REASON_AGENT_REMOVED')
    return refuse(state, connection, `agent ${message.agentId} was away for too long`)
  }
  if (!contains(bagOf(message.info.resources), state.tasks.usedOn(message.agentId))) {
    removeAgent(state, agent, 'it has less than its tasks use', 'REASON_AGENT_REMOVED')
    return refuse(state, connection, `agent ${message.agentId} has less than its tasks use`)
  }
  readmit(state, connection, agent, message)
}

function agentInfoProblem(info: AgentInfo): string | undefined {
  if (utf8(JSON.stringify(info)).length > infoSizeBytesMax) {
    return `AgentInfo is larger than ${infoSizeBytesMax} bytes`
  }
  const endless = infiniteField(info.attributes)
  if (endless !== undefined) return `'${endless}' of an attribute must be a finite number`
  return resourcesProblem(info.resources)
}

function refuse(state: ClusterState, connection: number, why: string): void {
  state.outbox.toAgent(connection, { type: 'shutdown', why })
}

/** A first registration. What the same certificate registered before is over: its directory is gone. */
function admit(
  state: ClusterState,
  connection: number,
  agentName: string,
  { info, runtime, tasks, executors }: Register,
): void {
  for (const old of state.agents.values()) {
    if (old.record.certificateName !== agentName) continue
    if (old.connection !== undefined && old.connection !== connection) {
      state.outbox.closeAgent(old.connection)
    }
    removeAgent(state, old, `${agentName} registered anew`, 'REASON_AGENT_RESTARTED')
  }
  const { id: agentId, change } = state.numbers.agent()
  const record: AgentRecord = {
    agentId,
    certificateName: agentName,
    info: { ...info, id: { value: agentId } },
    runtime,
    state: 'active',
    registeredAtMs: state.nowMs,
    changedAtMs: state.nowMs,
  }
  const total = bagOf(info.resources)
  state.agents.set(agentId, { record, total, connection: undefined, awaySinceTick: state.ticks })
  state.outbox.commit([change, putAgent(record)])
  welcome(state, connection, record, { isNew: true })
  for (const stray of tasks) killStray(state, connection, stray)
  takeExecutors(state, agentId, executors)
}

function readmit(
  state: ClusterState,
  connection: number,
  agent: Agent,
  { info, runtime, tasks, executors }: Register,
): void {
  const { agentId } = agent.record
  if (agent.connection !== undefined && agent.connection !== connection) {
    state.agentBehind.delete(agent.connection)
    state.outbox.closeAgent(agent.connection)
  }
  state.closeOffers((offer) => offer.agentId === agentId, { rescind: true })
  agent.record = {
    ...agent.record,
    info: { ...info, id: { value: agentId } },
    runtime,
    state: 'active',
    reregisteredAtMs: state.nowMs,
    changedAtMs: state.nowMs,
  }
  agent.total = bagOf(info.resources)
  state.outbox.commit([putAgent(agent.record)])
  welcome(state, connection, agent.record, { isNew: false })
  compare(state, connection, agentId, tasks)
  takeExecutors(state, agentId, executors)
}

function welcome(
  state: ClusterState,
  connection: number,
  { agentId, info: { hostname } }: AgentRecord,
  { isNew }: { isNew: boolean },
): void {
  const agent = state.agents.get(agentId)
  const wasAway = agent?.connection === undefined
  if (agent !== undefined) agent.connection = connection
  state.agentBehind.set(connection, agentId)
  const heartbeatSeconds = state.limits.agentHeartbeatSeconds
  state.outbox.toAgent(connection, { type: 'registered', agentId, heartbeatSeconds })
  state.outbox.emit({ type: 'agent.registered', agentId, hostname, isNew })
  if (agent !== undefined && wasAway) tellAgentAdded(state, agent)
  state.mayAllocate = true
}

/** What we know and the agent does not is lost; what it runs beyond that is killed. */
function compare(
  state: ClusterState,
  connection: number,
  agentId: string,
  reported: Register['tasks'],
): void {
  const runs = new Map(reported.map((one) => [`${one.frameworkId}/${one.taskId}`, one]))
  for (const { record } of state.tasks.on(agentId)) {
    if (!isHolding(record)) continue
    const { frameworkId, taskId, containerId, kill } = record
    const one = runs.get(`${frameworkId}/${taskId}`)
    if (one?.containerId === containerId) {
      runs.delete(`${frameworkId}/${taskId}`)
      if (kill !== undefined) sendKill(state, record, kill.graceMs)
      else sendRotation(state, record.frameworkId, record.taskId)
      continue
    }
    const task = state.tasks.get(frameworkId, taskId)
    if (task !== undefined)
      lose(state, task, 'Task is unknown to the agent', 'REASON_AGENT_RESTARTED')
  }
  for (const stray of runs.values()) killStray(state, connection, stray)
}

function lose(state: ClusterState, task: Task, message: string, reason: TaskReason): void {
  decide(state, task, { state: 'TASK_GONE', reason, message })
}

/** The end of an agent's id: its tasks are over, and so is whatever was offered of it. */
function removeAgent(state: ClusterState, agent: Agent, why: string, reason: TaskReason): void {
  const { agentId, info } = agent.record
  leave(state, agent)
  state.agents.delete(agentId)
  state.allocator.forgetAgent(agentId)
  state.outbox.commit([{ key: agentKey(agentId) }])
  state.outbox.emit({ type: 'agent.lost', agentId, why })
  if (agent.record.state !== 'unreachable') tellFailure(state, agentId)
  for (const task of state.tasks.on(agentId)) {
    lose(state, task, `Agent ${info.hostname} was removed: ${why}`, reason)
  }
  takeExecutors(state, agentId)
}

/** An operator says that it will never come back: no agent has its id any more, and its tasks are over. */
export function markGone(state: ClusterState, agent: Agent): void {
  const { agentId, info } = agent.record
  const { connection } = agent
  const why = 'an operator marked it gone'
  const gone = {
    state: 'TASK_GONE_BY_OPERATOR',
    reason: 'REASON_AGENT_REMOVED_BY_OPERATOR',
  } as const
  for (const task of state.tasks.on(agentId)) {
    decide(state, task, { ...gone, message: `Agent ${info.hostname} was removed: ${why}` })
  }
  removeAgent(state, agent, why, 'REASON_AGENT_REMOVED_BY_OPERATOR')
  if (connection === undefined) return
  state.outbox.toAgent(connection, { type: 'shutdown', why })
  state.outbox.closeAgent(connection)
}

/** An operator takes its machine away: whatever runs there ends, and is lost. */
export function takeDown(state: ClusterState, agent: Agent, why: string): void {
  const { connection } = agent
  removeAgent(state, agent, why, 'REASON_AGENT_REMOVED')
  if (connection === undefined) return
  state.outbox.toAgent(connection, { type: 'shutdown', why })
  state.outbox.closeAgent(connection)
}

/** Every framework hears that an agent is gone, whether or not it had tasks there. */
function tellFailure(state: ClusterState, agentId: string): void {
  tellAgentRemoved(state, agentId)
  const failure = { agent_id: { value: agentId } }
  for (const { streamId } of state.frameworks.values()) {
    if (streamId !== undefined) state.outbox.toFramework(streamId, { type: 'FAILURE', failure })
  }
}

function leave(state: ClusterState, agent: Agent): void {
  const { agentId } = agent.record
  if (agent.connection !== undefined) state.agentBehind.delete(agent.connection)
  agent.connection = undefined
  agent.awaySinceTick = state.ticks
  closeInverseOffers(state, (one) => one.agentId === agentId)
  state.closeOffers((offer) => offer.agentId === agentId, { rescind: true })
}

export function disconnectAgent(state: ClusterState, connection: number): void {
  const agentId = state.agentBehind.get(connection)
  state.agentBehind.delete(connection)
  const agent = agentId === undefined ? undefined : state.agents.get(agentId)
  if (agent === undefined || agent.connection !== connection) return
  leave(state, agent)
  agent.record = { ...agent.record, state: 'disconnected', changedAtMs: state.nowMs }
  state.outbox.commit([putAgent(agent.record)])
  state.outbox.emit({ type: 'agent.disconnected', agentId: agent.record.agentId })
}

/** Gives up agents that stayed away for too long, and forgets the oldest of those. */
export function expireAgents(state: ClusterState): void {
  for (const agent of state.agents.values()) {
    const isAway = agent.connection === undefined && agent.record.state !== 'unreachable'
    if (!isAway || state.ticks - agent.awaySinceTick < state.limits.agentTimeoutTicks) continue
    giveUp(state, agent)
  }
  const unreachable = [...state.agents.values()]
    .filter(({ record }) => record.state === 'unreachable')
    .toSorted((a, b) => a.record.changedAtMs - b.record.changedAtMs)
  for (const agent of unreachable.slice(0, -state.limits.unreachableAgentsMax)) {
    removeAgent(state, agent, 'it was away for too long', 'REASON_AGENT_REMOVED')
  }
}

function giveUp(state: ClusterState, agent: Agent): void {
  const { agentId, info } = agent.record
  leave(state, agent)
  state.allocator.forgetAgent(agentId)
  agent.record = { ...agent.record, state: 'unreachable', changedAtMs: state.nowMs }
  state.outbox.commit([putAgent(agent.record)])
  state.outbox.emit({ type: 'agent.lost', agentId, why: 'it did not come back in time' })
  tellFailure(state, agentId)
  for (const task of state.tasks.on(agentId)) {
    if (!isHolding(task.record)) continue
    decide(state, task, {
      state: 'TASK_UNREACHABLE',
      reason: 'REASON_AGENT_REMOVED',
      message: `Agent ${info.hostname} is unreachable: it did not come back in time`,
    })
  }
  takeExecutors(state, agentId)
}

/** States that an agent may report. The others are the master's to decide. */
const agentStates: ReadonlySet<TaskState> = new Set([
  'TASK_STARTING',
  'TASK_RUNNING',
  'TASK_KILLING',
  'TASK_FINISHED',
  'TASK_FAILED',
  'TASK_KILLED',
  'TASK_ERROR',
  'TASK_LOST',
  'TASK_DROPPED',
  'TASK_GONE',
])

/**
 * A status from an agent. It is acknowledged once it is written down; so is one that changes nothing
 * (late, repeated, of another's task), since the agent would send it for ever.
 */
export function agentStatus(
  state: ClusterState,
  connection: number,
  { frameworkId, status }: StatusUpdate,
): void {
  const agentId = state.agentBehind.get(connection)
  const { uuid } = status
  if (agentId === undefined || uuid === undefined || !isUuid(uuid)) return
  const taskId = status.task_id.value
  const task = state.tasks.get(frameworkId, taskId)
  if (task !== undefined && isOf(task, agentId, status) && isHolding(task.record)) {
    const isNew = task.record.lastUuid !== uuid
    if (isNew && isTellable(state, task, status)) {
      enqueue(state, task, ours(state, task, status), { lastUuid: uuid })
    }
  } else if (!isTerminal(status.state)) {
    killStray(state, connection, { frameworkId, taskId })
  }
  state.outbox.toAgent(connection, { type: 'status-acknowledged', frameworkId, taskId, uuid })
}

function isOf({ record }: Task, agentId: string, status: TaskStatus): boolean {
  const containerId = status.container_status?.container_id?.value
  return (
    record.agentId === agentId &&
    (containerId === undefined || containerId === record.containerId || !hasContainer(record))
  )
}

/** A task of an executor of the framework's own is in that one's container. */
const hasContainer = ({ info: { executor } }: Task['record']): boolean =>
  executor === undefined || executor.type === 'DEFAULT'

function isTellable(state: ClusterState, { record }: Task, status: TaskStatus): boolean {
  if (status.state !== 'TASK_KILLING') return agentStates.has(status.state)
  const capabilities = state.frameworkOf(record)?.record.info.capabilities ?? []
  return capabilities.some(({ type }) => type === 'TASK_KILLING_STATE')
}

/** Whoever is killed while its agent is drained hears why. */
const isDrained = (
  { agents }: ClusterState,
  { agentId, kill }: Task['record'],
  { state: told, reason }: TaskStatus,
): boolean =>
  (told === 'TASK_KILLED' || told === 'TASK_KILLING') &&
  reason === undefined &&
  kill !== undefined &&
  agents.get(agentId)?.record.drain !== undefined

const messageLengthMax = 1024
const statusSizeBytesMax = 8192

/** The status as it goes on: in the master's words where the agent has no say, and of bounded size. */
function ours(state: ClusterState, { record }: Task, status: TaskStatus): TaskStatus {
  const { taskId, agentId, containerId, group, info } = record
  const { unreachable_time: _never, message, ...told } = status
  const whole: TaskStatus = {
    ...told,
    ...(message === undefined ? {} : { message: message.slice(0, messageLengthMax) }),
    task_id: { value: taskId },
    agent_id: { value: agentId },
    executor_id: { value: info.executor?.executor_id.value ?? group?.executorId ?? taskId },
    state: stateFor(state.frameworkOf(record)?.record.info, status.state),
    source: status.source === 'SOURCE_EXECUTOR' ? 'SOURCE_EXECUTOR' : 'SOURCE_AGENT',
    ...(isDrained(state, record, status) && { reason: 'REASON_AGENT_DRAINING' }),
    timestamp: status.timestamp ?? state.nowMs / 1000,
  }
  const isSmall = utf8(JSON.stringify(whole)).length <= statusSizeBytesMax
  if (isSmall && infiniteField(whole) === undefined) return whole
  const { data: _data, labels: all, limitation: _limitation, ...small } = whole
  const labels = (all?.labels ?? []).filter(({ key }) => key === exitCodeLabel).slice(0, 1)
  const containerStatus = { container_id: { value: containerId }, network_infos: [] }
  return { ...small, labels: { labels }, container_status: containerStatus }
}
