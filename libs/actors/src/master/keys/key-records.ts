import type { View } from '@conclave/store'
import { z } from 'zod'
import { Records, type Stored } from '../record.ts'

/*
 * What the masters keep about the key that wraps all others (docs/formats/records.md). The key itself
 * is in no record but under another key.
 */

/** Which KEK the keyring is under now. Missing in a cluster that never had another one. */
export const kekKey = 'keys/kek'

export const KekRecord = z.object({
  version: z.int().positive(),
  /** Autolock: the KEK rests nowhere, and comes from the unlock key. */
  isLocked: z.boolean(),
  /** The links of the chain that are kept begin behind this version. */
  linkedFrom: z.int().positive(),
})
export type KekRecord = Readonly<z.infer<typeof KekRecord>>

export const firstKek: KekRecord = { version: 1, isLocked: false, linkedFrom: 1 }

/** Bytes: the KEK `version`, wrapped under the one before it, for masters that were away. */
export const kekLinkKey = (version: number): string => `keys/kek-link/${version}`
export const kekLinkName = (version: number): string => `kek/${version}`

/** What a master says once its own files are under a KEK and no other. */
export const kekKeptPrefix = 'keys/kek-kept/'
export const kekKeptKey = (masterId: string): string => kekKeptPrefix + masterId
export const KekKeptRecord = z.object({ version: z.int().positive() })

/** Bytes: an envelope of the unlock key, while autolock is on. */
export const unlockKeyKey = 'keys/unlock'
export const unlockKeyPlace = { path: '#keys/unlock', version: 1 } as const

/** The record of the KEK, and the revision that a transaction compares: none while there is no record. */
export class KekRecords {
  readonly #records: Records<KekRecord>
  readonly #kept: Records<z.infer<typeof KekKeptRecord>>

  constructor(view: View) {
    this.#records = new Records(view, KekRecord)
    this.#kept = new Records(view, KekKeptRecord)
  }

  get stored(): Stored<KekRecord> | undefined {
    return this.#records.get(kekKey)
  }

  get now(): KekRecord {
    return this.stored?.record ?? firstKek
  }

  /** The newest version that this master has said it keeps; 0 when it never said a word. */
  keptBy(masterId: string): number {
    return this.#kept.get(kekKeptKey(masterId))?.record.version ?? 0
  }
}
