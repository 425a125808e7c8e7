import {
  openEnvelope,
  parseTokenKey,
  unwrapKeyring,
  type Kek,
  type Keyring,
  type TokenKey,
} from '@conclave/crypto'
import { wipe } from '@conclave/kernel'
import type { View } from '@conclave/store'
import { keyringKey, tokenKeyKey, tokenKeyPlace } from './master-records.ts'
import { Unavailable } from './errors.ts'

interface Opened<T> {
  readonly modRevision: number
  readonly key: T
}

/** The cluster's keys as this master holds them: opened once for each revision that wrote them. */
export class ClusterKeys {
  readonly #clusterId: string
  readonly #kek: Kek
  readonly #view: View
  #keyring: Opened<Keyring> | undefined
  #tokenKey: Opened<TokenKey> | undefined

  constructor(options: { clusterId: string; kek: Kek; view: View }) {
    this.#clusterId = options.clusterId
    this.#kek = options.kek
    this.#view = options.view
  }

  /** @throws Unavailable before the first leader has made one */
  keyring(): Keyring {
    const kv = this.#record(keyringKey)
    if (this.#keyring?.modRevision !== kv.modRevision) {
      const key = unwrapKeyring({
        kek: this.#kek,
        clusterId: this.#clusterId,
        wrapped: kv.value,
      })
      this.#keyring = { modRevision: kv.modRevision, key }
    }
    return this.#keyring.key
  }

  /** @throws Unavailable before the first leader has made one */
  tokenKey(): TokenKey {
    const kv = this.#record(tokenKeyKey)
    if (this.#tokenKey?.modRevision !== kv.modRevision) {
      const pem = openEnvelope({
        clusterId: this.#clusterId,
        ...tokenKeyPlace,
        keyring: this.keyring(),
        envelope: kv.value,
      })
      try {
        this.#tokenKey = { modRevision: kv.modRevision, key: parseTokenKey(pem) }
      } finally {
        wipe(pem)
      }
    }
    return this.#tokenKey.key
  }

  #record(key: string): { readonly value: Uint8Array; readonly modRevision: number } {
    const kv = this.#view.get(key)
    if (kv === undefined)
      throw new Unavailable('this cluster has no keys yet; no leader was elected')
    return kv
  }
}
