import { invariant, type Random } from '@conclave/kernel'
import { AeadKey } from './aead-key.ts'

const dekIdMax = 0xffff_ffff

/** One data encryption key of the keyring. Envelopes carry its id. */
export interface Dek {
  readonly id: number
  readonly key: AeadKey
}

/**
 * The DEKs of a cluster. A keyring never changes: rotating and dropping answer with another one, and
 * the replicated record decides which counts.
 *
 * 1. There is at least one DEK.
 * 2. Ids ascend strictly, from 1 to 2^32-1, and are never given out twice.
 * 3. The newest DEK seals; all of them open.
 */
export class Keyring {
  readonly #deks: readonly Dek[]

  /** @param deks in ascending order of their ids */
  constructor(deks: readonly Dek[]) {
    invariant(deks.length > 0, 'a keyring holds at least one DEK')
    let previous = 0
    for (const { id } of deks) {
      invariant(Number.isInteger(id) && id > previous && id <= dekIdMax, 'DEK ids ascend')
      previous = id
    }
    this.#deks = [...deks]
  }

  static create(random: Random): Keyring {
    return new Keyring([{ id: 1, key: AeadKey.draw(random) }])
  }

  /** The DEK that seals. */
  get newest(): Dek {
    const dek = this.#deks.at(-1)
    invariant(dek, 'a keyring holds at least one DEK')
    return dek
  }

  get deks(): readonly Dek[] {
    return this.#deks
  }

  find(id: number): Dek | undefined {
    return this.#deks.find((dek) => dek.id === id)
  }

  /** With a fresh DEK that seals from now on. */
  rotate(random: Random): Keyring {
    return new Keyring([...this.#deks, { id: this.newest.id + 1, key: AeadKey.draw(random) }])
  }

  /** Without the DEK `id`: what only it seals never opens again. The newest one cannot be dropped. */
  drop(id: number): Keyring {
    invariant(id !== this.newest.id, 'the newest DEK still seals')
    return new Keyring(this.#deks.filter((dek) => dek.id !== id))
  }
}
