import type { Clock } from '@conclave/kernel'
import type { Machine, MachineState } from '@conclave/shell'
import { Fifo } from '../fifo.ts'
import { WakeQueue } from './wake-queue.ts'

export interface ExecutorOptions {
  /** The clock that the machines sleep by. */
  readonly clock: Clock
  /** How long machines run before the event loop has its turn. */
  readonly sliceMs?: number
  /** How many ticks a machine runs before the next one has its turn. */
  readonly ticksPerTurn?: number
  /** A machine threw: a fault of ours, which must cost its container alone. */
  readonly onFault: (machine: Machine, fault: unknown) => void
}

interface Entry {
  readonly machine: Machine
  isQueued: boolean
  isGone: boolean
  cpuMs: number
}

/** However far away the next wake-up is: the clock may jump, and a timer has a largest delay. */
const waitMsMax = 60_000

/**
 * Runs the machines of all containers, each in its turn, in slices between which the event loop runs.
 * A machine that spins has its turn like any other; one that sleeps or waits is in no list but that of
 * wake-ups, and there is one timer for all of them.
 */
export class Executor {
  readonly #options: ExecutorOptions
  readonly #sliceMs: number
  readonly #ticksPerTurn: number
  readonly #ready = new Fifo<Entry>()
  readonly #sleeping = new WakeQueue<Entry>()
  readonly #entries = new Map<Machine, Entry>()
  #slice: NodeJS.Immediate | undefined
  #timer: { readonly handle: NodeJS.Timeout; readonly atMs: number } | undefined

  constructor(options: ExecutorOptions) {
    this.#options = options
    this.#sliceMs = options.sliceMs ?? 8
    this.#ticksPerTurn = options.ticksPerTurn ?? 128
  }

  /** Runs `machine`, which has been started, until it ends or is removed. */
  add(machine: Machine): void {
    const entry: Entry = { machine, isQueued: false, isGone: false, cpuMs: 0 }
    this.#entries.set(machine, entry)
    machine.onReady(() => this.#enqueue(entry))
    this.#enqueue(entry)
  }

  remove(machine: Machine): void {
    const entry = this.#entries.get(machine)
    if (entry === undefined) return
    this.#entries.delete(machine)
    entry.isGone = true
    this.#sleeping.delete(entry)
  }

  /** How long it has run until now, all its programs together. */
  cpuMsOf(machine: Machine): number {
    return this.#entries.get(machine)?.cpuMs ?? 0
  }

  stop(): void {
    for (const machine of this.#entries.keys()) this.remove(machine)
    if (this.#slice !== undefined) clearImmediate(this.#slice)
    if (this.#timer !== undefined) clearTimeout(this.#timer.handle)
    this.#slice = undefined
    this.#timer = undefined
  }

  #enqueue(entry: Entry): void {
    if (entry.isQueued || entry.isGone) return
    entry.isQueued = true
    this.#sleeping.delete(entry)
    this.#ready.push(entry)
    this.#slice ??= setImmediate(() => this.#run())
  }

  #run(): void {
    const startedAtMs = performance.now()
    let nowMs = startedAtMs
    do {
      const entry = this.#ready.shift()
      if (entry === undefined) break
      entry.isQueued = false
      const beganAtMs = nowMs
      if (!entry.isGone) this.#turn(entry)
      nowMs = performance.now()
      entry.cpuMs += nowMs - beganAtMs
    } while (nowMs - startedAtMs < this.#sliceMs)
    this.#slice = this.#ready.length > 0 ? setImmediate(() => this.#run()) : undefined
    this.#setTimer()
  }

  #turn(entry: Entry): void {
    switch (this.#step(entry.machine)) {
      case 'ready':
        return this.#enqueue(entry)
      case 'ended':
        return this.remove(entry.machine)
      case 'idle': {
        const wakeAtMs = entry.machine.nextWakeMs()
        if (wakeAtMs !== undefined && !entry.isQueued) this.#sleeping.set(entry, wakeAtMs)
      }
    }
  }

  #step(machine: Machine): MachineState {
    try {
      return machine.step(this.#ticksPerTurn)
    } catch (fault) {
      this.#options.onFault(machine, fault)
      return 'ended'
    }
  }

  #setTimer(): void {
    const atMs = this.#sleeping.nextMs
    if (atMs === this.#timer?.atMs) return
    if (this.#timer !== undefined) clearTimeout(this.#timer.handle)
    this.#timer = undefined
    if (atMs === undefined) return
    const waitMs = Math.min(Math.max(0, atMs - this.#options.clock.nowMs()), waitMsMax)
    this.#timer = { handle: setTimeout(() => this.#wake(), waitMs), atMs }
  }

  #wake(): void {
    this.#timer = undefined
    const nowMs = this.#options.clock.nowMs()
    for (;;) {
      const entry = this.#sleeping.takeDue(nowMs)
      if (entry === undefined) break
      this.#enqueue(entry)
    }
    this.#setTimer()
  }
}
