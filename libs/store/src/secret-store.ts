import type { Outcome } from './sessions.ts'
import type { Compare, Op, SessionRef } from './txn.ts'
import type { KeyValue, ListOptions, ListResult, WatchBatch } from './view.ts'

/*
 * The port that every home of the state has: in memory, replicated by masters, or an etcd cluster.
 * In the words of the machine (Txn, Compare, Op, WatchBatch), so that nothing is translated twice.
 *
 * Revisions, versions and ids of leases are numbers: they stay far below 2^53 (at 100,000 commits a
 * second that lasts 2,800 years), and an engine whose own are wider refuses one that does not.
 *
 * Values are opaque here. Whoever stands above hands over envelopes and records, never a plaintext.
 */

/** What a transaction may change. Leases and compaction have calls of their own. */
export type KeyOp = Extract<Op, { readonly do: 'put' | 'delete' | 'delete-prefix' }>

export interface KeyTxn {
  readonly compare: readonly Compare[]
  readonly success: readonly KeyOp[]
  readonly failure?: readonly KeyOp[]
}

export interface WriteOptions {
  /**
   * Makes a repetition safe: the same client's same number is applied once, and answered as the first
   * time while it is the newest number of that client. A client has one command under way at a time.
   * Where nothing was changed, because a claim did not hold, a repetition may be decided anew.
   */
  readonly session?: SessionRef
}

export interface CasOptions extends WriteOptions {
  /** The revision that the key must have been changed at last; 0 when there must be no such key. */
  readonly ifModRevision?: number
}

/** `responses` has one number for each change that happened: a put key's version, or how many keys went. */
export type TxnResult = Pick<Outcome, 'revision' | 'succeeded' | 'responses'>

export interface ReadOptions {
  /** A revision that was not compacted, rather than the newest. */
  readonly at?: number
}

export interface WatchOptions {
  /** The first revision that is told. Without it: whatever comes once the watch has begun. */
  readonly from?: number
  /** Ends the watch. */
  readonly signal: AbortSignal
  /** Tells of revisions too that changed nothing below the prefix, as batches without events. */
  readonly progress?: boolean
}

export interface StoreStatus {
  readonly revision: number
  /** The oldest revision that can be read. */
  readonly compactRevision: number
}

/** What an engine may refuse, as it says itself. */
export interface EngineLimits {
  readonly keySizeBytesMax: number
  readonly valueSizeBytesMax: number
  readonly txnOpsMax: number
  readonly txnSizeBytesMax: number
}

/** Where engines differ by nature. The contract suite asks for no less, and for no more. */
export interface EngineTraits {
  readonly engine: 'memory' | 'embedded' | 'etcd'
  readonly limits: EngineLimits
  /**
   * `own`: each revision is a change of this store, one after the other. `shared`: others live in the
   * same engine, so revisions rise with gaps, and a change that came to nothing may leave one.
   */
  readonly revisions: 'own' | 'shared'
  /** Shorter leases are refused. */
  readonly leaseTtlMsMin: number
}

/**
 * A replicated multi-version key-value store. All calls are linearizable: a read shows everything that
 * was acknowledged before it was asked, whoever acknowledged it. Contract: README.md, SS1 and on.
 *
 * Every call may throw `Unavailable` (nothing happened, try again), and a write `OutcomeUnknown`
 * (repeat it with the session it had, or read what became of it).
 */
export interface SecretStore {
  readonly traits: EngineTraits
  /** @throws Compacted, RevisionAhead */
  get(key: string, options?: ReadOptions): Promise<KeyValue | undefined>
  /** Keys that begin with `prefix`, in the order of their UTF-8 bytes. @throws Compacted, RevisionAhead */
  list(prefix: string, options?: ListOptions & ReadOptions): Promise<ListResult>
  /** @throws Conflict, LeaseUnknown, SessionStale, TxnInvalid */
  put(
    key: string,
    value: Uint8Array,
    options?: CasOptions & { readonly lease?: number },
  ): Promise<{ readonly revision: number; readonly version: number }>
  /** @throws Conflict, SessionStale, TxnInvalid */
  delete(
    key: string,
    options?: CasOptions,
  ): Promise<{ readonly revision: number; readonly isDeleted: boolean }>
  /** @throws SessionStale, TxnInvalid */
  deletePrefix(
    prefix: string,
    options?: WriteOptions,
  ): Promise<{ readonly revision: number; readonly count: number }>
  /** @throws LeaseUnknown, SessionStale, TxnInvalid */
  txn(txn: KeyTxn, options?: WriteOptions): Promise<TxnResult>
  /**
   * Batches of what changes below `prefix`, one for a revision, in order, none left out, none twice.
   * Whoever stops reads on later with `from` one above the last revision it was told.
   *
   * @throws Compacted when `from` is no longer kept, or what comes next was compacted meanwhile
   */
  watch(prefix: string, options: WatchOptions): AsyncIterable<WatchBatch>
  /** Answers with the lease's id. It ends at the earliest after `ttlMs`. @throws TxnInvalid */
  grantLease(ttlMs: number): Promise<number>
  /** Gives it one more TTL, and answers with how long that is, in ms. @throws LeaseUnknown */
  keepAlive(lease: number): Promise<number>
  /** Ends it now; the keys under it go with it, in one revision. @throws LeaseUnknown */
  revokeLease(lease: number): Promise<void>
  /** Forgets what was overwritten or deleted up to `revision`. Harmless when that was done. @throws RevisionAhead */
  compact(revision: number): Promise<void>
  status(): Promise<StoreStatus>
  /** Ends every watch. Calls made afterwards are `Unavailable`. */
  close(): Promise<void>
}
