import type { Caller } from '@conclave/actors'
import { parseImageName, familiarName } from '@conclave/simulated-images'
import { containerIdOf, containerNameOf } from '../container-id.ts'
import type { Engine } from '../engine.ts'
import { imageSummary } from '../images/image-object.ts'
import { localImages } from '../images/local-images.ts'
import type { TaskSeen } from '../services/task-filters.ts'
import { containersOf, isRunning } from './container-counts.ts'

/** What `docker system df` adds up. What containers wrote is counted by nobody. Source: API 1.47, SystemDataUsage. */
export async function diskUsage(engine: Engine, caller: Caller): Promise<object> {
  const containers = await containersOf(engine, caller)
  const images = await localImages(engine, caller)
  const used = containers.map((one) => imageOf(one))
  return {
    LayersSize: images.reduce((sum, { image }) => sum + image.root.sizeBytes, 0),
    Images: images.map((one) => ({
      ...imageSummary(one),
      SharedSize: 0,
      Containers: used.filter((name) => one.tags.includes(name)).length,
    })),
    Containers: containers.map(usedBy),
    Volumes: [],
    BuildCache: [],
    BuilderSize: 0,
  }
}

function usedBy(seen: TaskSeen): object {
  const { task } = seen
  const state = isRunning(task) ? 'running' : 'exited'
  return {
    Id: containerIdOf(task),
    Names: [`/${containerNameOf(task)}`],
    Image: imageOf(seen),
    Created: Math.floor(task.createdAtMs / 1000),
    State: state,
    Status: state,
    SizeRw: 0,
    SizeRootFs: 0,
    Labels: {},
    Mounts: [],
  }
}

/** As images are listed: without the digest that a service is pinned to. */
function imageOf({ object }: TaskSeen): string {
  const image = object.Spec.ContainerSpec?.Image ?? ''
  const name = parseImageName(image)
  return name?.tag === undefined ? image : familiarName(name)
}
