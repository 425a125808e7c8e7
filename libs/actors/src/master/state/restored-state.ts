import { wrapKeyring, type Kek, type Keyring } from '@conclave/crypto'
import { encodeRecord } from '@conclave/model'
import type { Random } from '@conclave/kernel'
import type { Op, View } from '@conclave/store'
import { identityChanges, type FirstIdentities } from '../founding.ts'
import { AclRecord, UserRecord } from '../identity/identity-records.ts'
import { epochKey, EpochRecord, keyringKey, memberPrefix, tokenKeyKey } from '../master-records.ts'
import { Records } from '../record.ts'

/*
 * What has to change in the state of a cluster for others to go on with it, on new machines: all that
 * people made stays as it was, and all that belonged to the old masters goes.
 */

/** Which masters there were, the authority of their certificates, and what their KEK was. */
const ofOldMasters = (key: string): boolean =>
  key.startsWith(memberPrefix) ||
  key === 'masters/reserved' ||
  key.startsWith('authority/') ||
  (key.startsWith('keys/') && key !== keyringKey && key !== tokenKeyKey)

/**
 * The changes that make a restored state one of new masters: the keyring under their KEK, and their first
 * people and services beside those that were there. Whoever restores may have a password of their own.
 */
export function restoreChanges(o: {
  readonly view: View
  readonly clusterId: string
  readonly kek: Kek
  readonly keyring: Keyring
  readonly identities: FirstIdentities
  readonly nowMs: number
  readonly random: Random
}): readonly Op[] {
  const { view, clusterId, kek, keyring, random } = o
  const gone = view
    .list('', { keysOnly: true })
    .kvs.filter(({ key }) => ofOldMasters(key))
    .map(({ key }): Op => ({ do: 'delete', key }))
  const wrapped = wrapKeyring({ kek, keyring, clusterId, random })
  const people = identityChanges(o.identities, { ...o, dek: keyring.newest }).map((op) =>
    beside(view, op),
  )
  return [...gone, { do: 'put', key: keyringKey, value: wrapped }, ...people]
}

/** The term that the restored group begins behind: no epoch of an older one could follow the last. */
export const lastTermIn = (view: View): number =>
  new Records(view, EpochRecord).get(epochKey)?.record.term ?? 0

/** A record of the first people, together with what stands there already. */
function beside(view: View, op: Op): Op {
  if (op.do !== 'put') return op
  if (op.key.startsWith('identity/acl/')) {
    const known = new Records(view, AclRecord).get(op.key)?.record
    if (known === undefined) return op
    const added = AclRecord.parse(JSON.parse(Buffer.from(op.value).toString('utf8')))
    return { ...op, value: encodeRecord({ ...known, users: { ...known.users, ...added.users } }) }
  }
  if (op.key.startsWith('identity/user/')) {
    const known = new Records(view, UserRecord).get(op.key)?.record
    if (known === undefined) return op
    const added = UserRecord.parse(JSON.parse(Buffer.from(op.value).toString('utf8')))
    return { ...op, value: encodeRecord({ ...added, groups: known.groups }) }
  }
  return op
}
