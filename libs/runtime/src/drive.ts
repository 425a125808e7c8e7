/*
 * What drives a core live: something that ticks, and something that wakes it once for all that
 * happened in one turn of the event loop.
 */

/** The timers of the process, or those of a test. */
export interface Timers {
  /** A clock that never jumps. Only differences mean anything. */
  nowMs(): number
  readonly after: (ms: number, run: () => void) => () => void
}

export const processTimers: Timers = {
  nowMs: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}

/**
 * Calls `onTick` once per period, on a grid that does not drift: a late tick does not make the next
 * one late. Periods that passed while the process stood still are skipped, because a burst of ticks
 * after it would look to a core like time in which its peers were silent.
 */
export class Ticker {
  readonly #periodMs: number
  readonly #onTick: () => void
  readonly #timers: Timers
  #dueMs = 0
  #cancel: (() => void) | undefined

  constructor(periodMs: number, onTick: () => void, timers: Timers = processTimers) {
    this.#periodMs = periodMs
    this.#onTick = onTick
    this.#timers = timers
  }

  start(): void {
    if (this.#cancel !== undefined) return
    this.#dueMs = this.#timers.nowMs() + this.#periodMs
    this.#wait()
  }

  /** No tick comes after this, not even one that is already due. */
  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #wait(): void {
    const waitMs = Math.max(0, this.#dueMs - this.#timers.nowMs())
    this.#cancel = this.#timers.after(waitMs, () => this.#tick())
  }

  #tick(): void {
    const missed = Math.max(0, Math.floor((this.#timers.nowMs() - this.#dueMs) / this.#periodMs))
    this.#dueMs += (missed + 1) * this.#periodMs
    // Before the call, which may stop us, or throw.
    this.#wait()
    this.#onTick()
  }
}

/** Runs once for however many wake-ups came within one turn of the event loop. */
export class MicroBatch {
  readonly #run: () => void
  #scheduled: NodeJS.Immediate | undefined

  constructor(run: () => void) {
    this.#run = run
  }

  readonly wake = (): void => {
    this.#scheduled ??= setImmediate(() => {
      // Before the call: a wake-up from within it is for the next turn.
      this.#scheduled = undefined
      this.#run()
    })
  }

  /** Forgets a wake-up that has not run yet. Later ones count again. */
  stop(): void {
    if (this.#scheduled !== undefined) clearImmediate(this.#scheduled)
    this.#scheduled = undefined
  }
}
