import { setTimeout as sleep } from 'node:timers/promises'
import { wipe, type RedactedBytes } from '@conclave/kernel'
import { OutcomeUnknown, Unavailable } from '@conclave/store'
import { EtcdRefused, EtcdUnreachable, grpcCode } from '../errors.ts'
import { GrpcConnection, type EtcdTls } from '../wire/grpc-connection.ts'
import {
  readRange,
  readTxn,
  writeRange,
  writeTxn,
  type EtcdTxn,
  type EtcdTxnResult,
  type RangeRequest,
  type RangeResponse,
  type WatchRequest,
} from '../wire/messages.ts'
import { MessageReader, MessageWriter } from '../wire/protobuf.ts'
import { watchEtcd, type EtcdBatch } from './etcd-watch.ts'

export interface EtcdClientOptions {
  /** `host:port` each. The first is asked first, the others when it does not answer. */
  readonly endpoints: readonly string[]
  readonly tls?: EtcdTls | undefined
  /** etcd's own users. The password is wiped when the client is closed. */
  readonly user?: { readonly name: string; readonly password: RedactedBytes } | undefined
  /** How long one member may take to answer. */
  readonly attemptMs?: number
  /** How long to go round the members until somebody must be told. */
  readonly deadlineMs?: number
}

/**
 * What a call is. A `read` is asked again until somebody answers, and so is a `guarded` write, which does
 * no more when it is done twice. A `write` is not, once it may have arrived.
 */
export type CallKind = 'read' | 'guarded' | 'write'

const attemptMsUsually = 3_000
const deadlineMsUsually = 15_000
const pauseMs = 50

/**
 * etcd's API as it is: keys and values are bytes, revisions etcd's own. It goes from member to member
 * until one answers, logs in when it must, and says honestly when it does not know what became of a write.
 */
export class EtcdClient {
  readonly #connections: readonly GrpcConnection[]
  readonly #options: EtcdClientOptions
  readonly #closing = new AbortController()
  #preferred = 0
  #token: Promise<string> | undefined

