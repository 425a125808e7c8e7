import type { Clock } from '@conclave/kernel'
import type { ConclaveEvent, EventDraft } from '@conclave/model'
import { Signal } from './signal.ts'

/**
 * The one stream that the page, the tests and the command line read: the newest events of one
 * master and of the agents that report to it, in order. Readers hold a position and no queue, so a
 * reader that never reads costs nothing; what it then missed is said by an `events.gap`.
 */
export class EventLog {
  readonly #ring: (ConclaveEvent | undefined)[]
  readonly #prefix: string
  readonly #source: string
  readonly #clock: Clock
  readonly #grown = new Signal()
  #next = 1

  /** @param boot names this run of the process, so that ids of an earlier one are told apart */
  constructor(source: string, boot: string, clock: Clock, capacity = 16_384) {
    this.#source = source
    this.#prefix = `${source}:${boot}:`
    this.#clock = clock
    this.#ring = Array.from({ length: capacity })
  }

  append(draft: EventDraft, reported?: { source: string; atMs: number }): ConclaveEvent {
    const event: ConclaveEvent = {
      ...draft,
      id: `${this.#prefix}${this.#next}`,
      atMs: reported?.atMs ?? this.#clock.nowMs(),
      source: reported?.source ?? this.#source,
    }
    this.#ring[this.#next % this.#ring.length] = event
    this.#next++
    this.#grown.raise()
    return event
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
      const event: ConclaveEvent | undefined = this.#ring[position % this.#ring.length]
      if (position < this.#next && event !== undefined) {
        position++
        yield event
      } else {
        await this.#grown.wait(signal)
      }
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
