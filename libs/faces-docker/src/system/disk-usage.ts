import type { Caller } from '@conclave/actors'
import { parseImageName, familiarName } from '@conclave/simulated-images'
import { containersOf, type Container } from '../containers/container.ts'
import { hasMaster, type Engine } from '../engine.ts'
import { imageSummary } from '../images/image-object.ts'
import { localImages } from '../images/local-images.ts'

/** What `docker system df` adds up. What containers wrote is counted by nobody. Source: API 1.47, SystemDataUsage. */
export async function diskUsage(engine: Engine, caller: Caller): Promise<object> {
  const containers = hasMaster(engine) ? await containersOf(engine, caller) : []
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

function usedBy(container: Container): object {
  const { id, name, state, createdAtMs } = container
  return {
    Id: id,
    Names: [`/${name}`],
    Image: imageOf(container),
    Created: Math.floor(createdAtMs / 1000),
    State: state,
    Status: state,
    SizeRw: 0,
    SizeRootFs: 0,
    Labels: {},
    Mounts: [],
  }
}

/** As images are listed: without the digest that a service is pinned to. */
function imageOf({ spec }: Container): string {
  const image = spec.Image ?? ''
  const name = parseImageName(image)
  return name?.tag === undefined ? image : familiarName(name)
}
