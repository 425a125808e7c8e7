import type { AgentInfo, MachineId, Unavailability } from '@conclave/model'
import { ipOf } from './offers.ts'
import type { ClusterState } from './state.ts'

/*
 * Which agents a machine of a maintenance schedule has.
 */

/** The same for two that are the same machine: schedules may name thousands. */
export const keyOf = ({ hostname = '', ip = '' }: MachineId): string =>
  JSON.stringify([hostname.toLowerCase(), ip])

/** Whether an agent runs there: whatever is said of the machine has to be so of the agent. */
export const isOn = ({ hostname = '', ip = '' }: MachineId, info: AgentInfo): boolean =>
  (hostname === '' || hostname.toLowerCase() === info.hostname.toLowerCase()) &&
  (ip === '' || ip === ipOf(info.hostname))

/** When the machine of an agent will be away, or since when it is. */
export const unavailabilityOf = (
  { maintenance }: ClusterState,
  info: AgentInfo,
): Unavailability | undefined =>
  maintenance.windows.find((window) => window.machine_ids.some((machine) => isOn(machine, info)))
    ?.unavailability

export const isDown = ({ maintenance }: ClusterState, info: AgentInfo): boolean =>
  maintenance.down.some((machine) => isOn(machine, info))
