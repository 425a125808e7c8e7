import type { RootEntry } from './root-entry.ts'

/** What a simulated image is made of. */
export interface Recipe {
  /** As people write it: `redis`. */
  readonly repository: string
  /** What is said of it where images are described. */
  readonly description: string
  readonly entries: readonly RootEntry[]
  readonly entrypoint?: readonly string[]
  readonly command?: readonly string[]
  /** Each `NAME=value`. */
  readonly environment?: readonly string[]
  readonly workingDirectory?: string
  /** Such as `80/tcp`. Nothing listens there: a simulated machine has no sockets. */
  readonly exposedPorts?: readonly string[]
  readonly volumes?: readonly string[]
  readonly stopSignal?: string
}
