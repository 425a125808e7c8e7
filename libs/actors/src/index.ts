export { EmbeddedStore } from './embedded-store.ts'
export { EventLog } from './event-log.ts'
export {
  FrameworkActor,
  type FrameworkEffect,
  type FrameworkInput,
  type OfferSeen,
  type StatusSeen,
} from './framework/framework-actor.ts'
export type {
  AuthorityApi,
  AuthorityStatus,
  HolderView,
  PromotionView,
} from './master/authority/authority-api.ts'
export type { FirstAuthority } from './master/authority/authority-founding.ts'
export { MemberRole } from './master/authority/authority-records.ts'
export type { Trust } from './master/authority/authority-state.ts'
export {
  kekContext,
  type CertificateRequest,
  type Enrolled,
  type EnrolmentApi,
  type EnrolRequest,
  type Issued,
  type MasterSeen,
  type Shown,
  type Standing,
} from './master/authority/enrolment-api.ts'
export {
  AuthorityMissing,
  AuthorityRotating,
  HolderRefused,
  RenewalThrottled,
  HolderUnknown,
  ValidityInvalid,
} from './master/authority/errors.ts'
export type { Document, DocumentApi, DocumentInput } from './master/documents/document-api.ts'
export { MachineBody, machineKind } from './master/machines.ts'
export {
  DocumentChanged,
  DocumentExists,
  DocumentInvalid,
  DocumentNotFound,
} from './master/documents/errors.ts'
export type { Reservation, Reservations } from './master/authority/reservations.ts'
export type { AgentChannel } from './master/agents/agent-channel.ts'
export { principalOf } from './master/identity/credentials.ts'
export { sourceOf } from './master/identity/source-address.ts'
export {
  AccessDenied,
  LoginThrottled,
  MembershipBusy,
  MembershipRefused,
  NotLeader,
  OutcomeUnknown,
  PeerSilent,
  RunNotFound,
  RunNotYours,
  RunTaken,
  SecretChanged,
  SecretExists,
  SecretLabelsInvalid,
  SecretInUse,
  SecretNotFound,
  SecretTooLarge,
  SecretUnreadable,
  SpecInvalid,
  TaskAmbiguous,
  TaskNotFound,
  TaskNotRunning,
  Unavailable,
  VersionConflict,
} from './master/errors.ts'
export type { FirstIdentities } from './master/founding.ts'
export { foundingKey, FoundingRecord, keyringKey } from './master/master-records.ts'
export { lastTermIn, restoreChanges } from './master/state/restored-state.ts'
export { stateBoxContext, type StateApi, type StateLine } from './master/state/state-api.ts'
export { StateKeyInvalid } from './master/state/state-service.ts'
export { MasterActor, type MasterActorOptions } from './master/master-actor.ts'
export type * from './master/master-api.ts'
export type * from './master/operator-api.ts'
export { legacyEndpoints } from '@conclave/cluster'
export {
  AutolockOff,
  AutolockUnchanged,
  KekForeign,
  KeyringRotating,
  LockChanged,
  MasterLocked,
  NotLocked,
  UnlockRefused,
} from './master/keys/errors.ts'
export type * from './master/keys/lock-api.ts'
export { UnlockDoor } from './master/keys/unlock-door.ts'
export { MemberService } from './master/member-service.ts'
export { peersListener, type PeerPlace } from './master/members.ts'
export {
  callsTo,
  PeerAnswer,
  PeerQuestion,
  type CalledAt,
  type PeerAsk,
} from './master/peer-questions.ts'
export { FromSession, SessionOpening, ToSession, type PeerLine } from './master/peer-sessions.ts'
export { agentsListener, type MasterSettings } from './master/settings.ts'
export type {
  AuditSink,
  Certificates,
  CertificateWanted,
  Journal,
  KeyKeeper,
  Recovered,
  RootAuthority,
  SnapshotDisk,
  SnapshotSink,
  SnapshotSource,
  TokenKeys,
  WantedKeys,
  LoggingLevel,
} from './ports.ts'
export { loggingProblem } from './master/operator-service.ts'
export { defaultReplicaLimits, type ReplicaLimits } from './replica-limits.ts'
export { Replica, type ReplicaOptions, type ReplicaWork } from './replica.ts'
export type { MemberChange } from './config-changes.ts'
export type { Group, MemberProgress, Role } from './group.ts'
export {
  NodeNotFound,
  WorkloadConflict,
  WorkloadExists,
  WorkloadNoPrevious,
  WorkloadNotFound,
  WorkloadTaskNotFound,
} from './master/workloads/errors.ts'
export type * from './master/workloads/workload-api.ts'
export type * from './master/news/news-api.ts'
export { Signal } from './signal.ts'
export type { SnapshotToInstall, SnapshotUnderWay } from './snapshot/replica-snapshots.ts'
export { restoreStore } from './snapshot/restore-store.ts'
export {
  decodePeerMessage,
  encodePeerMessage,
  isSnapshotMessage,
  type PeerMessage,
  type SnapshotMessage,
} from './snapshot/snapshot-message.ts'
export * from './agent/index.ts'
