import type { StateApi } from './state/state-api.ts'
import type { PlainAnswer } from '@conclave/cluster'
import type {
  Action,
  ArchiveWanted,
  ConclaveEvent,
  Principal,
  SchedulerCall,
  SchedulerEvent,
  SecretKind,
  SecretMetadata,
  TerminalSize,
} from '@conclave/model'
import type { RedactedBytes } from '@conclave/kernel'
import type { ContainerUsage } from '../agent/container-runtime.ts'
import type { AuthorityApi } from './authority/authority-api.ts'
import type { OperatorApi } from './operator-api.ts'
import type { LockApi } from './keys/lock-api.ts'
import type { NewsApi } from './news/news-api.ts'
import type { DocumentApi } from './documents/document-api.ts'
import type { NodeApi, WorkloadApi } from './workloads/workload-api.ts'

/*
 * What a master offers to its faces. A face translates its dialect into these calls and back and
 * holds no logic of its own. Any master answers: reads are linearizable, writes reach the log
 * through whoever leads. Only frameworks talk to the leader itself, as their protocol wants it.
 */

/** Where a listener can be reached. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** A member of the group and where each of its faces listens, by the face's name. */
export interface Member {
  readonly masterId: string
  readonly listeners: Readonly<Record<string, Address>>
}

export interface MasterStatus {
  readonly masterId: string
  readonly clusterId: string
  /** `booting-locked`: it waits for the unlock key, and takes part in nothing. */
  readonly state: 'booting-locked' | 'running'
  readonly role: 'leader' | 'follower' | 'candidate'
  /** It has a say. One that only learns has none, nor has one that waits to be let in. */
  readonly isVoter: boolean
  readonly term: number
  /** Undefined while nobody leads as far as this master knows. */
  readonly leader: Member | undefined
  /** A leader is ready once it holds the cluster's records of all earlier terms. */
  readonly isReady: boolean
  readonly appliedIndex: number
  readonly commitIndex: number
  readonly revision: number
  readonly members: readonly Member[]
}

export type { Action }

/** Who is asking, on which request: what an audit record names. */
export interface Caller {
  readonly principal: Principal
  readonly requestId: string
  /** When the token they came with ends, and with it whatever it has opened. */
  readonly expiresAtMs?: number | undefined
}

/** Whose token it is, and until when. */
export interface Authenticated extends Principal {
  readonly expiresAtMs?: number
}

/** `source` is the address that a request came from: guesses are bounded by it (MA18). */
export interface IdentityApi {
  /**
   * A token for a person or program that knows its password, or undefined. Takes as long for unknown users.
   * @throws LoginThrottled
   */
  login(uid: string, password: RedactedBytes, source: string): Promise<string | undefined>
  /**
   * A token for a service account that signed `loginToken` with its private key. Source: dcos.md §1.
   * @throws LoginThrottled
   */
  loginService(uid: string, loginToken: string, source: string): Promise<string | undefined>
  /** Whose token this is, if it verifies, has not expired and its user still exists. */
  authenticate(token: string): Promise<Authenticated | undefined>
  /** The same at once, for a token whose signature was right a moment ago. Of others it says nothing. */
  remembered(token: string): Authenticated | undefined
  /** Whose password this is: for faces that speak HTTP Basic. @throws LoginThrottled */
  authenticatePassword(
    uid: string,
    password: RedactedBytes,
    source: string,
  ): Promise<Principal | undefined>
  /** Deny by default. `resource` is a DC/OS resource id such as `dcos:secrets:default:/dev/db`. */
  allowed(principal: Principal, resource: string, action: Action): boolean
  /** The public half of the token key, as a JWK set. */
  jwks(): Promise<{ readonly keys: readonly object[] }>
}

