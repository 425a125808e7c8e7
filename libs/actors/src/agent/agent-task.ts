import type { CheckedContainer } from '@conclave/isolators'
import type {
  CommandInfo,
  ContainerInfo,
  ExecutorInfo,
  TaskInfo,
  TaskReason,
  TaskState,
  TerminalSize,
} from '@conclave/model'
import type { Health, HealthPlan } from './health.ts'
import type { ContainerExit, OutputWanted } from './container-runtime.ts'
import type { TaskName } from './status-updates.ts'

/**
 * Whose container it is. `task`: of a task that has one to itself. `group-task`: of a task of a group,
 * nested in its executor's. `executor`: of an executor. `nested`: of somebody who asked for one.
 */
export type Role = 'task' | 'group-task' | 'executor' | 'nested'

/** Who hears what becomes of a container that is no task's own. */
export interface RunOwner {
  started(): void
  ended(end: TaskEnd, exit: ContainerExit | undefined): void
}

/** A container that shall be made, and for whom. */
export interface RunRequest extends TaskName {
  readonly role: Role
  /** What the machine calls it: nested ones by their parent's name and their own, see `containerName`. */
  readonly containerId: string
  /** What the master's record calls it: grants name that. */
  readonly recordId: string
  readonly executorId: string
  readonly info: TaskInfo
  /** In place of `info`'s. */
  readonly command?: CommandInfo | undefined
  readonly container?: ContainerInfo | undefined
  readonly groupId?: string
  /** It waits for its executor's container. */
  readonly isWaiting?: boolean
  /** It is an executor, and has to prove it. */
  readonly hasToken?: boolean
  /** Nobody was granted anything for it: values that lie in its own spec are all it can have. */
  readonly isStandalone?: boolean
  readonly owner?: RunOwner
  /** It is this executor. */
  readonly executor?: ExecutorInfo
  /** Its framework wants checkpoints, of which this agent writes none unless it leaks as Mesos does. */
  readonly isCheckpointed?: boolean
}

/**
 * Where a task stands. `waiting`: for its executor's container. `resolving`: its secrets were asked for. `preparing`: its container is made and
 * its plan carried out. `starting`, `running`, `ending`: as they say. `ended`: its container is gone, its
 * last status may still be on the way.
 */
export type Stage =
  | 'waiting'
  | 'resolving'
  | 'preparing'
  | 'starting'
  | 'running'
  | 'ending'
  | 'ended'

/** What was placed of one secret: all that may be told of it. */
export interface PlacedSecret {
  readonly path: string
  readonly where: 'tmpfs' | 'env'
  readonly at: string
  readonly mode?: string
}

/** How a task will have ended, once its container is gone. */
export interface TaskEnd {
  readonly state: TaskState
  readonly source: 'SOURCE_AGENT' | 'SOURCE_EXECUTOR'
  readonly message: string
  readonly reason?: TaskReason
}

/**
 * One container of an agent, from its launch until it is gone; one that is a task's, until the task's
 * last status is acknowledged.
 */
export interface AgentTask extends RunRequest {
  readonly checked: CheckedContainer | undefined
  readonly healthPlan: HealthPlan | undefined
  /** There while it runs, when it has a health check. */
  health: Health | undefined
  stage: Stage
  /** Stops waiting for its secrets. */
  abandon: () => void
  resolveAtTickMax: number
  placed: readonly PlacedSecret[]
  /** Somebody wants its end. */
  isKilled: boolean
  /** It ran longer than it may. */
  isOverdue: boolean
  /** Its health check failed too often. */
  isUnhealthy: boolean
  overdueAtTick: number
  /** When SIGKILL follows SIGTERM. */
  killAtTick: number
  exit: ContainerExit | undefined
  end: TaskEnd | undefined
  /** Sessions that wait for it to start. */
  readonly waitingLogs: WaitingLogs[]
}

export interface WaitingLogs {
  readonly sessionId: string
  readonly wanted: OutputWanted
  readonly isAttached: boolean
}

/** The terminal that a task asks for. Nobody has to say how large it is before somebody looks at it. */
export function terminalOf({ container, info }: RunRequest): { terminal: TerminalSize } | object {
  const { tty_info: wanted } = container ?? info.container ?? {}
  if (wanted === undefined) return {}
  const { rows, columns } = wanted.window_size ?? { rows: 24, columns: 80 }
  return { terminal: { rows, columns } }
}
