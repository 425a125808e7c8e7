import type { Clock } from '@conclave/kernel'
import type { EventDraft } from '@conclave/model'

export type ReportedEvent = EventDraft & { readonly atMs: number }

const keptMax = 4096
const batchMax = 256

/**
 * What an agent has to tell of itself, until a master takes it. A long silence costs the oldest
 * events: they are for watching, and what has to be known is in statuses.
 */
export class EventReport {
  readonly #clock: Clock
  #events: ReportedEvent[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(draft: EventDraft): void {
    this.#events.push({ ...draft, atMs: this.#clock.nowMs() })
    if (this.#events.length > 2 * keptMax) this.#events = this.#events.slice(-keptMax)
  }

  /** All of them, in messages of a bearable size. */
  take(): readonly (readonly ReportedEvent[])[] {
    const events = this.#events.slice(-keptMax)
    this.#events = []
    const batches: ReportedEvent[][] = []
    for (let at = 0; at < events.length; at += batchMax)
      batches.push(events.slice(at, at + batchMax))
    return batches
  }

  clear(): void {
    this.#events = []
  }
}