export interface SecretInput {
  readonly kind: SecretKind
  readonly bytes: RedactedBytes
  readonly labels?: Readonly<Record<string, string>> | undefined
  /**
   * Creates none beside another whose path is the same but for its case, as far as this master knows and the
   * caller may read it. Whoever must know of all others has looked freshly before.
   */
  readonly isAloneInAnyCase?: boolean
}

/** What a deletion depends on, looked at in the transaction that deletes. */
export interface DeletedOnly {
  /** What is there is still the secret of this id. */
  readonly ifId?: string
  /** No workload's current spec refers to it. */
  readonly ifUnused?: boolean
}

export interface SecretValue {
  readonly metadata: SecretMetadata
  /** The caller wipes it. */
  readonly bytes: RedactedBytes
}

/**
 * Every call checks the principal's ACL (`AccessDenied`), audits, then acts. Paths are canonical
 * `SecretPath`s. Inputs are wiped by the callee, whether it succeeds or throws.
 */
export interface SecretApi {
  /** @throws SecretExists, AccessDenied, SecretTooLarge, SecretLabelsInvalid */
  create(caller: Caller, path: string, input: SecretInput): Promise<SecretMetadata>
  /** @throws SecretNotFound, VersionConflict (when `expectedVersion` is not the current one), AccessDenied */
  update(
    caller: Caller,
    path: string,
    input: SecretInput,
    expectedVersion?: number,
  ): Promise<SecretMetadata>
  /** @throws SecretNotFound, AccessDenied */
  read(caller: Caller, path: string, version?: number): Promise<SecretValue>
  metadata(caller: Caller, path: string): Promise<SecretMetadata>
  /** Newest first. */
  versions(caller: Caller, path: string): Promise<readonly SecretMetadata[]>
  /**
   * Replaces the labels and nothing else: the version stays.
   * @throws SecretNotFound, SecretLabelsInvalid, AccessDenied, SecretChanged when its record is not of
   *   `expectedRevision` any more
   */
  relabel(
    caller: Caller,
    path: string,
    labels: Readonly<Record<string, string>>,
    expectedRevision?: number,
  ): Promise<SecretMetadata>
  /** Those that the caller may read, by path without its case, by id, or by how an id begins. */
  find(caller: Caller, by: SecretQuery): Promise<readonly SecretMetadata[]>
  /**
   * @throws SecretNotFound, AccessDenied, SecretInUse
   */
  delete(caller: Caller, path: string, only?: DeletedOnly): Promise<void>
  /**
   * Ids below `folder` ('' for all) that the caller may read: full ids at the root, relative ones
   * in a folder. Undefined when the folder does not exist. Source: dcos.md §4.
   */
  list(caller: Caller, folder: string): Promise<readonly string[] | undefined>
  listMetadata(caller: Caller, folder: string): Promise<readonly SecretMetadata[]>
}

export type SecretQuery =
  | { readonly foldedPath: string }
  | { readonly id: string }
  | { readonly idPrefix: string }

/** A one-off task, from its submission to its end. */
export interface RunView {
  readonly runId: string
  readonly taskId: string
  readonly frameworkId: string | undefined
  readonly agentId: string | undefined
  readonly name: string
  readonly submittedBy: string
  readonly submittedAtMs: number
  /** `PENDING` until a scheduler launched it, then the task's state. */
  readonly state: string
  readonly isTerminal: boolean
  readonly reason: string | undefined
  readonly message: string | undefined
  readonly exitCode: number | undefined
}

export interface RunApi {
  /**
   * Stores a TaskInfo-like spec for the scheduler to launch. The spec is checked whole first.
   * @throws SpecInvalid (names the field), AccessDenied when a referenced path may not be read
   */
  submit(caller: Caller, spec: unknown): Promise<RunView>
  get(caller: Caller, runId: string): Promise<RunView>
  list(caller: Caller): Promise<readonly RunView[]>
  /** The run now, and again after each change, ending with its terminal state. */
  watch(caller: Caller, runId: string, signal: AbortSignal): AsyncIterable<RunView>
  kill(caller: Caller, runId: string): Promise<RunView>
  /** For schedulers: specs that wait to be launched, now and as they come. */
  pending(caller: Caller, signal: AbortSignal): AsyncIterable<PendingRuns>
}

