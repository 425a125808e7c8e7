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
export { decodeRecord, encodeRecord, RecordUnreadable } from './record.ts'
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

export { ownLabelPrefix, secretDriverLabel } from './secret-driver.ts'
export { CommandInfo, Environment, EnvironmentVariable, Uri } from './mesos/command.ts'
export {
  ContainerInfo,
  DockerImage,
  DockerInfo,
  Image,
  NetworkInfo,
  ContainerService,
  Volume,
  VolumeFile,
  VolumeSource,
} from './mesos/container.ts'
export { AgentCall, agentCallProblem, ProcessIo, type AgentCallType } from './mesos/agent-call.ts'
export {
  AgentResponse,
  type AgentContainer,
  type AgentExecutors,
  type AgentFrameworks,
  type AgentTasks,
} from './mesos/agent-response.ts'
export {
  ExecutorCall,
  executorCallProblem,
  ExecutorEvent,
  parseExecutorCall,
} from './mesos/executor.ts'
export { ContainerConfig, ContainerLaunchInfo } from './mesos/containerizer.ts'
export { volumeProblem } from './mesos/volume-problem.ts'
export { ContainerId, containerIdProblem, Id, idProblem } from './mesos/id.ts'
export { Labels } from './mesos/labels.ts'
export {
  asciiJson,
  CallMalformed,
  mapParts,
  parse,
  parseOurs,
  partsIn,
  schemaOf,
  toJson,
  type JsonObject,
  type Writing,
  type AnyMessage,
  type Message,
} from './mesos/message.ts'
export {
  ClusterStatus,
  DrainInfo,
  InverseOffer,
  MachineId,
  MaintenanceSchedule,
  MaintenanceWindow,
  Unavailability,
} from './mesos/maintenance.ts'
export { Filters, Offer, Operation } from './mesos/offer.ts'
export { OperationState, OperationStatus } from './mesos/operation-status.ts'
export {
  AgentState,
  FrameworkState,
  MasterEvent,
  MasterResponse,
  type GetAgents,
  type GetExecutors,
  type GetFrameworks,
  type GetRoles,
  type GetState,
  type GetTasks,
} from './mesos/operator-response.ts'
export { masterCallProblem, MasterCall, parseMasterCall } from './mesos/operator.ts'
export {
  Address as MesosAddress,
  AgentInfo,
  FrameworkInfo,
  hasCapability,
  isLeaky,
  leakyAttribute,
  MasterInfo,
  rolesOf,
  type FrameworkCapability,
} from './mesos/participants.ts'
export { addScalars, Attribute, Items, Ranges, Resource, Scalar } from './mesos/resource.ts'
export { fromProtobuf } from './mesos/protobuf/decode.ts'
export { toProtobuf } from './mesos/protobuf/encode.ts'
export { redactShown } from './mesos/redact.ts'
export { roleProblem } from './mesos/role.ts'
export {
  callProblem,
  encodeEvent,
  isUuid,
  parseCall,
  parseEvent,
  principalProblem,
  SchedulerCall,
  SchedulerEvent,
} from './mesos/scheduler.ts'
export {
  changeSealed,
  dropSecretValues,
  openSecrets,
  sealSecrets,
  SealedValue,
  Secret,
  SecretReference,
  SecretValue,
  wipeSecrets,
} from './mesos/secret.ts'
export { statusWords } from './mesos/status-words.ts'
export { nullBytesProblem, secretProblem, variableProblem } from './mesos/secret-problem.ts'
export {
  CheckInfo,
  DiscoveryInfo,
  DurationInfo,
  ExecutorInfo,
  HealthCheck,
  KillPolicy,
  Task,
  TaskGroupInfo,
  TaskInfo,
  TaskSpec,
} from './mesos/task-info.ts'
export {
  ContainerStatus,
  isTerminal,
  taskReasons,
  TaskState,
  TaskStatus,
  type TaskReason,
} from './mesos/task-status.ts'
export {
  ArchiveWanted,
  exitCodeLabel,
  FromAgent,
  Resolution,
  TerminalSize,
  ToAgent,
} from './agent-protocol.ts'
export type { CallerKnown, RunningExecutor } from './executor-protocol.ts'
