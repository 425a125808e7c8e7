export { commandFormat, decodeCommand, encodeCommand } from './command.ts'
export { Compacted, EpochStale, RevisionAhead, SnapshotMalformed, TxnInvalid } from './errors.ts'
export type { Lease } from './leases.ts'
export type { Outcome, Rejection } from './sessions.ts'
export type { SnapshotWriter } from './snapshot-state.ts'
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
export type { KeyValue, ListOptions, ListResult, View, WatchBatch, WatchEvent } from './view.ts'
