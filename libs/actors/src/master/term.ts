import {
  ClusterCore,
  clusterPrefix,
  type ClusterInput,
  type ClusterOptions,
  type RecordChange,
} from '@conclave/cluster'
import { uuid, type Random } from '@conclave/kernel'
import type { EventDraft } from '@conclave/model'
import { EpochStale, type Compare, type Op } from '@conclave/store'
import { EffectQueue, type EffectQueueOptions } from './effect-queue.ts'
import { epochKey, EpochRecord } from './master-records.ts'
import { encodeRecord, Records } from './record.ts'
import { isStill, type Replicated } from './replicated.ts'

export interface TermOptions {
  readonly term: number
  readonly replicated: Replicated
  readonly random: Random
  readonly cluster: Omit<ClusterOptions, 'records'>
  /** Commits what a new cluster begins with; `claim` holds for as long as this master leads. */
  readonly found: (claim: Compare) => Promise<void>
  readonly perform: EffectQueueOptions['perform']
  readonly emit: (draft: EventDraft) => void
  readonly onReady: () => void
  /** The term is over for this master, or never began: its core is not to be asked again. */
  readonly onOver: (error: unknown) => void
}

/**
 * One master's time as the leader. It begins by writing its name into the epoch, behind everything
 * that was ever agreed; every commit of its core then compares the epoch and counts it on. So once
 * another master has begun, nothing that this one decided can be committed any more, in any order.
 */
export class Term {
  readonly #options: TermOptions
  readonly #queue: EffectQueue
  #epoch: EpochRecord
  #core: ClusterCore | undefined
  #isOver = false

  constructor(options: TermOptions) {
    this.#options = options
    this.#epoch = { term: options.term, writer: uuid(options.random), sequence: 0 }
    this.#queue = new EffectQueue({
      commit: (changes) => this.#commit(changes),
      perform: options.perform,
      onFailed: (error) => this.#fail(error),
    })
  }

  get term(): number {
    return this.#options.term
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Undefined until the records of all earlier terms are here, and again once the term is over. */
  get core(): ClusterCore | undefined {
    return this.#isOver ? undefined : this.#core
  }

  /** The claim that this master still leads. */
  get claim(): Compare {
    return { key: epochKey, target: 'value', is: '=', operand: encodeRecord(this.#epoch) }
  }

  async begin(): Promise<void> {
    try {
      await this.#takeOver()
      await this.#options.found(this.claim)
      if (this.#isOver) return
      const records = this.#options.replicated.view.list(clusterPrefix).kvs
      this.#core = new ClusterCore({ ...this.#options.cluster, records })
      this.flush()
      this.#options.onReady()
    } catch (error) {
      this.#fail(error)
    }
  }

  step(input: ClusterInput): void {
    this.core?.step(input)
    this.flush()
  }

  /** Carries out what the core decided since the last time. */
  flush(): void {
    const { core } = this
    if (core !== undefined) this.#queue.push(core.takeEffects())
  }

  /** Resolves once all that was decided so far is in the log. Never, when the term ends before. */
  settled(): Promise<void> {
    return this.#queue.settled()
  }

  end(): void {
    this.#isOver = true
    this.#queue.end()
  }

  /** @throws EpochStale when a later term has begun */
  async #takeOver(): Promise<void> {
    const { replicated, term } = this.#options
    const epochs = new Records(replicated.view, EpochRecord)
    for (;;) {
      const known = epochs.get(epochKey)
      if (known !== undefined && known.record.term > term) {
        throw new EpochStale(term, known.record.term)
      }
      const committed = await replicated.commit({
        compare: [isStill(epochKey, known)],
        success: [{ do: 'put', key: epochKey, value: encodeRecord(this.#epoch) }],
      })
      if (committed !== undefined) return
      await replicated.refresh()
    }
  }

  async #commit(changes: readonly RecordChange[]): Promise<void> {
    const { claim } = this
    this.#epoch = { ...this.#epoch, sequence: this.#epoch.sequence + 1 }
    const committed = await this.#options.replicated.commit({
      compare: [claim],
      success: [
        { do: 'put', key: epochKey, value: encodeRecord(this.#epoch) },
        ...changes.map(({ key, value }): Op =>
          value === undefined ? { do: 'delete', key } : { do: 'put', key, value },
        ),
      ],
    })
    if (committed === undefined) throw new EpochStale(this.#options.term, this.#options.term)
  }

  #fail(error: unknown): void {
    if (this.#isOver) return
    this.end()
    this.#options.onOver(error)
  }
}
