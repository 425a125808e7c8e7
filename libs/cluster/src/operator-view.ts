import {
  AgentInfo,
  FrameworkInfo,
  isTerminal,
  MasterInfo,
  Offer,
  Resource,
  rolesOf,
  Task as TaskMessage,
  toJson,
  type JsonObject,
  type MasterCall,
} from '@conclave/model'
import { hasCapability } from '@conclave/model'
import type { PlainAnswer } from './effect.ts'
import { removeFramework } from './frameworks.ts'
import { offerMessage } from './offers.ts'
import type { TaskRecord } from './records.ts'
import { emptyBag, plus, resourcesOf, type Bag } from './resources.ts'
import type { Agent, ClusterState, Framework } from './state.ts'
import { isCompleted, isHolding } from './tasks.ts'

export type OperatorAnswer = PlainAnswer | { readonly status: 200; readonly json: unknown }

/** What Mesos' clients compare, to know which API they speak to. */
const mesosVersion = '1.11.0'

/** The operator API's reads, in Mesos' shapes, and TEARDOWN. Source: mesos.md §6. */
export function operate(state: ClusterState, call: MasterCall): OperatorAnswer {
  switch (call.type) {
    case 'GET_HEALTH':
      return answer('GET_HEALTH', { healthy: true })
    case 'GET_VERSION':
      return answer('GET_VERSION', { version_info: { version: mesosVersion } })
    case 'GET_FLAGS':
      return answer('GET_FLAGS', { flags: [] })
    case 'GET_LOGGING_LEVEL':
      return answer('GET_LOGGING_LEVEL', { level: 0 })
    case 'GET_OPERATIONS':
      return answer('GET_OPERATIONS', { operations: [] })
    case 'GET_MASTER':
      return answer('GET_MASTER', getMaster(state))
    case 'GET_STATE':
      return answer('GET_STATE', getState(state))
    case 'GET_TASKS':
      return answer('GET_TASKS', getTasks(state))
    case 'GET_AGENTS':
      return answer('GET_AGENTS', getAgents(state))
    case 'GET_FRAMEWORKS':
      return answer('GET_FRAMEWORKS', getFrameworks(state))
    case 'GET_EXECUTORS':
      return answer('GET_EXECUTORS', { executors: [] })
    case 'GET_ROLES':
      return answer('GET_ROLES', getRoles(state))
    case 'TEARDOWN':
      return teardown(state, call.teardown?.framework_id.value)
    case 'GET_METRICS':
    case 'SUBSCRIBE':
    case 'UNKNOWN':
    case undefined:
      break
  }
  return { status: 501, body: '501 Not Implemented.' }
}

const answer = (type: string, part: object): OperatorAnswer => ({
  status: 200,
  json: { type, [type.toLowerCase()]: part },
})

function teardown(state: ClusterState, frameworkId: string | undefined): OperatorAnswer {
  const framework = frameworkId === undefined ? undefined : state.frameworks.get(frameworkId)
  if (framework === undefined || framework.record.state === 'completed') {
    return { status: 400, body: 'No framework found with specified ID' }
  }
  removeFramework(state, framework, 'an operator tore it down')
  return { status: 200, body: '' }
}

const nanoseconds = (timeMs: number): { nanoseconds: number } => ({ nanoseconds: timeMs * 1e6 })

const resources = (bag: Bag): readonly JsonObject[] =>
  resourcesOf(bag, { role: '*' }).map((resource) => toJson(Resource, resource))

const getMaster = (state: ClusterState): object => ({
  master_info: toJson(MasterInfo, state.masterInfo),
  start_time: state.startedAtMs / 1000,
  elected_time: state.startedAtMs / 1000,
})

const getState = (state: ClusterState): object => ({
  get_tasks: getTasks(state),
  get_executors: { executors: [] },
  get_frameworks: getFrameworks(state),
  get_agents: getAgents(state),
})

function getTasks(state: ClusterState): object {
  const records = Array.from(state.tasks.all(), ({ record }) => record)
  const shown = (isWanted: (record: TaskRecord) => boolean): readonly JsonObject[] =>
    records.filter(isWanted).map((record) => taskJson(state, record))
  return {
    pending_tasks: [],
    tasks: shown(
      (record) => isHolding(record) || (isTerminal(record.state) && !isCompleted(record)),
    ),
    unreachable_tasks: shown(({ state: told }) => told === 'TASK_UNREACHABLE'),
    completed_tasks: shown(isCompleted),
    orphan_tasks: [],
  }
}

