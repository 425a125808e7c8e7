import { Id } from './id.ts'
import {
  bytes,
  enumeration,
  message,
  optional,
  repeated,
  required,
  text,
  type Infer,
} from './message.ts'
import { Resource } from './resource.ts'

export const OperationState = enumeration(
  'OPERATION_UNSUPPORTED',
  'OPERATION_PENDING',
  'OPERATION_FINISHED',
  'OPERATION_FAILED',
  'OPERATION_ERROR',
  'OPERATION_DROPPED',
  'OPERATION_UNREACHABLE',
  'OPERATION_GONE_BY_OPERATOR',
  'OPERATION_RECOVERING',
  'OPERATION_UNKNOWN',
)

/** What became of an operation on resources. A status without a uuid is not acknowledged. */
export const OperationStatus = message('OperationStatus', {
  operation_id: optional(Id),
  state: required(OperationState),
  message: optional(text),
  converted_resources: repeated(Resource),
  uuid: optional(message('UUID', { value: required(bytes) })),
  agent_id: optional(Id),
  resource_provider_id: optional(Id),
})
export type OperationStatus = Infer<typeof OperationStatus>