/** Everything that waits, whenever that changes: level-triggered, so nothing is lost by a reconnect. */
export interface PendingRuns {
  readonly launch: readonly {
    readonly runId: string
    readonly taskId: string
    readonly spec: unknown
    /** It is to run on this agent and on no other. */
    readonly agentId?: string | undefined
  }[]
  readonly kill: readonly { readonly taskId: string }[]
  /** Agents that nothing new goes to, because an operator drains or pauses them. */
  readonly avoid?: readonly string[] | undefined
}

export type SessionOutput =
  | {
      readonly kind: 'data'
      readonly stream: 'stdout' | 'stderr'
      readonly bytes: Uint8Array
      /** When the first of the bytes was written, of logs. */
      readonly atMs?: number | undefined
    }
  | {
      readonly kind: 'end'
      /** With an `error`: the program was never started, 126 or 127 as shells have it. */
      readonly exitCode: number | undefined
      readonly error: string | undefined
    }

/** A stream from, or into, one container. */
export interface TaskSession {
  /** While nobody reads it, what runs in the session waits before long. */
  output(): AsyncIterable<SessionOutput>
  write(bytes: Uint8Array): void
  /** Resolves when more input is welcome: the program has read most of what was written, or it has ended. */
  room(): Promise<void>
  endInput(): void
  signal(name: string): void
  /** Of its terminal, if it has one. */
  resize(size: TerminalSize): void
  close(): void
}

export interface LogsWanted {
  readonly follow: boolean
  /** So many of the last lines of what is there. Default: all. */
  readonly tail?: number | undefined
  /** Nothing that was written before. */
  readonly sinceMs?: number | undefined
  /** What is written to the session is for the container's own program, if that was given any input. */
  readonly isAttached?: boolean | undefined
}

/** A program to run beside a container's own. */
export interface ExecWanted {
  readonly argv: readonly string[]
  /** Beside the container's. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** `name`, `uid`, `name:group` or `uid:gid`, as the container knows them. Default: the container's own. */
  readonly user?: string | undefined
  /** Absolute. Default: the container's own. */
  readonly workdir?: string | undefined
  readonly terminal?: TerminalSize | undefined
  /** One that cannot be started is an `error` of the session, rather than output of a shell. */
  readonly mustStart?: boolean | undefined
  /** Files in or out, in the place of `argv`. */
  readonly archive?: ArchiveWanted | undefined
}

export interface TaskApi {
  list(caller: Caller): Promise<readonly TaskView[]>
  /** Accepts a task id or any unambiguous beginning of one. @throws TaskNotFound */
  find(caller: Caller, taskId: string): Promise<TaskView>
  kill(caller: Caller, taskId: string): Promise<TaskView>
  /**
   * To the task's own program, such as `HUP`; undefined is what asks it to end. What becomes of it is the task's
   * to tell.
   */
  signal(caller: Caller, taskId: string, signal: string | undefined): Promise<void>
  /** What its container has used until now. @throws TaskNotRunning */
  usage(caller: Caller, taskId: string): Promise<TaskUsage>
  /** The terminal of the task's own program, if it has one. */
  resize(caller: Caller, taskId: string, size: TerminalSize): Promise<void>
  logs(caller: Caller, taskId: string, options: LogsWanted): Promise<TaskSession>
  exec(caller: Caller, taskId: string, options: ExecWanted): Promise<TaskSession>
}

/** What an agent says that a task has used. */
export type TaskUsage = ContainerUsage & {
  /** On the agent's own clock, whose zero is nobody's. */
  readonly atMs: number
  /** Of the agent's machine. */
  readonly processors: number
}

