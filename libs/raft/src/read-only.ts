import { packContext, unpackContext } from './context.ts'
import type { NodeId } from './entry.ts'
import type { Message } from './message.ts'
import { type Halves, jointCommitted } from './quorum.ts'

/** A read that may be served once the state machine has applied `index`. */
export interface ReadState {
  readonly index: number
  /** What the caller passed to `readIndex`. */
  readonly context: Uint8Array
}

export interface PendingRead {
  readonly request: Message
  /** What was committed when the request came. */
  readonly index: number
}

interface Round {
  readonly position: number
  readonly sentAtTick: number
}

/**
 * Reads that wait until a quorum has confirmed that this leader still is one.
 *
 * Each round of heartbeats carries a position; a peer that answers it confirms that position and all
 * before it. So one round confirms every read up to it, and the position that a quorum confirmed is
 * found by the same function as the index that a quorum has. Source: Raft thesis §6.4.
 */
export class ReadOnly {
  readonly #reads: PendingRead[] = []
  /** How many of `#reads` are done; they are cut off in bulk. */
  #doneCount = 0
  /** Positions of reads begin at 1 and grow by one with each round. */
  #newest = 0
  readonly #positions: number[] = []
  readonly #confirmed = new Map<NodeId, number>()
  readonly #confirmedBy = (id: NodeId): number => this.#confirmed.get(id) ?? 0
  /** Rounds whose confirmation would extend the lease, oldest first. */
  #rounds: Round[] = []
  #leaseFromTick: number | undefined

  get pendingCount(): number {
    return this.#reads.length - this.#doneCount
  }

  /** Remembers a read. The round that confirms it must begin now. */
  add(request: Message, index: number): void {
    this.#newest++
    this.#reads.push({ request, index })
    this.#positions.push(this.#newest)
  }

  /** Begins a round, which the leader itself confirms, and answers the context of its heartbeats. */
  beginRound(self: NodeId, sentAtTick: number, leaseTicks: number): Uint8Array {
    if (leaseTicks > 0) {
      this.#newest++
      this.#rounds = this.#rounds.filter((round) => sentAtTick - round.sentAtTick < leaseTicks)
      this.#rounds.push({ position: this.#newest, sentAtTick })
    }
    this.#confirmed.set(self, this.#newest)
    return packContext(this.#newest)
  }

  /** Whether heartbeats need a context at all: somebody waits for their answers. */
  isAwaited(leaseTicks: number): boolean {
    return this.pendingCount > 0 || leaseTicks > 0
  }

  /** A peer has answered the round with this context. */
  confirm(id: NodeId, context: Uint8Array): void {
    const [position] = unpackContext(context, 1) ?? []
    if (position === undefined || position > this.#newest) return
    if (position > this.#confirmedBy(id)) this.#confirmed.set(id, position)
  }

  /** The reads that a quorum has confirmed, in the order in which they came. */
  takeConfirmed(halves: Halves): readonly PendingRead[] {
    const position = jointCommitted(halves, this.#confirmedBy)
    this.#extendLease(position)
    let end = this.#doneCount
    while (end < this.#reads.length && (this.#positions[end] ?? Infinity) <= position) end++
    if (end === this.#doneCount) return []
    const taken = this.#reads.slice(this.#doneCount, end)
    this.#doneCount = end
    if (end === this.#reads.length || end > 1024) {
      this.#reads.splice(0, end)
      this.#positions.splice(0, end)
      this.#doneCount = 0
    }
    return taken
  }

  /** Whether a quorum answered a round that was sent less than `leaseTicks` ago. */
  holdsLease(nowTick: number, leaseTicks: number): boolean {
    return this.#leaseFromTick !== undefined && nowTick - this.#leaseFromTick < leaseTicks
  }

  #extendLease(position: number): void {
    let confirmedCount = 0
    for (const round of this.#rounds) {
      if (round.position > position) break
      this.#leaseFromTick = round.sentAtTick
      confirmedCount++
    }
    if (confirmedCount > 0) this.#rounds = this.#rounds.slice(confirmedCount)
  }
}
