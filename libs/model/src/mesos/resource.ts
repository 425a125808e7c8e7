import { Labels } from './labels.ts'
import {
  double,
  enumeration,
  message,
  optional,
  repeated,
  required,
  text,
  uint,
  type Infer,
} from './message.ts'
import { Id } from './id.ts'

export const Scalar = message('Value.Scalar', { value: required(double) })

/** Mesos counts scalars in thousandths: 0.3 - 0.1 - 0.1 must leave room for another 0.1. */
export const addScalars = (a: number, b: number): number => Math.round((a + b) * 1000) / 1000

export const Ranges = message('Value.Ranges', {
  range: repeated(message('Value.Range', { begin: required(uint), end: required(uint) })),
})
export type Ranges = Infer<typeof Ranges>
export const Items = message('Value.Set', { item: repeated(text) })

const ReservationInfo = message('Resource.ReservationInfo', {
  type: optional(enumeration('UNKNOWN', 'STATIC', 'DYNAMIC')),
  role: optional(text),
  principal: optional(text),
  labels: optional(Labels),
})

/** `role` is deprecated, so its default `*` is not invented. */
export const Resource = message('Resource', {
  provider_id: optional(Id),
  name: required(text),
  type: required(enumeration('SCALAR', 'RANGES', 'SET', 'TEXT')),
  scalar: optional(Scalar),
  ranges: optional(Ranges),
  set: optional(Items),
  role: optional(text),
  allocation_info: optional(message('Resource.AllocationInfo', { role: optional(text) })),
  reservation: optional(ReservationInfo),
  reservations: repeated(ReservationInfo),
  disk: optional(
    message('Resource.DiskInfo', {
      persistence: optional(
        message('Resource.DiskInfo.Persistence', { id: required(text), principal: optional(text) }),
      ),
      source: optional(
        message('Resource.DiskInfo.Source', {
          type: required(enumeration('UNKNOWN', 'PATH', 'MOUNT', 'BLOCK', 'RAW')),
          id: optional(text),
          profile: optional(text),
        }),
      ),
    }),
  ),
  revocable: optional(message('Resource.RevocableInfo', {})),
  shared: optional(message('Resource.SharedInfo', {})),
})
export type Resource = Infer<typeof Resource>

export const Attribute = message('Attribute', {
  name: required(text),
  type: required(enumeration('SCALAR', 'RANGES', 'SET', 'TEXT')),
  scalar: optional(Scalar),
  ranges: optional(Ranges),
  set: optional(Items),
  text: optional(message('Value.Text', { value: required(text) })),
})
export type Attribute = Infer<typeof Attribute>
