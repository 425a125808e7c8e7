import { authorityFingerprint, formatJoinToken } from '@conclave/crypto'
import { wipe, type RedactedBytes } from '@conclave/kernel'
import type { View } from '@conclave/store'
import type { RootAuthority } from '../../ports.ts'
import { Records, type Stored } from '../record.ts'
import {
  authorityKey,
  AuthorityRecord,
  joinSecretKey,
  nextRootKeyKey,
  rootKeyKey,
  type MemberRole,
} from './authority-records.ts'
import { AuthorityMissing } from './errors.ts'
import type { SealedKeys } from './sealed-keys.ts'

/** What every member needs to know of the authority, and may. */
export interface Trust {
  /** All roots that count, as PEM, one after the other. */
  readonly authorityPem: string
  /** What stands behind a certificate that is issued now, before the reader's own root. */
  readonly chainPem: string
  /** The root that issues now. */
  readonly issuer: string
}

/** The authority as this master's state has it. */
export class AuthorityState {
  readonly #clusterId: string
  readonly #records: Records<AuthorityRecord>
  readonly #sealed: SealedKeys

  constructor(options: { clusterId: string; view: View; sealed: SealedKeys }) {
    this.#clusterId = options.clusterId
    this.#records = new Records(options.view, AuthorityRecord)
    this.#sealed = options.sealed
  }

  get stored(): Stored<AuthorityRecord> | undefined {
    return this.#records.get(authorityKey)
  }

  /** @throws AuthorityMissing */
  get record(): AuthorityRecord {
    const { stored } = this
    if (stored === undefined) throw new AuthorityMissing()
    return stored.record
  }

  get trust(): Trust | undefined {
    const { stored } = this
    return stored && trustOf(stored.record)
  }

  /** The root that issues now, with its key for the caller to wipe. @throws AuthorityMissing */
  openIssuer(): RootAuthority {
    const { rootPem, next } = this.record
    return next === undefined
      ? this.#open(rootPem, rootKeyKey)
      : this.#open(next.rootPem, nextRootKeyKey)
  }

  /** The root that tokens pin, with its key for the caller to wipe. @throws AuthorityMissing */
  openRoot(): RootAuthority {
    return this.#open(this.record.rootPem, rootKeyKey)
  }

  /** The text of the token that `role` joins with, for the caller to wipe. @throws AuthorityMissing */
  joinToken(role: MemberRole): RedactedBytes {
    const { rootPem } = this.record
    const secret = this.#sealed.open(joinSecretKey(role))
    if (secret === undefined) throw new AuthorityMissing()
    try {
      return formatJoinToken(rootPem, secret)
    } finally {
      wipe(secret)
    }
  }

  #open(certificatePem: string, key: string): RootAuthority {
    const privateKey = this.#sealed.open(key)
    if (privateKey === undefined) throw new AuthorityMissing()
    return { clusterId: this.#clusterId, certificatePem, privateKey }
  }
}

export const trustOf = ({ rootPem, next }: AuthorityRecord): Trust => ({
  // The new one first: it is there to stay.
  authorityPem: next === undefined ? rootPem : `${next.rootPem}${rootPem}`,
  chainPem: next?.crossPem ?? '',
  issuer: authorityFingerprint(next?.rootPem ?? rootPem),
})
