import type { LiveView, WatchBatch } from '@conclave/store'
import type { Replicated } from './replicated.ts'
import type { MasterSettings } from './settings.ts'

const revisionsKeptUsually = 10_000
const historyBytesMaxUsually = 64 * 1024 * 1024

/** Forgets, now and then, what was overwritten: the state would grow for ever. */
export class Compaction {
  readonly #store: LiveView
  readonly #replicated: Replicated
  readonly #revisionsKept: number
  readonly #historyBytesMax: number
  #historyBytes = 0
  #isCompacting = false

  constructor(
    store: LiveView,
    replicated: Replicated,
    {
      revisionsKept = revisionsKeptUsually,
      historyBytesMax = historyBytesMaxUsually,
    }: Pick<MasterSettings, 'revisionsKept' | 'historyBytesMax'>,
  ) {
    this.#store = store
    this.#replicated = replicated
    this.#revisionsKept = revisionsKept
    this.#historyBytesMax = historyBytesMax
  }

  told(batch: WatchBatch): void {
    for (const event of batch.events) this.#historyBytes += event.previous?.value.length ?? 0
  }

  /** For the leader: if there is much of it. */
  async lead(): Promise<void> {
    const { revision, compactRevision } = this.#store
    const isLong = revision - compactRevision >= 2 * this.#revisionsKept
    const isLarge = this.#historyBytes > this.#historyBytesMax
    if (this.#isCompacting || !(isLong || isLarge)) return
    this.#isCompacting = true
    try {
      const until = isLarge ? revision : revision - this.#revisionsKept
      const success = [{ do: 'compact', revision: until } as const]
      await this.#replicated.commit({ compare: [], success })
      this.#historyBytes = 0
    } catch {
      // The next second tries again.
    } finally {
      this.#isCompacting = false
    }
  }
}
