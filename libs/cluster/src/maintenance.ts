import { utf8 } from '@conclave/kernel'
import type { ClusterStatus, MachineId, MaintenanceSchedule, Unavailability } from '@conclave/model'
import { takeDown } from './agents.ts'
import type { PlainAnswer } from './effect.ts'
import { closeInverseOffers, makeInverseOffers } from './inverse-offers.ts'
import { isOn, keyOf, unavailabilityOf } from './machines.ts'
import { firstOf, firstTwice } from './problem.ts'
import { putMaintenance, type MaintenanceRecord } from './records.ts'
import type { Agent, ClusterState } from './state.ts'

/*
 * Which machines will be away, and which are. A machine is up, until a schedule names it: then it is
 * draining, its offers say when it will be away, and those who have something there are asked for it.
 * START_MAINTENANCE takes it down, STOP_MAINTENANCE brings it back. Words: Mesos' maintenance.cpp.
 */

const done: PlainAnswer = { status: 200, body: '' }
const bad = (body: string): PlainAnswer => ({ status: 400, body })

const shown = ({ hostname, ip }: MachineId): string =>
  JSON.stringify({ ...(hostname && { hostname }), ...(ip && { ip }) })

const machinesIn = ({ windows }: MaintenanceSchedule): readonly MachineId[] =>
  windows.flatMap((window) => window.machine_ids)

/** UPDATE_MAINTENANCE_SCHEDULE: the whole schedule, in the place of the one before. */
export function updateSchedule(state: ClusterState, schedule: MaintenanceSchedule): PlainAnswer {
  const problem = scheduleProblem(state, schedule)
  if (problem !== undefined) return bad(problem)
  keep(state, { ...state.maintenance, windows: schedule.windows })
  return done
}

/** START_MAINTENANCE: agents there are told to end, and their tasks are lost. */
export function startMaintenance(state: ClusterState, machines: readonly MachineId[]): PlainAnswer {
  const { down } = state.maintenance
  const isDown = new Set(down.map(keyOf))
  const problem =
    machinesProblem(machines) ??
    unscheduledProblem(state, machines) ??
    firstOf(machines, (machine) =>
      isDown.has(keyOf(machine))
        ? `Machine '${shown(machine)}' is not in DRAINING mode and cannot be brought down`
        : undefined,
    )
  if (problem !== undefined) return bad(problem)
  keep(state, { ...state.maintenance, down: [...down, ...machines] })
  for (const agent of state.agents.values()) {
    if (machines.some((machine) => isOn(machine, agent.record.info))) {
      takeDown(state, agent, "Operator initiated 'Machine DOWN'")
    }
  }
  return done
}

/** STOP_MAINTENANCE: they are up, and in no schedule any more. */
export function stopMaintenance(state: ClusterState, machines: readonly MachineId[]): PlainAnswer {
  const { down, windows } = state.maintenance
  const isDown = new Set(down.map(keyOf))
  const problem =
    machinesProblem(machines) ??
    unscheduledProblem(state, machines) ??
    firstOf(machines, (machine) =>
      isDown.has(keyOf(machine))
        ? undefined
        : `Machine '${shown(machine)}' is not in DOWN mode and cannot be brought up`,
    )
  if (problem !== undefined) return bad(problem)
  const back = new Set(machines.map(keyOf))
  const stays = (one: MachineId): boolean => !back.has(keyOf(one))
  const left = windows.map((window) => ({
    ...window,
    machine_ids: window.machine_ids.filter(stays),
  }))
  keep(state, {
    windows: left.filter((window) => window.machine_ids.length > 0),
    down: down.filter(stays),
  })
  return done
}

/** Writes it down. Where it changes when an agent will be away, everybody there hears anew. */
function keep(state: ClusterState, record: MaintenanceRecord): void {
  const awayOf = ({ record: { info } }: Agent): string =>
    JSON.stringify(unavailabilityOf(state, info)) ?? ''
  const agents = [...state.agents.values()]
  const before = agents.map(awayOf)
  state.maintenance = record
  state.outbox.commit([putMaintenance(record)])
  const changed = new Set(
    agents
      .filter((agent, index) => awayOf(agent) !== before[index])
      .map((agent) => agent.record.agentId),
  )
  if (changed.size === 0) return
  closeInverseOffers(state, ({ agentId }) => changed.has(agentId))
  state.closeOffers(({ agentId }) => changed.has(agentId), { rescind: true })
  makeInverseOffers(state)
}

