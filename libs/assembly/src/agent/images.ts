import { readFile } from 'node:fs/promises'
import {
  ImagePuller,
  ImagePullFailed,
  parseDockerConfig,
  wipeCredentials,
} from '@conclave/image-puller'
import type { ImageSource } from '@conclave/isolators'
import { Redacted, utf8Text, type RedactedBytes } from '@conclave/kernel'
import type { Log } from '@conclave/runtime'
import type { SimulatedImagesMode } from '@conclave/simulated-images'
import { SimulatedSource, simulates } from './simulated-source.ts'

/** Mesos' `--image_providers`, `--docker_registry` and `--docker_config`, and which images are simulated. */
export interface ImagesChoice {
  /** Without `docker`, no image is pulled, and what a spec says of one is ignored. */
  readonly provider: 'docker' | 'none'
  /** The URL of the registry of names without one. */
  readonly registry: string
  /** JSON, or an absolute path of a file with it. Empty: none. */
  readonly dockerConfig: RedactedBytes
  /** Which names stand for simulated images. Default: none. */
  readonly simulated?: SimulatedImagesMode
  /** Whether an image that one task could pull is every task's from then on, as in Mesos: for teaching. */
  readonly sharesKept?: boolean
}

/**
 * Where the images of an agent come from, or nothing.
 *
 * @throws ImagePullFailed when the docker config is none: better than at the first pull
 */
export async function openImages(
  choice: ImagesChoice | undefined,
  log: Log,
): Promise<ImageSource | undefined> {
  const puller = await openPuller(choice, log)
  return simulates(choice) === undefined ? puller : new SimulatedSource(choice, puller)
}

async function openPuller(
  choice: ImagesChoice | undefined,
  log: Log,
): Promise<ImagePuller | undefined> {
  if (choice?.provider !== 'docker') return undefined
  const { registry, dockerConfig, sharesKept = false } = choice
  const config = await configOf(dockerConfig)
  if (config !== undefined) wipeCredentials(parseDockerConfig(config))
  return new ImagePuller({
    defaultRegistry: registry,
    ...(config !== undefined && { dockerConfig: config }),
    sharesKept,
    log,
  })
}

async function configOf(given: RedactedBytes): Promise<RedactedBytes | undefined> {
  const [first] = given.reveal()
  if (first === undefined) return undefined
  if (first !== 0x2f) return given
  try {
    return new Redacted(await readFile(utf8Text(given.reveal())))
  } catch (cause) {
    throw new ImagePullFailed('the docker config of the agent cannot be read', { cause })
  }
}
