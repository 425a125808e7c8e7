import { TaskNotFound, TaskNotRunning, type Caller, type TaskUsage } from '@conclave/actors'
import type { SimulatedImagesMode } from '@conclave/simulated-images'
import type { Engine } from '../engine.ts'
import type { Container } from './container.ts'
import { imageOf } from './process.ts'

/** As the Engine calls them: what a container has written, and that together with its image. */
export interface Sizes {
  readonly SizeRw: number
  readonly SizeRootFs: number
}

/** Agents are asked one question for each container. */
const askedAtOnceMax = 16

/** What a container uses now; undefined of one that does not run. */
export async function usageOf(
  { master }: Engine,
  caller: Caller,
  { task, state }: Container,
): Promise<TaskUsage | undefined> {
  if (state !== 'running') return undefined
  try {
    return await master.tasks.usage(caller, task.taskId)
  } catch (error) {
    if (error instanceof TaskNotRunning || error instanceof TaskNotFound) return undefined
    throw error
  }
}

/** In the order of `containers`. Of one that has ended no file is left but those of its image. */
export async function sizesOf(
  engine: Engine,
  caller: Caller,
  mode: SimulatedImagesMode,
  containers: readonly Container[],
): Promise<readonly Sizes[]> {
  const sizes: Sizes[] = []
  for (let at = 0; at < containers.length; at += askedAtOnceMax) {
    const some = containers.slice(at, at + askedAtOnceMax)
    const usages = await Promise.all(some.map((one) => usageOf(engine, caller, one)))
    for (const [index, container] of some.entries()) {
      const SizeRw = usages[index]?.layerBytes ?? 0
      const imageBytes = imageOf(container, mode)?.root.sizeBytes ?? 0
      sizes.push({ SizeRw, SizeRootFs: imageBytes + SizeRw })
    }
  }
  return sizes
}
