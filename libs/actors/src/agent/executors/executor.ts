import type {
  ExecutorEvent,
  ExecutorInfo,
  FrameworkInfo,
  TaskInfo,
  TaskState,
} from '@conclave/model'
import type { AgentTask } from '../agent-task.ts'
import type { TaskName } from '../status-updates.ts'

/** An executor's open SUBSCRIBE stream. */
export interface ExecutorConnection {
  send(event: ExecutorEvent): void
  close(): void
}

/** A task that an executor of a framework's own was given, or will be. */
export interface ExecutorTask extends TaskName {
  /** The container in the master's record: what its grants name. It is the executor's to make one. */
  readonly recordId: string
  readonly info: TaskInfo
  readonly groupId: string | undefined
  /** The executor has not been told of it. */
  isQueued: boolean
  /** It may be told now: what has to be had before is there. */
  isReady: boolean
  isKilled: boolean
  /** How long its end may take, once somebody wants it. */
  graceMs: number
  state: TaskState
}

/**
 * `starting`: its container is made. `registering`: it runs and has not subscribed yet. `terminating`:
 * it was asked to end. `ended`: its container is gone; statuses of its tasks may be on their way.
 */
export type ExecutorStage = 'starting' | 'registering' | 'running' | 'terminating' | 'ended'

export interface Executor {
  readonly frameworkId: string
  readonly executorId: string
  /** `default`: built into this agent. `custom`: a program of the framework's. */
  readonly kind: 'default' | 'custom'
  readonly containerId: string
  readonly info: ExecutorInfo
  readonly framework: FrameworkInfo | undefined
  /** Of a custom executor. A default one's tasks have containers, and stand with all others. */
  readonly tasks: Map<string, ExecutorTask>
  /** Containers of a default executor's tasks that have not ended. */
  readonly live: Set<AgentTask>
  run: AgentTask | undefined
  stage: ExecutorStage
  connection: ExecutorConnection | undefined
  /** When it has to have subscribed, or to have ended. */
  dueAtTick: number
  heartbeatAtTick: number
  /** Why it is ended, when it is this agent's doing. */
  why: 'registration-timeout' | 'away' | 'shutdown' | undefined
}
