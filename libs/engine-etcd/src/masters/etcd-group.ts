import { MembershipRefused, type Group, type MemberProgress, type Role } from '@conclave/actors'
import { BytesMalformed, utf8, utf8Text, type Random } from '@conclave/kernel'
import { none, type ConfState, type NodeId } from '@conclave/raft'
import {
  checkTxn,
  defaultStoreLimits,
  Mirror,
  OutcomeUnknown,
  SessionStale,
  TxnInvalid,
  Unavailable,
  type ApplyResult,
  type EngineLimits,
  type KeyValue,
  type LiveView,
  type MirrorChange,
  type SessionRef,
  type Txn,
  type View,
} from '@conclave/store'
import type { EtcdClient } from '../client/etcd-client.ts'
import type { EtcdLeadership } from '../client/etcd-election.ts'
import type { EtcdBatch } from '../client/etcd-watch.ts'
import { EtcdRefused, EtcdUnreachable, grpcCode } from '../errors.ts'
import { EtcdKeys } from '../etcd-keys.ts'
import { EtcdSessions } from '../etcd-sessions.ts'
import { defaultEtcdLimits } from '../etcd-store.ts'
import type { EtcdCompare, EtcdKeyValue, EtcdOp } from '../wire/messages.ts'
import { Candidacy, candidateIn } from './candidacy.ts'
import { claimOf, toGroupTxn } from './group-txn.ts'
import { followRange } from './prefix-feed.ts'
import { Turns } from './turns.ts'
import { Waiting } from './waiting.ts'

export interface EtcdGroupOptions {
  readonly client: EtcdClient
  readonly prefix: string
  readonly nodeId: NodeId
  readonly masterId: string
  /** The masters that this one was told of, itself among them. Others show themselves in etcd. */
  readonly masters: readonly NodeId[]
  readonly random: Random
  /** Distinguishes this run from earlier ones of the same master, in the ids of client sessions. */
  readonly boot: string
  /** In ms; it only ever rises. */
  readonly nowMs: () => number
  /** The newest term that the state knows of: that of the next leader is above it. */
  readonly lastTermIn: (state: View) => number
  /**
   * Asked once the state was read, before anybody is shown it: whether it is one for this master. Answers
   * with what to wait for; what it throws ends this master.
   */
  readonly admit: (state: View) => string | undefined
  readonly onFatal: (error: unknown) => void
  /** etcd did not answer, or not well. It is asked again. */
  readonly onProblem: (what: string, error?: unknown) => void
  readonly limits?: Partial<Pick<EngineLimits, 'txnSizeBytesMax' | 'valueSizeBytesMax'>>
  /** How long etcd keeps the place of a leader that says nothing. Default 5, at least 2. */
  readonly leaseSeconds?: number
}

/** Transactions under way; more wait for their turn. */
const proposalsMax = 128
/** How long what was agreed on may take to be seen here. */
const patienceMs = 10_000
/** What they answered is not asked for. */
const noChanges = { success: [] }
const membersStay =
  'these masters have their store in etcd: none of them votes, so none is promoted, demoted or removed. ' +
  'One that joins is started with --engine, too; to be rid of one stop its process, and take from it what ' +
  'lets it into etcd'

interface Candidate {
  readonly createRevision: number
  readonly nodeId: NodeId
}

/** One client of the store, with one command under way at a time. */
interface Session {
  readonly client: string
  sequence: number
}

interface Reader {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * The group of a master whose store is an etcd cluster: it votes and agrees, and masters hold a copy of what
 * is below the prefix. Who leads is the oldest candidate there; a leader's transactions claim that it still
 * is. Rules: README.md, EM1 and on.
 */
export class EtcdGroup implements Group {
  readonly whyMembersStay = membersStay
  /** On this master's disk nothing of the state is kept, so nothing older is left. */
  readonly snapshotIndex = Number.POSITIVE_INFINITY
  readonly #options: EtcdGroupOptions
  readonly #keys: EtcdKeys
  readonly #sessions: EtcdSessions
  readonly #candidacy: Candidacy
  readonly #mirror = new Mirror()
  readonly #waiting: Waiting
  readonly #turns = new Turns(proposalsMax)
  readonly #closing = new AbortController()
  /** The one used last is used next, so that few are ever needed. */
  readonly #freeSessions: Session[] = []
  #sessionCount = 0
  #readers: Reader[] = []
  #isReading = false
  /** By their keys, as hex. */
  #candidates = new Map<string, Candidate>()
  #masters = new Set<NodeId>()
  #since: number | undefined
  #isLoaded = false
  #isSettling = false
  #headSeen = 0
  #said = ''
  #role: Role = 'candidate'
  #term = 0
  #leader: NodeId = none
  #config: ConfState
  readonly #roleListeners = new Set<() => void>()
  readonly #configListeners = new Set<() => void>()

