import { isEventWanted } from './event-filters.ts'
import type { EngineEvent, Told } from './event.ts'
import type { Filters } from '../filters.ts'

/** What dockerd remembers for whoever asks for the past: moby, `daemon/events`. */
const keptMax = 256
/** What one reader may leave unread: then it misses the oldest. */
const unreadMax = 4096

/** What was told, and when: an event is made of it for whoever reads. */
interface Kept {
  readonly told: Told
  readonly atNs: bigint
}

interface Reader {
  readonly unread: Kept[]
  wake: () => void
}

/** The newest events of one face, and those who read them. */
export class EngineEvents {
  readonly #kept: Kept[] = []
  readonly #readers = new Set<Reader>()
  #lastNs = 0n

  /** @param atMs when it came about; two events never have the same time */
  add(told: Told, atMs: number): void {
    const asked = BigInt(Math.floor(atMs)) * 1_000_000n
    this.#lastNs = asked > this.#lastNs ? asked : this.#lastNs + 1n
    const kept = { told, atNs: this.#lastNs }
    this.#kept.push(kept)
    if (this.#kept.length > keptMax) this.#kept.shift()
    for (const reader of this.#readers) {
      reader.unread.push(kept)
      if (reader.unread.length > unreadMax) reader.unread.shift()
      reader.wake()
    }
  }

  /** Those since a moment that are remembered, then those that come, up to another moment. */
  async *read(
    filters: Filters,
    sinceNs: bigint | undefined,
    untilMs: number | undefined,
    signal: AbortSignal,
    mayHear: (told: Told) => boolean = () => true,
  ): AsyncGenerator<EngineEvent> {
    const reader: Reader = { unread: [], wake: () => {} }
    if (sinceNs !== undefined)
      reader.unread.push(...this.#kept.filter(({ atNs }) => atNs >= sinceNs))
    this.#readers.add(reader)
    const untilNs = untilMs === undefined ? undefined : BigInt(Math.floor(untilMs)) * 1_000_000n
    const left = untilMs === undefined ? undefined : Math.max(0, untilMs - Date.now())
    const over = left === undefined ? signal : AbortSignal.any([signal, timeout(left)])
    const onOver = (): void => reader.wake()
    over.addEventListener('abort', onOver)
    try {
      for (;;) {
        const next = reader.unread.shift()
        if (next === undefined) {
          if (over.aborted) return
          await new Promise<void>((resolve) => (reader.wake = resolve))
          continue
        }
        if (untilNs !== undefined && next.atNs > untilNs) return
        if (!mayHear(next.told)) continue
        const event = eventOf(next)
        if (isEventWanted(event, filters)) yield event
      }
    } finally {
      over.removeEventListener('abort', onOver)
      this.#readers.delete(reader)
    }
  }
}

function eventOf({ told, atNs }: Kept): EngineEvent {
  const { type, action, id, attributes, scope } = told
  return { type, action, id, attributes, scope, atNs }
}

const timerMsMax = 2_147_483_647

const timeout = (ms: number): AbortSignal => AbortSignal.timeout(Math.min(ms, timerMsMax))
