import { Id } from './id.ts'
import {
  double,
  enumeration,
  message,
  optional,
  repeated,
  required,
  text,
  type Infer,
} from './message.ts'
import { Unavailability } from './maintenance.ts'
import { Address } from './participants.ts'
import { Attribute, Resource } from './resource.ts'
import { ExecutorInfo, TaskGroupInfo, TaskInfo } from './task-info.ts'

export const Offer = message('Offer', {
  id: required(Id),
  framework_id: required(Id),
  agent_id: required(Id),
  hostname: required(text),
  url: optional(
    message('URL', {
      scheme: required(text),
      address: required(Address),
      path: optional(text),
      fragment: optional(text),
    }),
  ),
  resources: repeated(Resource),
  attributes: repeated(Attribute),
  executor_ids: repeated(Id),
  unavailability: optional(Unavailability),
  allocation_info: optional(message('Resource.AllocationInfo', { role: optional(text) })),
})
export type Offer = Infer<typeof Offer>

/** Operations on reserved resources and volumes are known by name only, to be refused by name. */
export const Operation = message('Offer.Operation', {
  type: optional(
    enumeration(
      'UNKNOWN',
      'LAUNCH',
      'LAUNCH_GROUP',
      'RESERVE',
      'UNRESERVE',
      'CREATE',
      'DESTROY',
      'GROW_VOLUME',
      'SHRINK_VOLUME',
      'CREATE_DISK',
      'DESTROY_DISK',
    ),
  ),
  id: optional(Id),
  launch: optional(message('Offer.Operation.Launch', { task_infos: repeated(TaskInfo) })),
  launch_group: optional(
    message('Offer.Operation.LaunchGroup', {
      executor: required(ExecutorInfo),
      task_group: required(TaskGroupInfo),
    }),
  ),
})
export type Operation = Infer<typeof Operation>

export const Filters = message('Filters', { refuse_seconds: optional(double, 5) })
export type Filters = Infer<typeof Filters>
