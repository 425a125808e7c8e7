import { hash } from 'node:crypto'
import type { WorkloadTaskView } from '@conclave/actors'
import { isPerNode } from '@conclave/workloads'

/**
 * Whether a task is called by the number of its slot; others are by their node. SwarmKit numbers the slots of
 * jobs from 0, which in Go is as if there were no number.
 */
export const hasNumber = ({ spec, slot }: Pick<WorkloadTaskView, 'spec' | 'slot'>): boolean =>
  !isPerNode(spec) && slot !== '0'

/** What of a workload's task its container is called by. */
export interface ContainerNames {
  readonly id: string
  readonly slot: string
  readonly workloadName: string
}

/**
 * The id of the one container that a workload's task ever has: 64 hex digits, the same for everybody who
 * knows the task, before it is placed and after it has ended. Clients show the first 12.
 */
export const containerIdOf = ({ id }: Pick<ContainerNames, 'id'>): string =>
  hash('sha256', `container of task ${id}`, 'hex')

/** `SERVICE.SLOT.TASKID`, without the slash that lists put before it. Source: docker-swarm.md A8. */
export const containerNameOf = (
  { workloadName, slot, id }: ContainerNames,
  // Stands where there is no number: where the workload has the node's name, or 0.
  nodeId?: string,
): string => `${workloadName}.${nodeId ?? slot}.${id}`
