import type { Batch, Recovered } from '@conclave/journal'
import type { Asked } from './witness.ts'

/** The founding snapshot, which every member of a new group begins with. */
const founding = { index: 1, term: 1 }

/** What a member's log looks like, as far as it was told: a term for each index, and the hard state. */
export class LogModel {
  /** The log begins behind this. */
  #base = founding.index
  #baseTerm = founding.term
  #terms: number[] = []
  /** What the newest snapshot stands for. */
  snapshotIndex = founding.index
  term = 0
  vote = 0

  static of(recovered: Recovered): LogModel {
    const model = new LogModel()
    const { snapshot, hardState, entries } = recovered
    if (snapshot !== undefined) model.#snapshot(snapshot.meta)
    model.do({ do: 'append', batch: { entries, ...(hardState && { hardState }) } })
    return model
  }

  get last(): number {
    return this.#base + this.#terms.length
  }

  termAt(index: number): number | undefined {
    return index === this.#base ? this.#baseTerm : this.#terms[index - this.#base - 1]
  }

  /** Whether it has this entry, or something that stands for it. */
  holds(index: number, term: number): boolean {
    return index <= this.snapshotIndex || index < this.#base || this.termAt(index) === term
  }

  copy(): LogModel {
    return Object.assign(new LogModel(), {
      snapshotIndex: this.snapshotIndex,
      term: this.term,
      vote: this.vote,
    }).#take(this)
  }

  do(work: Asked): this {
    if (work.do === 'append') this.#append(work.batch)
    else this.#snapshot(work.meta)
    return this
  }

  /** Whether a journal in this state may recover as this. */
  recoversAs({ snapshot, hardState, entries }: Recovered): boolean {
    const from = snapshot?.meta.index ?? founding.index
    if (entries.length !== Math.max(0, this.last - from)) return false
    if (entries.some((entry, at) => entry.index !== from + 1 + at)) return false
    // In the place of a damaged snapshot, entries from before this model's time may stand again.
    if (entries.some(({ index, term }) => index > this.#base && this.termAt(index) !== term)) {
      return false
    }
    // A snapshot is of a term that the member must have seen.
    const isLifted = (snapshot?.meta.term ?? 0) > this.term
    const term = isLifted ? (snapshot?.meta.term ?? 0) : this.term
    const vote = isLifted ? 0 : this.vote
    return (hardState?.term ?? 0) === term && (hardState?.vote ?? 0) === vote
  }

  #take(other: LogModel): this {
    this.#base = other.#base
    this.#baseTerm = other.#baseTerm
    this.#terms = [...other.#terms]
    return this
  }

  #append({ hardState, entries }: Batch): void {
    this.term = hardState?.term ?? this.term
    this.vote = hardState?.vote ?? this.vote
    const [first] = entries
    if (first === undefined) return
    this.#terms.length = Math.max(0, Math.min(this.#terms.length, first.index - this.#base - 1))
    for (const { term } of entries) this.#terms.push(term)
  }

  #snapshot({ index, term }: { readonly index: number; readonly term: number }): void {
    if (index <= this.snapshotIndex) return
    this.snapshotIndex = index
    if (this.termAt(index) === term) return
    this.#base = index
    this.#baseTerm = term
    this.#terms = []
  }
}