export function maintenanceStatus({
  maintenance,
  agents,
  inverseOffers,
}: ClusterState): ClusterStatus {
  const down = new Set(maintenance.down.map(keyOf))
  const isUp = (machine: MachineId): boolean => !down.has(keyOf(machine))
  return {
    draining_machines: machinesIn(maintenance)
      .filter(isUp)
      .map((id) => ({
        id,
        statuses: [...agents.values()]
          .filter(({ record }) => isOn(id, record.info))
          .flatMap(({ record }) => inverseOffers.answersFor(record.agentId))
          .map(({ status, frameworkId, atMs }) => ({
            status,
            framework_id: { value: frameworkId },
            timestamp: { nanoseconds: atMs * 1e6 },
          })),
      })),
    down_machines: maintenance.down,
  }
}

// ── what is wrong with a call ───────────────────────────────────────────────────────────────────

/** The schedule is one record of the store. */
const sizeBytesMax = 256 * 1024

function scheduleProblem(
  { maintenance }: ClusterState,
  schedule: MaintenanceSchedule,
): string | undefined {
  for (const window of schedule.windows) {
    if (window.machine_ids.length === 0) {
      return 'List of machines in the maintenance window is empty'
    }
    const problem = unavailabilityProblem(window.unavailability)
    if (problem !== undefined) return problem
  }
  const machines = machinesIn(schedule)
  const problem = firstOf(machines, machineProblem) ?? twiceProblem(machines)
  if (problem !== undefined) return problem
  const named = new Set(machines.map(keyOf))
  const gone = maintenance.down.find((one) => !named.has(keyOf(one)))
  if (gone !== undefined) {
    return `Machine '${shown(gone)}' is deactivated and cannot be removed from the schedule`
  }
  if (utf8(JSON.stringify(schedule)).length <= sizeBytesMax) return undefined
  return `'schedule' is larger than ${sizeBytesMax} bytes`
}

/** Nanoseconds in 63 bits. */
const timeMax = 2 ** 63

function unavailabilityProblem({ start, duration }: Unavailability): string | undefined {
  if (Math.abs(start.nanoseconds) >= timeMax) return "Unavailability 'start' is no time"
  const { nanoseconds = 0 } = duration ?? {}
  if (nanoseconds < 0) return "Unavailability 'duration' is negative"
  return nanoseconds < timeMax ? undefined : "Unavailability 'duration' is too long"
}

const machinesProblem = (machines: readonly MachineId[]): string | undefined =>
  machines.length === 0
    ? "List of machines is empty: expecting 'machines' to be present"
    : (firstOf(machines, machineProblem) ?? twiceProblem(machines))

function machineProblem({ hostname = '', ip = '' }: MachineId): string | undefined {
  if (hostname === '' && ip === '') return "Both 'hostname' and 'ip' for a machine are empty"
  if (ip === '' || isIpV4(ip)) return undefined
  return `Failed to parse the IP '${ip.slice(0, 255)}' of a machine`
}

const isIpV4 = (text: string): boolean => {
  const parts = text.split('.')
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)
}

function twiceProblem(machines: readonly MachineId[]): string | undefined {
  const twice = firstTwice(machines.map(keyOf))
  const machine = machines.find((one) => keyOf(one) === twice)
  return machine && `Machine '${shown(machine)}' appears more than once in the schedule`
}

const unscheduledProblem = (
  { maintenance }: ClusterState,
  machines: readonly MachineId[],
): string | undefined => {
  const known = new Set(machinesIn(maintenance).map(keyOf))
  const stranger = machines.find((machine) => !known.has(keyOf(machine)))
  return stranger && `Machine '${shown(stranger)}' is not part of a maintenance schedule`
}
