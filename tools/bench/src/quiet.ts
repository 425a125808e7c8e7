import { readFileSync } from 'node:fs'
import { processorTimeUs } from './processor-time.ts'

/** What took processor time away from a measurement, as shares of all that the machine has. */
export interface Disturbance {
  /** Taken by other guests of the same host. */
  readonly steal: number
  /** Used by processes that are no part of the measurement. */
  readonly foreign: number
}

/** A round with more of either than this says more about the others. Source: reference raft.md §9.2. */
export const disturbanceMax = 0.2

export const isQuiet = ({ steal, foreign }: Disturbance): boolean =>
  steal <= disturbanceMax && foreign <= disturbanceMax

/**
 * Begins to watch; asked at the end of a measurement it tells what disturbed it. Nothing does where the
 * system does not tell (Linux alone does).
 *
 * @param pids the processes that are measured; this one always counts to them
 */
export function watchDisturbance(pids: readonly number[]): () => Disturbance {
  const own = [process.pid, ...pids]
  const before = { machine: machineTimeUs(), own: timesOf(own) }
  return () => {
    const machine = machineTimeUs()
    if (machine === undefined || before.machine === undefined) return { steal: 0, foreign: 0 }
    const spent = timesOf(own).reduce((sum, us, at) => sum + us - (before.own[at] ?? 0), 0)
    const all = machine.all - before.machine.all
    const busy = machine.busy - before.machine.busy
    return {
      steal: (machine.steal - before.machine.steal) / all,
      foreign: Math.max(0, busy - spent) / all,
    }
  }
}

const timesOf = (pids: readonly number[]): readonly number[] =>
  pids.map((pid) => {
    try {
      return processorTimeUs(pid) ?? 0
    } catch {
      return 0
    }
  })

interface MachineTime {
  readonly all: number
  readonly busy: number
  readonly steal: number
}

function machineTimeUs(): MachineTime | undefined {
  if (process.platform !== 'linux') return undefined
  return parseMachineTime(readFileSync('/proc/stat', 'utf8'))
}

const tickUs = 10_000

/** The first line of proc(5)'s `stat`: user nice system idle iowait irq softirq steal, in ticks of 10 ms. */
export function parseMachineTime(text: string): MachineTime {
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, steal = 0] = text
    .slice(0, text.indexOf('\n'))
    .trim()
    .split(/\s+/)
    .slice(1)
    .map((ticks) => Number(ticks) * tickUs)
  const busy = user + nice + system + irq + soft
  return { all: busy + idle + wait + steal, busy, steal }
}
