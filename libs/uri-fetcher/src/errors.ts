import { ConclaveError } from '@conclave/kernel'

/** A URI of a task cannot be fetched. Names where it is without its query, and never a credential. */
export class UriFetchFailed extends ConclaveError {
  readonly code = 'uri.fetch-failed'
}
