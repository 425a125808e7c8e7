export {
  AgentLinkClient,
  AgentLinkServer,
  type AgentConnection,
  type AgentLinkClientLimits,
  type AgentLinkClientOptions,
  type AgentLinkServerOptions,
  type LinkMessage,
} from './agent-link.ts'
export {
  createAuthority,
  createCertificateRequest,
  crossSign,
  issueCertificate,
  signRequest,
  CertificateRefused,
  type Authority,
  type CertificateFor,
} from './authority/authority.ts'
export { renewalDueMs, subjectDerOf, validityOf } from './authority/certificate.ts'
export { certificatesIn, rootOf } from './authority/chain.ts'
export { X509Certificates } from './authority/x509-certificates.ts'
export {
  loadTlsIdentity,
  TlsIdentityUnusable,
  writeTlsIdentity,
  type TlsIdentity,
} from './authority/identity.ts'
export { subjectOf, whyNot, type Role, type Subject } from './authority/subject.ts'
export {
  AuditBroken,
  AuditLog,
  AuditUnavailable,
  openAuditLog,
  verifyAuditLog,
  type AuditBreak,
  type AuditDisk,
  type AuditHead,
  type AuditVerdict,
} from './audit-log.ts'
export { Backoff } from './backoff.ts'
export { answerBrokenHttp, type BrokenHttp, type WordedRefusal } from './broken-http.ts'
export { jsonFault, JsonRefused, parseJson, type JsonLimits } from './bounded-json.ts'
export { SystemClock } from './clock.ts'
export {
  ConfigInvalid,
  flagOf,
  flagSetting,
  loadConfig,
  secretSetting,
  setting,
  variableOf,
  type Config,
  type ConfigProblem,
  type SecretSetting,
  type Setting,
  type Sources,
} from './config.ts'
export { Fifo } from './fifo.ts'
export { Slices, type SlicesOptions } from './slices.ts'
export { MicroBatch, processTimers, Ticker, type Timers } from './drive.ts'
export { guardProcess } from './guard-process.ts'
export { ShareCollector, ShareRefused, splitUnlockKey, type SharePlan } from './unlock-shares.ts'
export { syncDirectory, writeWhole } from './whole-file.ts'
export {
  BodyBrokeOff,
  BodyTooLarge,
  Callers,
  letIn,
  takeBodiesAsBytes,
  wipeAtTheEnd,
} from './front-door.ts'
export {
  couldNotBeRead,
  expectationUnknown,
  HeadersRefused,
  hostMissing,
  unreadableOf,
  type Unreadable,
} from './unreadable.ts'
export { FrameReader, FrameTooLarge, FrameWriter } from './framing.ts'
export { Gather } from './gather.ts'
export {
  HttpClient,
  HttpFailed,
  type HttpClientOptions,
  type HttpRequest,
  type HttpResponse,
  type HttpStream,
} from './http-client.ts'
export type { JsonPipeLimits } from './json-pipe.ts'
export { LineTooLong, linesOf } from './lines.ts'
export { LinkListenFailed, LinkRefused, tlsOptions } from './link-tls.ts'
export { LogVerbosity } from './log-verbosity.ts'
export { createLogger, silentLog, type Log, type LogLevel, type LogOptions } from './log.ts'
export { Metrics } from './metrics.ts'
export { askBytesMax, askPeer, type PeerAskOptions } from './peer-ask.ts'
export { lineBytesMax, openPeerLine, type PeerLineOptions } from './peer-line.ts'
export type { OnSettled, PeerAddress, PeerLinkLimits } from './peer-dial.ts'
export { TcpPeerLink, type PeerLinkOptions } from './peer-link.ts'
export { nobodyThere } from './peer-wire.ts'
export type {
  AskWanted,
  Conversation,
  OpenWanted,
  PeerLink,
  PeerLinkTold,
  PeerTalk,
} from './peer-wire.ts'
export { SystemRandom } from './random.ts'
export { reasonOf } from './reason.ts'
export { encodeRecord, RecordIoDecoder, RecordIoMalformed, recordsOf } from './record-io.ts'
export { encodeSse, eventsOf, SseDecoder, SseTooLarge, type SseEvent } from './sse.ts'
export { ProcessRuntime, type ProcessRuntimeOptions } from './process/process-runtime.ts'
