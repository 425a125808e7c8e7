import { AeadKey, box, CryptographicFailure, Kek, wrapKeyring } from '@conclave/crypto'
import { ConclaveError, Redacted, wipe, type Clock, type Random } from '@conclave/kernel'
import { StateDigest, type LiveView } from '@conclave/store'
import type { Access } from '../access.ts'
import type { ClusterKeys } from '../cluster-keys.ts'
import type { Caller } from '../master-api.ts'
import type { Replicated } from '../replicated.ts'
import { operatorResource } from '../resources.ts'
import { stateBoxContext, type StateApi, type StateLine } from './state-api.ts'

/** What was sent to box the keyring to is no X25519 key. */
export class StateKeyInvalid extends ConclaveError {
  readonly code = 'state.key-invalid'
}

export interface StateServiceOptions {
  readonly clusterId: string
  readonly store: LiveView
  readonly replicated: Replicated
  readonly keys: Pick<ClusterKeys, 'keyring'>
  readonly access: Access
  readonly clock: Clock
  readonly random: Random
}

const pageLength = 100
const auditedAs = 'state/export'

/** Hands the whole state to an operator. */
export class StateService implements StateApi {
  readonly #options: StateServiceOptions

  constructor(options: StateServiceOptions) {
    this.#options = options
  }

  async *export(caller: Caller, publicKey: Uint8Array, at?: number): AsyncGenerator<StateLine> {
    const { access, replicated, store } = this.#options
    if (!access.may(caller, operatorResource, 'full')) {
      throw await access.denied(caller, 'administer', operatorResource, 'full', auditedAs)
    }
    await access.audit(caller, 'administer', auditedAs, 'allowed')
    await replicated.refresh()
    const revision = at ?? store.revision
    // Whether it is still there, before the answer begins.
    store.viewAt(revision)
    const lines = this.#lines(publicKey, revision)
    yield* access.whileAllowed(caller, operatorResource, 'full', lines)
  }

  async *#lines(publicKey: Uint8Array, revision: number): AsyncGenerator<StateLine> {
    const { clusterId, store, clock } = this.#options
    const takenAtMs = clock.nowMs()
    yield { kind: 'head', clusterId, revision, takenAtMs, ...this.#boxedKeyring(publicKey) }
    const digest = new StateDigest()
    let after: string | undefined
    for (;;) {
      const options = { limit: pageLength, at: revision, ...(after !== undefined && { after }) }
      const { kvs, more } = store.list('', options)
      for (const { lease, value, ...numbers } of kvs) {
        if (lease !== undefined) continue
        digest.add({ key: numbers.key, value })
        yield { kind: 'record', ...numbers, value: Buffer.from(value).toString('base64') }
      }
      after = kvs.at(-1)?.key
      if (!more) break
    }
    yield { kind: 'end', recordCount: digest.count, digest: digest.end() }
  }

  #boxedKeyring(publicKey: Uint8Array): { transportKey: string; keyring: string } {
    const { clusterId, keys, random } = this.#options
    const key = AeadKey.draw(random)
    const wrapped = wrapKeyring({ kek: Kek.of(key), keyring: keys.keyring(), clusterId, random })
    const bytes = new Redacted(key.bytes())
    try {
      const boxed = box(publicKey, bytes, stateBoxContext(clusterId), random)
      return { transportKey: base64(boxed), keyring: base64(wrapped) }
    } catch (cause) {
      if (!(cause instanceof CryptographicFailure)) throw cause
      throw new StateKeyInvalid('publicKey: expected the 32 bytes of an X25519 key, in base64')
    } finally {
      wipe(bytes)
    }
  }
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
