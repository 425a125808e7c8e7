import type { NodeId, SnapshotMeta } from '@conclave/raft'
import { decodeCommand, type ApplyResult, type WatchBatch } from '@conclave/store'
import { NaiveStore } from '@conclave/store/testing'
import type { World } from './world.ts'

/**
 * Rule SI4: whoever applies an index applies the same, comes to the same, and what it comes to is what
 * the naive store says. The first to apply an index feeds the naive store, which so knows the history.
 */
export class StateChecker {
  readonly #world: World
  readonly #model: NaiveStore
  readonly #applied = new Map<
    number,
    { readonly data: Uint8Array; readonly outcome: string; readonly by: NodeId }
  >()
  readonly #snapshots = new Map<number, string>()
  /** What each revision changed, as the first that told of it did. */
  readonly #batches = new Map<number, string>()
  /** The revision that watchers of each member were told of last. */
  readonly #told = new Map<NodeId, number>()

  constructor(world: World, sessionsMax: number) {
    this.#world = world
    this.#model = new NaiveStore(sessionsMax)
  }

  get revision(): number {
    return this.#model.revision
  }

  applied(member: NodeId, index: number, data: Uint8Array, result: ApplyResult): void {
    const outcome = JSON.stringify(result)
    const first = this.#applied.get(index)
    if (first === undefined) {
      this.#applied.set(index, { data, outcome, by: member })
      const expected = this.#model.apply(decodeCommand(data))
      if (!isSame(expected, result)) {
        this.#world.violate(
          'SI4',
          `entry ${index} came to ${outcome} on member ${member}, and should to ${JSON.stringify(expected)}`,
        )
      }
      return
    }
    if (Buffer.compare(first.data, data) !== 0) {
      this.#world.violate('SI4', `members ${first.by} and ${member} apply different ${index}`)
    } else if (first.outcome !== outcome) {
      this.#world.violate(
        'SI4',
        `entry ${index} came to ${first.outcome} on member ${first.by}, and to ${outcome} on ${member}`,
      )
    }
  }

  saving(member: NodeId, { index, confState }: SnapshotMeta, contentHash: string): void {
    const hash = `${JSON.stringify(confState)} ${contentHash}`
    const known = this.#snapshots.get(index) ?? hash
    this.#snapshots.set(index, known)
    if (known !== hash) {
      this.#world.violate('SI4', `member ${member} has another state at index ${index}`)
    }
  }

  /** The member has this state at once, and tells of no revision up to this one. */
  restored(member: NodeId, revision: number): void {
    this.#told.set(member, revision)
  }

  /** Watchers of this member are told of a revision. */
  told(member: NodeId, { revision, events }: WatchBatch): void {
    const before = this.#told.get(member) ?? 0
    this.#told.set(member, revision)
    if (revision !== before + 1) {
      this.#world.violate('SI4', `member ${member} tells of revision ${revision} after ${before}`)
    }
    const text = JSON.stringify(
      events.map((event) => [
        event.type,
        event.key,
        event.type === 'put' ? valueText(event.kv.value) : '',
      ]),
    )
    const known = this.#batches.get(revision) ?? text
    this.#batches.set(revision, known)
    if (known !== text) {
      this.#world.violate('SI4', `member ${member} tells something else of revision ${revision}`)
    }
  }

  /** What a key's value was at a revision, as {@link valueText}. */
  valueAt(key: string, revision: number): string | undefined {
    return valueText(this.#model.list(key, revision).find((kv) => kv.key === key)?.value)
  }

  /** How often each value was put, in all of the history. */
  putCounts(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>()
    // The naive store keeps all it ever was, compacted or not.
    for (const { events } of this.#model.history('', 1)) {
      for (const event of events) {
        if (event.type !== 'put') continue
        const text = valueText(event.kv.value) ?? ''
        counts.set(text, (counts.get(text) ?? 0) + 1)
      }
    }
    return counts
  }

  /** The newest state, key by key. */
  newest(): ReadonlyMap<string, string | undefined> {
    return new Map(this.#model.list('').map(({ key, value }) => [key, valueText(value)]))
  }
}

/** A value as something that can be compared. */
export const valueText = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString('base64')

const isSame = (expected: ApplyResult, result: ApplyResult): boolean =>
  expected.revision === result.revision &&
  expected.succeeded === result.succeeded &&
  expected.rejection === result.rejection &&
  expected.failedCompare === result.failedCompare &&
  expected.isReplay === result.isReplay &&
  expected.responses.length === result.responses.length &&
  expected.responses.every((response, at) => response === result.responses[at])
