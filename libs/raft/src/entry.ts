/** Names a member of the Raft group: 1 to 2^53-1. 0 stands for none. Source: reference raft.md §4.1. */
export type NodeId = number

export const none: NodeId = 0

export type EntryType = 'EntryNormal' | 'EntryConfChange' | 'EntryConfChangeV2'

/** One position of the log. `data` is a command of the store, or an encoded configuration change. */
export interface Entry {
  readonly type: EntryType
  readonly term: number
  readonly index: number
  readonly data: Uint8Array
}

/** What must be on disk before a message that depends on it leaves. `commit` may lag behind. */
export interface HardState {
  readonly term: number
  readonly vote: NodeId
  readonly commit: number
}

/** Who votes and who only learns. While `votersOutgoing` is not empty, both majorities are needed. */
export interface ConfState {
  readonly voters: readonly NodeId[]
  readonly votersOutgoing: readonly NodeId[]
  readonly learners: readonly NodeId[]
  readonly learnersNext: readonly NodeId[]
  readonly autoLeave: boolean
}

export interface SnapshotMeta {
  readonly index: number
  readonly term: number
  readonly confState: ConfState
}

/**
 * The state machine at `meta.index`, which stands for every entry up to there. The core sees no more of
 * it than this: what the machine's state is travels and lies beside (reference raft.md §6.4).
 */
export interface Snapshot {
  readonly meta: SnapshotMeta
}
