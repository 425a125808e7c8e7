import { createHash } from 'node:crypto'
import { BytesMalformed } from '@conclave/kernel'
import { decodeCommand } from './command.ts'
import { Compacted } from './errors.ts'
import { Leases, type Lease } from './leases.ts'
import { Sessions, type Outcome, type Rejection } from './sessions.ts'
import { SnapshotReader, SnapshotWriter, type State } from './snapshot-state.ts'
import {
  commandFault,
  defaultStoreLimits,
  type Command,
  type Compare,
  type CompareOperator,
  type Op,
  type SessionRef,
  type StoreLimits,
} from './txn.ts'
import { valueOf, VersionedKeys } from './versioned-keys.ts'
import type { KeyValue, ListOptions, ListResult, LiveView, View, WatchBatch } from './view.ts'

/** What applying a command came to. */
export interface ApplyResult extends Outcome {
  /** Whose command it was, when it said so. */
  readonly session?: SessionRef | undefined
  /** The command had been applied before: this is what it came to then, and nothing was changed. */
  readonly isReplay: boolean
}

/**
 * The replicated machine: a multi-version key-value store in etcd's model. Replicas that apply the
 * same commands are in the same state, to the byte: it has no clock, no dice, and no command that its
 * build could have written can make it throw. Rules and their numbers: README.md.
 */
export class StoreMachine implements LiveView {
  readonly #limits: StoreLimits
  #state: State
  readonly #batchListeners = new Set<(batch: WatchBatch) => void>()
  readonly #restoreListeners = new Set<(revision: number) => void>()

  constructor(limits: Partial<StoreLimits> = {}) {
    this.#limits = { ...defaultStoreLimits, ...limits }
    this.#state = {
      keys: new VersionedKeys(),
      leases: new Leases(),
      sessions: new Sessions(this.#limits.sessionsMax),
    }
  }

  get revision(): number {
    return this.#state.keys.revision
  }

  /** The oldest revision that can be read. Batches are kept from the one after it. */
  get compactRevision(): number {
    return this.#state.keys.compactRevision
  }

  /** About as many bytes as a snapshot takes. */
  get sizeBytes(): number {
    return this.#state.keys.sizeBytes
  }

  get limits(): StoreLimits {
    return this.#limits
  }

