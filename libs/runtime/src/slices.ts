import { Fifo } from './fifo.ts'

/** Long enough for some dozen small requests, short enough for many heartbeats within a timeout. */
const sliceMs = 10

export interface SlicesOptions {
  readonly nowMs?: () => number
  /** Calls back in the next turn of the event loop, after its timers and sockets. */
  readonly nextTurn?: (run: () => void) => void
}

/**
 * Cuts what arrives in bursts into slices, one in each turn of the event loop: five hundred calls that
 * came at once would otherwise be answered in a row, and timers and heartbeats would wait for the last.
 * Whatever shares one of these is done in the order in which it came.
 */
export class Slices {
  readonly #nowMs: () => number
  readonly #nextTurn: (run: () => void) => void
  readonly #waiting = new Fifo<() => void>()
  #endsAtMs: number | undefined

  constructor(options: SlicesOptions = {}) {
    this.#nowMs = options.nowMs ?? (() => performance.now())
    this.#nextTurn = options.nextTurn ?? ((run) => void setImmediate(run))
  }

  /** Whether whoever has more to do should leave it for {@link later}. */
  get isSpent(): boolean {
    return this.#waiting.length > 0 || !this.#hasTime()
  }

  /** Does `work` in this slice if there is time left, or else in a later one. */
  do(work: () => void): void {
    if (this.isSpent) this.later(work)
    else work()
  }

  /** Does `work` in a later slice, behind all that waits. */
  later(work: () => void): void {
    this.#hasTime()
    this.#waiting.push(work)
  }

  /** The first to ask in a turn begins its slice. */
  #hasTime(): boolean {
    const now = this.#nowMs()
    if (this.#endsAtMs === undefined) {
      this.#endsAtMs = now + sliceMs
      this.#nextTurn(() => this.#turn())
    }
    return now < this.#endsAtMs
  }

  #turn(): void {
    this.#endsAtMs = undefined
    if (this.#waiting.length === 0) return
    while (this.#hasTime()) {
      const work = this.#waiting.shift()
      if (work === undefined) return
      work()
    }
  }
}
