import { secretProblem, volumeProblem, type ContainerInfo, type Volume } from '@conclave/model'
import { firstOf, prefixed } from '../problem.ts'

/** Each is compared with all others. */
const volumesMax = 1000

/** What Mesos says of a container, and what we say of its secret volumes. */
export function containerProblem(container: ContainerInfo | undefined): string | undefined {
  if (container === undefined) return undefined
  const { type, volumes, docker } = container
  if (volumes.length > volumesMax) return `'volumes' are more than ${volumesMax}`
  const problem = firstOf(volumes, volumeProblem) ?? strictVolumesProblem(volumes)
  if (problem !== undefined) return `Invalid volume: ${problem}`
  if (type === 'DOCKER' && docker === undefined) {
    return "DockerInfo 'docker' is not set for DOCKER typed ContainerInfo"
  }
  if (docker?.parameters.some(({ key }) => key === 'name') === true) {
    return "Parameter in DockerInfo must not be 'name'"
  }
  return undefined
}

/**
 * Upstream leaves paths and the secrets of volumes to the agent. Here a path may not lead up, and no
 * two mounts may want one place.
 */
function strictVolumesProblem(volumes: readonly Volume[]): string | undefined {
  const files = new Map<string, boolean>()
  return firstOf(volumes, ({ container_path: path, source }) => {
    const isFile = source?.type === 'SECRET'
    const secret = isFile ? source.secret : undefined
    const problem =
      (isFile ? strictPathProblem(path) : undefined) ??
      prefixed(
        `Invalid secret specified in volume '${path}': `,
        secret === undefined ? undefined : secretProblem(secret),
      )
    if (problem !== undefined) return problem
    const mount = canonicalMount(path)
    if (files.has(mount)) return `'container_path' '${path}' is mounted twice`
    for (const [other, isOtherFile] of files) {
      const isClash = (isFile && isWithin(other, mount)) || (isOtherFile && isWithin(mount, other))
      if (!isClash) continue
      return `'container_path' '${path}' and '${other}' are within each other, and one is a file`
    }
    files.set(mount, isFile)
    return undefined
  })
}

/** One text for every way to write a path. */
function canonicalMount(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  return (path.startsWith('/') ? '/' : '') + parts.join('/')
}

const isWithin = (a: string, b: string): boolean => a.startsWith(`${b}/`)

function strictPathProblem(path: string): string | undefined {
  if (path === '') return "'container_path' of a SECRET volume must not be empty"
  if (/\p{Cc}/u.test(path)) {
    return "'container_path' of a SECRET volume must not have control characters"
  }
  const parts = path.split('/')
  if (parts.includes('..')) {
    return `'container_path' '${path}' of a SECRET volume must not contain '..'`
  }
  const last = parts.at(-1)
  if (last === '' || last === '.') {
    return `'container_path' '${path}' of a SECRET volume must name a file`
  }
  return undefined
}
