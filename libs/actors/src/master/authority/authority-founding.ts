import { authorityFingerprint, createJoinSecret, unwrapKey, type Kek } from '@conclave/crypto'
import { wipe, type Random, type RedactedBytes } from '@conclave/kernel'
import type { Compare } from '@conclave/store'
import { encodeRecord } from '../record.ts'
import type { Replicated } from '../replicated.ts'
import {
  authorityKey,
  joinSecretKey,
  MemberRole,
  rootKeyKey,
  type AuthorityRecord,
} from './authority-records.ts'
import type { AuthorityState } from './authority-state.ts'
import type { SealedKeys } from './sealed-keys.ts'

/** The authority as the set-up left it beside a master: its key wrapped under the KEK, by the name `ca`. */
export interface FirstAuthority {
  readonly certificatePem: string
  readonly wrappedKey: Uint8Array
}

export interface AuthorityFounding {
  readonly clusterId: string
  readonly kek: Kek
  readonly first: FirstAuthority | undefined
  readonly state: AuthorityState
  readonly sealed: SealedKeys
  readonly random: Random
  readonly replicated: Replicated
  /** What must hold for as long as this master leads. */
  readonly claim: Compare
}

const validityMsUsually = 90 * 24 * 3_600_000

/**
 * Takes the authority into the store, where its key rests like any other secret, and draws the join
 * tokens. A leader does it once, also in a cluster that was founded before there was a place for it.
 *
 * @returns the fingerprint of the root, or undefined when there was nothing to do or to do it with
 */
export async function foundAuthority(o: AuthorityFounding): Promise<string | undefined> {
  const { first, state, sealed, random, replicated } = o
  if (state.stored !== undefined || first === undefined) return undefined
  const record: AuthorityRecord = {
    rootPem: first.certificatePem,
    validityMs: validityMsUsually,
  }
  const key = unwrapKey({ ...o, name: 'ca', wrapped: first.wrappedKey })
  const secrets = MemberRole.options.map((role) => [role, createJoinSecret(random)] as const)
  try {
    const committed = await replicated.commit({
      compare: [{ key: authorityKey, target: 'version', is: '=', operand: 0 }, o.claim],
      success: [
        { do: 'put', key: authorityKey, value: encodeRecord(record) },
        sealed.put(rootKeyKey, key),
        ...secrets.map(([role, secret]) => sealed.put(joinSecretKey(role), secret)),
      ],
    })
    return committed === undefined ? undefined : authorityFingerprint(record.rootPem)
  } finally {
    wipeAll([key, ...secrets.map(([, secret]) => secret)])
  }
}

const wipeAll = (all: readonly RedactedBytes[]): void => all.forEach((one) => wipe(one))
