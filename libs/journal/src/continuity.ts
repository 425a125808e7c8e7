import type { Entry, HardState } from '@conclave/raft'

/** What one append carries. */
export interface Batch {
  readonly hardState?: HardState
  readonly entries: readonly Entry[]
}

/**
 * Knows what may follow in a log: recovery asks it about every record it reads, and the journal about
 * every batch it is given, so that nothing is written which would not be read back.
 *
 * 1. Indices have no gap, and never reach back to what a snapshot stands for.
 * 2. Terms never go down, neither from entry to entry nor from one hard state to the next.
 * 3. A vote, once given, stays for its term.
 *
 * Where older segments were removed, the log begins in the middle of a story: with a snapshot that
 * stood for less than what was known then, or with entries that somebody later wrote over from further
 * back. Until {@link settle}, such records move the beginning; a snapshot must reach to it in the end.
 */
export class Continuity {
  #isBeginningKnown: boolean
  #hasEntries = false
  /** The index before the first entry; undefined while nothing is known about the log. */
  #base: number | undefined
  #last = 0
  /** Where each term begins, in ascending order. Few, because a term has many entries. */
  #terms: { readonly from: number; readonly term: number }[] = []
  #hardState: HardState | undefined

  /** @param isBeginningKnown false when older segments were removed */
  constructor(isBeginningKnown = true) {
    this.#isBeginningKnown = isBeginningKnown
  }

  /** All that was written has been read: from now on the log goes on from here. */
  settle(): void {
    this.#isBeginningKnown = true
  }

  get base(): number | undefined {
    return this.#base
  }

  /** 0 while the log is empty and unknown. */
  get lastIndex(): number {
    return this.#last
  }

  get hardState(): HardState | undefined {
    return this.#hardState
  }

  /** Takes `batch` in, or says why it may not follow and changes nothing. */
  accept(batch: Batch): string | undefined {
    const objection = this.#objectToHardState(batch.hardState) ?? this.#objectTo(batch.entries)
    if (objection !== undefined) return objection
    this.#hardState = batch.hardState ?? this.#hardState
    const [first] = batch.entries
    if (first === undefined) return undefined
    if (this.#beginsWith(first)) {
      this.#base = first.index - 1
      this.#terms = []
    }
    this.#hasEntries = true
    while ((this.#terms.at(-1)?.from ?? 0) >= first.index) this.#terms.pop()
    for (const { index, term } of batch.entries) {
      if (this.#terms.at(-1)?.term !== term) this.#terms.push({ from: index, term })
    }
    this.#last = first.index + batch.entries.length - 1
    return undefined
  }

  /**
   * Whether a snapshot up to `index` takes the place of the whole log (Raft §7). Entries behind it stay
   * when the log agrees with it there.
   */
  isReplacedBy(index: number, term: number): boolean {
    const base = this.#base
    if (base === undefined || (index >= base && index > this.#last)) return true
    const known = this.#termAt(index)
    return known !== undefined && known !== term
  }

  /** Takes in that a snapshot stands for everything up to `index`, and perhaps for the whole log. */
  snapshot(index: number, term: number, isReplacing: boolean): void {
    // A log that begins with a snapshot goes on behind it, or further on when entries are gone.
    // And what one snapshot stood for may be gone when the next one is spoken of: then that one counts.
    const isNewBeginning = !this.#hasEntries && index > this.#last
    if (!isReplacing && this.#base !== undefined && !isNewBeginning) return
    this.#base = index
    this.#last = index
    this.#terms = [{ from: index, term }]
    if (isReplacing) this.#isBeginningKnown = true
  }

  /** Whether the log begins here, as far as can be told. */
  #beginsWith({ index }: Entry): boolean {
    if (this.#base === undefined) return true
    if (this.#isBeginningKnown) return false
    return index <= this.#base || (!this.#hasEntries && index > this.#last + 1)
  }

  #termAt(index: number): number | undefined {
    return this.#terms.findLast(({ from }) => from <= index)?.term
  }

  #objectToHardState(next: HardState | undefined): string | undefined {
    const now = this.#hardState
    if (next === undefined || now === undefined) return undefined
    if (next.term < now.term) return `term ${next.term} follows term ${now.term}`
    if (next.term > now.term || now.vote === 0 || next.vote === now.vote) return undefined
    return `the vote of term ${now.term} changes`
  }

  #objectTo(entries: readonly Entry[]): string | undefined {
    const [first] = entries
    if (first === undefined) return undefined
    const isFollowing = this.#beginsWith(first)
      ? first.index > 0
      : first.index > (this.#base ?? 0) && first.index <= this.#last + 1
    if (!isFollowing) return `entry ${first.index} follows a log that ends at ${this.#last}`
    let term = this.#termAt(first.index - 1) ?? 0
    let { index } = first
    for (const entry of entries) {
      if (entry.index !== index) return `entry ${entry.index} stands where ${index} should`
      if (entry.term < term) return `entry ${index} has term ${entry.term} after term ${term}`
      term = entry.term
      index++
    }
    return undefined
  }
}
