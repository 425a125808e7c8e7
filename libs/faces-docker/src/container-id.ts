import { hash } from 'node:crypto'

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
  // Of a global service stands the node's id, where the workload has the node's name.
  nodeId?: string,
): string => `${workloadName}.${nodeId ?? slot}.${id}`
