export { beginAnew, type LogLeft } from './begin-anew.ts'
export {
  decodeConfChange,
  decodeMessage,
  encodeConfChange,
  encodeMessage,
  readConfState,
  writeConfState,
} from './codec.ts'
export {
  confChange,
  leaveJoint,
  type ConfChange,
  type ConfChangeSingle,
  type ConfChangeTransition,
  type ConfChangeType,
  type ConfChangeV1,
  type ConfChangeV2,
} from './conf-change.ts'
export type { RaftConfig, ReadOnlyOption } from './config.ts'
export {
  none,
  type ConfState,
  type Entry,
  type EntryType,
  type HardState,
  type NodeId,
  type Snapshot,
  type SnapshotMeta,
} from './entry.ts'
export {
  RaftError,
  compacted,
  localMessage,
  peerUnknown,
  proposalDropped,
  snapshotOutdated,
  snapshotUnavailable,
  unavailable,
  type RaftErrorCode,
} from './errors.ts'
export type { RaftLogger, RaftLogLevel } from './logger.ts'
export { allMembers, allVoters, isJoint, isMember } from './membership.ts'
export {
  APPEND_THREAD,
  APPLY_THREAD,
  message,
  messageTypes,
  waitsForDisk,
  type Message,
  type MessageType,
} from './message.ts'
export type { Progress, ProgressState } from './progress.ts'
export type { RaftRole, SoftState } from './raft.ts'
export { RawNode, type BasicStatus, type Status } from './raw-node.ts'
export type { ReadState } from './read-only.ts'
export type { Ready } from './ready.ts'
export { ContentDigest, chunkDigest } from './snapshot-content.ts'
export { MemoryStorage, foundingSnapshot, type RaftStorage } from './storage.ts'
