import { AeadKey, CryptographicFailure, Kek, unwrapKey, unwrapKeyring } from '@conclave/crypto'
import { wipe } from '@conclave/kernel'
import type { View } from '@conclave/store'
import { Unavailable } from '../errors.ts'
import { keyringKey } from '../master-records.ts'
import { KekForeign } from './errors.ts'
import { kekLinkKey, kekLinkName, KekRecords } from './key-records.ts'

/** A KEK, and which of the cluster's KEKs it is. */
export interface HeldKek {
  readonly kek: Kek
  /** 0 for one that was handed over without saying. */
  readonly version: number
}

/**
 * The KEK that this master holds, and how it comes by the next one: the store has each new KEK wrapped
 * under the one before it, for as long as a master may need that. So whoever knew any KEK of the chain
 * knows the last, in whatever order it hears of things; and a KEK that stands outside of it is refused.
 */
export class KekChain {
  readonly #clusterId: string
  readonly #view: View
  readonly #records: KekRecords
  #held: HeldKek

  constructor(options: { clusterId: string; view: View; held: HeldKek }) {
    this.#clusterId = options.clusterId
    this.#view = options.view
    this.#records = new KekRecords(options.view)
    this.#held = options.held
  }

  /**
   * The KEK that the keyring is under, as this master's copy of the state says.
   *
   * @throws KekForeign when the one at hand does not lead to it
   * @throws Unavailable while that copy is older than the KEK at hand
   */
  current(): HeldKek & { readonly isLocked: boolean } {
    const { version, isLocked } = this.#records.now
    if (this.#held.version === 0) this.#held = this.#recognised(version)
    if (this.#held.version > version) {
      throw new Unavailable('this master has not caught up with its own keys yet')
    }
    while (this.#held.version < version) this.#held = this.#next(this.#held, version)
    return { ...this.#held, isLocked }
  }

  /** Which one it is, when nobody said: it opens the keyring, or the link behind it. */
  #recognised(version: number): HeldKek {
    const { kek } = this.#held
    if (this.#opensKeyring(kek)) return { kek, version }
    for (let from = this.#records.now.linkedFrom; from < version; from++) {
      const next = this.#behind(kek, from + 1)
      if (next !== undefined) return { kek: next, version: from + 1 }
    }
    throw new KekForeign(0, version)
  }

  #next({ kek, version }: HeldKek, current: number): HeldKek {
    const next = this.#behind(kek, version + 1)
    if (next === undefined) throw new KekForeign(version, current)
    return { kek: next, version: version + 1 }
  }

  #behind(kek: Kek, version: number): Kek | undefined {
    const wrapped = this.#view.get(kekLinkKey(version))?.value
    if (wrapped === undefined) return undefined
    return opened(() => {
      const key = unwrapKey({
        kek,
        clusterId: this.#clusterId,
        name: kekLinkName(version),
        wrapped,
      })
      try {
        return Kek.of(AeadKey.of(key.reveal()))
      } finally {
        wipe(key)
      }
    })
  }

  #opensKeyring(kek: Kek): boolean {
    const wrapped = this.#view.get(keyringKey)?.value
    if (wrapped === undefined) return false
    return opened(() => unwrapKeyring({ kek, clusterId: this.#clusterId, wrapped })) !== undefined
  }
}

function opened<T>(open: () => T): T | undefined {
  try {
    return open()
  } catch (error) {
    if (error instanceof CryptographicFailure) return undefined
    throw error
  }
}
