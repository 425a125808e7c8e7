import { base64Bytes } from './base64.ts'
import { Id } from './id.ts'
import {
  asciiJson,
  bytes,
  double,
  enumeration,
  int,
  message,
  optional,
  parse,
  repeated,
  required,
  text,
  toJson,
  type Infer,
} from './message.ts'
import { InverseOffer } from './maintenance.ts'
import { Filters, Offer, Operation } from './offer.ts'
import { OperationStatus } from './operation-status.ts'
import { FrameworkInfo, MasterInfo } from './participants.ts'
import { Resource } from './resource.ts'
import { KillPolicy } from './task-info.ts'
import { TaskStatus } from './task-status.ts'

/*
 * The scheduler API: what frameworks say to the master and hear from it. Source: mesos.md §5.
 */

const inverse = message('Call.InverseOffers', {
  inverse_offer_ids: repeated(Id),
  filters: optional(Filters),
})

export const SchedulerCall = message('scheduler.Call', {
  framework_id: optional(Id),
  type: optional(
    enumeration(
      'UNKNOWN',
      'SUBSCRIBE',
      'TEARDOWN',
      'ACCEPT',
      'DECLINE',
      'ACCEPT_INVERSE_OFFERS',
      'DECLINE_INVERSE_OFFERS',
      'REVIVE',
      'KILL',
      'SHUTDOWN',
      'ACKNOWLEDGE',
      'ACKNOWLEDGE_OPERATION_STATUS',
      'RECONCILE',
      'RECONCILE_OPERATIONS',
      'MESSAGE',
      'REQUEST',
      'SUPPRESS',
      'UPDATE_FRAMEWORK',
    ),
  ),
  subscribe: optional(
    message('Call.Subscribe', {
      framework_info: required(FrameworkInfo),
      suppressed_roles: repeated(text),
    }),
  ),
  accept: optional(
    message('Call.Accept', {
      offer_ids: repeated(Id),
      operations: repeated(Operation),
      filters: optional(Filters),
    }),
  ),
  decline: optional(
    message('Call.Decline', { offer_ids: repeated(Id), filters: optional(Filters) }),
  ),
  accept_inverse_offers: optional(inverse),
  decline_inverse_offers: optional(inverse),
  revive: optional(message('Call.Revive', { roles: repeated(text) })),
  kill: optional(
    message('Call.Kill', {
      task_id: required(Id),
      agent_id: optional(Id),
      kill_policy: optional(KillPolicy),
    }),
  ),
  shutdown: optional(
    message('Call.Shutdown', { executor_id: required(Id), agent_id: required(Id) }),
  ),
  acknowledge: optional(
    message('Call.Acknowledge', {
      agent_id: required(Id),
      task_id: required(Id),
      uuid: required(bytes),
    }),
  ),
  acknowledge_operation_status: optional(
    message('Call.AcknowledgeOperationStatus', {
      agent_id: optional(Id),
      resource_provider_id: optional(Id),
      uuid: required(bytes),
      operation_id: required(Id),
    }),
  ),
  reconcile: optional(
    message('Call.Reconcile', {
      tasks: repeated(
        message('Call.Reconcile.Task', { task_id: required(Id), agent_id: optional(Id) }),
      ),
    }),
  ),
  reconcile_operations: optional(
    message('Call.ReconcileOperations', {
      operations: repeated(
        message('Call.ReconcileOperations.Operation', {
          operation_id: required(Id),
          agent_id: optional(Id),
          resource_provider_id: optional(Id),
        }),
      ),
    }),
  ),
  message: optional(
    message('Call.Message', {
      agent_id: required(Id),
      executor_id: required(Id),
      data: required(bytes),
    }),
  ),
  request: optional(
    message('Call.Request', {
      requests: repeated(
        message('Request', { agent_id: optional(Id), resources: repeated(Resource) }),
      ),
    }),
  ),
  suppress: optional(message('Call.Suppress', { roles: repeated(text) })),
  update_framework: optional(
    message('Call.UpdateFramework', {
      framework_info: required(FrameworkInfo),
      suppressed_roles: repeated(text),
    }),
  ),
})
export type SchedulerCall = Infer<typeof SchedulerCall>

/** @throws CallMalformed with the `<reason>` of `Failed to convert JSON into Call protobuf: <reason>` */
export const parseCall = (json: unknown): SchedulerCall => parse(SchedulerCall, json)

/** Which part a call of each type must have. Those that are not named need none. */
const partOf: Readonly<Record<string, keyof SchedulerCall>> = {
  SUBSCRIBE: 'subscribe',
  ACCEPT: 'accept',
  DECLINE: 'decline',
  ACCEPT_INVERSE_OFFERS: 'accept_inverse_offers',
  DECLINE_INVERSE_OFFERS: 'decline_inverse_offers',
  KILL: 'kill',
  SHUTDOWN: 'shutdown',
  ACKNOWLEDGE: 'acknowledge',
  ACKNOWLEDGE_OPERATION_STATUS: 'acknowledge_operation_status',
  RECONCILE: 'reconcile',
  RECONCILE_OPERATIONS: 'reconcile_operations',
  MESSAGE: 'message',
  REQUEST: 'request',
  UPDATE_FRAMEWORK: 'update_framework',
}

