import type { Clock } from '@conclave/kernel'

const windowMs = 60_000
/** Of one source, in one minute, by themselves. */
const recordsMax = 20
/** Sources that are told apart; all others are counted together. */
const sourcesMax = 1024
const others = 'others'

interface Minute {
  readonly beganAtMs: number
  records: number
  more: number
}

/** So many logins were refused, beside those that are on record one by one. */
export interface Summary {
  readonly source: string
  readonly count: number
}

/**
 * Which refused logins are put on record by themselves. Whoever sends very many must not fill the disk
 * with them, so of the others a minute's number is told, for each source.
 */
export class FailedLogins {
  readonly #clock: Clock
  readonly #minutes = new Map<string, Minute>()
  #due = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @returns whether it is put on record by itself; else it has been counted */
  isRecorded(source: string): boolean {
    const minute = this.#minuteOf(source)
    if (minute.records >= recordsMax) {
      minute.more++
      return false
    }
    minute.records++
    return true
  }

  /** Whoever is turned away for having failed too often is on record already. */
  count(source: string): void {
    this.#minuteOf(source).more++
  }

  /** What is due to be told. With `all`, also of minutes that are not over. */
  takeSummaries(all = false): readonly Summary[] {
    for (const [source, minute] of this.#minutes) {
      if (all || this.#isOver(minute)) this.#end(source, minute)
    }
    const due = this.#due
    this.#due = new Map()
    return Array.from(due, ([source, count]) => ({ source, count }))
  }

  /** For the next time: it could not be told. */
  putBack(summaries: readonly Summary[]): void {
    for (const { source, count } of summaries) this.#add(source, count)
  }

  #minuteOf(from: string): Minute {
    const isKnown = this.#minutes.has(from) || this.#minutes.size < sourcesMax
    const source = isKnown ? from : others
    const known = this.#minutes.get(source)
    if (known !== undefined && !this.#isOver(known)) return known
    if (known !== undefined) this.#end(source, known)
    const minute = { beganAtMs: this.#clock.nowMs(), records: 0, more: 0 }
    this.#minutes.set(source, minute)
    return minute
  }

  #isOver({ beganAtMs }: Minute): boolean {
    return Math.abs(this.#clock.nowMs() - beganAtMs) >= windowMs
  }

  #end(source: string, { more }: Minute): void {
    this.#minutes.delete(source)
    if (more > 0) this.#add(source, more)
  }

  #add(source: string, count: number): void {
    this.#due.set(source, (this.#due.get(source) ?? 0) + count)
  }
}
