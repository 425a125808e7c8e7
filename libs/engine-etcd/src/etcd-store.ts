import type { Random } from '@conclave/kernel'
import {
  checkTxn,
  compareKeys,
  Compacted,
  defaultStoreLimits,
  KeyWrites,
  LeaseUnknown,
  RevisionAhead,
  TxnInvalid,
  Unavailable,
  type EngineLimits,
  type EngineTraits,
  type KeyTxn,
  type KeyValue,
  type ListOptions,
  type ListResult,
  type ReadOptions,
  type SecretStore,
  type StoreStatus,
  type TxnResult,
  type WatchBatch,
  type WatchEvent,
  type WatchOptions,
  type WriteOptions,
} from '@conclave/store'
import type { EtcdClient } from './client/etcd-client.ts'
import { prefixRange } from './client/key-range.ts'
import { EtcdCompacted, EtcdRefused, grpcCode } from './errors.ts'
import { EtcdKeys } from './etcd-keys.ts'
import { EtcdSessions } from './etcd-sessions.ts'
import { responsesOf, toEtcd } from './etcd-txn.ts'
import type { EtcdEvent, EtcdKeyValue } from './wire/messages.ts'

/**
 * What etcd takes with its own defaults. A transaction holds 128 operations; ours is one inside of one
 * that looks after its session, which takes two. A request has 1.5 MiB, of which we leave some for the
 * shape of the message.
 */
export const defaultEtcdLimits: EngineLimits = {
  keySizeBytesMax: defaultStoreLimits.keySizeBytesMax,
  valueSizeBytesMax: defaultStoreLimits.valueSizeBytesMax,
  txnOpsMax: 126,
  txnSizeBytesMax: 1_400_000,
}

/** The port on an etcd cluster, below a prefix of it. Layout and reasons: README.md. */
export class EtcdStore extends KeyWrites implements SecretStore {
  readonly traits: EngineTraits
  readonly #client: EtcdClient
  readonly #keys: EtcdKeys
  readonly #sessions: EtcdSessions
  readonly #random: Random
  readonly #closing = new AbortController()

  constructor(options: {
    readonly client: EtcdClient
    readonly prefix: string
    readonly random: Random
    readonly limits?: Partial<EngineLimits>
  }) {
    super()
    const { client, prefix, random, limits } = options
    this.#client = client
    this.#keys = new EtcdKeys(prefix)
    this.#random = random
    this.#sessions = new EtcdSessions(client, this.#keys, random)
    this.traits = {
      engine: 'etcd',
      limits: { ...defaultEtcdLimits, ...limits },
      revisions: 'shared',
      leaseTtlMsMin: 2000,
    }
  }

  async get(key: string, { at }: ReadOptions = {}): Promise<KeyValue | undefined> {
    const { kvs } = await this.#range({ key: this.#keys.of(key), revision: at }, at)
    const [kv] = kvs
    return kv && this.#keyValue(kv)
  }

