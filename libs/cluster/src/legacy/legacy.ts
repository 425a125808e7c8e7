import type { JsonObject, TaskState } from '@conclave/model'
import { isRecovered } from '../operator/agents.ts'
import { flagsOf } from '../operator/flags.ts'
import { metricsOf } from '../operator/metrics.ts'
import { rolesIn } from '../operator/roles.ts'
import { mesosVersion } from '../operator/shown.ts'
import { maySee, type Viewer } from '../operator/viewer.ts'
import type { TaskRecord } from '../records.ts'
import { emptyBag, plus } from '../resources.ts'
import type { Agent, ClusterState, Framework } from '../state.ts'
import { agentObject, recoveredAgentObject } from './agents.ts'
import { frameworkObject, frameworkSummary } from './frameworks.ts'
import { resourcesObject } from './resources.ts'
import { seconds, type Show } from './show.ts'
import { taskObject } from './tasks.ts'

/*
 * The read endpoints that Mesos had before its operator API, and that dashboards still ask. Source:
 * mesos.md §9.
 */

export const legacyEndpoints = [
  'state',
  'state-summary',
  'tasks',
  'frameworks',
  'slaves',
  'roles',
  'flags',
  'version',
  'metrics/snapshot',
] as const
export type LegacyEndpoint = (typeof legacyEndpoints)[number]

/** What a query may narrow: each as it came, as text. */
export type LegacyQuery = Readonly<Record<string, string | undefined>>

export interface LegacyAsk {
  readonly endpoint: LegacyEndpoint
  readonly query: LegacyQuery
  readonly viewer: Viewer
  readonly show: Show
}

const views: Readonly<Record<LegacyEndpoint, (state: ClusterState, ask: LegacyAsk) => JsonObject>> =
  {
    state: stateObject,
    'state-summary': summaryObject,
    tasks: (state, ask) => ({ tasks: tasksPage(state, ask) }),
    frameworks: frameworksObject,
    slaves: slavesObject,
    roles: rolesObject,
    flags: (state) => ({ flags: flagsOf(state) }),
    version: () => build,
    'metrics/snapshot': metricsOf,
  }

export const legacyObject = (state: ClusterState, ask: LegacyAsk): JsonObject =>
  views[ask.endpoint](state, ask)

const build = { version: mesosVersion, build_date: '', build_time: 0, build_user: '' } as const

const agentsFor = (state: ClusterState, { isOperator }: Viewer): readonly Agent[] =>
  isOperator ? [...state.agents.values()] : []

const frameworksFor = (state: ClusterState, viewer: Viewer): readonly Framework[] =>
  [...state.frameworks.values()].filter(({ record }) => maySee(state, viewer, record.frameworkId))

const isCompletedFramework = ({ record }: Framework): boolean => record.state === 'completed'

function slavesObject(state: ClusterState, { viewer, show, query }: LegacyAsk): JsonObject {
  const asked = query['slave_id']
  const all = agentsFor(state, viewer).filter(
    ({ record }) => asked === undefined || record.agentId === asked,
  )
  return {
    slaves: all
      .filter((agent) => agent.record.state !== 'unreachable' && !isRecovered(agent))
      .map((agent) => agentObject(state, show, agent)),
    recovered_slaves: all.filter(isRecovered).map(recoveredAgentObject),
  }
}

function frameworksObject(state: ClusterState, { viewer, show, query }: LegacyAsk): JsonObject {
  const asked = query['framework_id']
  const all = frameworksFor(state, viewer).filter(
    ({ record }) => asked === undefined || record.frameworkId === asked,
  )
  const shown = (isCompleted: boolean): readonly JsonObject[] =>
    all
      .filter((framework) => isCompletedFramework(framework) === isCompleted)
      .map((framework) => frameworkObject(state, show, framework))
  return {
    frameworks: shown(false),
    completed_frameworks: shown(true),
    unregistered_frameworks: [],
  }
}

