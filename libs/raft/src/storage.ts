import { invariant } from '@conclave/kernel'
import type { ConfState, Entry, HardState, NodeId, Snapshot } from './entry.ts'
import { type RaftError, compacted, snapshotOutdated, unavailable } from './errors.ts'
import { emptyConfig } from './membership.ts'

/** What the core reads of the stable log. Writing is up to whoever carries out a Ready. */
export interface RaftStorage {
  initialState(): [HardState, ConfState]
  /** The first entry that can be read: the one after the snapshot or the last compaction. */
  firstIndex(): number
  lastIndex(): number
  /** Also known for `firstIndex() - 1`, so that the entry after it can be checked. */
  term(index: number): number | RaftError
  /** Entries of `[lo, hi)`, as many as fit into `bytesMax`, but at least one. */
  entries(lo: number, hi: number, bytesMax: number): readonly Entry[] | RaftError
  snapshot(): Snapshot | RaftError
}

const emptyHardState: HardState = { term: 0, vote: 0, commit: 0 }

export const emptySnapshot: Snapshot = {
  meta: { index: 0, term: 0, confState: emptyConfig },
}

/**
 * The snapshot that every founding member starts from, the same on each: without it a group of many
 * could not agree who they are. It stands for a machine that has done nothing. Its term is 1, so entries of the first leader never precede it.
 */
export const foundingSnapshot = (voters: readonly NodeId[]): Snapshot => ({
  meta: {
    index: 1,
    term: 1,
    confState: { ...emptyConfig, voters: [...voters].sort((a, b) => a - b) },
  },
})

/** What an entry counts for in every limit: its data, and a fair guess at what surrounds it. */
const entrySizeBytes = (entry: Entry): number => entry.data.length + 16

export function entriesSizeBytes(entries: readonly Entry[]): number {
  let bytes = 0
  for (const entry of entries) bytes += entrySizeBytes(entry)
  return bytes
}

/** Where to stop in `entries[from, to)` to stay within `bytesMax`; at least one is let through. */
export function endWithin(
  entries: readonly Entry[],
  from: number,
  to: number,
  bytesMax: number,
): number {
  let bytes = 0
  for (let at = from; at < to; at++) {
    const entry = entries[at]
    invariant(entry !== undefined, 'the range lies within the entries')
    bytes += entrySizeBytes(entry)
    if (bytes > bytesMax && at > from) return at
  }
  return to
}

/** The stable log in memory: a mirror of the journal live, and all there is in tests. */
export class MemoryStorage implements RaftStorage {
  #hardState: HardState = emptyHardState
  #snapshot: Snapshot = emptySnapshot
  /** The entry before the first one: what was compacted last, or what the snapshot stands for. */
  #before = { index: 0, term: 0 }
  #entries: Entry[] = []

  initialState(): [HardState, ConfState] {
    return [this.#hardState, this.#snapshot.meta.confState]
  }

  firstIndex(): number {
    return this.#before.index + 1
  }

  lastIndex(): number {
    return this.#before.index + this.#entries.length
  }

  term(index: number): number | RaftError {
    if (index < this.#before.index) return compacted
    if (index === this.#before.index) return this.#before.term
    return this.#entries[index - this.#before.index - 1]?.term ?? unavailable
  }

  entries(lo: number, hi: number, bytesMax: number): readonly Entry[] | RaftError {
    if (lo <= this.#before.index) return compacted
    invariant(hi <= this.lastIndex() + 1, 'entries beyond the last one are asked for')
    if (this.#entries.length === 0) return unavailable
    const from = lo - this.#before.index - 1
    const to = hi - this.#before.index - 1
    return this.#entries.slice(from, endWithin(this.#entries, from, to, bytesMax))
  }

  snapshot(): Snapshot | RaftError {
    return this.#snapshot
  }

  setHardState(hardState: HardState): void {
    this.#hardState = hardState
  }

  /** Entries may overlap what is there, and then replace it and everything after. */
  append(entries: readonly Entry[]): void {
    const first = entries[0]
    const last = entries.at(-1)
    if (first === undefined || last === undefined || last.index <= this.#before.index) return
    invariant(first.index <= this.lastIndex() + 1, 'an append leaves a gap in the log')
    const skipCount = Math.max(0, this.#before.index + 1 - first.index)
    const keepCount = Math.max(0, first.index - this.#before.index - 1)
    this.#entries.length = keepCount
    for (let at = skipCount; at < entries.length; at++) {
      const entry = entries[at]
      if (entry !== undefined) this.#entries.push(entry)
    }
  }

  /** Replaces everything: the log begins anew after the snapshot. */
  applySnapshot(snapshot: Snapshot): RaftError | undefined {
    if (snapshot.meta.index <= this.#snapshot.meta.index) return snapshotOutdated
    this.#snapshot = snapshot
    this.#before = { index: snapshot.meta.index, term: snapshot.meta.term }
    this.#entries = []
    return undefined
  }

  /** Remembers the state machine at `index`, which it must have applied. The log stays as it is. */
  createSnapshot(index: number, confState: ConfState): Snapshot | RaftError {
    if (index <= this.#snapshot.meta.index) return snapshotOutdated
    const term = this.term(index)
    if (typeof term !== 'number') return term
    this.#snapshot = { meta: { index, term, confState } }
    return this.#snapshot
  }

  /** Drops entries up to `index`, whose term is still known. It must have been applied. */
  compact(index: number): RaftError | undefined {
    if (index <= this.#before.index) return compacted
    const term = this.term(index)
    invariant(typeof term === 'number', 'compaction beyond the last entry')
    this.#entries = this.#entries.slice(index - this.#before.index)
    this.#before = { index, term }
    return undefined
  }
}
