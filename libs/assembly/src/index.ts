export {
  areFree,
  chooseAddresses,
  MasterAddress,
  MasterPorts,
  urlsOf,
} from './cluster/addresses.ts'
export { agentOptionsOf, agentSettings, readAgentSettings } from './process/agent-settings.ts'
export { ClusterDirectoryUnusable, NoFreePort } from './cluster/errors.ts'
export { forgetKekAtRest, loadKekAtRest, saveKekAtRest } from './cluster/kek-at-rest.ts'
export { FirstIdentities } from './cluster/first-identities.ts'
export {
  agentDirectory,
  logFile,
  manifestFile,
  masterDirectory,
  runDirectory,
  schedulerDirectory,
} from './cluster/layout.ts'
export { ClusterManifest } from './cluster/manifest.ts'
export {
  startMemberAgent,
  usualResources,
  type MemberAgentOptions,
} from './cluster/member-agent.ts'
export {
  loadAccountKey,
  loadFirstIdentities,
  loadMember,
  MemberFileUnusable,
  type MemberIdentity,
} from './cluster/member-files.ts'
export {
  addressesFor,
  prepareCluster,
  readManifest,
  type ClusterPlan,
  type PreparedCluster,
} from './cluster/prepare-cluster.ts'
export {
  AuthorityNotPinned,
  enrol,
  EnrolmentConflict,
  type EnrolOptions,
  type Joined,
} from './join/enrol.ts'
export { Enrolment, loadEnrolment } from './join/enrolment-files.ts'
export { restoreCluster, type RestorableState } from './cluster/restore-cluster.ts'
export { JoinRefused, JoinUnreachable } from './join/join-client.ts'
export { EngineMismatch } from './master/home/engine-file.ts'
export { EngineUnusable, isEngineUrl, type EtcdEngine } from './master/home/etcd-engine.ts'
export { forgetCompileCache } from './process/compile-cache.ts'
export { engineOf, engineSettings } from './process/engine-settings.ts'
export type { MasterOptions, MasterPlace } from './master/master-options.ts'
export type { RunningMaster } from './master/master.ts'
export { isPeerWire, parsePeerWire, type PeerWire } from './master/peer-wire.ts'
export { isRemoved, MasterRemoved, NotLetIn } from './master/membership.ts'
export {
  DockerHostInvalid,
  DockerTlsIncomplete,
  parseDockerHost,
  type DockerDoors,
  type DockerHost,
  type DockerPort,
  type DockerTls,
} from './master/docker-doors.ts'
export { dockerSocketIn, type DockerSocket } from './master/docker-socket.ts'
export { startMaster } from './master/start-master.ts'
export { wishToBeginAnew } from './master/begin-anew.ts'
export type { Founded } from './docker-engine/docker-engine.ts'
export {
  startDockerEngine,
  type RunningDockerEngine,
  type StartDockerEngineOptions,
} from './docker-engine/start-docker-engine.ts'
export { LoginRefused, type MasterUrls, type ServiceAccount } from './scheduler/master-session.ts'
export {
  startScheduler,
  SubscriptionRefused,
  type RunningScheduler,
  type SchedulerOptions,
} from './scheduler/start-scheduler.ts'
export {
  commonSettings,
  runApp,
  thisProcess,
  type App,
  type AppMember,
  type Surroundings,
} from './process/run-app.ts'
export { memberSettings } from './process/member-settings.ts'
export * from './agent/index.ts'
export { masterEnvironment, masterFlags } from './process/master-flags.ts'
