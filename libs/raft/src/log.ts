import { invariant } from '@conclave/kernel'
import type { Entry, Snapshot } from './entry.ts'
import { type RaftError, compacted, unavailable } from './errors.ts'
import type { RaftLogger } from './logger.ts'
import { type RaftStorage, entriesSizeBytes } from './storage.ts'
import { Unstable } from './unstable.ts'

/** How much of the log one look takes in when it searches rather than sends. */
const scanBytesMax = 1 << 20

/**
 * The whole log: what is stable, and what is not yet.
 *
 * 1. `applied <= applying <= committed <= lastIndex()`, and none of them ever falls.
 * 2. No entry at or below `committed` is ever replaced.
 */
export class RaftLog {
  readonly unstable: Unstable
  readonly #storage: RaftStorage
  readonly #logger: RaftLogger
  #committed: number
  #applying: number
  #applied: number
  readonly #applyingBytesMax: number
  #applyingBytes = 0
  #isApplyingPaused = false

  constructor(storage: RaftStorage, logger: RaftLogger, applyingBytesMax: number) {
    this.#storage = storage
    this.#logger = logger
    this.#applyingBytesMax = applyingBytesMax
    this.unstable = new Unstable(storage.lastIndex() + 1, logger)
    this.#committed = storage.firstIndex() - 1
    this.#applying = this.#committed
    this.#applied = this.#committed
  }

  get committed(): number {
    return this.#committed
  }

  get applied(): number {
    return this.#applied
  }

  firstIndex(): number {
    return this.unstable.firstIndex() ?? this.#storage.firstIndex()
  }

  lastIndex(): number {
    return this.unstable.lastIndex() ?? this.#storage.lastIndex()
  }

  lastTerm(): number {
    const term = this.term(this.lastIndex())
    invariant(typeof term === 'number', 'the term of the last entry is known')
    return term
  }

  term(index: number): number | RaftError {
    const term = this.unstable.term(index)
    if (term !== undefined) return term
    if (index + 1 < this.firstIndex()) return compacted
    if (index > this.lastIndex()) return unavailable
    return this.#storage.term(index)
  }

  /** 0 for entries that are gone or not there yet. */
  termOrZero(index: number): number {
    const term = this.term(index)
    return typeof term === 'number' ? term : 0
  }

  matches(index: number, term: number): boolean {
    return this.term(index) === term
  }

  /** Whether a log that ends in (term, index) may lead this one. Source: Raft §5.4.1. */
  isUpToDate(term: number, index: number): boolean {
    const lastTerm = this.lastTerm()
    return term > lastTerm || (term === lastTerm && index >= this.lastIndex())
  }

  /** Entries from `lo` to the end, as many as fit into `bytesMax`, but at least one if there is one. */
  entriesFrom(lo: number, bytesMax: number): readonly Entry[] | RaftError {
    const last = this.lastIndex()
    return lo > last ? [] : this.slice(lo, last + 1, bytesMax)
  }

  /** Entries of `[lo, hi)`, as many as fit into `bytesMax`, but at least one. */
  slice(lo: number, hi: number, bytesMax: number): readonly Entry[] | RaftError {
    if (lo < this.firstIndex()) return compacted
    invariant(lo <= hi && hi <= this.lastIndex() + 1, 'the range lies within the log')
    if (lo === hi) return []
    const offset = this.unstable.offset
    if (lo >= offset) return this.unstable.slice(lo, hi, bytesMax)

    const cut = Math.min(hi, offset)
    const stable = this.#storage.entries(lo, cut, bytesMax)
    if (!isEntries(stable)) {
      invariant(stable === compacted, 'entries before the unstable ones are in the storage')
      return stable
    }
    if (hi <= offset || stable.length < cut - lo) return stable
    const rest = bytesMax - entriesSizeBytes(stable)
    if (rest <= 0) return stable
    const fresh = this.unstable.slice(offset, hi, rest)
    if (fresh.length === 1 && entriesSizeBytes(fresh) > rest) return stable
    return stable.concat(fresh)
  }

  /** Whether any entry of `[lo, hi)` fulfils `wanted`, read piece by piece. */
  some(lo: number, hi: number, wanted: (entry: Entry) => boolean): boolean {
    for (let from = lo; from < hi;) {
      const page = this.slice(from, hi, scanBytesMax)
      invariant(isEntries(page) && page.length > 0, 'unapplied entries are in the log')
      if (page.some(wanted)) return true
      from += page.length
    }
    return false
  }

  /**
   * Where a log whose entry at `index` has `term` may at best agree with this one: the largest index
   * up to `index` whose term is not larger. The term answered is 0 when it is not known.
   */
  findConflictByTerm(index: number, term: number): { index: number; term: number } {
    for (let at = index; at > 0; at--) {
      const ours = this.term(at)
      if (typeof ours !== 'number') return { index: at, term: 0 }
      if (ours <= term) return { index: at, term: ours }
    }
    return { index: 0, term: 0 }
  }

