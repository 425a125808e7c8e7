import type { Node } from './node.ts'
import type { WorkloadTask } from './task.ts'
import type { Workload, WorkloadStatus } from './workload.ts'

/** What the cluster knows of a task that was launched. */
export interface Observed {
  readonly frameworkId: string
  readonly agentId: string
  readonly containerId: string
  /** Mesos' state. */
  readonly state: string
  readonly reason?: string | undefined
  readonly message?: string | undefined
  readonly exitCode?: number | undefined
  readonly healthy?: boolean | undefined
  /** Its health is looked at. */
  readonly isChecked?: boolean | undefined
  /** It was running at some time. */
  readonly hasRun: boolean
}

/** Everything that a decision about one workload is made from. */
export interface Scene {
  readonly nowMs: number
  readonly workload: Workload
  readonly status: WorkloadStatus
  /** All that are on record. */
  readonly tasks: readonly WorkloadTask[]
  readonly nodes: readonly Node[]
  /** What one task wants of a node. */
  readonly wants: Readonly<Record<string, number>>
  /** By the cluster's id. Undefined: it was never launched, or is long forgotten. */
  readonly observed: (taskId: string) => Observed | undefined
  /** Why the cluster would not have it, if it was tried. */
  readonly refused: (taskId: string) => { reason?: string | undefined; message: string } | undefined
  /** A fresh id. */
  readonly newId: () => string
}

/** What the records should be now. Nothing is said of what stays as it is. */
export interface Decided {
  /** By id; undefined is to be deleted. */
  readonly tasks: ReadonlyMap<string, WorkloadTask | undefined>
  readonly status: WorkloadStatus | undefined
  /** An update has failed, and what was before it is wanted again. */
  readonly workload: Workload | undefined
  /** It was removed, and its last task has ended: nothing of it is to stay. */
  readonly isOver: boolean
  /** When to decide again if nothing happens before. */
  readonly wakeAtMs: number | undefined
}
