import { authorityFingerprint, createJoinSecret } from '@conclave/crypto'
import { wipe, type Random } from '@conclave/kernel'
import { encodeRecord } from '../record.ts'
import { isStill, type Replicated } from '../replicated.ts'
import {
  authorityKey,
  joinSecretKey,
  MemberRole,
  nextRootKeyKey,
  rootKeyKey,
  type AuthorityRecord,
} from './authority-records.ts'
import type { AuthorityState } from './authority-state.ts'
import type { Holders } from './holders.ts'
import type { SealedKeys } from './sealed-keys.ts'

export interface RotationEnding {
  readonly state: AuthorityState
  readonly sealed: SealedKeys
  readonly holders: Holders
  readonly replicated: Replicated
  readonly random: Random
}

/**
 * Ends the replacement of the root once every member has shown a certificate of the new one: the old
 * root and its key are gone, and both join tokens are drawn anew, since they pin the root. All that it
 * looks at is in the store, so whoever leads next goes on where the last one was.
 *
 * Source: reference docker-swarm.md B6.
 *
 * @returns the fingerprint of the root that is left, or undefined when it is not time
 */
export async function endRotation(o: RotationEnding): Promise<string | undefined> {
  const { state, sealed, holders, replicated, random } = o
  const stored = state.stored
  if (stored?.record.next === undefined) return undefined
  const { next, validityMs } = stored.record
  const issuer = authorityFingerprint(next.rootPem)
  if (holders.waitingFor(issuer).length > 0) return undefined
  const record: AuthorityRecord = { rootPem: next.rootPem, validityMs }
  const { privateKey } = state.openIssuer()
  const secrets = MemberRole.options.map((role) => [role, createJoinSecret(random)] as const)
  try {
    const committed = await replicated.commit({
      compare: [isStill(authorityKey, stored)],
      success: [
        { do: 'put', key: authorityKey, value: encodeRecord(record) },
        sealed.put(rootKeyKey, privateKey),
        { do: 'delete', key: nextRootKeyKey },
        ...secrets.map(([role, secret]) => sealed.put(joinSecretKey(role), secret)),
      ],
    })
    return committed === undefined ? undefined : issuer
  } finally {
    wipe(privateKey)
    for (const [, secret] of secrets) wipe(secret)
  }
}
