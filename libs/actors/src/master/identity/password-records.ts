import { isEnvelope, sealEnvelope, type Dek } from '@conclave/crypto'
import { Redacted, utf8, utf8Text, wipe, type Random } from '@conclave/kernel'
import { decodeRecord } from '@conclave/model'
import type { KeyValue, View } from '@conclave/store'
import type { ClusterKeys } from '../cluster-keys.ts'
import { passwordKey, PasswordRecord } from './identity-records.ts'

/*
 * What passwords are checked by. A hash says no password, but lets whoever has it try as many as they
 * like: so it is sealed like a secret, and who reads the state where it lies has nothing to try against.
 */

/** Under which key of which cluster. */
export interface HashSealing {
  readonly clusterId: string
  readonly dek: Dek
  readonly random: Random
}

/** @param hash a PHC string: docs/formats/password.md */
export function sealPasswordHash(o: HashSealing, uid: string, hash: string): Uint8Array {
  const plaintext = new Redacted(utf8(hash))
  try {
    return sealEnvelope({ ...o, path: `#${passwordKey(uid)}`, version: 1, plaintext })
  } finally {
    wipe(plaintext)
  }
}

/** Whether a record is of a build that did not seal hashes. */
export const isUnsealedHash = ({ value }: Pick<KeyValue, 'value'>): boolean => !isEnvelope(value)

/** The hash of such a record. @throws RecordUnreadable */
export const unsealedHash = ({ key, value }: Pick<KeyValue, 'key' | 'value'>): string =>
  decodeRecord(PasswordRecord, key, value).hash

/** The hash that a user's password is checked by, for as long as that takes. Undefined when there is none. */
export function passwordHashOf(view: View, keys: ClusterKeys, uid: string): string | undefined {
  const kv = view.get(passwordKey(uid))
  if (kv === undefined) return undefined
  if (isUnsealedHash(kv)) return unsealedHash(kv)
  const hash = keys.open(kv)
  try {
    return utf8Text(hash.reveal())
  } finally {
    wipe(hash)
  }
}
