import { ConclaveError } from '@conclave/kernel'

/**
 * An image cannot be had: its name, its registry, its credentials or what it is. In the words of Mesos
 * where it has some (reference/mesos.md §17). Names images, digests and addresses, never a credential.
 */
export class ImagePullFailed extends ConclaveError {
  readonly code = 'image.pull-failed'
}

/** The bytes of an image are not what they should be: damaged, hostile, or larger than they may be. */
export class ImageRefused extends ConclaveError {
  readonly code = 'image.refused'
}
