import { ConclaveError } from '@conclave/kernel'

/** A directory that can neither be used as a cluster's nor made into one. Says what is wrong and what to do. */
export class ClusterDirectoryUnusable extends ConclaveError {
  readonly code = 'cluster.directory-unusable'

  constructor(directory: string, why: string, cause?: unknown) {
    super(`${directory} cannot be used as a cluster's directory: ${why}`, { cause })
  }
}

/** No port is left in the range that clusters choose theirs from. */
export class NoFreePort extends ConclaveError {
  readonly code = 'cluster.no-free-port'

  constructor(host: string, from: number, to: number) {
    super(
      `too few free ports between ${from} and ${to} on ${host}: end what holds them, or give ports`,
    )
  }
}
