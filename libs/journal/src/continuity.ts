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
 */
export class Continuity {
  /** The index before the first entry; undefined while nothing is known about the log. */
  #base: number | undefined
  #last = 0
  /** Where each term begins, in ascending order. Few, because a term has many entries. */
  #terms: { readonly from: number; readonly term: number }[] = []
  #hardState: HardState | undefined

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
    this.#base ??= first.index - 1
    while ((this.#terms.at(-1)?.from ?? 0) >= first.index) this.#terms.pop()
    for (const { index, term } of batch.entries) {
      if (this.#terms.at(-1)?.term !== term) this.#terms.push({ from: index, term })
    }
    this.#last = first.index + batch.entries.length - 1
    return undefined
  }

  /**
   * Takes in that a snapshot stands for everything up to `index`. Entries behind it stay when the log
   * agrees with it there; otherwise it replaces the whole log (Raft §7).
   */
  snapshot(index: number, term: number): 'kept' | 'dropped' {
    const base = this.#base
    if (base !== undefined && (index < base || index <= this.#last)) {
      const known = this.#termAt(index)
      if (known === undefined || known === term) return 'kept'
    }
    this.#base = index
    this.#last = index
    this.#terms = [{ from: index, term }]
    return 'dropped'
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
    const isFollowing =
      this.#base === undefined
        ? first.index > 0
        : first.index > this.#base && first.index <= this.#last + 1
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
