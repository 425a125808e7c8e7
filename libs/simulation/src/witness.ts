import type { ConfState, Message, NodeId, SnapshotMeta } from '@conclave/raft'
import type { ApplyResult, WatchBatch } from '@conclave/store'
import type { Batch, Recovered } from '@conclave/journal'

/** What a member asks of its journal. */
export type Asked =
  | { readonly do: 'append'; readonly batch: Batch }
  | { readonly do: 'snapshot'; readonly meta: SnapshotMeta; readonly contentHash: string }

/** One look at a member's replica, after each event. */
export interface Sight {
  readonly role: string
  readonly term: number
  readonly commitIndex: number
  readonly appliedIndex: number
  /** As applied. */
  readonly config: ConfState
}

/** Whoever judges a run is told this. It sees what members do, and never says anything to them. */
export interface Witness {
  /** @param isTamperedWith whether bits on its disk were changed behind its back */
  recovered(member: NodeId, recovered: Recovered, isTamperedWith: boolean): void
  asked(member: NodeId, work: Asked): void
  /** This is to be written next, while it knows that so much is committed. */
  taken(member: NodeId, batch: Batch, commitIndex: number): void
  /** The journal has said that it is durable. */
  durable(member: NodeId, work: Asked): void
  sending(member: NodeId, message: Message): void
  applied(member: NodeId, index: number, data: Uint8Array, result: ApplyResult): void
  /** Its store has become the state of this revision at once: when it is new, and by snapshots. */
  restored(member: NodeId, revision: number): void
  /** What its store tells watchers. */
  told(member: NodeId, batch: WatchBatch): void
}
