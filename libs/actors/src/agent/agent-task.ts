import type { CheckedContainer } from '@conclave/isolators'
import type { TaskInfo, TaskReason, TaskState } from '@conclave/model'
import type { Health, HealthPlan } from './health.ts'
import type { ContainerExit } from './container-runtime.ts'
import type { TaskName } from './status-updates.ts'

/**
 * Where a task stands. `resolving`: its secrets were asked for. `preparing`: its container is made and
 * its plan carried out. `starting`, `running`, `ending`: as they say. `ended`: its container is gone, its
 * last status may still be on the way.
 */
export type Stage = 'resolving' | 'preparing' | 'starting' | 'running' | 'ending' | 'ended'

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

/** One task of an agent, from its launch until its last status is acknowledged. */
export interface AgentTask extends TaskName {
  readonly containerId: string
  readonly info: TaskInfo
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
  readonly waitingLogs: { readonly sessionId: string; readonly follow: boolean }[]
}
