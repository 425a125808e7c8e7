import { snapshotChunkBytes } from '@conclave/store'

export interface ReplicaLimits {
  readonly electionTicks: number
  readonly heartbeatTicks: number
  /**
   * When the first in line stands for election after its start, unless it has heard of a leader; the
   * others follow one after the other. A group that starts whole need not wait for a silence, then.
   */
  readonly firstElectionTicks: number
  /** How long a proposal or a read waits before its caller is told. */
  readonly deadlineTicks: number
  /**
   * Proposals under way; more wait for their turn. The store remembers a bounded number of sessions,
   * and all masters together must not have more at once, or a resend could be taken for a new one.
   */
  readonly proposalsMax: number
  /** How much of the log goes to a peer in one message: at least one entry, whatever its size. */
  readonly messageSizeBytes: number
  /** How many such messages may be on their way to a peer. */
  readonly inflightMessages: number
  /** How long a snapshot on its way to a peer may make no progress before it is taken for lost. */
  readonly snapshotSendTicks: number
  /** How many of its chunks may be on their way to a peer. */
  readonly snapshotWindow: number
  /** How large they are. */
  readonly snapshotChunkBytes: number
  /** A snapshot is taken after this many applied entries … */
  readonly snapshotEntries: number
  /** … or after this many bytes of them; of a large state, after a quarter of its size. */
  readonly snapshotBytes: number
  /** Entries kept behind a snapshot, so that a slow follower need not fetch it. */
  readonly trailingEntries: number
}

export const defaultReplicaLimits: ReplicaLimits = {
  electionTicks: 10,
  heartbeatTicks: 1,
  firstElectionTicks: Infinity,
  deadlineTicks: 400,
  proposalsMax: 1024,
  messageSizeBytes: 1024 * 1024,
  inflightMessages: 256,
  snapshotSendTicks: 300,
  snapshotWindow: 16,
  snapshotChunkBytes,
  snapshotEntries: 30_000,
  snapshotBytes: 16 * 1024 * 1024,
  trailingEntries: 1_000,
}