  constructor(options: EtcdGroupOptions) {
    const { client, prefix, random, nodeId, nowMs, leaseSeconds = 5 } = options
    this.#options = options
    this.#keys = new EtcdKeys(prefix)
    this.#sessions = new EtcdSessions(client, this.#keys, random)
    this.#waiting = new Waiting(nowMs, patienceMs)
    this.#config = configOf(options.masters)
    this.#candidacy = new Candidacy({
      client,
      place: this.#keys.election,
      nodeId,
      random,
      leaseSeconds,
      nowMs,
      isStanding: (own) => this.#candidates.has(hex(own.key)),
      onProblem: (error) => this.#problem(error),
    })
  }

  /** The copy of the state, as far as it has come. */
  get state(): LiveView {
    return this.#mirror
  }

  get role(): Role {
    return this.#role
  }

  get term(): number {
    return this.#term
  }

  get leader(): NodeId {
    return this.#leader
  }

  get appliedIndex(): number {
    return this.#mirror.revision
  }

  get commitIndex(): number {
    return Math.max(this.#headSeen, this.#mirror.revision)
  }

  get config(): ConfState {
    return this.#config
  }

  onRole(listener: () => void): void {
    this.#roleListeners.add(listener)
  }

  onConfig(listener: () => void): void {
    this.#configListeners.add(listener)
  }

  memberProgress(): readonly MemberProgress[] {
    if (this.#role !== 'leader') return []
    const standing = new Set([...this.#candidates.values()].map(({ nodeId }) => nodeId))
    const matchIndex = this.#mirror.revision
    return this.#config.voters
      .filter((nodeId) => nodeId !== this.#options.nodeId)
      .map((nodeId) => {
        const isReachable = standing.has(nodeId)
        return { nodeId, isVoter: true, isReachable, matchIndex, lag: 0 }
      })
  }

  demandSnapshot(): void {
    // There is none to take.
  }

  changeMembers(): Promise<void> {
    return Promise.reject(new MembershipRefused(membersStay))
  }

  /** Follows etcd from now on. */
  start(): void {
    followRange({
      client: this.#options.client,
      range: this.#keys.everything,
      signal: this.#closing.signal,
      onWhole: (revision, kvs) => this.#begin(revision, kvs),
      onBatch: (batch) => this.#apply(batch),
      onProblem: (error) => this.#problem(error),
    }).catch((error: unknown) => {
      if (!this.#closing.signal.aborted) this.#options.onFatal(error)
    })
  }

  tick(): void {
    if (this.#closing.signal.aborted) return
    this.#waiting.tick()
    if (!this.#isLoaded) return
    this.#candidacy.tick()
    this.#noteRole()
    void this.#settle()
  }

  async propose(txn: Txn, given?: SessionRef): Promise<ApplyResult> {
    this.#checkOpen()
    const { limits = {} } = this.#options
    checkTxn(txn, { ...defaultStoreLimits, ...limits }, given)
    this.#checkSize(txn)
    const [first] = txn.success
    if (first?.do === 'compact') return this.#compact(txn, first.revision)
    return this.#turns.take(() => this.#commit(txn, given))
  }

  linearize(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#readers.push({ resolve, reject })
      void this.#read()
    })
  }

  /** Lets another master lead, if this one does. */
  async handOver(): Promise<void> {
    await this.#candidacy.end()
    this.#noteRole()
  }

  close(): void {
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    const error = new Unavailable('this master is stopping')
    this.#waiting.close(error)
    for (const { reject } of this.#readers.splice(0)) reject(error)
  }

  // ── told by etcd ──────────────────────────────────────────────────────────────────────────────

  #begin(revision: number, kvs: readonly EtcdKeyValue[]): boolean {
    const data = kvs
      .filter(({ key }) => this.#keys.isData(key))
      .map((kv) => keyValueOf(kv, this.#keys))
      .filter((kv) => kv !== undefined)
    const seen = new Mirror()
    seen.become(revision, data)
    const waitsFor = this.#options.admit(seen)
    if (waitsFor !== undefined) {
      this.#say(waitsFor)
      return false
    }
    this.#said = ''
    this.#candidates = new Map()
    this.#masters = new Set()
    this.#since = undefined
    for (const kv of kvs) this.#note(kv)
    this.#mirror.become(revision, data)
    this.#isLoaded = true
    this.#told(revision)
    return true
  }

  #apply({ revision, events }: EtcdBatch): void {
    const changes: MirrorChange[] = []
    for (const { type, kv } of events) {
      if (!this.#keys.isData(kv.key)) {
        this.#note(kv, type === 'delete')
        continue
      }
      const named = keyValueOf(kv, this.#keys)
      if (named === undefined) continue
      changes.push(type === 'put' ? { type, kv: named } : { type, key: named.key })
    }
    this.#said = ''
    this.#mirror.apply(revision, changes)
    this.#told(revision)
  }

  #told(revision: number): void {
    this.#noteConfig()
    this.#noteRole()
    this.#waiting.reached(revision)
  }

  /** What masters keep beside the state. */
  #note({ key, value, createRevision }: EtcdKeyValue, isGone = false): void {
    switch (this.#keys.kindOf(key)) {
      case 'election':
        if (isGone) this.#candidates.delete(hex(key))
        else this.#candidates.set(hex(key), { createRevision, nodeId: candidateIn(value) })
        return
      case 'master':
        if (!isGone) this.#masters.add(numberIn(key))
        return
      case 'since':
        this.#since = isGone ? undefined : Number(utf8Text(value))
        return
      case 'compacted':
        if (!isGone) this.#mirror.compact(Number(utf8Text(value)))
        return
      case 'head':
      case undefined:
      default:
      // A session's, or of somebody who shares the prefix.
    }
  }

  #noteConfig(): void {
    const all = [...new Set([...this.#options.masters, ...this.#masters])].toSorted((a, b) => a - b)
    if (all.length === this.#config.voters.length) return
    this.#config = configOf(all)
    for (const listener of this.#configListeners) listener()
  }

  #noteRole(): void {
    const { role, term, leader } = this.#standing()
    if (role === this.#role && term === this.#term && leader === this.#leader) return
    this.#role = role
    this.#term = term
    this.#leader = leader
    for (const listener of this.#roleListeners) listener()
  }

  #standing(): { role: Role; term: number; leader: NodeId } {
    const nobody = { role: 'candidate', term: this.#term, leader: none } as const
    const oldest = this.#oldest()
    const { isInTouch, own } = this.#candidacy
    if (!this.#isLoaded || !isInTouch || oldest === undefined || this.#since === undefined) {
      return nobody
    }
    const isOwn = own?.createRevision === oldest.createRevision
    // That of an earlier life of this master leads nobody.
    if (!isOwn && oldest.nodeId === this.#options.nodeId) return nobody
    const term = this.#since + oldest.createRevision
    if (isOwn && this.#isOutdated(term)) return nobody
    return { role: isOwn ? 'leader' : 'follower', term, leader: oldest.nodeId }
  }

  #oldest(): Candidate | undefined {
    let oldest: Candidate | undefined
    for (const one of this.#candidates.values()) {
      if (oldest === undefined || one.createRevision < oldest.createRevision) oldest = one
    }
    return oldest
  }

  /** The state came from elsewhere, where terms were higher. */
  #isOutdated(term: number): boolean {
    return this.#options.lastTermIn(this.#mirror) > term
  }

  // ── tells etcd ────────────────────────────────────────────────────────────────────────────────

  /** What must be there for anybody to lead, and for others to know of this master. */
  async #settle(): Promise<void> {
    const { nodeId, masterId, lastTermIn } = this.#options
    const { own } = this.#candidacy
    if (own === undefined || this.#isSettling) return
    const isOldest = this.#oldest()?.createRevision === own.createRevision
    const isSince = this.#since !== undefined && !this.#isOutdated(this.#since + own.createRevision)
    const ops: EtcdOp[] = []
    if (!this.#masters.has(nodeId)) {
      ops.push({ do: 'put', key: this.#keys.master(nodeId), value: utf8(masterId) })
    }
    if (isOldest && !isSince) {
      const last = lastTermIn(this.#mirror)
      ops.push({ do: 'put', key: this.#keys.since, value: utf8(String(last)) })
      // What was in etcd before is none of ours, so there is nothing in it to be forgotten.
      const { revision } = this.#mirror
      ops.push({ do: 'put', key: this.#keys.compacted, value: utf8(String(revision)) })
    }
    if (ops.length === 0) return
    this.#isSettling = true
    try {
      await this.#write([claimOf(own)], ops)
    } catch (error) {
      this.#problem(error)
    } finally {
      this.#isSettling = false
    }
  }

  /** @returns the revision, or undefined when a claim did not hold */
  async #write(
    compare: readonly EtcdCompare[],
    success: readonly EtcdOp[],
  ): Promise<number | undefined> {
    const head = { do: 'put', key: this.#keys.head, value: new Uint8Array(0) } as const
    const txn = { compare, success: [...success, head], failure: [] }
    const { succeeded, revision } = await this.#options.client.txn(txn, 'guarded')
    return succeeded ? revision : undefined
  }

  async #commit(txn: Txn, given: SessionRef | undefined): Promise<ApplyResult> {
    this.#checkOpen()
    const session = given === undefined ? this.#nextSession() : undefined
    const ref = given ?? { client: session?.client ?? '', seq: session?.sequence ?? 0 }
    const inner = toGroupTxn(txn, this.#keys, this.#fence())
    try {
      const { succeeded, revision } = await this.#sessions.txn(noChanges, inner, ref)
      // One whose outcome is unknown is not used again: it may still happen one day.
      if (session !== undefined) this.#freeSessions.push(session)
      if (succeeded) await this.#seen(revision)
      else await this.linearize()
      return { revision, succeeded, responses: [], session: ref, isReplay: false }
    } catch (error) {
      if (error instanceof SessionStale && given === undefined) {
        throw new OutcomeUnknown('a repetition came too late to be told what became of the change')
      }
      throw passedOn(error)
    }
  }

  /** A change that was made, but is not seen here, cannot be spoken of yet. */
  #seen(revision: number): Promise<void> {
    this.#headSeen = Math.max(this.#headSeen, revision)
    const late = new OutcomeUnknown(`it was done as revision ${revision}, and is not seen here yet`)
    return this.#waiting.until(revision, late)
  }

  /** All of etcd forgets, for everybody who lives in it; then the masters' copies do. */
  async #compact(txn: Txn, revision: number): Promise<ApplyResult> {
    if (txn.compare.length > 0) throw new TxnInvalid('on etcd a compaction has no claims')
    const applied = { responses: [0], isReplay: false }
    if (revision > this.#mirror.revision) {
      return { ...applied, revision, succeeded: false, rejection: 'revision-ahead' }
    }
    try {
      await this.#options.client.compact(revision).catch((error: unknown) => {
        if (!isCompactedAlready(error)) throw error
      })
      const fence = this.#fence()
      const value = utf8(String(Math.max(revision, this.#mirror.compactRevision)))
      const written = await this.#write(fence === undefined ? [] : [claimOf(fence)], [
        { do: 'put', key: this.#keys.compacted, value },
      ])
      if (written !== undefined) await this.#seen(written)
      const succeeded = written !== undefined
      return { ...applied, revision: written ?? this.#mirror.revision, succeeded }
    } catch (error) {
      throw passedOn(error)
    }
  }

  /** Reads where the head is, and waits until the copy here is there. All that ask meanwhile share the next. */
  async #read(): Promise<void> {
    if (this.#isReading) return
    this.#isReading = true
    while (this.#readers.length > 0) {
      const readers = this.#readers.splice(0)
      try {
        this.#checkOpen()
        const head = await this.#readHead()
        const late = new Unavailable('what etcd has agreed on is not seen here yet')
        const seen = this.#waiting.until(head, late)
        for (const { resolve, reject } of readers) seen.then(resolve, reject)
      } catch (error) {
        for (const { reject } of readers) reject(passedOn(error))
      }
    }
    this.#isReading = false
  }

  /** And whether a leader still is one. */
  async #readHead(): Promise<number> {
    const fence = this.#fence()
    const success: EtcdOp[] = [{ do: 'range', key: this.#keys.head, keysOnly: true }]
    if (fence !== undefined) success.push({ do: 'range', key: fence.key, keysOnly: true })
    const { responses } = await this.#options.client.txn(
      { compare: [], success, failure: [] },
      'read',
    )
    const [head, own] = responses.map((one) => (one.do === 'range' ? one.range.kvs[0] : undefined))
    if (fence !== undefined && own?.createRevision !== fence.createRevision) {
      this.#candidacy.lost()
      this.#noteRole()
    }
    const revision = head?.modRevision ?? 0
    this.#headSeen = Math.max(this.#headSeen, revision)
    // Whoever has seen nothing at all yet has not seen that there is no head.
    return Math.max(revision, 1)
  }

  #fence(): EtcdLeadership | undefined {
    return this.#role === 'leader' ? this.#candidacy.own : undefined
  }

  #nextSession(): Session {
    const session = this.#freeSessions.pop() ?? {
      client: `${this.#options.boot}/${this.#sessionCount++}`,
      sequence: 0,
    }
    session.sequence++
    return session
  }

  #checkSize({ success, failure = [] }: Txn): void {
    const sizeMax = this.#options.limits?.txnSizeBytesMax ?? defaultEtcdLimits.txnSizeBytesMax
    for (const branch of [success, failure]) {
      let size = 0
      for (const op of branch) if (op.do === 'put') size += op.key.length * 3 + op.value.length + 64
      if (size <= sizeMax) continue
      throw new TxnInvalid(
        `a change of about ${size} bytes is too large for etcd, which takes ${sizeMax} at once here`,
      )
    }
  }

  #problem(error: unknown): void {
    if (this.#closing.signal.aborted) return
    this.#say('etcd does not do what this master needs; it is asked again', error)
  }

  /** Once for each trouble: it is tried again many times. */
  #say(what: string, error?: unknown): void {
    const said = `${what} ${error instanceof Error ? error.message : ''}`
    if (said === this.#said) return
    this.#said = said
    this.#options.onProblem(what, error)
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new Unavailable('this master is stopping')
  }
}

/** Nobody learns, and the votes are etcd's own. */
const configOf = (masters: readonly NodeId[]): ConfState => ({
  voters: masters,
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
})

const hex = (key: Uint8Array): string => Buffer.from(key).toString('hex')

/** The number at the end of a key. */
const numberIn = (key: Uint8Array): number => Number(utf8Text(key).replace(/^.*\//, ''))

/** Undefined for what somebody else wrote below our prefix, under a name that none of ours could have. */
function keyValueOf({ key, lease, ...rest }: EtcdKeyValue, keys: EtcdKeys): KeyValue | undefined {
  try {
    const named = { key: keys.nameOf(key), ...rest }
    return lease === 0 ? named : { ...named, lease }
  } catch (error) {
    if (error instanceof BytesMalformed) return undefined
    throw error
  }
}

const isCompactedAlready = (error: unknown): boolean =>
  error instanceof EtcdRefused &&
  error.grpcCode === grpcCode.outOfRange &&
  error.message.includes('compacted')

/** What etcd said, in words that masters have. Anything else stays what it was. */
function passedOn(error: unknown): unknown {
  if (error instanceof EtcdUnreachable) return new Unavailable(error.message, { cause: error })
  if (!(error instanceof EtcdRefused)) return error
  const isTooLarge = error.grpcCode === grpcCode.invalidArgument
  return isTooLarge
    ? new TxnInvalid(error.message, { cause: error })
    : new Unavailable(error.message, { cause: error })
}