  constructor(options: EtcdClientOptions) {
    this.#options = options
    this.#connections = options.endpoints.map(
      (endpoint) => new GrpcConnection(endpoint, options.tls),
    )
  }

  /** Linearizable. @throws EtcdRefused, Unavailable */
  async range(request: RangeRequest): Promise<RangeResponse> {
    return readRange(await this.call('KV/Range', writeRange(request), 'read'))
  }

  /** @throws EtcdRefused, Unavailable, OutcomeUnknown */
  async txn(txn: EtcdTxn, kind: CallKind = 'write'): Promise<EtcdTxnResult> {
    return readTxn(await this.call('KV/Txn', writeTxn(txn), kind))
  }

  /** @throws EtcdRefused, Unavailable */
  async compact(revision: number): Promise<void> {
    const message = new MessageWriter().uint(1, revision)
    await this.call('KV/Compact', message, 'guarded')
  }

  /** A lease of the id that the caller chose. Answers with its TTL in seconds. */
  async grantLease(id: number, ttlSeconds: number): Promise<number> {
    const message = new MessageWriter().uint(1, ttlSeconds).uint(2, id)
    return (await this.call('Lease/LeaseGrant', message, 'write')).uint(3)
  }

  /** Answers with its TTL in seconds: 0 when there is no such lease. */
  async keepAlive(id: number): Promise<number> {
    const message = new MessageWriter().uint(1, id)
    return (await this.call('Lease/LeaseKeepAlive', message, 'guarded')).uint(3)
  }

  /** @throws EtcdRefused (not found) when there is no such lease */
  async revokeLease(id: number): Promise<void> {
    const message = new MessageWriter().uint(1, id)
    await this.call('Lease/LeaseRevoke', message, 'write')
  }

  /** The newest revision of the whole etcd. */
  async revision(): Promise<number> {
    const nothing = { key: Uint8Array.of(0), countOnly: true }
    return (await this.range(nothing)).revision
  }

  /**
   * Whole revisions from `startRevision` on, none left out and none twice, from whichever member answers.
   *
   * @throws EtcdCompacted, EtcdRefused
   */
  watch(request: WatchRequest, signal: AbortSignal): AsyncGenerator<EtcdBatch> {
    return watchEtcd(request, AbortSignal.any([signal, this.#closing.signal]), {
      open: (message, ending) => this.#openWatch(message, ending),
      pause: () => this.#pause(),
    })
  }

  /** One unary call of etcd's API, such as `KV/Put`. @throws EtcdRefused, Unavailable, OutcomeUnknown */
  async call(method: string, message: MessageWriter, kind: CallKind): Promise<MessageReader> {
    const bytes = message.end()
    const deadline = performance.now() + (this.#options.deadlineMs ?? deadlineMsUsually)
    let mayHaveHappened = false
    let hasLoggedInAnew = false
    for (let attempt = 1; ; attempt++) {
      if (this.#closing.signal.aborted) throw new Unavailable('this client of etcd was closed')
      const connection = this.#connection()
      try {
        const answer = await connection.unary(
          { path: `/etcdserverpb.${method}`, message: bytes, metadata: await this.#metadata() },
          this.#options.attemptMs ?? attemptMsUsually,
        )
        return new MessageReader(answer)
      } catch (error) {
        if (isOfOldLogin(error) && this.#options.user !== undefined && !hasLoggedInAnew) {
          this.#token = undefined
          hasLoggedInAnew = true
          continue
        }
        if (!isPassing(error)) throw error
        mayHaveHappened ||= kind !== 'read' && mayHaveBeenDone(error)
        const isOver = performance.now() >= deadline
        if (mayHaveHappened && (isOver || kind === 'write')) {
          throw new OutcomeUnknown(`etcd did not say what became of ${method}`, { cause: error })
        }
        if (isOver) {
          throw new Unavailable('no member of etcd answers; nothing was changed', { cause: error })
        }
        this.#preferred++
        if (attempt % this.#connections.length === 0) await this.#pause()
      }
    }
  }

  close(): void {
    this.#closing.abort()
    for (const connection of this.#connections) connection.close()
    if (this.#options.user !== undefined) wipe(this.#options.user.password)
  }

  async *#openWatch(message: Uint8Array, signal: AbortSignal): AsyncGenerator<MessageReader> {
    const connection = this.#connection()
    try {
      const call = {
        path: '/etcdserverpb.Watch/Watch',
        message,
        // A member without a leader ends the watch rather than say nothing.
        metadata: { ...(await this.#metadata()), hasleader: 'true' },
      }
      for await (const answer of connection.stream(call, signal)) yield new MessageReader(answer)
    } catch (error) {
      if (isOfOldLogin(error)) this.#token = undefined
      this.#preferred++
      throw error
    }
  }

  #connection(): GrpcConnection {
    const connection = this.#connections[this.#preferred % this.#connections.length]
    if (connection === undefined) throw new Unavailable('no endpoint of etcd is known')
    return connection
  }

  async #metadata(): Promise<Readonly<Record<string, string>>> {
    const { user } = this.#options
    if (user === undefined) return {}
    const token = (this.#token ??= this.#login(user))
    try {
      return { token: await token }
    } catch (error) {
      if (this.#token === token) this.#token = undefined
      throw error
    }
  }

  async #login({ name, password }: NonNullable<EtcdClientOptions['user']>): Promise<string> {
    const message = new MessageWriter().text(1, name).bytes(2, password.reveal()).end()
    try {
      const answer = await this.#connection().unary(
        { path: '/etcdserverpb.Auth/Authenticate', message, metadata: {} },
        this.#options.attemptMs ?? attemptMsUsually,
      )
      return new MessageReader(answer).text(2)
    } catch (error) {
      // Nothing of the call that this is for has left.
      throw error instanceof EtcdUnreachable
        ? new EtcdUnreachable(this.#connection().endpoint, false, error)
        : error
    } finally {
      message.fill(0)
    }
  }

  async #pause(): Promise<void> {
    await sleep(pauseMs, undefined, { signal: this.#closing.signal }).catch(() => undefined)
  }
}

const isPassing = (error: unknown): boolean =>
  error instanceof EtcdUnreachable || (error instanceof EtcdRefused && error.isPassing)

const mayHaveBeenDone = (error: unknown): boolean =>
  (error instanceof EtcdUnreachable && error.wasSent) ||
  (error instanceof EtcdRefused && error.mayHaveHappened)

/** Tokens end, and the permissions that one was given under may have been changed since. */
function isOfOldLogin(error: unknown): boolean {
  if (!(error instanceof EtcdRefused)) return false
  return (
    error.grpcCode === grpcCode.unauthenticated ||
    error.message.includes('revision of auth store is old') ||
    error.message.includes('revision in header is old')
  )
}
