import { StateDigest } from '@conclave/store'
import { AccessDenied } from '../master/errors.ts'
import type { Caller, IdentityApi } from '../master/master-api.ts'
import { operatorResource } from '../master/resources.ts'
import type { StateApi, StateLine } from '../master/state/state-api.ts'

/** One record, to whoever may have it. */
export class FakeState implements StateApi {
  readonly #identity: Pick<IdentityApi, 'allowed'>
  readonly #enter: () => void
  /** With what it was asked for last. */
  asked: { readonly publicKey: Uint8Array; readonly at: number | undefined } | undefined

  constructor(identity: Pick<IdentityApi, 'allowed'>, enter: () => void) {
    this.#identity = identity
    this.#enter = enter
  }

  async *export(caller: Caller, publicKey: Uint8Array, at?: number): AsyncGenerator<StateLine> {
    this.#enter()
    const { principal } = caller
    if (!this.#identity.allowed(principal, operatorResource, 'full')) {
      throw new AccessDenied(principal.uid, 'full', operatorResource)
    }
    this.asked = { publicKey, at }
    yield {
      kind: 'head',
      clusterId: 'cluster-1',
      revision: at ?? 5,
      takenAtMs: 1,
      transportKey: '',
      keyring: '',
    }
    const digest = new StateDigest()
    digest.add({ key: 'a', value: Uint8Array.of(1) })
    const numbers = { createRevision: 1, modRevision: 1, version: 1 }
    yield { kind: 'record', key: 'a', ...numbers, value: 'AQ==' }
    yield { kind: 'end', recordCount: digest.count, digest: digest.end() }
  }
}
