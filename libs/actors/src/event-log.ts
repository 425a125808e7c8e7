import type { Clock } from '@conclave/kernel'
import type { ConclaveEvent, EventDraft } from '@conclave/model'
import { Signal } from './signal.ts'

/** Whoever follows closely enough to have an event made for all; who reads what was long ago has their own. */
const sharedCountMax = 256

/**
 * The one stream that the page, the tests and the command line read: the newest events of one
 * master and of the agents that report to it, in order. Readers hold a position and no queue, so a
 * reader that never reads costs nothing; what it then missed is said by an `events.gap`.
 */
export class EventLog {
  /** What was told, as it came: an event is made of it for whoever reads. */
  readonly #ring: (EventDraft | undefined)[]
  readonly #atMs: Float64Array
  /** Where it is not this log's own. */
  readonly #sources = new Map<number, string>()
  readonly #prefix: string
  readonly #source: string
  readonly #clock: Clock
  readonly #grown = new Signal()
  /** The newest that somebody has read, as they were made: all who follow have these in common. */
  readonly #made = new Map<number, ConclaveEvent>()
  #next = 1

  /** @param boot names this run of the process, so that ids of an earlier one are told apart */
  constructor(source: string, boot: string, clock: Clock, capacity = 16_384) {
    this.#source = source
    this.#prefix = `${source}:${boot}:`
    this.#clock = clock
    this.#ring = Array.from({ length: capacity })
    this.#atMs = new Float64Array(capacity)
  }

  /** `draft` is the log's from here on. */
  append(draft: EventDraft, reported?: { source: string; atMs: number }): void {
    const place = this.#next % this.#ring.length
    this.#ring[place] = draft
    this.#atMs[place] = reported?.atMs ?? this.#clock.nowMs()
    if (reported !== undefined) this.#sources.set(place, reported.source)
    else if (this.#sources.size > 0) this.#sources.delete(place)
    this.#next++
    this.#grown.raise()
  }

  /** The newest event's id: following from here misses nothing that comes. */
  get lastId(): string {
    return `${this.#prefix}${this.#next - 1}`
  }

  async *follow(
    lastEventId: string | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<ConclaveEvent> {
    let position = this.#positionAfter(lastEventId)
    if (position === undefined) {
      position = this.#floor
      yield this.#gap(lastEventId ?? '')
    }
    for (;;) {
      if (signal.aborted) return
      if (position < this.#floor) {
        yield this.#gap(`${this.#prefix}${position}`)
        position = this.#floor
      }
      const event = this.#eventAt(position)
      if (event !== undefined) {
        position++
        yield event
      } else {
        await this.#grown.wait(signal)
      }
    }
  }

  #eventAt(position: number): ConclaveEvent | undefined {
    const known = this.#made.get(position)
    if (known !== undefined) return known
    const place = position % this.#ring.length
    const draft = position < this.#next ? this.#ring[place] : undefined
    if (draft === undefined) return undefined
    const event = {
      ...draft,
      id: `${this.#prefix}${position}`,
      atMs: this.#atMs[place] ?? 0,
      source: this.#sources.get(place) ?? this.#source,
    }
    if (this.#next - position <= sharedCountMax) this.#share(position, event)
    return event
  }

  #share(position: number, event: ConclaveEvent): void {
    this.#made.set(position, event)
    if (this.#made.size <= sharedCountMax) return
    // In the order in which they were read, which for the newest is their own.
    for (const oldest of this.#made.keys()) {
      this.#made.delete(oldest)
      return
    }
  }

  get #floor(): number {
    return Math.max(1, this.#next - this.#ring.length)
  }

  #positionAfter(lastEventId: string | undefined): number | undefined {
    if (lastEventId === undefined) return this.#next
    if (!lastEventId.startsWith(this.#prefix)) return undefined
    const number = Number(lastEventId.slice(this.#prefix.length))
    const isKnown = Number.isSafeInteger(number) && number >= this.#floor - 1 && number < this.#next
    return isKnown ? number + 1 : undefined
  }

  #gap(requested: string): ConclaveEvent {
    return {
      type: 'events.gap',
      requested,
      id: `${this.#prefix}${this.#floor - 1}`,
      atMs: this.#clock.nowMs(),
      source: this.#source,
    }
  }
}
