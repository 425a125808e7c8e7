import { Id } from './id.ts'
import { enumeration, message, optional, parse, required, type Infer } from './message.ts'
import { DurationInfo } from './task-info.ts'

/** The operator API's calls that are answered; any other type is `UNKNOWN`. Source: mesos.md §6. */
export const MasterCall = message('master.Call', {
  type: optional(
    enumeration(
      'UNKNOWN',
      'GET_HEALTH',
      'GET_FLAGS',
      'GET_VERSION',
      'GET_METRICS',
      'GET_LOGGING_LEVEL',
      'GET_STATE',
      'GET_AGENTS',
      'GET_FRAMEWORKS',
      'GET_EXECUTORS',
      'GET_OPERATIONS',
      'GET_TASKS',
      'GET_ROLES',
      'GET_MASTER',
      'SUBSCRIBE',
      'TEARDOWN',
    ),
  ),
  get_metrics: optional(message('Call.GetMetrics', { timeout: optional(DurationInfo) })),
  teardown: optional(message('Call.Teardown', { framework_id: required(Id) })),
})
export type MasterCall = Infer<typeof MasterCall>

/** @throws CallMalformed with the `<reason>` of `Failed to convert JSON into Call protobuf: <reason>` */
export const parseMasterCall = (json: unknown): MasterCall => parse(MasterCall, json)

/** The `<reason>` of `Failed to validate master::Call: <reason>`, or undefined. */
export function masterCallProblem(call: MasterCall): string | undefined {
  if (call.type === undefined) return "Expecting 'type' to be present"
  if (call.type === 'GET_METRICS' && call.get_metrics === undefined) {
    return "Expecting 'get_metrics' to be present"
  }
  if (call.type === 'TEARDOWN' && call.teardown === undefined) {
    return "Expecting 'teardown' to be present"
  }
  return undefined
}