  /**
   * Executes a committed command. Whatever the bytes are, every replica does and answers the same.
   *
   * @throws CommandNewer when only a newer build can, and nothing must be applied after it
   */
  apply(bytes: Uint8Array): ApplyResult {
    let command: Command
    try {
      command = decodeCommand(bytes)
    } catch (cause) {
      if (!(cause instanceof BytesMalformed)) throw cause
      return { ...this.#rejected('malformed'), isReplay: false }
    }
    const { session } = command
    // Before the sessions, because the client's name may be what is wrong with it.
    if (commandFault(command, this.#limits) !== undefined) {
      return { ...this.#rejected('invalid'), session, isReplay: false }
    }
    if (session === undefined) return this.#execute(command, session)

    const last = this.#state.sessions.get(session.client)
    if (last !== undefined && session.seq <= last.session.seq) {
      return session.seq === last.session.seq
        ? { ...last, isReplay: true }
        : { ...this.#rejected('stale'), session, isReplay: true }
    }
    const result = this.#execute(command, session)
    this.#state.sessions.remember(result)
    return result
  }

  /**
   * @param at a revision that is not compacted, rather than the newest
   * @throws Compacted, RevisionAhead
   */
  get(key: string, at?: number): KeyValue | undefined {
    return this.#state.keys.get(key, at)
  }

  modRevision(key: string): number {
    return this.#state.keys.newest(key)?.modRevision ?? 0
  }

  /** @throws Compacted, RevisionAhead */
  list(prefix: string, options: ListOptions & { readonly at?: number } = {}): ListResult {
    return this.#state.keys.list(prefix, options)
  }

  /**
   * The store as it was at `revision`. Each read of it fails once that revision was compacted.
   *
   * @throws Compacted, RevisionAhead
   */
  viewAt(revision: number): View {
    this.get('', revision)
    return {
      revision,
      get: (key) => this.get(key, revision),
      modRevision: (key) => this.get(key, revision)?.modRevision ?? 0,
      list: (prefix, options) => this.list(prefix, { ...options, at: revision }),
    }
  }

  /**
   * What changed below `prefix`, from `fromRevision` to `toRevision`, both included.
   *
   * @throws Compacted when batches from there on are no longer kept
   */
  history(prefix: string, fromRevision: number, toRevision = this.revision): readonly WatchBatch[] {
    if (fromRevision <= this.compactRevision)
      throw new Compacted(fromRevision, this.compactRevision)
    const batches: WatchBatch[] = []
    for (let revision = fromRevision; revision <= toRevision; revision++) {
      const batch = this.#state.keys.batch(revision, prefix)
      if (batch !== undefined) batches.push(batch)
    }
    return batches
  }

  /** Tells `listener` of each revision once it is applied. Answers with how to stop. */
  onBatch(listener: (batch: WatchBatch) => void): () => void {
    this.#batchListeners.add(listener)
    return () => this.#batchListeners.delete(listener)
  }

  /** Tells `listener` after each {@link restore}: batches up to `revision` were not told. */
  onRestore(listener: (revision: number) => void): () => void {
    this.#restoreListeners.add(listener)
    return () => this.#restoreListeners.delete(listener)
  }

  /** In the order of their ids. */
  leases(): readonly Lease[] {
    return this.#state.leases.list()
  }

  /** The whole state at once, for small ones. Equal states give equal bytes. */
  snapshot(): Uint8Array {
    return this.beginSnapshot().whole()
  }

  /**
   * {@link snapshot} of this moment, chunk by chunk, while commands go on being applied.
   *
   * @param chunkBytes the size of every chunk but the last
   */
  beginSnapshot(chunkBytes?: number): SnapshotWriter {
    return new SnapshotWriter(this.#state, chunkBytes)
  }

  /** Becomes the state in `bytes`. @throws SnapshotMalformed, and then nothing has changed */
  restore(bytes: Uint8Array): void {
    const reader = this.beginRestore()
    reader.push(bytes)
    this.adopt(reader.end())
  }

  /** For chunks of a snapshot. Nothing here changes before {@link adopt}. */
  beginRestore(): SnapshotReader {
    return new SnapshotReader(this.#limits.sessionsMax)
  }

  /** Becomes a state that was read: all at once, whatever its size. */
  adopt(state: State): void {
    this.#state = state
    for (const listener of this.#restoreListeners) listener(this.revision)
  }

  /** Hex SHA-256 of the snapshot: replicas at one index of the log have the same. */
  stateHash(): string {
    const hash = createHash('sha256')
    const writer = this.beginSnapshot()
    for (let chunk = writer.next(); chunk !== undefined; chunk = writer.next()) hash.update(chunk)
    return hash.digest('hex')
  }

  /** What it answers is also what is remembered: commands are many, and most of them small. */
  #execute<Ref extends SessionRef | undefined>(
    command: Command,
    session: Ref,
  ): ApplyResult & { readonly session: Ref } {
    const failedCompare = this.#failedCompare(command.compare)
    const succeeded = failedCompare < 0
    const branch = succeeded ? command.success : (command.failure ?? noOps)
    const rejection = this.#refusal(branch)
    if (rejection !== undefined) {
      return { ...this.#rejected(rejection), session, isReplay: false }
    }
    const { nowMs } = command
    const [only] = branch
    const responses =
      only !== undefined && branch.length === 1
        ? [this.#change(only, nowMs)]
        : branch.map((op) => this.#change(op, nowMs))
    const hasChanged = this.#state.keys.commit()
    const { revision } = this
    if (hasChanged && this.#batchListeners.size > 0) this.#tell(revision)
    return succeeded
      ? { revision, succeeded, responses, session, isReplay: false }
      : { revision, succeeded, failedCompare, responses, session, isReplay: false }
  }

  /** The place of the first claim that does not hold, or -1. */
  #failedCompare(compare: readonly Compare[]): number {
    for (let at = 0; at < compare.length; at++) {
      const claim = compare[at]
      if (claim !== undefined && !this.#holds(claim)) return at
    }
    return -1
  }

  #rejected(rejection: Rejection): Outcome {
    return { revision: this.revision, succeeded: false, rejection, responses: [] }
  }

  #holds(claim: Compare): boolean {
    const version = this.#state.keys.newest(claim.key)
    if (claim.target !== 'value') {
      return isOrdered((version?.[claim.target] ?? 0) - claim.operand, claim.is)
    }
    return (
      version !== undefined && isOrdered(compareBytes(valueOf(version), claim.operand), claim.is)
    )
  }

  /** Why the state does not allow one of these changes, found before the first of them is made. */
  #refusal(branch: readonly Op[]): Rejection | undefined {
    const { leases } = this.#state
    let granted: Set<number> | undefined
    for (const op of branch) {
      switch (op.do) {
        case 'lease-grant':
          if (leases.has(op.lease)) return 'lease-exists'
          granted ??= new Set()
          granted.add(op.lease)
          break
        case 'lease-keepalive':
        case 'lease-revoke':
          if (!leases.has(op.lease)) return 'lease-unknown'
          break
        case 'put':
          if (op.lease !== undefined && !leases.has(op.lease) && granted?.has(op.lease) !== true) {
            return 'lease-unknown'
          }
          break
        case 'compact':
          if (op.revision > this.revision) return 'revision-ahead'
          break
        case 'delete':
        case 'delete-prefix':
        case 'lease-expire':
        case 'lease-extend-all':
      }
    }
    return undefined
  }

  #change(op: Op, nowMs: number): number {
    const { keys, leases } = this.#state
    switch (op.do) {
      case 'put':
        this.#detach(op.key)
        if (op.lease !== undefined) leases.attach(op.lease, op.key)
        return keys.put(op.key, op.value, op.lease)
      case 'delete':
        return this.#delete([op.key])
      case 'delete-prefix':
        return this.#delete(keys.list(op.prefix, { keysOnly: true }).kvs.map(({ key }) => key))
      case 'lease-grant':
        return leases.grant(op.lease, op.ttlMs, nowMs).expiresAtMs
      case 'lease-keepalive':
        return leases.renew(op.lease, nowMs).expiresAtMs
      case 'lease-revoke':
        return this.#endLease(op.lease)
      case 'lease-expire':
        // A renewal may have overtaken the leader's decision in the log.
        return (leases.get(op.lease)?.expiresAtMs ?? Infinity) <= nowMs
          ? this.#endLease(op.lease)
          : 0
      case 'lease-extend-all':
        return leases.list().map(({ id }) => leases.renew(id, nowMs)).length
      default:
        keys.compact(op.revision)
        return 0
    }
  }

  #endLease(id: number): number {
    const count = this.#delete(this.#state.leases.keys(id))
    this.#state.leases.end(id)
    return count
  }

  /** Answers how many of them there were. */
  #delete(keys: readonly string[]): number {
    let count = 0
    for (const key of keys) {
      this.#detach(key)
      if (this.#state.keys.delete(key)) count++
    }
    return count
  }

  #detach(key: string): void {
    const { keys, leases } = this.#state
    if (leases.count === 0) return
    const lease = keys.newest(key)?.lease ?? 0
    if (lease !== 0) leases.detach(lease, key)
  }

  #tell(revision: number): void {
    const batch = this.#state.keys.batch(revision, '')
    if (batch !== undefined) for (const listener of this.#batchListeners) listener(batch)
  }
}

const noOps: readonly Op[] = []

const isOrdered = (difference: number, is: CompareOperator): boolean => orders[is](difference)

const orders: Readonly<Record<CompareOperator, (difference: number) => boolean>> = {
  '=': (difference) => difference === 0,
  '!=': (difference) => difference !== 0,
  '<': (difference) => difference < 0,
  '>': (difference) => difference > 0,
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}
