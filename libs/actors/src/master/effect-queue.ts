import type { ClusterEffect, RecordChange } from '@conclave/cluster'

export interface EffectQueueOptions {
  /** Resolves once the changes are in the log; an effect behind them never happens if it rejects. */
  readonly commit: (changes: readonly RecordChange[]) => Promise<void>
  readonly perform: (effect: Exclude<ClusterEffect, { do: 'commit' }>) => void
  readonly onFailed: (error: unknown) => void
}

/** Commits that go into the log as one transaction, in place of the first of them. */
interface Batch {
  readonly kind: 'batch'
  /** By key: of two changes of one record, the later one stands. */
  readonly changes: Map<string, RecordChange>
  sizeBytes: number
  isInLog: boolean
  readonly settled: PromiseWithResolvers<void>
}

type Item =
  | { readonly kind: 'effect'; readonly effect: Exclude<ClusterEffect, { do: 'commit' }> }
  | Batch

/**
 * How much is put together. Fewer changes than an etcd takes in a transaction; one commit that is larger
 * stays what it is.
 */
const changesMax = 100
const sizeBytesMax = 1024 * 1024

/**
 * Carries out what the cluster's core decides, in its order: whatever stands behind a commit happens
 * only once that is in the log. What is decided while a commit is under way goes into the next one
 * together, so five hundred tasks, or their statuses, are a few transactions and not five hundred.
 */
export class EffectQueue {
  readonly #options: EffectQueueOptions
  #items: Item[] = []
  /** What may still grow. It is the last batch in the queue. */
  #open: Batch | undefined
  #underWay = 0
  #lastCommit: Promise<void> = Promise.resolve()
  #isOver = false

  constructor(options: EffectQueueOptions) {
    this.#options = options
  }

  push(effects: readonly ClusterEffect[]): void {
    for (const effect of effects) {
      if (this.#isOver) return
      if (effect.do === 'commit') this.#gather(effect.changes)
      else this.#items.push({ kind: 'effect', effect })
    }
    if (this.#underWay === 0) this.#send()
    this.#run()
  }

  /** Resolves once every commit that was decided so far is in the log. Never, when the queue ended. */
  settled(): Promise<void> {
    return this.#lastCommit
  }

  /** Nothing happens after this. */
  end(): void {
    this.#isOver = true
    this.#items = []
    this.#open = undefined
  }

  #gather(changes: readonly RecordChange[]): void {
    const sizeBytes = changes.reduce((sum, { value }) => sum + (value?.length ?? 0), 0)
    const batch = this.#roomFor(changes.length, sizeBytes)
    for (const change of changes) batch.changes.set(change.key, change)
    batch.sizeBytes += sizeBytes
    this.#lastCommit = batch.settled.promise
  }

  /** What is full leaves at once: nothing would be gained by waiting. */
  #roomFor(count: number, sizeBytes: number): Batch {
    const open = this.#open
    const isRoom =
      open !== undefined &&
      open.changes.size + count <= changesMax &&
      open.sizeBytes + sizeBytes <= sizeBytesMax
    if (isRoom) return open
    this.#send()
    const batch: Batch = {
      kind: 'batch',
      changes: new Map(),
      sizeBytes: 0,
      isInLog: false,
      settled: Promise.withResolvers<void>(),
    }
    this.#open = batch
    this.#items.push(batch)
    return batch
  }

  #send(): void {
    const batch = this.#open
    this.#open = undefined
    if (batch !== undefined) void this.#carry(batch)
  }

  async #carry(batch: Batch): Promise<void> {
    this.#underWay++
    try {
      await this.#options.commit([...batch.changes.values()])
    } catch (error) {
      if (this.#isOver) return
      this.end()
      this.#options.onFailed(error)
      return
    }
    if (this.#isOver) return
    this.#underWay--
    batch.isInLog = true
    // Before what waited for it is done, which decides more.
    if (this.#underWay === 0) this.#send()
    this.#run()
    batch.settled.resolve()
  }

  #run(): void {
    for (let item = this.#items[0]; item !== undefined; item = this.#items[0]) {
      if (item.kind === 'batch' && !item.isInLog) return
      this.#items.shift()
      if (item.kind === 'effect') this.#options.perform(item.effect)
    }
  }
}
