import type { Caller, WorkloadTaskView } from '@conclave/actors'
import { isFinal } from '@conclave/workloads'
import { hasMaster, type Engine } from '../engine.ts'
import { tasksOf } from '../services/tasks.ts'
import type { TaskSeen } from '../services/task-filters.ts'

export interface ContainerCounts {
  readonly Containers: number
  readonly ContainersRunning: number
  readonly ContainersPaused: number
  readonly ContainersStopped: number
}

/** Tasks of the swarm's services that have, or had, a container. */
export async function containersOf(engine: Engine, caller: Caller): Promise<readonly TaskSeen[]> {
  if (!hasMaster(engine)) return []
  const all = await tasksOf(engine, caller)
  return all.filter(({ task }) => task.containerId !== undefined)
}

export function countContainers(containers: readonly TaskSeen[]): ContainerCounts {
  const running = containers.filter(({ task }) => isRunning(task)).length
  const stopped = containers.filter(({ task }) => isFinal(task.state)).length
  return {
    Containers: containers.length,
    ContainersRunning: running,
    ContainersPaused: 0,
    ContainersStopped: stopped,
  }
}

/** One that has yet to become healthy runs, too. */
export const isRunning = ({ state, taskState }: WorkloadTaskView): boolean =>
  state === 'running' || (state === 'starting' && taskState === 'TASK_RUNNING')
