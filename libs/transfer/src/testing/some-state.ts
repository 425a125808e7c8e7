import { Keyring } from '@conclave/crypto'
import { utf8 } from '@conclave/kernel'
import { compareKeys, type StateRecord } from '@conclave/store'
import { SeededRandom } from '@conclave/testkit'
import type { StateSource } from '../state-source.ts'

/** A state with these values by key. @param failAfter as many records come, and then an error */
export function someState(
  values: Readonly<Record<string, string>>,
  failAfter = Infinity,
): StateSource {
  const records = Object.entries(values)
    .map(([key, value], at): StateRecord => ({
      key,
      value: utf8(value),
      createRevision: at + 1,
      modRevision: at + 1,
      version: 1,
    }))
    .sort((a, b) => compareKeys(a.key, b.key))
  return {
    manifest: { clusterId: 'cluster-1', revision: records.length + 1, takenAtMs: 1 },
    keyring: Keyring.create(new SeededRandom(7)),
    records: async function* all() {
      for (const [at, record] of records.entries()) {
        if (at >= failAfter) throw new Error('the source broke off')
        yield record
      }
    },
  }
}
