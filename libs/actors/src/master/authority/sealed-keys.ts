import { openEnvelope, sealEnvelope } from '@conclave/crypto'
import type { Random, RedactedBytes } from '@conclave/kernel'
import type { Op, View } from '@conclave/store'
import type { ClusterKeys } from '../cluster-keys.ts'

export interface SealedKeysOptions {
  readonly clusterId: string
  readonly view: View
  readonly keys: ClusterKeys
  readonly random: Random
}

/**
 * Keys that the store keeps sealed under the keyring: each opens only where it was put. As with the
 * token key, a `#` before the place keeps it apart from every secret's.
 */
export class SealedKeys {
  readonly #options: SealedKeysOptions

  constructor(options: SealedKeysOptions) {
    this.#options = options
  }

  has(key: string): boolean {
    return this.#options.view.get(key) !== undefined
  }

  /** The change that keeps `plaintext`, which stays the caller's to wipe. */
  put(key: string, plaintext: RedactedBytes): Op {
    const { clusterId, keys, random } = this.#options
    const dek = keys.keyring().newest
    const value = sealEnvelope({ clusterId, ...placeOf(key), dek, plaintext, random })
    return { do: 'put', key, value }
  }

  /** In fresh bytes, for the caller to wipe. Undefined where nothing is kept. @throws CryptographicFailure */
  open(key: string): RedactedBytes | undefined {
    const { clusterId, keys, view } = this.#options
    const envelope = view.get(key)?.value
    if (envelope === undefined) return undefined
    return openEnvelope({ clusterId, ...placeOf(key), keyring: keys.keyring(), envelope })
  }
}

const placeOf = (key: string) => ({ path: `#${key}`, version: 1 }) as const
