export { commandFormat, decodeCommand, encodeCommand, isNewerCommand } from './command.ts'
export {
  CommandNewer,
  Compacted,
  Conflict,
  EpochStale,
  LeaseUnknown,
  OutcomeUnknown,
  RevisionAhead,
  SessionStale,
  SnapshotMalformed,
  TxnInvalid,
  Unavailable,
} from './errors.ts'
export { compareKeys } from './key-order.ts'
export { KeyWrites } from './key-writes.ts'
export type { Lease } from './leases.ts'
export { MachineStore, type Proposer } from './machine-store.ts'
export type {
  CasOptions,
  EngineLimits,
  EngineTraits,
  KeyOp,
  KeyTxn,
  ReadOptions,
  SecretStore,
  StoreStatus,
  TxnResult,
  WatchOptions,
  WriteOptions,
} from './secret-store.ts'
export type { Outcome, Rejection } from './sessions.ts'
export {
  snapshotChunkBytes,
  type SnapshotReader,
  type SnapshotWriter,
  type State as StoreState,
} from './snapshot-state.ts'
export { Mirror, type MirrorChange } from './mirror.ts'
export { snapshotOf, StateDigest, type StateRecord } from './state-record.ts'
export { StoreMachine, type ApplyResult } from './store.ts'
export {
  checkTxn,
  defaultStoreLimits,
  type Command,
  type Compare,
  type CompareOperator,
  type Op,
  type SessionRef,
  type StoreLimits,
  type Txn,
} from './txn.ts'
export type {
  KeyValue,
  ListOptions,
  ListResult,
  LiveView,
  View,
  WatchBatch,
  WatchEvent,
} from './view.ts'