/** A task as state endpoints show it: no command, no environment, no data, no secret's value. */
function taskJson(state: ClusterState, record: TaskRecord): JsonObject {
  const { info, pending } = record
  const next = pending[0]
  return toJson(TaskMessage, {
    name: info.name,
    task_id: { value: record.taskId },
    framework_id: { value: record.frameworkId },
    ...(record.group === undefined ? {} : { executor_id: { value: record.group.executorId } }),
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
  })
}

/** Known from before this leader's term, and not back yet. */
const isRecovered = ({ record, connection }: Agent): boolean =>
  record.state === 'active' && connection === undefined

function getAgents(state: ClusterState): object {
  const shown = (isWanted: (agent: Agent) => boolean): readonly object[] =>
    [...state.agents.values()].filter(isWanted).map((agent) => agentJson(state, agent))
  return {
    agents: shown((agent) => agent.record.state !== 'unreachable' && !isRecovered(agent)),
    recovered_agents: [...state.agents.values()]
      .filter(isRecovered)
      .map(({ record: { info } }) => toJson(AgentInfo, info)),
  }
}

function agentJson(state: ClusterState, { record, connection, total }: Agent): object {
  const { agentId, info } = record
  return {
    agent_info: toJson(AgentInfo, info),
    active: connection !== undefined,
    deactivated: false,
    version: mesosVersion,
    pid: `slave(1)@${info.hostname}:${info.port ?? 5051}`,
    registered_time: nanoseconds(record.registeredAtMs),
    ...(record.reregisteredAtMs === undefined
      ? {}
      : { reregistered_time: nanoseconds(record.reregisteredAtMs) }),
    total_resources: resources(total),
    allocated_resources: resources(state.tasks.usedOn(agentId)),
    offered_resources: resources(state.offers.offeredOn(agentId)),
    capabilities: [],
    resource_providers: [],
  }
}

function getFrameworks(state: ClusterState): object {
  const shown = (isWanted: boolean): readonly object[] =>
    [...state.frameworks.values()]
      .filter(({ record }) => (record.state === 'completed') === isWanted)
      .map((framework) => frameworkJson(state, framework))
  return { frameworks: shown(false), completed_frameworks: shown(true), recovered_frameworks: [] }
}

const time = (name: string, timeMs: number | undefined): object =>
  timeMs === undefined ? {} : { [name]: nanoseconds(timeMs) }

function frameworkJson(state: ClusterState, { record, streamId }: Framework): object {
  const { frameworkId, info } = record
  const offers = [...state.offers.all()].filter((offer) => offer.frameworkId === frameworkId)
  const held = [...state.tasks.heldBy(frameworkId).values()].reduce(plus, emptyBag)
  return {
    framework_info: toJson(FrameworkInfo, info),
    active: streamId !== undefined,
    connected: streamId !== undefined,
    recovered: record.state === 'active' && streamId === undefined,
    ...time('registered_time', record.registeredAtMs),
    ...time('reregistered_time', record.reregisteredAtMs),
    ...time('unregistered_time', record.completedAtMs ?? record.disconnectedAtMs),
    offers: offers.flatMap((offer) => {
      const agent = state.agents.get(offer.agentId)?.record.info
      const isMultiRole = hasCapability(info, 'MULTI_ROLE')
      return agent === undefined ? [] : [toJson(Offer, offerMessage(offer, agent, isMultiRole))]
    }),
    allocated_resources: resources(held),
    offered_resources: resources(offers.reduce((sum, { bag }) => plus(sum, bag), emptyBag)),
  }
}

function getRoles(state: ClusterState): object {
  const frameworksIn = new Map<string, string[]>([['*', []]])
  const heldIn = new Map<string, Bag>()
  for (const { record } of state.frameworks.values()) {
    if (record.state === 'completed') continue
    const held = state.tasks.heldBy(record.frameworkId)
    for (const role of rolesOf(record.info)) {
      frameworksIn.set(role, [...(frameworksIn.get(role) ?? []), record.frameworkId])
      heldIn.set(role, plus(heldIn.get(role) ?? emptyBag, held.get(role) ?? emptyBag))
    }
  }
  return {
    roles: Array.from(frameworksIn, ([name, ids]) => ({
      name,
      weight: 1,
      frameworks: ids.map((value) => ({ value })),
      resources: resources(heldIn.get(name) ?? emptyBag),
    })),
  }
}
