import type { Random } from '@conclave/kernel'
import {
  OutcomeUnknown,
  SessionStale,
  type KeyOp,
  type KeyTxn,
  type SessionRef,
  type TxnResult,
} from '@conclave/store'
import type { EtcdClient } from './client/etcd-client.ts'
import { prefixRange } from './client/key-range.ts'
import { EtcdRefused, grpcCode } from './errors.ts'
import type { EtcdKeys } from './etcd-keys.ts'
import { responsesOf } from './etcd-txn.ts'
import type { EtcdCompare, EtcdKeyValue, EtcdOp, EtcdTxn } from './wire/messages.ts'

/** How long a client is remembered after its last command, at least. */
const rememberedMs = 30 * 60_000
const markerLeaseSeconds = 60 * 60
const triesMax = 8

const didSucceed = 1
const didOtherwise = 2

interface Marker {
  readonly seq: number
  readonly branch: number
  /** What the command made. */
  readonly revision: number
}

/**
 * What makes a repetition safe on etcd: each command with a session writes, in its own transaction, which
 * number of which client it was, and claims that this client did not come so far before. The marker is a
 * key of ours, 8 bytes of the number and one that says which branch happened; markers of clients that
 * went silent end with a lease.
 */
export class EtcdSessions {
  readonly #client: EtcdClient
  readonly #keys: EtcdKeys
  readonly #random: Random
  /** Clients whose marker was seen, so that the first try is usually the last. */
  readonly #seen = new Set<string>()
  #lease: { readonly id: Promise<number>; readonly untilMs: number } | undefined

  constructor(client: EtcdClient, keys: EtcdKeys, random: Random) {
    this.#client = client
    this.#keys = keys
    this.#random = random
  }

  /** @throws SessionStale, OutcomeUnknown, EtcdRefused, Unavailable */
  async txn(
    txn: Pick<KeyTxn, 'success' | 'failure'>,
    inner: EtcdTxn,
    session: SessionRef,
  ): Promise<TxnResult> {
    const key = this.#keys.session(session.client)
    let hasNewLease = false
    for (let tries = 0; tries < triesMax; tries++) {
      const guarded = {
        compare: [this.#notYet(key, session)],
        success: [{ do: 'txn', txn: marked(inner, key, session.seq, await this.#markerLease()) }],
        failure: [{ do: 'range', key }],
      } as const satisfies EtcdTxn
      try {
        const { succeeded, revision, responses } = await this.#client.txn(guarded, 'guarded')
        const [result] = responses
        if (succeeded && result?.do === 'txn') {
          const { txn: done } = result
          if (done.responses.length > 0) this.#seen.add(session.client)
          const { length } = done.succeeded ? inner.success : inner.failure
          return {
            revision,
            succeeded: done.succeeded,
            responses: responsesOf(done.responses.slice(0, length)),
          }
        }
        const marker = result?.do === 'range' ? markerOf(result.range.kvs[0]) : undefined
        const known = await this.#known(txn, session, marker)
        if (known !== undefined) return known
      } catch (error) {
        // Which lease was meant, etcd does not say: it may have been that of the marker.
        if (!isNotFound(error) || hasNewLease) throw error
        this.#lease = undefined
        hasNewLease = true
      }
    }
    throw new OutcomeUnknown('the marker of the session kept changing; ask again')
  }

  #notYet(key: Uint8Array, { client, seq }: SessionRef): EtcdCompare {
    return this.#seen.has(client)
      ? { key, target: 'value', is: '<', operand: numbered(seq) }
      : { key, target: 'createRevision', is: '=', operand: 0 }
  }

  /** What the command came to before; undefined when it is to be tried again. */
  async #known(
    txn: Pick<KeyTxn, 'success' | 'failure'>,
    { client, seq }: SessionRef,
    marker: Marker | undefined,
  ): Promise<TxnResult | undefined> {
    if (marker === undefined || marker.seq < seq) {
      if (marker === undefined) this.#seen.delete(client)
      else this.#seen.add(client)
      return undefined
    }
    if (marker.seq > seq) throw new SessionStale(client, seq)
    const succeeded = marker.branch === didSucceed
    const { revision } = marker
    const ops = succeeded ? txn.success : (txn.failure ?? [])
    try {
      const responses = await Promise.all(ops.map((op) => this.#responseThen(op, revision)))
      return { revision, succeeded, responses }
    } catch (cause) {
      if (!(cause instanceof EtcdRefused)) throw cause
      throw new OutcomeUnknown(
        `it was done as revision ${revision}, but what it answered was compacted`,
        { cause },
      )
    }
  }

  async #responseThen(op: KeyOp, revision: number): Promise<number> {
    if (op.do === 'put') {
      const { kvs } = await this.#client.range({ key: this.#keys.of(op.key), revision })
      return kvs[0]?.version ?? 0
    }
    const range =
      op.do === 'delete' ? { key: this.#keys.of(op.key) } : prefixRange(this.#keys.of(op.prefix))
    const before = await this.#client.range({ ...range, countOnly: true, revision: revision - 1 })
    return before.count
  }

  async #markerLease(): Promise<number> {
    const nowMs = performance.now()
    if (this.#lease !== undefined && nowMs < this.#lease.untilMs) return this.#lease.id
    // One for all that ask meanwhile.
    const lease = { id: this.#grant(), untilMs: nowMs + markerLeaseSeconds * 1000 - rememberedMs }
    this.#lease = lease
    try {
      return await lease.id
    } catch (error) {
      if (this.#lease === lease) this.#lease = undefined
      throw error
    }
  }

  async #grant(): Promise<number> {
    const id = 1 + this.#random.below(2 ** 48 - 1)
    await this.#client.grantLease(id, markerLeaseSeconds)
    return id
  }
}

/** A branch that does something says so in the marker; one that does nothing leaves nothing. */
function marked(inner: EtcdTxn, key: Uint8Array, seq: number, lease: number): EtcdTxn {
  const withMarker = (ops: readonly EtcdOp[], branch: number): readonly EtcdOp[] => {
    if (ops.length === 0) return []
    const value = Uint8Array.of(...numbered(seq), branch)
    return [...ops, { do: 'put', key, value, lease }]
  }
  return {
    compare: inner.compare,
    success: withMarker(inner.success, didSucceed),
    failure: withMarker(inner.failure, didOtherwise),
  }
}

/** Highest byte first, so that etcd's order of bytes is that of the numbers. */
function numbered(seq: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(seq))
  return bytes
}

function markerOf(kv: EtcdKeyValue | undefined): Marker | undefined {
  if (kv === undefined) return undefined
  const view = new DataView(kv.value.buffer, kv.value.byteOffset, kv.value.byteLength)
  return {
    seq: Number(view.getBigUint64(0)),
    branch: view.getUint8(8),
    revision: kv.modRevision,
  }
}

const isNotFound = (error: unknown): boolean =>
  error instanceof EtcdRefused && error.grpcCode === grpcCode.notFound
