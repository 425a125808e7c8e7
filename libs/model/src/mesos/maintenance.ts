import { Id } from './id.ts'
import {
  boolean,
  enumeration,
  int,
  message,
  optional,
  repeated,
  required,
  text,
  type Infer,
} from './message.ts'
import { Address } from './participants.ts'
import { Resource } from './resource.ts'
import { DurationInfo } from './task-info.ts'

/*
 * Machines that operators will take away for a while, and what frameworks say to it. Source: mesos.md §6
 * and include/mesos/v1 (maintenance.proto, allocator.proto).
 */

const TimeInfo = message('TimeInfo', { nanoseconds: required(int) })

export const MachineId = message('MachineID', { hostname: optional(text), ip: optional(text) })
export type MachineId = Infer<typeof MachineId>

/** When a machine will be away; without a duration nobody knows for how long. */
export const Unavailability = message('Unavailability', {
  start: required(TimeInfo),
  duration: optional(DurationInfo),
})
export type Unavailability = Infer<typeof Unavailability>

export const MaintenanceWindow = message('maintenance.Window', {
  machine_ids: repeated(MachineId),
  unavailability: required(Unavailability),
})
export type MaintenanceWindow = Infer<typeof MaintenanceWindow>

export const MaintenanceSchedule = message('maintenance.Schedule', {
  windows: repeated(MaintenanceWindow),
})
export type MaintenanceSchedule = Infer<typeof MaintenanceSchedule>

/** Asks a framework for what it has on an agent: all of it, since no resources are named. */
export const InverseOffer = message('InverseOffer', {
  id: required(Id),
  url: optional(
    message('URL', {
      scheme: required(text),
      address: required(Address),
      path: optional(text),
      fragment: optional(text),
    }),
  ),
  framework_id: required(Id),
  agent_id: optional(Id),
  unavailability: required(Unavailability),
  resources: repeated(Resource),
})
export type InverseOffer = Infer<typeof InverseOffer>

const InverseOfferStatus = message('InverseOfferStatus', {
  status: required(enumeration('UNKNOWN', 'ACCEPT', 'DECLINE')),
  framework_id: required(Id),
  timestamp: required(TimeInfo),
})

export const ClusterStatus = message('maintenance.ClusterStatus', {
  draining_machines: repeated(
    message('maintenance.ClusterStatus.DrainingMachine', {
      id: required(MachineId),
      statuses: repeated(InverseOfferStatus),
    }),
  ),
  down_machines: repeated(MachineId),
})
export type ClusterStatus = Infer<typeof ClusterStatus>

export const DrainInfo = message('DrainInfo', {
  state: required(enumeration('UNKNOWN', 'DRAINING', 'DRAINED')),
  config: required(
    message('DrainConfig', {
      max_grace_period: optional(DurationInfo),
      mark_gone: optional(boolean, false),
    }),
  ),
})
export type DrainInfo = Infer<typeof DrainInfo>
