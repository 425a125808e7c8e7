import { posix } from 'node:path'
import { utf8, type RedactedBytes } from '@conclave/kernel'
import { secretProblem, type ContainerInfo, type Secret, type VolumeFile } from '@conclave/model'
import { checkSize, wholePages, type SecretLimits } from './limits.ts'
import type { Owner, Step } from './plan.ts'
import {
  ContainerPathRefused,
  ContainerSpecRefused,
  PathsInConflict,
  PrivilegeRefused,
  quoted,
  SecretOversize,
} from './refusal.ts'

/*
 * The isolator `volume/secret`. Source: reference/mesos.md §15, reference/isolators.md §3. As in Mesos
 * one file system per container holds all files, and each is bound to where it shall be seen; unlike
 * there it is a tmpfs with a limit, and files are their owner's alone.
 */

/** The container's working directory, as it sees it. */
export const sandboxDirectory = '/mnt/mesos/sandbox'

export interface SecretVolume {
  /** Absolute and normal. */
  readonly at: string
  readonly containerPath: string
  readonly isReadOnly: boolean
  readonly secret: Secret
  /** Whose the file is, and what may be done with it. Without it the container's owner has it alone. */
  readonly file: VolumeFile | undefined
}

/** Only the permission bits: nothing on this tmpfs runs as somebody else. */
export const modeOf = ({ file, isReadOnly }: SecretVolume): number =>
  file === undefined ? (isReadOnly ? 0o400 : 0o600) : file.mode & 0o777

/**
 * The secret volumes of a container, in order, each with the absolute path it will have.
 *
 * @throws PlanRefused for a path, a pair of paths or a kind of volume that cannot be had
 */
export function secretVolumes(container: ContainerInfo | undefined): readonly SecretVolume[] {
  if (container?.docker?.privileged === true) {
    throw new PrivilegeRefused(
      'privileged containers, host pid namespace, host mounts of "/", "/proc", "/run" and device access are not supported.',
    )
  }
  const volumes = (container?.volumes ?? []).map((volume): SecretVolume => {
    if (volume.source?.type !== 'SECRET') {
      throw new ContainerSpecRefused('Volumes in ContainerInfo is not supported')
    }
    if (container?.type !== 'MESOS') {
      const why = 'Can only prepare the secret volume isolator for a MESOS container'
      throw new ContainerSpecRefused(why)
    }
    const { secret } = volume.source
    if (secret === undefined) {
      throw new ContainerSpecRefused('volume.source.secret is not specified')
    }
    const problem = secretProblem(secret)
    if (problem !== undefined) {
      throw new ContainerSpecRefused(`Invalid secret specified in volume: ${problem}`)
    }
    const containerPath = volume.container_path
    const at = absolutePath(containerPath)
    return { at, containerPath, isReadOnly: volume.mode === 'RO', secret, file: volume.file }
  })
  refuseConflicts(volumes)
  return volumes
}

const pathSizeBytesMax = 4096
const componentSizeBytesMax = 255
const systemDirectories = ['proc', 'sys', 'dev']

/** Where `containerPath` is: itself when absolute, else below the sandbox. @throws PlanRefused */
function absolutePath(containerPath: string): string {
  const fault = pathFault(containerPath)
  if (fault !== undefined) {
    throw new ContainerPathRefused(`secret path ${quoted(containerPath)} is not allowed: ${fault}.`)
  }
  return posix.resolve(sandboxDirectory, containerPath)
}

