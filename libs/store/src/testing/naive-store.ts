import type { Lease } from '../leases.ts'
import type { Outcome, Rejection } from '../sessions.ts'
import type { ApplyResult } from '../store.ts'
import type { Command, Compare, CompareOperator, Op } from '../txn.ts'
import type { KeyValue, WatchBatch, WatchEvent } from '../view.ts'

type Keys = ReadonlyMap<string, KeyValue>

interface Remembered {
  readonly client: string
  readonly seq: number
  readonly outcome: Outcome
}

/**
 * The store as one would explain it: every revision is a whole copy, and nothing is ever clever. It is
 * what the real one is compared with.
 */
export class NaiveStore {
  /** What the keys were at each revision. */
  readonly #states: Keys[] = [new Map()]
  #compactRevision = 0
  #leases = new Map<number, Lease>()
  /** The one silent longest first. */
  #sessions: Remembered[] = []
  readonly #sessionsMax: number

  constructor(sessionsMax: number) {
    this.#sessionsMax = sessionsMax
  }

  get revision(): number {
    return this.#states.length - 1
  }

  get compactRevision(): number {
    return this.#compactRevision
  }

  leases(): readonly Lease[] {
    return [...this.#leases.values()].sort((a, b) => a.id - b.id)
  }

  /** In the order of their bytes. */
  list(prefix: string, at = this.revision): readonly KeyValue[] {
    return [...(this.#states[at] ?? new Map<string, KeyValue>()).values()]
      .filter(({ key }) => key.startsWith(prefix))
      .sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
  }

  history(prefix: string, fromRevision: number): readonly WatchBatch[] {
    const batches: WatchBatch[] = []
    for (let revision = fromRevision; revision <= this.revision; revision++) {
      const before = new Map(this.list('', revision - 1).map((kv) => [kv.key, kv]))
      const after = new Map(this.list('', revision).map((kv) => [kv.key, kv]))
      const events = [...new Set([...before.keys(), ...after.keys()])]
        .filter((key) => key.startsWith(prefix) && before.get(key) !== after.get(key))
        .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
        .map((key) => eventOf(key, before.get(key), after.get(key)))
      if (events.length > 0) batches.push({ revision, events })
    }
    return batches
  }

  apply(command: Command): ApplyResult {
    const { session } = command
    if (session === undefined) return { ...this.#execute(command), isReplay: false }
    const last = this.#sessions.find(({ client }) => client === session.client)
    if (last !== undefined && last.seq === session.seq) {
      return { ...last.outcome, session, isReplay: true }
    }
    if (last !== undefined && last.seq > session.seq) {
      return { ...this.#rejected('stale'), session, isReplay: true }
    }
    const outcome = this.#execute(command)
    const others = this.#sessions.filter(({ client }) => client !== session.client)
    this.#sessions = [...others, { ...session, outcome }].slice(-this.#sessionsMax)
    return { ...outcome, session, isReplay: false }
  }

  #execute({ compare, success, failure = [], nowMs }: Command): Outcome {
    const failedCompare = compare.findIndex((claim) => !this.#holds(claim))
    const succeeded = failedCompare < 0
    const branch = succeeded ? success : failure
    const rejection = this.#whyNot(branch)
    if (rejection !== undefined) return this.#rejected(rejection)

    const keys = new Map(this.#states[this.revision])
    const responses = branch.map((op) => this.#change(op, nowMs, keys))
    const before = this.#states[this.revision] ?? new Map<string, KeyValue>()
    const isChanged =
      keys.size !== before.size || [...keys].some(([key, kv]) => before.get(key) !== kv)
    if (isChanged) this.#states.push(keys)
    return {
      revision: this.revision,
      succeeded,
      ...(succeeded ? {} : { failedCompare }),
      responses,
    }
  }

  #rejected(rejection: Rejection): Outcome {
    return { revision: this.revision, succeeded: false, rejection, responses: [] }
  }

  #holds(claim: Compare): boolean {
    const kv = this.#states[this.revision]?.get(claim.key)
    if (claim.target === 'value') {
      return kv !== undefined && isOrdered(Buffer.compare(kv.value, claim.operand), claim.is)
    }
    return isOrdered((kv?.[claim.target] ?? 0) - claim.operand, claim.is)
  }

  #whyNot(branch: readonly Op[]): Rejection | undefined {
    const granted = new Set<number>()
    for (const op of branch) {
      if (op.do === 'lease-grant') {
        if (this.#leases.has(op.lease)) return 'lease-exists'
        granted.add(op.lease)
      }
      const needsLease = op.do === 'lease-keepalive' || op.do === 'lease-revoke'
      if (needsLease && !this.#leases.has(op.lease)) return 'lease-unknown'
      if (op.do === 'put' && op.lease !== undefined) {
        if (!this.#leases.has(op.lease) && !granted.has(op.lease)) return 'lease-unknown'
      }
      if (op.do === 'compact' && op.revision > this.revision) return 'revision-ahead'
    }
    return undefined
  }

  #change(op: Op, nowMs: number, keys: Map<string, KeyValue>): number {
    switch (op.do) {
      case 'put': {
        const kv = this.#next(keys.get(op.key), op)
        keys.set(op.key, kv)
        return kv.version
      }
      case 'delete':
        return keys.delete(op.key) ? 1 : 0
      case 'delete-prefix':
        return forget(keys, ({ key }) => key.startsWith(op.prefix))
      case 'lease-grant':
        return this.#renew({ id: op.lease, ttlMs: op.ttlMs, expiresAtMs: 0 }, nowMs)
      case 'lease-keepalive':
        return this.#renew(this.#leases.get(op.lease), nowMs)
      case 'lease-revoke':
        this.#leases.delete(op.lease)
        return forget(keys, ({ lease }) => lease === op.lease)
      case 'lease-expire':
        if ((this.#leases.get(op.lease)?.expiresAtMs ?? Infinity) > nowMs) return 0
        this.#leases.delete(op.lease)
        return forget(keys, ({ lease }) => lease === op.lease)
      case 'lease-extend-all':
        for (const lease of this.leases()) this.#renew(lease, nowMs)
        return this.#leases.size
      default:
        this.#compactRevision = Math.max(this.#compactRevision, op.revision)
        return 0
    }
  }

  #next(previous: KeyValue | undefined, op: Op & { do: 'put' }): KeyValue {
    const { key, value, lease } = op
    const modRevision = this.revision + 1
    return {
      key,
      value,
      createRevision: previous?.createRevision ?? modRevision,
      modRevision,
      version: (previous?.version ?? 0) + 1,
      ...(lease === undefined ? {} : { lease }),
    }
  }

  #renew(lease: Lease | undefined, nowMs: number): number {
    if (lease === undefined) return 0
    const expiresAtMs = Math.max(lease.expiresAtMs, nowMs + lease.ttlMs)
    this.#leases = new Map(this.#leases).set(lease.id, { ...lease, expiresAtMs })
    return expiresAtMs
  }
}

function forget(keys: Map<string, KeyValue>, isMeant: (kv: KeyValue) => boolean): number {
  const meant = [...keys.values()].filter(isMeant)
  for (const { key } of meant) keys.delete(key)
  return meant.length
}

function eventOf(key: string, before: KeyValue | undefined, kv: KeyValue | undefined): WatchEvent {
  const previous = before === undefined ? {} : { previous: before }
  return kv === undefined
    ? { type: 'delete', key, ...previous }
    : { type: 'put', key, kv, ...previous }
}

const isOrdered = (difference: number, is: CompareOperator): boolean => orders[is](difference)

const orders: Readonly<Record<CompareOperator, (difference: number) => boolean>> = {
  '=': (difference) => difference === 0,
  '!=': (difference) => difference !== 0,
  '<': (difference) => difference < 0,
  '>': (difference) => difference > 0,
}
