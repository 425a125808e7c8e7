import type { ImageRoot, ImageSource, ImageWanted } from '@conclave/isolators'
import { ConclaveError } from '@conclave/kernel'
import {
  hub,
  isKnown,
  isPinnedToSimulated,
  noSuchImage,
  parseImageName,
  simulatedImage,
} from '@conclave/simulated-images'
import type { ImagesChoice } from './images.ts'

/** No image has this name, neither a simulated one nor, where nobody is asked, another. */
export class ImageNotThere extends ConclaveError {
  readonly code = 'image.not-there'

  constructor(name: string) {
    super(noSuchImage(name))
  }
}

/**
 * Which images an agent has without asking a registry, or undefined when it has none.
 *
 * An agent that pulls nothing answers for every name itself: there is nobody else. One that pulls answers for
 * names of Docker Hub that are described, as long as its registry is the Hub and the task shows no
 * credentials of its own, and for whatever ends in the digest of a simulated image.
 */
export function simulates(
  choice: ImagesChoice | undefined,
): ((name: string, hasConfig: boolean) => boolean) | undefined {
  const { simulated = 'off', provider, registry = '' } = choice ?? {}
  if (simulated === 'off') return undefined
  if (provider !== 'docker') return () => true
  const isHub = new URL(registry).hostname.endsWith(hub)
  return (name, hasConfig) => {
    if (hasConfig) return false
    if (isPinnedToSimulated(name, simulated)) return true
    const parsed = parseImageName(name)
    return isHub && parsed !== undefined && isKnown(parsed) && parsed.digest === undefined
  }
}

/** Gives what is simulated, and leaves everything else to a registry where one is asked. */
export class SimulatedSource implements ImageSource {
  readonly #mode: NonNullable<ImagesChoice['simulated']>
  readonly #isOurs: (name: string, hasConfig: boolean) => boolean
  readonly #registry: ImageSource | undefined

  constructor(choice: ImagesChoice | undefined, registry: ImageSource | undefined) {
    this.#mode = choice?.simulated ?? 'off'
    this.#isOurs = simulates(choice) ?? (() => false)
    this.#registry = registry
  }

  /** @throws ImageNotThere, and whatever the registry's source throws */
  async provision(wanted: ImageWanted, signal: AbortSignal): Promise<ImageRoot> {
    const isOurs = this.#isOurs(wanted.name, wanted.dockerConfig !== undefined)
    if (!isOurs && this.#registry !== undefined) return this.#registry.provision(wanted, signal)
    const image = simulatedImage(wanted.name, this.#mode)
    if (image === undefined) throw new ImageNotThere(wanted.name)
    return image.root
  }
}