/** What is wrong with a path, before anything is made of it: no `..` is left for anybody to resolve. */
function pathFault(path: string): string | undefined {
  if (path === '') return 'it is empty'
  if (path.includes('\0')) return 'it contains a NUL byte'
  // eslint-disable-next-line no-control-regex
  if (/[\u0001-\u001f\u007f]/.test(path)) return 'it contains a control character'
  if (!path.isWellFormed()) return 'it is not valid Unicode'
  if (utf8(path).length > pathSizeBytesMax) return `it is longer than ${pathSizeBytesMax} bytes`
  const components = path.split('/').filter((name) => name !== '' && name !== '.')
  if (components.some((name) => name.startsWith('..'))) {
    return components.includes('..') ? 'it has a ".." component' : 'a component starts with ".."'
  }
  if (components.some((name) => utf8(name).length > componentSizeBytesMax)) {
    return `a component is longer than ${componentSizeBytesMax} bytes`
  }
  const isDirectory = path.endsWith('/') || path.endsWith('/.') || components.length === 0
  if (isDirectory || posix.resolve(path) === sandboxDirectory) return 'it names a directory'
  if (path.startsWith('/') && systemDirectories.includes(components[0] ?? '')) {
    return `it lies in /${components[0]}`
  }
  return undefined
}

function refuseConflicts(volumes: readonly SecretVolume[]): void {
  const paths = volumes.map(({ at }) => at).toSorted()
  for (const [index, at] of paths.entries()) {
    if (paths[index + 1] === at) {
      throw new PathsInConflict(`two secrets target ${quoted(at)}.`)
    }
  }
  const known = new Set(paths)
  for (const at of paths) {
    for (let above = posix.dirname(at); above !== '/'; above = posix.dirname(above)) {
      if (!known.has(above)) continue
      throw new PathsInConflict(
        `two secrets target ${quoted(above)}: one as a file, one as the directory of ${quoted(at)}.`,
      )
    }
  }
}

/** What a container that may write into a secret file has room for, unless its files need more. */
const writableSizeBytes = 1_048_576
const inodes = 1024

/**
 * Plans one tmpfs, and one file in it for each volume. Files have numbers for names, so that nothing a
 * spec says takes part in where bytes are written.
 *
 * @param values one for each of `volumes`, in order; they belong to the plan from now on
 * @param hasImage whether the container has a root of its own, in which paths may be made
 * @throws PlanRefused SECRET_TOO_LARGE
 */
export function planSecretVolumes(
  volumes: readonly SecretVolume[],
  values: readonly RedactedBytes[],
  owner: Owner,
  limits: SecretLimits,
  hasImage: boolean,
): readonly Step[] {
  if (volumes.length === 0) return []
  let sizeBytes = 0
  const files = volumes.flatMap((volume, index): Step[] => {
    const { at, containerPath, isReadOnly, file } = volume
    const bytes = values[index]
    if (bytes === undefined) return []
    checkSize(containerPath, bytes, limits)
    sizeBytes += wholePages(bytes.reveal().length)
    const name = `${index}`
    return [
      { do: 'write-file', name, bytes, mode: modeOf(volume), owner: file ?? owner },
      {
        do: 'bind-file',
        name,
        at,
        isReadOnly,
        // Without an image there is nobody's root to make files in: Mesos binds over what is there.
        ...(!hasImage &&
          file === undefined &&
          containerPath.startsWith('/') && { mustExist: true }),
        ...(file !== undefined && { mountOptions: 'relatime' }),
      },
    ]
  })
  if (sizeBytes > limits.containerSizeBytesMax) {
    const first = quoted(volumes[0]?.containerPath ?? '')
    throw new SecretOversize(
      `secret ${first} and those beside it have ${sizeBytes} bytes in whole pages; the limit per container is ${limits.containerSizeBytesMax}.`,
    )
  }
  const isWritable = volumes.some((volume) => !volume.isReadOnly)
  const roomBytes = isWritable ? Math.max(sizeBytes, writableSizeBytes) : sizeBytes
  // Written before any is bound: the container must never see half of them.
  return [
    { do: 'mount-tmpfs', sizeBytes: roomBytes, inodes },
    ...files.filter((step) => step.do === 'write-file'),
    ...files.filter((step) => step.do === 'bind-file'),
  ]
}
