import type { Container } from '../containers/container.ts'

export interface ContainerCounts {
  readonly Containers: number
  readonly ContainersRunning: number
  readonly ContainersPaused: number
  readonly ContainersStopped: number
}

/** As `docker ps` lists them: one that was made and has not begun is among them, and in no other count. */
export function countContainers(containers: readonly Container[]): ContainerCounts {
  const count = (wanted: Container['state']): number =>
    containers.filter(({ state }) => state === wanted).length
  return {
    Containers: containers.length,
    ContainersRunning: count('running'),
    ContainersPaused: 0,
    ContainersStopped: count('exited'),
  }
}
