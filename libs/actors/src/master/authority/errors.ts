import { ConclaveError } from '@conclave/kernel'

/** The cluster's authority is not in its store yet: no leader has found its key, or none was elected. */
export class AuthorityMissing extends ConclaveError {
  readonly code = 'authority.missing'

  constructor() {
    super(
      'this cluster has no authority in its store yet; start the master that has ca.key.wrapped',
    )
  }
}

/** The root is being replaced already, and one after the other is enough. */
export class AuthorityRotating extends ConclaveError {
  readonly code = 'authority.rotating'

  constructor() {
    super('the authority is being replaced already; conclave cluster ca shows who is waited for')
  }
}

/** A setting of the authority that it cannot have. Says what it may be. */
export class ValidityInvalid extends ConclaveError {
  readonly code = 'authority.validity-invalid'

  constructor() {
    super('validity: certificates count for at least an hour and at most ten years')
  }
}

/** Who comes with this certificate was removed from the cluster, or may not have what it asks for. */
export class HolderRefused extends ConclaveError {
  readonly code = 'holder.refused'
}

/** Nobody of this name and role is known to hold a certificate. */
export class HolderUnknown extends ConclaveError {
  readonly code = 'holder.unknown'

  constructor(id: string) {
    super(`no member ${id} holds a certificate of this cluster`)
  }
}

/** A member asks for certificates, or for the key of all others, far more often than it needs them. */
export class RenewalThrottled extends ConclaveError {
  readonly code = 'authority.throttled'
  readonly retryAfterSeconds: number

  constructor(retryAfterSeconds: number) {
    super(`this member has asked too often; it may again in ${retryAfterSeconds} s`)
    this.retryAfterSeconds = retryAfterSeconds
  }
}
