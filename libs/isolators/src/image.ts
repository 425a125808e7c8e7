import type { CommandInfo, ContainerInfo, Secret } from '@conclave/model'
import type { RedactedBytes } from '@conclave/kernel'
import type { Owner } from './plan.ts'
import { ContainerSpecRefused } from './refusal.ts'

/*
 * Images: which one a container wants, and what one is once somebody has unpacked it. Source:
 * reference/mesos.md §13, §17 and the isolator `docker/runtime`.
 */

/** An image as a spec names it, and the docker config that opens its registry. */
export interface ImageWanted {
  readonly name: string
  /** Whether one that was pulled before will do. */
  readonly isCached: boolean
  /** Bytes of a docker config. */
  readonly dockerConfig: RedactedBytes | undefined
}

/** What an image says of how it is run. */
export interface ImageConfig {
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
  readonly environment: ReadonlyMap<string, string>
  readonly workingDirectory: string | undefined
  /** What asks its program to end, such as `SIGQUIT` or `3`. */
  readonly stopSignal?: string | undefined
}

/** One name in the root of an image: absolute, normal, and after the directory that it is in. */
export type ImageEntry =
  | {
      readonly kind: 'directory'
      readonly path: string
      readonly mode: number
      readonly owner: Owner
    }
  | {
      readonly kind: 'file'
      readonly path: string
      readonly mode: number
      readonly owner: Owner
      /** Shared by all containers of the image: never written to. */
      readonly bytes: Uint8Array
    }
  | {
      readonly kind: 'symlink'
      readonly path: string
      readonly target: string
      readonly owner: Owner
    }

export interface ImageRoot {
  readonly config: ImageConfig
  readonly entries: readonly ImageEntry[]
  /** Of all its files. */
  readonly sizeBytes: number
}

/** The port: where the images of a machine come from. */
export interface ImageSource {
  /**
   * The image, unpacked; asked for with the credentials of `wanted`, each time.
   *
   * @throws ConclaveError whose message may be shown
   */
  provision(wanted: ImageWanted, signal: AbortSignal): Promise<ImageRoot>
}

/** The image of a container, before its config is resolved. */
export interface PlannedImage {
  readonly name: string
  readonly isCached: boolean
  readonly config: Secret | undefined
}

/** @throws PlanRefused for an image that cannot be had */
export function imageOf(container: ContainerInfo | undefined): PlannedImage | undefined {
  const image = container?.mesos?.image
  if (image === undefined) return undefined
  if (image.type !== 'DOCKER' || image.docker === undefined) {
    throw new ContainerSpecRefused(
      'Unsupported container image type: only DOCKER images can be had',
    )
  }
  const { name, config } = image.docker
  return { name, isCached: image.cached ?? true, config }
}

/**
 * What a container runs, from its command and its image. Source: the table of Mesos' isolator
 * `docker/runtime`, and for `docker_arguments` the Dockerfile reference.
 *
 * @throws PlanRefused when neither of them says
 */
export function programOf(command: CommandInfo, image: ImageConfig | undefined): readonly string[] {
  const { value = '', shell } = command
  const rest = command.arguments
  if (shell !== false) {
    if (value !== '') return ['sh', '-c', value]
    throw new ContainerSpecRefused('command.value is empty: there is no program to run')
  }
  // `arguments` begin with the name that a program is called by.
  if (value !== '') return [value, ...rest.slice(1)]
  const { entrypoint = [], command: usual = [] } = image ?? {}
  if (command.docker_arguments === true) {
    const program = [...entrypoint, ...(rest.length > 0 ? rest : usual)]
    if (program.length > 0) return program
    throw new ContainerSpecRefused(
      'No command specified: command.arguments and the image have none',
    )
  }
  const [first, ...more] = entrypoint.length > 0 ? entrypoint : usual
  if (first === undefined) {
    throw new ContainerSpecRefused('command.value is empty: there is no program to run')
  }
  if (entrypoint.length === 0) return rest.length > 0 ? [first, ...rest] : [first, ...more]
  return [first, ...more, ...(rest.length > 0 ? rest : usual)]
}