  async list(prefix: string, options: ListOptions & ReadOptions = {}): Promise<ListResult> {
    const { limit, after, at, keysOnly } = options
    const { key: first, rangeEnd } = prefixRange(this.#keys.of(prefix))
    const isLater = after !== undefined && compareKeys(after, prefix) >= 0
    // The first key behind `after` is the same with a zero byte at its end.
    const key = isLater ? this.#keys.of(`${after}\0`) : first
    const { kvs, more, revision } = await this.#range(
      { key, rangeEnd, limit, revision: at, keysOnly },
      at,
    )
    return { kvs: kvs.map((kv) => this.#keyValue(kv)), revision: at ?? revision, more }
  }

  async txn(txn: KeyTxn, { session }: WriteOptions = {}): Promise<TxnResult> {
    this.#checkOpen()
    const { limits } = this.traits
    checkTxn(txn, { ...defaultStoreLimits, ...limits }, session)
    const etcdTxn = toEtcd(txn, this.#keys)
    try {
      if (session !== undefined) return await this.#sessions.txn(txn, etcdTxn, session)
      const { revision, succeeded, responses } = await this.#client.txn(etcdTxn)
      return { revision, succeeded, responses: responsesOf(responses) }
    } catch (error) {
      throw translated(error, leaseIn(txn))
    }
  }

  async *watch(prefix: string, options: WatchOptions): AsyncGenerator<WatchBatch> {
    const { from, progress = false } = options
    const ending = AbortSignal.any([options.signal, this.#closing.signal])
    if (ending.aborted) return
    const startRevision = from ?? (await this.#client.revision()) + 1
    // With progress the whole of our keys is watched: what etcd itself says of its progress may, in 3.4,
    // run ahead of the events before it.
    const range = progress ? this.#keys.everything : prefixRange(this.#keys.of(prefix))
    try {
      for await (const batch of this.#client.watch({ ...range, startRevision }, ending)) {
        const events = batch.events
          .filter(({ kv }) => this.#keys.isData(kv.key))
          .map((event) => this.#event(event))
          .filter(({ key }) => key.startsWith(prefix))
          .sort((a, b) => compareKeys(a.key, b.key))
        if (events.length > 0 || progress) yield { revision: batch.revision, events }
      }
    } catch (error) {
      if (!(error instanceof EtcdCompacted)) throw translated(error)
      throw new Compacted(startRevision, error.compactRevision)
    }
  }

  async grantLease(ttlMs: number): Promise<number> {
    this.#checkOpen()
    const { leaseTtlMsMin } = this.traits
    if (ttlMs < leaseTtlMsMin) throw new TxnInvalid(`a lease has at least ${leaseTtlMsMin} ms here`)
    const lease = 1 + this.#random.below(2 ** 48 - 1)
    try {
      await this.#client.grantLease(lease, Math.ceil(ttlMs / 1000))
      return lease
    } catch (error) {
      throw translated(error, lease)
    }
  }

  async keepAlive(lease: number): Promise<number> {
    this.#checkOpen()
    const ttlSeconds = await this.#client.keepAlive(lease).catch((error: unknown) => {
      throw translated(error, lease)
    })
    if (ttlSeconds === 0) throw new LeaseUnknown(lease)
    return ttlSeconds * 1000
  }

  async revokeLease(lease: number): Promise<void> {
    this.#checkOpen()
    await this.#client.revokeLease(lease).catch((error: unknown) => {
      throw translated(error, lease)
    })
  }

  /** Compacts the whole of etcd, for everybody who lives in it. */
  async compact(revision: number): Promise<void> {
    this.#checkOpen()
    try {
      await this.#client.compact(revision)
    } catch (error) {
      if (isCompacted(error)) return
      throw isAhead(error)
        ? new RevisionAhead(revision, await this.#client.revision())
        : translated(error)
    }
  }

  async status(): Promise<StoreStatus> {
    this.#checkOpen()
    const revision = await this.#client.revision()
    return { revision, compactRevision: await this.#compactRevision(revision) }
  }

  close(): Promise<void> {
    if (!this.#closing.signal.aborted) {
      this.#closing.abort()
      this.#client.close()
    }
    return Promise.resolve()
  }

  async #range(
    request: Parameters<EtcdClient['range']>[0],
    at: number | undefined,
  ): ReturnType<EtcdClient['range']> {
    this.#checkOpen()
    try {
      return await this.#client.range(request)
    } catch (error) {
      if (at === undefined) throw translated(error)
      const revision = await this.#client.revision()
      if (isAhead(error)) throw new RevisionAhead(at, revision)
      if (isCompacted(error)) throw new Compacted(at, await this.#compactRevision(revision))
      throw translated(error)
    }
  }

  /** etcd does not say. What can be read begins somewhere, so that is looked for by halves. */
  async #compactRevision(revision: number): Promise<number> {
    let low = 1
    let high = revision
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if (await this.#isReadable(middle)) high = middle
      else low = middle + 1
    }
    // Revision 1 is the empty etcd, which can be read until anything is compacted.
    return low === 1 ? 0 : low
  }

  async #isReadable(revision: number): Promise<boolean> {
    try {
      await this.#client.range({ key: this.#keys.nothing, countOnly: true, revision })
      return true
    } catch (error) {
      if (isCompacted(error)) return false
      throw translated(error)
    }
  }

  #keyValue({ key, lease, ...rest }: EtcdKeyValue): KeyValue {
    const named = { key: this.#keys.nameOf(key), ...rest }
    return lease === 0 ? named : { ...named, lease }
  }

  #event({ type, kv, previous }: EtcdEvent): WatchEvent {
    const before = previous === undefined ? {} : { previous: this.#keyValue(previous) }
    const key = this.#keys.nameOf(kv.key)
    return type === 'delete'
      ? { type, key, ...before }
      : { type, key, kv: this.#keyValue(kv), ...before }
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new Unavailable('this store was closed')
  }
}

const isOutOfRange = (error: unknown): error is EtcdRefused =>
  error instanceof EtcdRefused && error.grpcCode === grpcCode.outOfRange

const isCompacted = (error: unknown): boolean =>
  isOutOfRange(error) && error.message.includes('compacted')

const isAhead = (error: unknown): boolean =>
  isOutOfRange(error) && error.message.includes('future revision')

function leaseIn({ success, failure = [] }: KeyTxn): number | undefined {
  for (const op of [...success, ...failure]) {
    if (op.do === 'put' && op.lease !== undefined) return op.lease
  }
  return undefined
}

/** What etcd said, in the words of the port. Anything else stays what it was. */
function translated(error: unknown, lease?: number): unknown {
  if (!(error instanceof EtcdRefused)) return error
  switch (error.grpcCode) {
    case grpcCode.notFound:
      return lease === undefined ? error : new LeaseUnknown(lease)
    case grpcCode.invalidArgument:
      return new TxnInvalid(error.message, { cause: error })
    case grpcCode.failedPrecondition:
    case grpcCode.resourceExhausted:
      return new Unavailable(error.message, { cause: error })
    default:
      return error
  }
}
