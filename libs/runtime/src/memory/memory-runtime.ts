import {
  ContainerRefused,
  type Container,
  type ContainerRuntime,
  type ContainerSpec,
} from '@conclave/actors'
import type { FetchedFile, ImageSource, UriSource } from '@conclave/isolators'
import type { Clock, Random } from '@conclave/kernel'
import { SystemClock } from '../clock.ts'
import { silentLog, type Log } from '../log.ts'
import { SystemRandom } from '../random.ts'
import type { ArchiveFormat } from './archive.ts'
import { Executor } from './executor.ts'
import { MemoryContainer, usualContainerLimits, type ContainerLimits } from './memory-container.ts'

export interface MemoryRuntimeOptions {
  readonly clock?: Clock
  readonly random?: Random
  readonly log?: Log
  readonly limits?: Partial<ContainerLimits>
  /** Where images come from. Without any, no container has one. */
  readonly images?: ImageSource
  /** Who fetches URIs. Without anybody, none is fetched. */
  readonly uris?: UriSource
  /** How files are copied in and out. Without it, none are. */
  readonly archives?: ArchiveFormat
  /** Hears what was fetched into which container. */
  readonly onFetched?: (containerId: string, files: readonly FetchedFile[]) => void
}

/**
 * Runs containers within this process: simulated programs over files in memory, thousands of them, on
 * any system and without privileges. No boundary against hostile code: everything is one JavaScript heap.
 */
export class MemoryRuntime implements ContainerRuntime {
  readonly name = 'memory'
  readonly #clock: Clock
  readonly #random: Random
  readonly #limits: ContainerLimits
  readonly #images: ImageSource | undefined
  readonly #uris: UriSource | undefined
  readonly #archives: ArchiveFormat | undefined
  readonly #onFetched: MemoryRuntimeOptions['onFetched']
  readonly #executor: Executor
  readonly #containers = new Map<string, MemoryContainer>()

  constructor(options: MemoryRuntimeOptions = {}) {
    const log = options.log ?? silentLog
    this.#clock = options.clock ?? new SystemClock()
    this.#random = options.random ?? new SystemRandom()
    this.#images = options.images
    this.#uris = options.uris
    this.#archives = options.archives
    this.#onFetched = options.onFetched
    this.#limits = { ...usualContainerLimits, ...options.limits }
    this.#executor = new Executor({
      clock: this.#clock,
      onFault: (machine, error) => {
        for (const [container, one] of this.#containers) {
          if (!one.isRunning(machine)) continue
          log.error({ container, error }, 'a container ended through a fault of the shell')
          one.faulted()
        }
      },
    })
  }

  get containers(): ReadonlyMap<string, MemoryContainer> {
    return this.#containers
  }

  /** What a process kept in memory went with it: there is nothing to find. */
  async recover(): Promise<void> {}

  async create(spec: ContainerSpec): Promise<Container> {
    const { containerId, argv } = spec
    if (this.#containers.has(containerId)) {
      throw new ContainerRefused(`there is a container ${containerId}`)
    }
    // Only an image may still say what is run.
    if (this.#images === undefined && (argv.length === 0 || argv[0] === ''))
      throw new ContainerRefused('there is no program to run')
    const container = new MemoryContainer({
      spec,
      clock: this.#clock,
      random: this.#random,
      executor: this.#executor,
      limits: this.#limits,
      ...(this.#images && { images: this.#images }),
      ...(this.#uris && { uris: this.#uris }),
      ...(this.#archives && { archives: this.#archives }),
      ...(this.#onFetched && { onFetched: this.#onFetched }),
      onDestroyed: () => this.#containers.delete(containerId),
    })
    this.#containers.set(containerId, container)
    return container
  }

  destroyAll(): void {
    for (const container of this.#containers.values()) {
      container.destroyNow()
      container.forgetOutput()
    }
    this.#executor.stop()
  }
}
