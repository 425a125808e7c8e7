import type { Random } from '@conclave/kernel'
import {
  LeaseUnknown,
  OutcomeUnknown,
  RevisionAhead,
  SessionStale,
  TxnInvalid,
  Unavailable,
} from './errors.ts'
import { KeyWrites } from './key-writes.ts'
import type {
  EngineTraits,
  KeyTxn,
  ReadOptions,
  SecretStore,
  StoreStatus,
  TxnResult,
  WatchOptions,
  WriteOptions,
} from './secret-store.ts'
import type { Rejection } from './sessions.ts'
import type { ApplyResult, StoreMachine } from './store.ts'
import type { Op, SessionRef, Txn } from './txn.ts'
import type { KeyValue, ListOptions, ListResult, WatchBatch } from './view.ts'

/** Whoever puts commands before every copy of the machine. The store never hears how. */
export interface Proposer {
  /** Answers once it was applied here. @throws TxnInvalid, Unavailable, OutcomeUnknown */
  propose(txn: Txn, session?: SessionRef): Promise<ApplyResult>
  /** Resolves once everything acknowledged before the call is applied here. @throws Unavailable */
  linearize(): Promise<void>
}

/** How many revisions a watch takes from the machine at once. */
const watchRevisionsMax = 256

/** The port over a machine in this process: reads are here, writes go through the proposer. */
export class MachineStore extends KeyWrites implements SecretStore {
  readonly traits: EngineTraits
  readonly #machine: StoreMachine
  readonly #proposer: Proposer
  readonly #random: Random
  readonly #closing = new AbortController()

  constructor(options: {
    readonly engine: EngineTraits['engine']
    readonly machine: StoreMachine
    readonly proposer: Proposer
    /** Draws the ids of leases. */
    readonly random: Random
    /** As often as somebody looks whether a lease is over. */
    readonly leaseTtlMsMin: number
  }) {
    super()
    const { engine, machine, proposer, random, leaseTtlMsMin } = options
    const { keySizeBytesMax, valueSizeBytesMax, txnOpsMax, txnSizeBytesMax } = machine.limits
    this.traits = {
      engine,
      limits: { keySizeBytesMax, valueSizeBytesMax, txnOpsMax, txnSizeBytesMax },
      revisions: 'own',
      leaseTtlMsMin,
    }
    this.#machine = machine
    this.#proposer = proposer
    this.#random = random
  }

  async get(key: string, { at }: ReadOptions = {}): Promise<KeyValue | undefined> {
    await this.#refresh()
    return this.#machine.get(key, at)
  }

  async list(prefix: string, options: ListOptions & ReadOptions = {}): Promise<ListResult> {
    await this.#refresh()
    return this.#machine.list(prefix, options)
  }

  async txn(txn: KeyTxn, { session }: WriteOptions = {}): Promise<TxnResult> {
    const { revision, succeeded, responses } = await this.#propose(txn, session)
    return { revision, succeeded, responses }
  }

  async *watch(prefix: string, options: WatchOptions): AsyncGenerator<WatchBatch> {
    const { from, progress = false } = options
    const ending = AbortSignal.any([options.signal, this.#closing.signal])
    if (ending.aborted) return
    await this.#refresh()
    let next = from ?? this.#machine.revision + 1
    let told = next - 1
    while (!ending.aborted) {
      const to = Math.min(this.#machine.revision, next + watchRevisionsMax - 1)
      if (to < next) {
        if (progress && told < next - 1) {
          told = next - 1
          yield { revision: told, events: [] }
          continue
        }
        // Looked at again after every wait: what came while the reader was busy woke nobody.
        if (this.#machine.revision < next) await this.#changed(ending)
        continue
      }
      for (const batch of this.#machine.history(prefix, next, to)) {
        if (ending.aborted) return
        told = batch.revision
        yield batch
      }
      next = to + 1
    }
  }

  async grantLease(ttlMs: number): Promise<number> {
    const { leaseTtlMsMin } = this.traits
    if (ttlMs < leaseTtlMsMin) throw new TxnInvalid(`a lease has at least ${leaseTtlMsMin} ms here`)
    // 48 bits: with a million leases the chance that two meet is one in 500, and then it is refused.
    const lease = 1 + this.#random.below(2 ** 48 - 1)
    await this.#propose({ compare: [], success: [{ do: 'lease-grant', lease, ttlMs }] })
    return lease
  }

  async keepAlive(lease: number): Promise<number> {
    await this.#propose(one({ do: 'lease-keepalive', lease }))
    return this.#machine.leases().find(({ id }) => id === lease)?.ttlMs ?? 0
  }

  async revokeLease(lease: number): Promise<void> {
    await this.#propose(one({ do: 'lease-revoke', lease }))
  }

  async compact(revision: number): Promise<void> {
    await this.#propose(one({ do: 'compact', revision }))
  }

  async status(): Promise<StoreStatus> {
    await this.#refresh()
    const { revision, compactRevision } = this.#machine
    return { revision, compactRevision }
  }

  close(): Promise<void> {
    this.#closing.abort()
    return Promise.resolve()
  }

  async #refresh(): Promise<void> {
    this.#checkOpen()
    await this.#proposer.linearize()
  }

  async #propose(txn: Txn, session?: SessionRef): Promise<ApplyResult> {
    this.#checkOpen()
    const result = await this.#proposer.propose(txn, session)
    if (result.rejection !== undefined) throw this.#refused(result.rejection, txn, session)
    return result
  }

  #refused(rejection: Rejection, txn: Txn, session: SessionRef | undefined): Error {
    switch (rejection) {
      case 'lease-unknown':
        return new LeaseUnknown(leaseIn(txn))
      case 'revision-ahead':
        return new RevisionAhead(revisionIn(txn), this.#machine.revision)
      case 'stale':
        // Without a session of the caller's it is the proposer's own that went on without us.
        return session === undefined
          ? new OutcomeUnknown('a repetition came too late to be told what became of the change')
          : new SessionStale(session.client, session.seq)
      case 'lease-exists':
        return new Unavailable('the id drawn for the lease is taken; try again')
      default:
        return new TxnInvalid(`the log refused the transaction as ${rejection}`)
    }
  }

  #changed(ending: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        for (const stop of stops) stop()
        ending.removeEventListener('abort', wake)
        resolve()
      }
      const stops = [this.#machine.onBatch(wake), this.#machine.onRestore(wake)]
      ending.addEventListener('abort', wake, { once: true })
    })
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new Unavailable('this store was closed')
  }
}

const one = (op: Op): Txn => ({ compare: [], success: [op] })

function leaseIn({ success, failure = [] }: Txn): number {
  for (const op of [...success, ...failure]) {
    if ('lease' in op && op.lease !== undefined) return op.lease
  }
  return 0
}

function revisionIn({ success }: Txn): number {
  const [op] = success
  return op?.do === 'compact' ? op.revision : 0
}
