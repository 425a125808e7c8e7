import {
  CryptographicFailure,
  envelopeDekId,
  isEnvelope,
  openEnvelope,
  parseTokenKey,
  unwrapKeyring,
  type Keyring,
  type TokenKey,
} from '@conclave/crypto'
import { wipe, type RedactedBytes } from '@conclave/kernel'
import type { KeyValue, Op, Txn, View } from '@conclave/store'
import { Unavailable } from './errors.ts'
import { KekForeign } from './keys/errors.ts'
import type { KekChain } from './keys/kek-chain.ts'
import { keyringKey, tokenKeyKey, tokenKeyPlace } from './master-records.ts'

interface Opened<T> {
  readonly modRevision: number
  readonly key: T
}

/** The cluster's keys as this master holds them: opened once for each revision that wrote them. */
export class ClusterKeys {
  readonly #clusterId: string
  readonly #chain: KekChain
  readonly #view: View
  #keyring: Opened<Keyring> | undefined
  #tokenKey: Opened<TokenKey> | undefined

  constructor(options: { clusterId: string; chain: KekChain; view: View }) {
    this.#clusterId = options.clusterId
    this.#chain = options.chain
    this.#view = options.view
  }

  get chain(): KekChain {
    return this.#chain
  }

  /** @throws Unavailable before the first leader has made one, KekForeign when it does not open here */
  keyring(): Keyring {
    const known = this.#keyring
    if (known !== undefined && this.#isStill(keyringKey, known)) return known.key
    const { modRevision, value } = this.#record(keyringKey)
    const key = this.#unwrap(value)
    this.#keyring = { modRevision, key }
    return key
  }

  /** @throws Unavailable before the first leader has made one */
  tokenKey(): TokenKey {
    const known = this.#tokenKey
    if (known !== undefined && this.#isStill(tokenKeyKey, known)) return known.key
    const { modRevision, value } = this.#record(tokenKeyKey)
    const pem = openEnvelope({
      clusterId: this.#clusterId,
      ...tokenKeyPlace,
      keyring: this.keyring(),
      envelope: value,
    })
    try {
      const key = parseTokenKey(pem)
      this.#tokenKey = { modRevision, key }
      return key
    } finally {
      wipe(pem)
    }
  }

  /**
   * What is sealed at its own record's name, as the cluster's own things are; for the caller to wipe.
   *
   * @throws CryptographicFailure
   */
  open({ key, value }: Pick<KeyValue, 'key' | 'value'>): RedactedBytes {
    const [clusterId, keyring] = [this.#clusterId, this.keyring()]
    return openEnvelope({ clusterId, path: `#${key}`, version: 1, keyring, envelope: value })
  }

  /**
   * `txn`, on condition that the keyring is still the one that its envelopes were sealed under: nothing
   * may come under a DEK whose end may have begun. Undefined when that is over already. Envelopes
   * inside of other records are for those who write these to look after.
   */
  guarded(txn: Txn): Txn | undefined {
    const sealed = txn.success.filter(isSealed)
    if (sealed.length === 0) return txn
    const operand = this.#view.modRevision(keyringKey)
    // What founds a cluster brings its keyring along.
    if (operand === 0 || changes(txn, keyringKey)) return txn
    const newest = this.keyring().newest.id
    for (const { value } of sealed) if (envelopeDekId(value) !== newest) return undefined
    const claim = { key: keyringKey, target: 'modRevision', is: '=', operand } as const
    return { ...txn, compare: txn.compare.concat(claim) }
  }

  #unwrap(wrapped: Uint8Array): Keyring {
    const { kek, version } = this.#chain.current()
    try {
      return unwrapKeyring({ kek, clusterId: this.#clusterId, wrapped })
    } catch (error) {
      if (error instanceof CryptographicFailure) throw new KekForeign(version, version)
      throw error
    }
  }

  #isStill(key: string, { modRevision }: Opened<unknown>): boolean {
    return this.#view.modRevision(key) === modRevision
  }

  #record(key: string): { readonly value: Uint8Array; readonly modRevision: number } {
    const kv = this.#view.get(key)
    if (kv === undefined)
      throw new Unavailable('this cluster has no keys yet; no leader was elected')
    return kv
  }
}

const changes = ({ success }: Txn, key: string): boolean =>
  success.some((op) => op.do === 'put' && op.key === key)

const isSealed = (op: Op): op is Extract<Op, { do: 'put' }> =>
  op.do === 'put' && isEnvelope(op.value)
