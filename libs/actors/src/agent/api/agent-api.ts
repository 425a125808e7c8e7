import type { PlainAnswer } from '@conclave/cluster'
import type { ExecutorTokenVerdict } from '@conclave/crypto'
import type { RedactedBytes } from '@conclave/kernel'
import type {
  AgentInfo,
  CommandInfo,
  ContainerInfo,
  EventDraft,
  ExecutorCall,
  ExecutorInfo,
  FrameworkInfo,
  TaskInfo,
  TaskState,
} from '@conclave/model'
import type { EndedContainer } from '../agent-sessions.ts'
import type { ExecutorConnection } from '../executors/executor.ts'
import type { ContainerEnd, LaunchAnswer } from '../executors/nested-containers.ts'
import type { LocalSession, SessionSink } from './local-sessions.ts'

/*
 * What an agent offers to its own listener, as `MasterApi` does for a master's. Source: mesos.md §7 to §9.
 */

export interface AgentStatus {
  /** Undefined until a master has registered it. */
  readonly agentId: string | undefined
  readonly isRegistered: boolean
  readonly info: AgentInfo
  readonly runtime: string
  readonly ipAddress: string
}

export type CallerAnswer =
  | { readonly outcome: 'known'; readonly uid: string; readonly isOperator: boolean }
  | { readonly outcome: 'unknown' | 'unavailable' }
  | { readonly outcome: 'throttled'; readonly retryAfterSeconds: number }

/** Who calls as an executor: the claims of a token, or the name of a person. */
export type ExecutorPrincipal =
  | { readonly claims: Readonly<Record<string, string>> }
  | { readonly uid: string }

/** A task as this agent knows it. */
export interface AgentTaskView {
  readonly taskId: string
  readonly frameworkId: string
  readonly executorId: string
  readonly info: TaskInfo
  readonly state: TaskState
  readonly isQueued: boolean
  readonly containerId: string
}

export interface AgentExecutorView {
  readonly frameworkId: string
  readonly executorId: string
  /** `command`: made up for a task that has none, as Mesos does. */
  readonly kind: 'command' | 'default' | 'custom'
  readonly containerId: string
  readonly info: ExecutorInfo
  readonly framework: FrameworkInfo | undefined
  readonly tasks: readonly AgentTaskView[]
}

export interface AgentContainerView {
  readonly name: string
  readonly frameworkId: string
  readonly executorId: string
  readonly isSession: boolean
}

export interface AgentStateView {
  readonly executors: readonly AgentExecutorView[]
  readonly containers: readonly AgentContainerView[]
  /** Of tasks, those whose output is kept although they have ended: the oldest first. */
  readonly ended: readonly EndedContainer[]
}

export interface AgentApi {
  status(): AgentStatus
  view(): AgentStateView
  /** Asks a master, since agents know nobody. `call` is what they want, for the audit. */
  whoCalls(authorization: string, source: string, call: string): Promise<CallerAnswer>
  /** What a token says, or undefined when this agent gives executors none. */
  executorToken(token: string): ExecutorTokenVerdict | undefined
  /** Whether a token's `cid` is the container, or the root of the container, and runs. */
  isOwnContainer(principal: ExecutorPrincipal, containerId: string): boolean
  /** An inline value that a task of this agent had, while it is kept to be leaked (`faithfulLeaks`). */
  leakedValue(sealedId: string): RedactedBytes | undefined
  /** Tells of a call that was refused for who made it. */
  refused(event: Omit<Extract<EventDraft, { type: 'executor.refused' }>, 'type' | 'agentId'>): void

  /**
   * One call of an executor. `principal` is undefined when nobody has to prove anything. Undefined once
   * a SUBSCRIBE has begun to write to `connection`.
   */
  executorCall(
    principal: ExecutorPrincipal | undefined,
    call: ExecutorCall,
    connection: ExecutorConnection | undefined,
  ): PlainAnswer | undefined
  executorGone(call: ExecutorCall, connection: ExecutorConnection): void

  launch(wanted: WantedContainer): Promise<LaunchAnswer>
  /** A session, or why there is none. Its output goes to `sink`. */
  openSession(wanted: WantedContainer, sink: SessionSink): LocalSession | LaunchAnswer
  /** The output of a container that runs or ran, from its start. */
  openOutput(containerId: string, sink: SessionSink, follow: boolean): LocalSession | undefined
  /** The session that a container is: what input can be attached to. */
  sessionOf(containerId: string): LocalSession | undefined
  /** What a session's client has not taken yet; undefined for sessions of masters. */
  waitingBytes(sessionId: string): number | undefined
  hasContainer(containerId: string): boolean
  /** Undefined when there is no such container. */
  wait(containerId: string): Promise<ContainerEnd> | undefined
  kill(containerId: string, signal: string): boolean
  remove(containerId: string): 'removed' | 'unknown' | 'running'
}

export interface WantedContainer {
  readonly name: string
  readonly command: CommandInfo | undefined
  readonly container: ContainerInfo | undefined
}

export type {
  ContainerEnd,
  EndedContainer,
  ExecutorConnection,
  LaunchAnswer,
  LocalSession,
  SessionSink,
}
