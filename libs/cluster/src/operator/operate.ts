import type { ClusterStatus, MasterCall, MasterResponse } from '@conclave/model'
import { markGone } from '../agents.ts'
import { deactivateAgent, drainAgent, reactivateAgent } from '../draining.ts'
import type { PlainAnswer } from '../effect.ts'
import { removeFramework } from '../frameworks.ts'
import {
  maintenanceStatus,
  startMaintenance,
  stopMaintenance,
  updateSchedule,
} from '../maintenance.ts'
import type { ClusterState } from '../state.ts'
import { updateWeights } from '../weights.ts'
import { getAgents } from './agents.ts'
import { getExecutors } from './executors.ts'
import { flagsOf } from './flags.ts'
import { getFrameworks } from './frameworks.ts'
import { metricsOf } from './metrics.ts'
import { getRoles } from './roles.ts'
import { mesosVersion } from './shown.ts'
import { getState } from './whole.ts'
import { getTasks } from './tasks.ts'
import type { Viewer } from './viewer.ts'

export type OperatorAnswer =
  | PlainAnswer
  | { readonly status: 200; readonly response: MasterResponse }

type Part = Omit<MasterResponse, 'type'>

/** The operator API: its reads in Mesos' shapes, and what operators may change. Source: mesos.md §6. */
export function operate(state: ClusterState, viewer: Viewer, call: MasterCall): OperatorAnswer {
  switch (call.type) {
    case 'TEARDOWN':
      return teardown(state, call.teardown?.framework_id.value)
    case 'MARK_AGENT_GONE':
      return markAgentGone(state, call.mark_agent_gone?.agent_id.value)
    case 'UPDATE_WEIGHTS':
      return updateWeights(state, call.update_weights?.weight_infos ?? [])
    case 'UPDATE_MAINTENANCE_SCHEDULE':
      return updateSchedule(state, call.update_maintenance_schedule?.schedule ?? { windows: [] })
    case 'START_MAINTENANCE':
      return startMaintenance(state, call.start_maintenance?.machines ?? [])
    case 'STOP_MAINTENANCE':
      return stopMaintenance(state, call.stop_maintenance?.machines ?? [])
    case 'DRAIN_AGENT':
      return call.drain_agent === undefined
        ? unsupported(call.type)
        : drainAgent(state, call.drain_agent)
    case 'DEACTIVATE_AGENT':
      return deactivateAgent(state, call.deactivate_agent?.agent_id.value ?? '')
    case 'REACTIVATE_AGENT':
      return reactivateAgent(state, call.reactivate_agent?.agent_id.value ?? '')
    default: {
      const part = partOf(state, viewer, call)
      if (part === undefined) return unsupported(call.type)
      return { status: 200, response: { type: call.type as MasterResponse['type'], ...part } }
    }
  }
}

function partOf(state: ClusterState, viewer: Viewer, { type }: MasterCall): Part | undefined {
  switch (type) {
    case 'GET_HEALTH':
      return { get_health: { healthy: true } }
    case 'GET_VERSION':
      return { get_version: { version_info: { version: mesosVersion } } }
    case 'GET_FLAGS':
      return {
        get_flags: { flags: pairs(flagsOf(state)).map(([name, value]) => ({ name, value })) },
      }
    case 'GET_METRICS':
      return {
        get_metrics: {
          metrics: pairs(metricsOf(state)).map(([name, value]) => ({ name, value })),
        },
      }
    case 'GET_LOGGING_LEVEL':
      return { get_logging_level: { level: 0 } }
    case 'GET_OPERATIONS':
      return { get_operations: { operations: [] } }
    case 'GET_WEIGHTS':
      return { get_weights: { weight_infos: weightInfos(state) } }
    case 'GET_QUOTA':
      return { get_quota: { status: { infos: [] } } }
    case 'GET_MAINTENANCE_STATUS':
      return {
        get_maintenance_status: {
          status: viewer.isOperator ? maintenanceStatus(state) : noMachines,
        },
      }
    case 'GET_MAINTENANCE_SCHEDULE':
      return {
        get_maintenance_schedule: {
          schedule: { windows: viewer.isOperator ? state.maintenance.windows : [] },
        },
      }
    case 'GET_MASTER':
      return { get_master: getMaster(state) }
    case 'GET_STATE':
      return { get_state: getState(state, viewer) }
    case 'GET_TASKS':
      return { get_tasks: getTasks(state, viewer) }
    case 'GET_AGENTS':
      return { get_agents: getAgents(state, viewer) }
    case 'GET_FRAMEWORKS':
      return { get_frameworks: getFrameworks(state, viewer) }
    case 'GET_EXECUTORS':
      return { get_executors: getExecutors(state, viewer) }
    case 'GET_ROLES':
      return { get_roles: getRoles(state, viewer) }
    default:
      return undefined
  }
}

const noMachines: ClusterStatus = { draining_machines: [], down_machines: [] }

const weightInfos = ({ weights }: ClusterState): readonly { role: string; weight: number }[] =>
  Array.from(weights, ([role, weight]) => ({ role, weight })).toSorted((a, b) =>
    a.role < b.role ? -1 : 1,
  )

/** Why a call that is read is not carried out, in words behind Mesos' own. */
function unsupported(type: MasterCall['type']): PlainAnswer {
  const why = reasons.find(({ of }) => of.test(type ?? ''))?.why
  return { status: 501, body: `501 Not Implemented.${why === undefined ? '' : ` ${why}`}` }
}

const reasons: readonly { readonly of: RegExp; readonly why: string }[] = [
  { of: /_QUOTA$/, why: 'This master knows no quotas: roles share by their weights.' },
  {
    of: /_(RESOURCES|VOLUMES?)$/,
    why: 'Reservations and persistent volumes are not supported by this master.',
  },
  { of: /_FILES?$/, why: 'This master serves no files.' },
]

function pairs<T>(record: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1))
}

const getMaster = (state: ClusterState): NonNullable<MasterResponse['get_master']> => ({
  master_info: state.masterInfo,
  start_time: state.startedAtMs / 1000,
  elected_time: state.startedAtMs / 1000,
})

function teardown(state: ClusterState, frameworkId: string | undefined): PlainAnswer {
  const framework = frameworkId === undefined ? undefined : state.frameworks.get(frameworkId)
  if (framework === undefined || framework.record.state === 'completed') {
    return { status: 400, body: 'No framework found with specified ID' }
  }
  removeFramework(state, framework, 'an operator tore it down')
  return { status: 200, body: '' }
}

function markAgentGone(state: ClusterState, agentId = ''): PlainAnswer {
  const agent = state.agents.get(agentId)
  if (agent === undefined) return { status: 404, body: `Agent '${agentId}' not found` }
  markGone(state, agent)
  return { status: 200, body: '' }
}
