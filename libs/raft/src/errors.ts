import { ConclaveError } from '@conclave/kernel'

export type RaftErrorCode =
  | 'raft.proposal-dropped'
  | 'raft.local-message'
  | 'raft.peer-unknown'
  | 'raft.compacted'
  | 'raft.unavailable'
  | 'raft.snapshot-unavailable'
  | 'raft.snapshot-outdated'
  | 'raft.conf-change-refused'
  | 'raft.config-invalid'

/**
 * What the core answers when it declines something. `RawNode` and `RaftStorage` return these as
 * values, since declining is a decision; only a refused configuration is thrown.
 */
export class RaftError extends ConclaveError {
  readonly code: RaftErrorCode

  constructor(code: RaftErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

// One object for each, because they are answers on busy paths and a stack trace is not free.
// The texts are the ones of reference raft.md §4.1.

/** There is no leader to take it, the leader is on its way out, or too much is uncommitted. */
export const proposalDropped = new RaftError('raft.proposal-dropped', 'raft proposal dropped')
export const localMessage = new RaftError(
  'raft.local-message',
  'raft: cannot step raft local message',
)
/** A response from somebody outside the configuration. */
export const peerUnknown = new RaftError('raft.peer-unknown', 'raft: cannot step as peer not found')
export const compacted = new RaftError(
  'raft.compacted',
  'requested index is unavailable due to compaction',
)
export const unavailable = new RaftError(
  'raft.unavailable',
  'requested entry at index is unavailable',
)
export const snapshotUnavailable = new RaftError(
  'raft.snapshot-unavailable',
  'snapshot is temporarily unavailable',
)
export const snapshotOutdated = new RaftError(
  'raft.snapshot-outdated',
  'requested index is older than the existing snapshot',
)
