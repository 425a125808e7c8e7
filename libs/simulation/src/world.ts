import { createHash } from 'node:crypto'
import type { Clock } from '@conclave/kernel'
import { EventQueue } from './event-queue.ts'
import type { TraceEvent, Traced } from './trace.ts'

/** When every run begins, in ms since 1970. */
export const epochMs = 1_700_000_000_000

/** Five times as many as any run has: whoever needs more speaks without end, and time hardly passes. */
export const eventsPerSecondMax = 50_000

/** A promise of the system that was broken, and when. */
export interface Violation {
  /** Which of the rules of README.md. */
  readonly rule: string
  readonly what: string
  readonly atMs: number
}

export interface WorldOptions {
  readonly keepsTrace?: boolean
  /** Is told of everything as data. */
  readonly onTrace?: ((traced: Traced) => void) | undefined
}

/**
 * Virtual time: events in a queue, and nothing else makes time pass. What an event sets going (promises
 * and `setImmediate`) runs before the next event, so one seed is one history.
 */
export class World {
  readonly #queue = new EventQueue()
  readonly #hash = createHash('sha256')
  readonly #lines: string[] | undefined
  readonly #onTrace: ((traced: Traced) => void) | undefined
  readonly #afterEvent: (() => void)[] = []
  readonly #tally = new Map<string, number>()
  #nowUs = 0
  #eventCount = 0
  /** The second that is under way, and what happened in it. */
  #second = 0
  #eventsInSecond = 0
  #violation: Violation | undefined

  constructor({ keepsTrace = false, onTrace }: WorldOptions = {}) {
    this.#lines = keepsTrace ? [] : undefined
    this.#onTrace = onTrace
  }

  get nowUs(): number {
    return this.#nowUs
  }

  get nowMs(): number {
    return Math.floor(this.#nowUs / 1000)
  }

  get eventCount(): number {
    return this.#eventCount
  }

  /** The first one found; the run ends with it. */
  get violation(): Violation | undefined {
    return this.#violation
  }

  get lines(): readonly string[] {
    return this.#lines ?? []
  }

  clock(skewMs: () => number): Clock {
    return { nowMs: () => epochMs + this.nowMs + skewMs() }
  }

  after(delayUs: number, act: () => void): void {
    this.#queue.push(this.#nowUs + Math.max(0, Math.round(delayUs)), act)
  }

  sleep(delayUs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayUs, resolve))
  }

  /** Calls `look` after each event and all that it set going. */
  afterEvent(look: () => void): void {
    this.#afterEvent.push(look)
  }

  /** Notes what happened: the trace of a run, of which the hash is made. */
  note(line: string, event: TraceEvent): void {
    const noted = `${this.#nowUs} ${line}\n`
    this.#hash.update(noted)
    this.#lines?.push(noted.slice(0, -1))
    this.trace(event)
  }

  /** Tells what is no part of the hash. */
  trace(event: TraceEvent): void {
    this.#onTrace?.({ atUs: this.#nowUs, ...event })
  }

  /** Whether anybody wants to be told. */
  get isTraced(): boolean {
    return this.#onTrace !== undefined
  }

  /** Counts something that happened, for whoever wants to know whether it ever does. */
  count(name: string): void {
    this.#tally.set(name, (this.#tally.get(name) ?? 0) + 1)
  }

  get tally(): ReadonlyMap<string, number> {
    return this.#tally
  }

  violate(rule: string, what: string): void {
    if (this.#violation !== undefined) return
    this.#violation = { rule, what, atMs: this.nowMs }
    this.note(`broken ${rule}: ${what}`, { event: 'broken', rule, what })
  }

  /** Lets time pass up to `untilUs`, or until something is broken or `isDone`. */
  async run(untilUs: number, isDone: () => boolean = () => false): Promise<void> {
    while (this.#violation === undefined && !isDone()) {
      const event = this.#queue.pop(untilUs)
      if (event === undefined) break
      this.#nowUs = event.atUs
      this.#eventCount++
      this.#countInSecond()
      try {
        event.act()
        await settled()
        for (const look of this.#afterEvent) look()
      } catch (error) {
        this.violate('SI9', `an unexpected ${String(error)}`)
      }
    }
    if (this.#violation === undefined && !isDone()) this.#nowUs = Math.max(this.#nowUs, untilUs)
  }

  #countInSecond(): void {
    const second = Math.floor(this.#nowUs / 1_000_000)
    if (second !== this.#second) this.#eventsInSecond = 0
    this.#second = second
    this.#eventsInSecond++
    if (this.#eventsInSecond > eventsPerSecondMax) {
      this.violate('SI16', `more than ${eventsPerSecondMax} events in one second`)
    }
  }

  traceHash(): string {
    return this.#hash.copy().digest('hex')
  }
}

/** Promises have run, and what was put off with `setImmediate` before this was called. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
