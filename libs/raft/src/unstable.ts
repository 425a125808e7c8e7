import { invariant } from '@conclave/kernel'
import type { Entry, Snapshot } from './entry.ts'
import type { RaftLogger } from './logger.ts'
import { endWithin } from './storage.ts'

/**
 * The end of the log that is not known to be on disk, and a snapshot on its way there.
 *
 * 1. `entries[i]` has the index `offset + i`; a snapshot's index is `offset - 1`.
 * 2. `offset <= offsetInProgress`: entries before it have been handed out to be written.
 */
export class Unstable {
  readonly #logger: RaftLogger
  #entries: Entry[] = []
  #offset: number
  #offsetInProgress: number
  #snapshot: Snapshot | undefined
  #isSnapshotInProgress = false

  constructor(offset: number, logger: RaftLogger) {
    this.#offset = offset
    this.#offsetInProgress = offset
    this.#logger = logger
  }

  get offset(): number {
    return this.#offset
  }

  get offsetInProgress(): number {
    return this.#offsetInProgress
  }

  get entryCount(): number {
    return this.#entries.length
  }

  get snapshot(): Snapshot | undefined {
    return this.#snapshot
  }

  /** The snapshot that nobody has begun to write. */
  nextSnapshot(): Snapshot | undefined {
    return this.#isSnapshotInProgress ? undefined : this.#snapshot
  }

  firstIndex(): number | undefined {
    return this.#snapshot === undefined ? undefined : this.#snapshot.meta.index + 1
  }

  lastIndex(): number | undefined {
    if (this.#entries.length > 0) return this.#offset + this.#entries.length - 1
    return this.#snapshot?.meta.index
  }

  term(index: number): number | undefined {
    if (index < this.#offset) {
      return this.#snapshot?.meta.index === index ? this.#snapshot.meta.term : undefined
    }
    return this.#entries[index - this.#offset]?.term
  }

  /** Whether there are entries that nobody has begun to write. */
  hasNextEntries(): boolean {
    return this.#offsetInProgress < this.#offset + this.#entries.length
  }

  nextEntries(): readonly Entry[] {
    return this.#entries.slice(this.#offsetInProgress - this.#offset)
  }

  /** Entries of `[lo, hi)`, all of which must be here, as many as fit but at least one. */
  slice(lo: number, hi: number, bytesMax: number): readonly Entry[] {
    const from = lo - this.#offset
    const to = hi - this.#offset
    invariant(from >= 0 && to <= this.#entries.length, 'the range lies in the unstable log')
    return this.#entries.slice(from, endWithin(this.#entries, from, to, bytesMax))
  }

  /** What {@link nextEntries} and {@link nextSnapshot} answered is being written now. */
  acceptInProgress(): void {
    this.#offsetInProgress = this.#offset + this.#entries.length
    if (this.#snapshot !== undefined) this.#isSnapshotInProgress = true
  }

  /**
   * The entry at `index` with `term` is on disk, and everything before it. Ignored when the log has
   * changed in the meantime: another write is then on its way, and this one no longer counts.
   */
  stableTo(index: number, term: number): void {
    const ours = this.term(index)
    if (ours === undefined) {
      this.#info(`entry at index ${index} missing from unstable log; ignoring`)
      return
    }
    if (index < this.#offset) {
      this.#info(`entry at index ${index} matched unstable snapshot; ignoring`)
      return
    }
    if (ours !== term) {
      this.#info(
        `entry at (index,term)=(${index},${term}) mismatched with entry at (${index},${ours}) in unstable log; ignoring`,
      )
      return
    }
    const stableCount = index + 1 - this.#offset
    // A new array either way: the old one may be far longer than what is left of it.
    this.#entries = stableCount === this.#entries.length ? [] : this.#entries.slice(stableCount)
    this.#offset = index + 1
    this.#offsetInProgress = Math.max(this.#offsetInProgress, this.#offset)
  }

  stableSnapshotTo(index: number): void {
    if (this.#snapshot?.meta.index !== index) return
    this.#snapshot = undefined
    this.#isSnapshotInProgress = false
  }

  restore(snapshot: Snapshot): void {
    this.#offset = snapshot.meta.index + 1
    this.#offsetInProgress = this.#offset
    this.#entries = []
    this.#snapshot = snapshot
    this.#isSnapshotInProgress = false
  }

  /** Entries from the first of `entries` on give way to `entries`. */
  truncateAndAppend(entries: readonly Entry[]): void {
    const first = entries[0]
    if (first === undefined) return
    const end = this.#offset + this.#entries.length
    invariant(first.index <= end, 'an append leaves a gap in the log')
    if (first.index < end || first.index < this.#offset) {
      if (first.index <= this.#offset) {
        this.#info(`replace the unstable entries from index ${first.index}`)
        this.#entries = []
        this.#offset = first.index
        this.#offsetInProgress = first.index
      } else {
        this.#info(`truncate the unstable entries before index ${first.index}`)
        this.#entries.length = first.index - this.#offset
        this.#offsetInProgress = Math.min(this.#offsetInProgress, first.index)
      }
    }
    for (const entry of entries) this.#entries.push(entry)
  }

  #info(text: string): void {
    this.#logger.log('info', text)
  }
}
