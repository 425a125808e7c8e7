import type { ClusterEffect, RecordChange } from '@conclave/cluster'

export interface EffectQueueOptions {
  /** Resolves once the changes are in the log; an effect behind them never happens if it rejects. */
  readonly commit: (changes: readonly RecordChange[]) => Promise<void>
  readonly perform: (effect: Exclude<ClusterEffect, { do: 'commit' }>) => void
  readonly onFailed: (error: unknown) => void
}

type Item =
  | { readonly kind: 'effect'; readonly effect: Exclude<ClusterEffect, { do: 'commit' }> }
  | { readonly kind: 'commit'; isInLog: boolean }

/**
 * Carries out what the cluster's core decides, in its order: whatever stands behind a commit happens
 * only once that is in the log. Commits do not wait for each other's answers, which is what lets many
 * of them share one round of the group.
 */
export class EffectQueue {
  readonly #options: EffectQueueOptions
  #items: Item[] = []
  #lastCommit: Promise<void> = Promise.resolve()
  #isOver = false

  constructor(options: EffectQueueOptions) {
    this.#options = options
  }

  push(effects: readonly ClusterEffect[]): void {
    for (const effect of effects) {
      if (this.#isOver) return
      if (effect.do === 'commit') this.#commit(effect.changes)
      else this.#items.push({ kind: 'effect', effect })
    }
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
  }

  #commit(changes: readonly RecordChange[]): void {
    const item: Item = { kind: 'commit', isInLog: false }
    this.#items.push(item)
    const inLog = this.#options.commit(changes)
    this.#lastCommit = new Promise((resolve) => {
      void this.#await(inLog, item, resolve)
    })
  }

  async #await(
    inLog: Promise<void>,
    item: { isInLog: boolean },
    settle: () => void,
  ): Promise<void> {
    try {
      await inLog
    } catch (error) {
      if (this.#isOver) return
      this.end()
      this.#options.onFailed(error)
      return
    }
    if (this.#isOver) return
    item.isInLog = true
    this.#run()
    settle()
  }

  #run(): void {
    for (let item = this.#items[0]; item !== undefined; item = this.#items[0]) {
      if (item.kind === 'commit' && !item.isInLog) return
      this.#items.shift()
      if (item.kind === 'effect') this.#options.perform(item.effect)
    }
  }
}
