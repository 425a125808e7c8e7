import type { LiveView } from '@conclave/store'
import { keyringKey } from '../master-records.ts'
import { kekKey } from './key-records.ts'

/**
 * The revision that last put a keyring or a link of the KEK's chain out of use: what was there before
 * it must be gone from the history, and from every journal. 0 when nothing ever was.
 */
export function purgeRevision(store: Pick<LiveView, 'get'>): number {
  const keyring = store.get(keyringKey)
  const replacedAt = keyring === undefined || keyring.version === 1 ? 0 : keyring.modRevision
  return Math.max(replacedAt, store.get(kekKey)?.modRevision ?? 0)
}
