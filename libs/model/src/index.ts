export {
  AgentEvent,
  eventFields,
  type ConclaveEvent,
  type EventDraft,
  type EventType,
} from './event.ts'

export { AuditRecord } from './audit.ts'
export { Grant } from './grant.ts'
export {
  Acl,
  Action,
  coveringResources,
  Gid,
  Group,
  Principal,
  ResourceId,
  secretListResource,
  secretResource,
  superuserResource,
  Uid,
  User,
  type Permission,
  type Subject,
} from './identity.ts'
export { Run, RunOutcome, RunSpec } from './run.ts'
export {
  parseSecretFolder,
  parseSecretPath,
  PathInvalid,
  SecretKind,
  SecretMetadata,
  SecretPath,
  secretPathSizeBytesMax,
  secretSizeBytesMax,
  SecretVersion,
} from './secret.ts'