export interface TaskView {
  readonly taskId: string
  readonly frameworkId: string
  readonly agentId: string
  readonly name: string
  readonly state: string
  readonly isTerminal: boolean
  readonly reason: string | undefined
  readonly message: string | undefined
  readonly updatedAtMs: number
}

export interface AgentView {
  readonly agentId: string
  readonly hostname: string
  readonly isActive: boolean
  readonly runtime: string
  readonly registeredAtMs: number
  readonly tasks: number
  readonly resources: Readonly<Record<string, { readonly total: number; readonly used: number }>>
}

/** One scheduler's open SUBSCRIBE stream. */
export interface FrameworkConnection {
  readonly streamId: string
  send(event: SchedulerEvent): void
  close(): void
}

export type { PlainAnswer }

export interface FrameworkApi {
  /**
   * Opens a subscription whose events go to `connection` until either side closes it. A refusal
   * that Mesos sends as a status is the answer; others come as the first event, `ERROR`.
   */
  subscribe(
    caller: Caller,
    call: SchedulerCall,
    connection: FrameworkConnection,
  ): PlainAnswer | undefined
  /** The connection's client went away. */
  disconnected(connection: FrameworkConnection): void
  /** Any call but SUBSCRIBE. Source: mesos.md §5.2. */
  call(caller: Caller, call: SchedulerCall, streamId: string | undefined): PlainAnswer
}

/** A member of the group, as its leader sees it. */
export interface MemberView extends Member {
  readonly nodeId: number
  readonly role: 'leader' | 'voter' | 'learner'
  /** It was heard from within an election timeout. */
  readonly isReachable: boolean
  /** What it shall be, as it is on record: the leader brings that about. */
  readonly wanted?: 'voter' | 'learner' | 'gone' | undefined
  /** When it came to be one, if that was kept. */
  readonly sinceMs?: number | undefined
  /** Entries of the leader's log that it is not known to have. */
  readonly lag: number | undefined
}

/**
 * Who the masters are; for operators, and for the leader (`NotLeader` elsewhere). Refusals are SwarmKit's.
 * What is decided here is on record, and brought about even if the leader changes meanwhile.
 *
 * @throws AccessDenied, NotLeader, MembershipRefused, MembershipBusy, Unavailable, OutcomeUnknown
 */
export interface MemberApi {
  list(caller: Caller): Promise<readonly MemberView[]>
  /** A learner votes. Resolves once it does. */
  promote(caller: Caller, masterId: string): Promise<MemberView>
  /** A voter learns only. A leader hands leadership on, and is then demoted by the next. */
  demote(caller: Caller, masterId: string): Promise<MemberView>
  /** A member that was demoted and has ended, for good. `force`: or one that is up, or a dead voter. */
  remove(caller: Caller, masterId: string, options?: { readonly force?: boolean }): Promise<void>
  /** Demotes it if need be and removes it, healthy as it is; its process then ends. */
  leave(caller: Caller, masterId: string): Promise<void>
}

export interface EventApi {
  /**
   * Events after `lastEventId` (or from now on), then live ones. Begins with `events.gap` when
   * what was asked for is no longer, or was never, remembered here.
   */
  follow(
    caller: Caller,
    lastEventId: string | undefined,
    signal: AbortSignal,
  ): AsyncIterable<ConclaveEvent>
}

export interface MasterApi {
  readonly state: StateApi
  status(): MasterStatus
  readonly identity: IdentityApi
  readonly secrets: SecretApi
  readonly runs: RunApi
  readonly workloads: WorkloadApi
  readonly nodes: NodeApi
  readonly tasks: TaskApi
  readonly frameworks: FrameworkApi
  readonly operators: OperatorApi
  readonly events: EventApi
  readonly authority: AuthorityApi
  readonly lock: LockApi
  readonly members: MemberApi
  readonly documents: DocumentApi
  readonly news: NewsApi
  agents(caller: Caller): Promise<readonly AgentView[]>
}
