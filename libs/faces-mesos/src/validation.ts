import type { SchedulerCall } from '@conclave/model'

/*
 * What can be said against a scheduler call without knowing any framework. Source: mesos.md §4, §5;
 * the texts are the `<reason>` of `Failed to validate scheduler::Call: <reason>`.
 */

type CallType = NonNullable<SchedulerCall['type']>

/** The part that goes with each type of call; the others have none, or may do without. */
const partOf = {
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
} as const satisfies Partial<Record<CallType, keyof SchedulerCall>>

const partNames: Readonly<Partial<Record<CallType, keyof SchedulerCall>>> = partOf

/** @param uid whose call it is */
export function schedulerCallProblem(call: SchedulerCall, uid: string): string | undefined {
  const { type } = call
  if (type === undefined) return absent('type')
  const part = partNames[type]
  if (type === 'SUBSCRIBE') {
    return call.subscribe === undefined ? absent('subscribe') : subscribeProblem(call, uid)
  }
  if (call.framework_id === undefined) return absent('framework_id')
  if (part !== undefined && call[part] === undefined) return absent(part)
  if (call.acknowledge !== undefined && type === 'ACKNOWLEDGE') {
    return isUuid(call.acknowledge.uuid) ? undefined : 'Not a valid UUID'
  }
  if (call.update_framework !== undefined && type === 'UPDATE_FRAMEWORK') {
    return idProblem(call, 'update_framework')
  }
  return undefined
}

const absent = (name: string): string => `Expecting '${name}' to be present`

function subscribeProblem(call: SchedulerCall, uid: string): string | undefined {
  const claimed = call.subscribe?.framework_info.principal
  return (
    idProblem(call, 'subscribe') ??
    (claimed === undefined || claimed === uid
      ? undefined
      : `Authenticated principal '${uid}' does not match principal '${claimed}' set in \`FrameworkInfo\``)
  )
}

/** Both absent counts as equal. */
function idProblem(
  call: SchedulerCall,
  part: 'subscribe' | 'update_framework',
): string | undefined {
  const inner = call[part]?.framework_info.id?.value ?? ''
  const isSame = (call.framework_id?.value ?? '') === inner
  return isSame ? undefined : `'framework_id' differs from '${part}.framework_info.id'`
}

/** Sixteen bytes of one of the five versions that RFC 4122 §4.1.3 knows. */
function isUuid(base64: string): boolean {
  const bytes = Buffer.from(base64, 'base64')
  const version = (bytes[6] ?? 0) >> 4
  return bytes.length === 16 && version >= 1 && version <= 5
}
