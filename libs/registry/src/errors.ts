import { ConclaveError } from '@conclave/kernel'

/** A directory that is no OCI image layout, or does not hold what it says. */
export class LayoutUnusable extends ConclaveError {
  readonly code = 'registry.layout-unusable'
}

/** Users of a registry that cannot be: no name, no password, or a name twice. */
export class RegistryUsersInvalid extends ConclaveError {
  readonly code = 'registry.users-invalid'
}
