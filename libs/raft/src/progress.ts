import { invariant } from '@conclave/kernel'
import { Inflights } from './inflights.ts'

/**
 * `StateProbe`: where the peer's log ends is unknown, so one message at a time asks.
 * `StateReplicate`: it is known, so messages stream as far as the window allows.
 * `StateSnapshot`: the peer needs entries that are gone, and waits for a snapshot.
 */
export type ProgressState = 'StateProbe' | 'StateReplicate' | 'StateSnapshot'

export interface ProgressOptions {
  readonly match: number
  readonly next: number
  readonly inflightCountMax: number
  readonly inflightBytesMax: number
  readonly isLearner: boolean
  readonly isRecentlyActive: boolean
}

/**
 * What the leader believes about one member's log.
 *
 * 1. Entries up to `match` are known to be there; `match < next`, the first entry to send.
 * 2. In `StateSnapshot`, `next` is the entry after the pending snapshot.
 */
export class Progress {
  match: number
  next: number
  state: ProgressState = 'StateProbe'
  pendingSnapshot = 0
  /** Heard from since the last check of the quorum. */
  isRecentlyActive: boolean
  /** No more append messages until an answer, or a heartbeat's answer, arrives. */
  isPausedByFlow = false
  isLearner: boolean
  readonly inflights: Inflights
  /** The largest commit index that was sent and may have arrived. */
  #sentCommit = 0

  constructor(options: ProgressOptions) {
    invariant(options.match < options.next, 'match is below next')
    this.match = options.match
    this.next = options.next
    this.isLearner = options.isLearner
    this.isRecentlyActive = options.isRecentlyActive
    this.inflights = new Inflights(options.inflightCountMax, options.inflightBytesMax)
  }

  get isPaused(): boolean {
    return this.state === 'StateSnapshot' || this.isPausedByFlow
  }

  /** A term begins: forget everything but who this is. */
  restart(match: number, next: number): void {
    invariant(match < next, 'match is below next')
    this.match = match
    this.next = next
    this.isRecentlyActive = false
    this.#sentCommit = 0
    this.#enter('StateProbe')
  }

  becomeProbe(): void {
    // A snapshot that was pending may have arrived although its answer has not.
    const afterSnapshot = this.state === 'StateSnapshot' ? this.pendingSnapshot + 1 : 0
    this.#enter('StateProbe')
    this.#rewind(Math.max(this.match + 1, afterSnapshot))
  }

  becomeReplicate(): void {
    this.#enter('StateReplicate')
    this.next = this.match + 1
  }

  becomeSnapshot(index: number): void {
    this.#enter('StateSnapshot')
    this.pendingSnapshot = index
    this.next = index + 1
    this.#sentCommit = index
    invariant(this.match < this.next, 'match is below next')
  }

  sentEntries(count: number, bytes: number): void {
    if (this.state === 'StateReplicate') {
      if (count > 0) {
        this.next += count
        this.inflights.add(this.next - 1, bytes)
      }
      // With a full window this message served as a probe, and the next waits for an answer.
      this.isPausedByFlow = this.inflights.isFull
      return
    }
    invariant(this.state === 'StateProbe', 'nothing is sent while a snapshot is pending')
    if (count > 0) this.isPausedByFlow = true
  }

  sentCommit(commit: number): void {
    this.#sentCommit = commit
  }

  /** Whether telling the peer of `commit` moves it, given what was sent to it before. */
  wantsCommit(commit: number): boolean {
    return commit > this.#sentCommit && this.#sentCommit < this.next - 1
  }

  /** The peer has everything up to `index`. Answers whether that is news. */
  acknowledge(index: number): boolean {
    if (index <= this.match) return false
    this.match = index
    this.next = Math.max(this.next, index + 1)
    this.isPausedByFlow = false
    return true
  }

  /**
   * The peer refused what followed `rejected`. Answers false when the refusal is stale: an answer to
   * a message that later ones have overtaken.
   *
   * @param hint the largest index at which the logs may agree
   */
  backOff(rejected: number, hint: number): boolean {
    if (this.state === 'StateReplicate') {
      if (rejected <= this.match) return false
      this.#rewind(this.match + 1)
      return true
    }
    if (this.next - 1 !== rejected) return false
    this.#rewind(Math.max(Math.min(rejected, hint + 1), this.match + 1))
    this.isPausedByFlow = false
    return true
  }

  #rewind(next: number): void {
    this.next = next
    this.#sentCommit = Math.min(this.#sentCommit, next - 1)
    invariant(this.match < this.next, 'match is below next')
  }

  #enter(state: ProgressState): void {
    this.isPausedByFlow = false
    this.pendingSnapshot = 0
    this.state = state
    this.inflights.reset()
  }
}