/**
 * The `<reason>` of `Failed to validate scheduler::Call: <reason>`, or undefined: what can be said
 * against a call without knowing any framework. Source: mesos.md §4, §5.
 *
 * @param uid the principal whose call it is
 */
export function callProblem(call: SchedulerCall, uid: string): string | undefined {
  const { type } = call
  if (type === undefined) return absent('type')
  if (type === 'SUBSCRIBE') return subscribeProblem(call, uid)
  if (type !== 'UNKNOWN' && call.framework_id === undefined) return absent('framework_id')
  const part = partOf[type]
  if (part !== undefined && call[part] === undefined) return absent(part)
  if (type === 'UPDATE_FRAMEWORK') return idProblem(call, 'update_framework')
  if (type === 'ACKNOWLEDGE' || type === 'ACKNOWLEDGE_OPERATION_STATUS') {
    return acknowledgementProblem(call, type)
  }
  return undefined
}

function acknowledgementProblem(
  { acknowledge, acknowledge_operation_status: ofOperation }: SchedulerCall,
  type: 'ACKNOWLEDGE' | 'ACKNOWLEDGE_OPERATION_STATUS',
): string | undefined {
  const isOfOperation = type === 'ACKNOWLEDGE_OPERATION_STATUS'
  const uuid = isOfOperation ? ofOperation?.uuid : acknowledge?.uuid
  if (uuid !== undefined && !isUuid(uuid)) return 'Not a valid UUID'
  return isOfOperation && ofOperation?.agent_id === undefined ? absent('agent_id') : undefined
}

const absent = (name: string): string => `Expecting '${name}' to be present`

function subscribeProblem(call: SchedulerCall, uid: string): string | undefined {
  if (call.subscribe === undefined) return absent('subscribe')
  const { principal = uid } = call.subscribe.framework_info
  return (
    idProblem(call, 'subscribe') ??
    (principal === uid ? undefined : principalProblem(uid, principal))
  )
}

/** What Mesos says when the principal that asks is not the one that the framework names. */
export const principalProblem = (uid: string, named: string): string =>
  `Authenticated principal '${uid}' does not match principal '${named}' set in \`FrameworkInfo\``

/** Both absent counts as equal. */
function idProblem(
  call: SchedulerCall,
  part: 'subscribe' | 'update_framework',
): string | undefined {
  const inner = call[part]?.framework_info.id?.value ?? ''
  const isSame = (call.framework_id?.value ?? '') === inner
  return isSame ? undefined : `'framework_id' differs from '${part}.framework_info.id'`
}

/** Whether `encoded` is base64 of 16 bytes with the version of a UUID in them. */
export function isUuid(encoded: string): boolean {
  const uuid = base64Bytes(encoded)
  if (uuid?.length !== 16) return false
  const version = (uuid[6] ?? 0) >> 4
  return version >= 1 && version <= 5
}

export const SchedulerEvent = message('scheduler.Event', {
  type: required(
    enumeration(
      'SUBSCRIBED',
      'OFFERS',
      'RESCIND',
      'UPDATE',
      'MESSAGE',
      'FAILURE',
      'ERROR',
      'HEARTBEAT',
      'INVERSE_OFFERS',
      'RESCIND_INVERSE_OFFER',
      'UPDATE_OPERATION_STATUS',
    ),
  ),
  subscribed: optional(
    message('Event.Subscribed', {
      framework_id: required(Id),
      heartbeat_interval_seconds: optional(double),
      master_info: optional(MasterInfo),
    }),
  ),
  offers: optional(message('Event.Offers', { offers: repeated(Offer) })),
  rescind: optional(message('Event.Rescind', { offer_id: required(Id) })),
  inverse_offers: optional(
    message('Event.InverseOffers', { inverse_offers: repeated(InverseOffer) }),
  ),
  rescind_inverse_offer: optional(
    message('Event.RescindInverseOffer', { inverse_offer_id: required(Id) }),
  ),
  update: optional(message('Event.Update', { status: required(TaskStatus) })),
  update_operation_status: optional(
    message('Event.UpdateOperationStatus', { status: required(OperationStatus) }),
  ),
  message: optional(
    message('Event.Message', {
      agent_id: required(Id),
      executor_id: required(Id),
      data: required(bytes),
    }),
  ),
  failure: optional(
    message('Event.Failure', {
      agent_id: optional(Id),
      executor_id: optional(Id),
      status: optional(int),
    }),
  ),
  error: optional(message('Event.Error', { message: required(text) })),
})
export type SchedulerEvent = Infer<typeof SchedulerEvent>

/** One record's payload: compact ASCII JSON. The face puts the length before it. */
export const encodeEvent = (event: SchedulerEvent): string =>
  asciiJson(toJson(SchedulerEvent, event))

export const parseEvent = (json: unknown): SchedulerEvent => parse(SchedulerEvent, json)
