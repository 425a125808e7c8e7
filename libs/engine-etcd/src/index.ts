export { EtcdClient, type CallKind, type EtcdClientOptions } from './client/etcd-client.ts'
export { EtcdElection, type EtcdLeadership } from './client/etcd-election.ts'
export type { EtcdBatch } from './client/etcd-watch.ts'
export { prefixEnd, prefixRange } from './client/key-range.ts'
export {
  EtcdCompacted,
  EtcdMalformed,
  EtcdRefused,
  EtcdUnreachable,
  EtcdUrlInvalid,
  grpcCode,
} from './errors.ts'
export { defaultEtcdLimits, EtcdStore } from './etcd-store.ts'
export { EtcdGroup, type EtcdGroupOptions } from './masters/etcd-group.ts'
export { parseEtcdUrl, type EtcdPlace } from './etcd-url.ts'
export type { EtcdTls } from './wire/grpc-connection.ts'
export type {
  EtcdCompare,
  EtcdEvent,
  EtcdKeyValue,
  EtcdOp,
  EtcdOpResult,
  EtcdRange,
  EtcdTxn,
  EtcdTxnResult,
  RangeRequest,
  RangeResponse,
  WatchRequest,
} from './wire/messages.ts'