  /**
   * A leader's entries, to follow the one at (prevIndex, prevTerm). Answers the index up to which the
   * two logs now agree, or undefined when they already differ before that.
   *
   * Only a real conflict shortens the log. A message that is merely shorter, because it is old and
   * was overtaken, must not: what it lacks may already have been acknowledged.
   */
  appendAfter(
    prevIndex: number,
    prevTerm: number,
    entries: readonly Entry[],
    leaderCommit: number,
  ): number | undefined {
    if (!this.matches(prevIndex, prevTerm)) return undefined
    const lastNew = prevIndex + entries.length
    const conflict = this.#findConflict(entries)
    if (conflict !== 0) this.append(entries.slice(conflict - prevIndex - 1))
    this.commitTo(Math.min(leaderCommit, lastNew))
    return lastNew
  }

  append(entries: readonly Entry[]): void {
    const first = entries[0]
    if (first === undefined) return
    invariant(first.index > this.#committed, 'a committed entry is never replaced')
    this.unstable.truncateAndAppend(entries)
  }

  commitTo(index: number): void {
    if (index <= this.#committed) return
    invariant(index <= this.lastIndex(), 'nothing beyond the last entry is committed')
    this.#committed = index
  }

  /**
   * What a quorum has is committed when it is of the leader's own term; entries of older terms follow
   * with it, and never alone. Source: Raft §5.4.2.
   */
  maybeCommit(index: number, term: number): boolean {
    if (index <= this.#committed || !this.matches(index, term)) return false
    this.commitTo(index)
    return true
  }

  hasNextCommitted(mayBeUnstable: boolean): boolean {
    if (this.#isApplyingPaused || this.unstable.snapshot !== undefined) return false
    return this.#applying < this.#appliableIndex(mayBeUnstable)
  }

  /** What to apply next. @param mayBeUnstable false when entries are written by somebody else */
  nextCommitted(mayBeUnstable: boolean): readonly Entry[] {
    if (!this.hasNextCommitted(mayBeUnstable)) return []
    const room = this.#applyingBytesMax - this.#applyingBytes
    const hi = this.#appliableIndex(mayBeUnstable) + 1
    const entries = this.slice(this.#applying + 1, hi, room)
    invariant(isEntries(entries), 'entries that are not applied yet are in the log')
    return entries
  }

  acceptApplying(index: number, bytes: number, mayBeUnstable: boolean): void {
    invariant(index <= this.#committed, 'only what is committed is applied')
    this.#applying = index
    this.#applyingBytes += bytes
    // A page that did not hold everything must be finished before the next one is handed out.
    this.#isApplyingPaused =
      this.#applyingBytes >= this.#applyingBytesMax || index < this.#appliableIndex(mayBeUnstable)
  }

  appliedTo(index: number, bytes: number): void {
    invariant(
      index >= this.#applied && index <= this.#committed,
      'what is applied never falls, and never passes what is committed',
    )
    this.#applied = index
    this.#applying = Math.max(this.#applying, index)
    this.#applyingBytes = Math.max(0, this.#applyingBytes - bytes)
    this.#isApplyingPaused = this.#applyingBytes >= this.#applyingBytesMax
  }

  snapshot(): Snapshot | RaftError {
    return this.unstable.snapshot ?? this.#storage.snapshot()
  }

  restore(snapshot: Snapshot): void {
    const { index, term } = snapshot.meta
    this.#logger.log(
      'info',
      `log [${this.describe()}] starts to restore snapshot [index: ${index}, term: ${term}]`,
    )
    invariant(index > this.#committed, 'a snapshot does not take back what is committed')
    this.#committed = index
    this.unstable.restore(snapshot)
  }

  describe(): string {
    return [
      `committed=${this.#committed}`,
      `applied=${this.#applied}`,
      `applying=${this.#applying}`,
      `unstable.offset=${this.unstable.offset}`,
      `unstable.offsetInProgress=${this.unstable.offsetInProgress}`,
      `len(unstable.Entries)=${this.unstable.entryCount}`,
    ].join(', ')
  }

  #appliableIndex(mayBeUnstable: boolean): number {
    return mayBeUnstable ? this.#committed : Math.min(this.#committed, this.unstable.offset - 1)
  }

  /** The first of `entries` that this log does not have, 0 when it has all of them. */
  #findConflict(entries: readonly Entry[]): number {
    for (const entry of entries) {
      if (this.matches(entry.index, entry.term)) continue
      if (entry.index <= this.lastIndex()) {
        const existing = this.termOrZero(entry.index)
        this.#logger.log(
          'info',
          `found conflict at index ${entry.index} [existing term: ${existing}, conflicting term: ${entry.term}]`,
        )
      }
      return entry.index
    }
    return 0
  }
}

export const isEntries = (answer: readonly Entry[] | RaftError): answer is readonly Entry[] =>
  Array.isArray(answer)
