import { Id } from './id.ts'
import { MachineId, MaintenanceSchedule } from './maintenance.ts'
import {
  boolean,
  double,
  enumeration,
  message,
  optional,
  parse,
  repeated,
  required,
  text,
  uint,
  type Infer,
} from './message.ts'
import { Resource, Scalar } from './resource.ts'
import { DurationInfo } from './task-info.ts'

/*
 * The operator API's calls. Those that this master does not carry out are read as well, so that a
 * mistake in one is told before the refusal. Source: mesos.md §6.
 */

const toAgent = (name: string) => message(`Call.${name}`, { agent_id: required(Id) })
const Unread = message('Unread', {})
export const WeightInfo = message('WeightInfo', {
  weight: required(double),
  role: optional(text),
})

export const MasterCall = message('master.Call', {
  type: optional(
    enumeration(
      'UNKNOWN',
      'GET_HEALTH',
      'GET_FLAGS',
      'GET_VERSION',
      'GET_METRICS',
      'GET_LOGGING_LEVEL',
      'SET_LOGGING_LEVEL',
      'LIST_FILES',
      'READ_FILE',
      'GET_STATE',
      'GET_AGENTS',
      'GET_FRAMEWORKS',
      'GET_EXECUTORS',
      'GET_OPERATIONS',
      'GET_TASKS',
      'GET_ROLES',
      'GET_WEIGHTS',
      'UPDATE_WEIGHTS',
      'GET_MASTER',
      'SUBSCRIBE',
      'RESERVE_RESOURCES',
      'UNRESERVE_RESOURCES',
      'CREATE_VOLUMES',
      'DESTROY_VOLUMES',
      'GROW_VOLUME',
      'SHRINK_VOLUME',
      'GET_MAINTENANCE_STATUS',
      'GET_MAINTENANCE_SCHEDULE',
      'UPDATE_MAINTENANCE_SCHEDULE',
      'START_MAINTENANCE',
      'STOP_MAINTENANCE',
      'DRAIN_AGENT',
      'DEACTIVATE_AGENT',
      'REACTIVATE_AGENT',
      'GET_QUOTA',
      'UPDATE_QUOTA',
      'SET_QUOTA',
      'REMOVE_QUOTA',
      'TEARDOWN',
      'MARK_AGENT_GONE',
    ),
  ),
  get_metrics: optional(message('Call.GetMetrics', { timeout: optional(DurationInfo) })),
  set_logging_level: optional(
    message('Call.SetLoggingLevel', { level: required(uint), duration: required(DurationInfo) }),
  ),
  list_files: optional(message('Call.ListFiles', { path: required(text) })),
  read_file: optional(
    message('Call.ReadFile', {
      path: required(text),
      offset: required(uint),
      length: optional(uint),
    }),
  ),
  update_weights: optional(message('Call.UpdateWeights', { weight_infos: repeated(WeightInfo) })),
  reserve_resources: optional(
    message('Call.ReserveResources', {
      agent_id: required(Id),
      source: repeated(Resource),
      resources: repeated(Resource),
    }),
  ),
  unreserve_resources: optional(
    message('Call.UnreserveResources', { agent_id: required(Id), resources: repeated(Resource) }),
  ),
  create_volumes: optional(
    message('Call.CreateVolumes', { agent_id: required(Id), volumes: repeated(Resource) }),
  ),
  destroy_volumes: optional(
    message('Call.DestroyVolumes', { agent_id: required(Id), volumes: repeated(Resource) }),
  ),
  grow_volume: optional(
    message('Call.GrowVolume', {
      agent_id: optional(Id),
      volume: required(Resource),
      addition: required(Resource),
    }),
  ),
  shrink_volume: optional(
    message('Call.ShrinkVolume', {
      agent_id: optional(Id),
      volume: required(Resource),
      subtract: required(Scalar),
    }),
  ),
  update_maintenance_schedule: optional(
    message('Call.UpdateMaintenanceSchedule', { schedule: required(MaintenanceSchedule) }),
  ),
  start_maintenance: optional(message('Call.StartMaintenance', { machines: repeated(MachineId) })),
  stop_maintenance: optional(message('Call.StopMaintenance', { machines: repeated(MachineId) })),
  drain_agent: optional(
    message('Call.DrainAgent', {
      agent_id: required(Id),
      max_grace_period: optional(DurationInfo),
      mark_gone: optional(boolean, false),
    }),
  ),
  deactivate_agent: optional(toAgent('DeactivateAgent')),
  reactivate_agent: optional(toAgent('ReactivateAgent')),
  update_quota: optional(
    message('Call.UpdateQuota', { force: optional(boolean), quota_configs: repeated(Unread) }),
  ),
  set_quota: optional(message('Call.SetQuota', { quota_request: required(Unread) })),
  remove_quota: optional(message('Call.RemoveQuota', { role: required(text) })),
  teardown: optional(message('Call.Teardown', { framework_id: required(Id) })),
  mark_agent_gone: optional(toAgent('MarkAgentGone')),
})
export type MasterCall = Infer<typeof MasterCall>

/** @throws CallMalformed with the `<reason>` of `Failed to convert JSON into Call protobuf: <reason>` */
export const parseMasterCall = (json: unknown): MasterCall => parse(MasterCall, json)

/** Calls that come without a part of their own. */
const partless: ReadonlySet<string> = new Set([
  'UNKNOWN',
  'GET_HEALTH',
  'GET_FLAGS',
  'GET_VERSION',
  'GET_LOGGING_LEVEL',
  'GET_STATE',
  'GET_AGENTS',
  'GET_FRAMEWORKS',
  'GET_EXECUTORS',
  'GET_OPERATIONS',
  'GET_TASKS',
  'GET_ROLES',
  'GET_WEIGHTS',
  'GET_MASTER',
  'SUBSCRIBE',
  'GET_MAINTENANCE_STATUS',
  'GET_MAINTENANCE_SCHEDULE',
  'GET_QUOTA',
])

/** The `<reason>` of `Failed to validate master::Call: <reason>`, or undefined. */
export function masterCallProblem(call: MasterCall): string | undefined {
  const { type } = call
  if (type === undefined) return "Expecting 'type' to be present"
  if (partless.has(type)) return undefined
  const part = type.toLowerCase() as keyof MasterCall
  if (call[part] === undefined) return `Expecting '${part}' to be present`
  const ofVolume =
    type === 'GROW_VOLUME' ? call.grow_volume : type === 'SHRINK_VOLUME' && call.shrink_volume
  if (ofVolume && ofVolume.agent_id === undefined) {
    return "Expecting 'agent_id' to be present; only agent default resources are supported right now"
  }
  return undefined
}
