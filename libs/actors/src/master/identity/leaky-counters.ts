import type { Clock } from '@conclave/kernel'

/** What was added, as the time that it takes to leak, and when that was so. */
interface Count {
  readonly leaksMs: number
  readonly atMs: number
}

/** Counters that empty by one every `leakMs`. The one that was added to longest ago is given up for a new one. */
export class LeakyCounters {
  readonly #clock: Clock
  readonly #burst: number
  readonly #leakMs: number
  readonly #keysMax: number
  readonly #counts = new Map<string, Count>()

  constructor(
    clock: Clock,
    o: { readonly burst: number; readonly leakMs: number; readonly keysMax: number },
  ) {
    this.#clock = clock
    this.#burst = o.burst
    this.#leakMs = o.leakMs
    this.#keysMax = o.keysMax
  }

  /** How long until there is room for one more. */
  waitMs(key: string): number {
    return Math.max(0, this.#leaksMsOf(key) - (this.#burst - 1) * this.#leakMs)
  }

  add(key: string): void {
    const leaksMs = this.#leaksMsOf(key) + this.#leakMs
    // Set anew, so that it stands behind all others.
    this.#counts.delete(key)
    const [oldest] = this.#counts.keys()
    if (oldest !== undefined && this.#counts.size >= this.#keysMax) this.#counts.delete(oldest)
    this.#counts.set(key, { leaksMs, atMs: this.#clock.nowMs() })
  }

  forget(key: string): void {
    this.#counts.delete(key)
  }

  #leaksMsOf(key: string): number {
    const count = this.#counts.get(key)
    if (count === undefined) return 0
    const passedMs = Math.max(0, this.#clock.nowMs() - count.atMs)
    return Math.max(0, count.leaksMs - passedMs)
  }
}