function stateObject(state: ClusterState, ask: LegacyAsk): JsonObject {
  const { clusterId, masterInfo } = state
  const agents = agentsFor(state, ask.viewer)
  const { id, hostname = '', port } = masterInfo
  const pid = masterInfo.pid ?? `master@${hostname}:${port}`
  return {
    ...build,
    start_time: seconds(state.startedAtMs),
    elected_time: seconds(state.startedAtMs),
    id,
    pid,
    hostname,
    capabilities: [],
    activated_slaves: agents.filter(({ connection }) => connection !== undefined).length,
    deactivated_slaves: agents.filter(
      (agent) => agent.connection === undefined && agent.record.state === 'disconnected',
    ).length,
    unreachable_slaves: agents.filter(({ record }) => record.state === 'unreachable').length,
    leader: pid,
    leader_info: { id, pid, port, hostname },
    cluster: clusterId,
    ...(ask.viewer.isOperator ? { flags: flagsOf(state) } : {}),
    ...slavesObject(state, { ...ask, query: {} }),
    ...frameworksObject(state, { ...ask, query: {} }),
    orphan_tasks: [],
  }
}

const taskStates: readonly TaskState[] = [
  'TASK_STAGING',
  'TASK_STARTING',
  'TASK_RUNNING',
  'TASK_KILLING',
  'TASK_FINISHED',
  'TASK_KILLED',
  'TASK_FAILED',
  'TASK_LOST',
  'TASK_ERROR',
  'TASK_UNREACHABLE',
]

const counts = (records: readonly TaskRecord[]): JsonObject =>
  Object.fromEntries(
    taskStates.map((name) => [name, records.filter(({ state: told }) => told === name).length]),
  )

function summaryObject(state: ClusterState, { viewer, show }: LegacyAsk): JsonObject {
  const seen = Array.from(state.tasks.all(), ({ record }) => record).filter(({ frameworkId }) =>
    maySee(state, viewer, frameworkId),
  )
  const onAgent = Map.groupBy(seen, ({ agentId }) => agentId)
  const ofFramework = Map.groupBy(seen, ({ frameworkId }) => frameworkId)
  return {
    hostname: state.masterInfo.hostname ?? '',
    cluster: state.clusterId,
    slaves: agentsFor(state, viewer).map((agent) => {
      const records = onAgent.get(agent.record.agentId) ?? []
      return {
        ...agentObject(state, show, agent),
        ...counts(records),
        framework_ids: [...new Set(records.map(({ frameworkId }) => frameworkId))],
      }
    }),
    frameworks: frameworksFor(state, viewer)
      .filter((framework) => !isCompletedFramework(framework))
      .map((framework) => {
        const records = ofFramework.get(framework.record.frameworkId) ?? []
        return {
          ...frameworkSummary(state, framework),
          ...counts(records),
          slave_ids: [...new Set(records.map(({ agentId }) => agentId))],
        }
      }),
  }
}

const tasksPerPage = 100

/** The newest first, unless `order=asc`. */
function tasksPage(state: ClusterState, { viewer, show, query }: LegacyAsk): readonly JsonObject[] {
  const wanted = Array.from(state.tasks.all(), ({ record }) => record)
    .filter(({ frameworkId }) => maySee(state, viewer, frameworkId))
    .filter(({ frameworkId }) => (query['framework_id'] ?? frameworkId) === frameworkId)
    .filter(({ taskId }) => (query['task_id'] ?? taskId) === taskId)
    .toSorted((a, b) => b.submittedAtMs - a.submittedAtMs)
  const ordered = query['order'] === 'asc' ? wanted.toReversed() : wanted
  const from = count(query['offset'], 0)
  return ordered
    .slice(from, from + count(query['limit'], tasksPerPage))
    .map((record) => taskObject(state, show, record))
}

function count(text: string | undefined, otherwise: number): number {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : otherwise
}

function rolesObject(state: ClusterState, { viewer }: LegacyAsk): JsonObject {
  return { roles: roleObjects(state, viewer) }
}

const roleObjects = (state: ClusterState, viewer: Viewer): readonly JsonObject[] =>
  rolesIn(state, viewer).map(({ name, frameworkIds, held }) => ({
    name,
    weight: state.weights.get(name) ?? 1,
    frameworks: frameworkIds,
    resources: resourcesObject(held),
    allocated: resourcesObject(held),
    offered: resourcesObject(offeredIn(state, name, frameworkIds)),
    reserved: resourcesObject(emptyBag),
  }))

const offeredIn = (state: ClusterState, role: string, frameworkIds: readonly string[]) =>
  frameworkIds
    .map((frameworkId) => state.offers.offeredTo(frameworkId, role))
    .reduce(plus, emptyBag)
