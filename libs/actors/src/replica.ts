import { invariant, type Clock, type Random } from '@conclave/kernel'
import type { EventDraft } from '@conclave/model'
import {
  decodeConfChange,
  foundingSnapshot,
  MemoryStorage,
  none,
  RawNode,
  waitsForDisk,
  type ConfState,
  type Entry,
  type HardState,
  type Message,
  type NodeId,
  type Ready,
  type Snapshot,
} from '@conclave/raft'
import {
  checkTxn,
  encodeCommand,
  isNewerCommand,
  type ApplyResult,
  type SessionRef,
  type StoreMachine,
  type Txn,
} from '@conclave/store'
import { ConfigChanges, type MemberChange } from './config-changes.ts'
import type { Group, MemberProgress, Role } from './group.ts'
import { OutcomeUnknown, Unavailable } from './master/errors.ts'
import type { Recovered, SnapshotDisk } from './ports.ts'
import { defaultReplicaLimits, type ReplicaLimits } from './replica-limits.ts'
import { ReadRounds } from './read-rounds.ts'
import {
  ReplicaSnapshots,
  type SnapshotToInstall,
  type SnapshotUnderWay,
} from './snapshot/replica-snapshots.ts'
import {
  isSnapshotMessage,
  type PeerMessage,
  type SnapshotMessage,
} from './snapshot/snapshot-message.ts'

/** What one turn wants done, in this order: send `early`, make durable, send `late`, then `advance`. */
export interface ReplicaWork {
  /** Messages that promise nothing about this member's disk and so may leave before it is written. */
  readonly early: readonly Message[]
  /** A snapshot from the leader, to be committed before `batch` is written. */
  readonly install: SnapshotToInstall | undefined
  readonly batch: { readonly hardState?: HardState; readonly entries: readonly Entry[] } | undefined
  readonly late: readonly Message[]
}

export interface ReplicaOptions {
  readonly nodeId: NodeId
  readonly masterId: string
  /**
   * All voters of a new cluster, and none for a member that joins one: it waits for the snapshot that
   * tells it who the others are. A recovered member knows that from its snapshot and log.
   */
  readonly bootstrap: { readonly voters: readonly NodeId[] }
  readonly recovered: Recovered
  /** In the state of the recovered snapshot, if there is one. */
  readonly store: StoreMachine
  /** Where snapshots lie: the journal. */
  readonly snapshots: SnapshotDisk
  readonly random: Random
  readonly clock: Clock
  /** Distinguishes this run from earlier ones of the same member, in the ids of client sessions. */
  readonly boot: string
  readonly emit: (draft: EventDraft) => void
  /** Called when there may be work: the driver then asks for {@link Replica.takeWork}. */
  readonly wake: () => void
  /** Sends a part of a snapshot, which goes beside what {@link Replica.takeWork} says. */
  readonly post: (message: SnapshotMessage) => void
  /** A snapshot could not be written or read: the disk failed, and this member must stop. */
  readonly onFatal: (error: unknown) => void
  readonly limits?: Partial<ReplicaLimits>
}

/** One client of the store, with one command under way at a time. */
interface Session {
  readonly client: string
  sequence: number
  /** What it has under way. */
  proposal: Proposal | undefined
}

interface Waiter {
  readonly txn: Txn
  /** The caller's own number for it, which it may repeat. */
  readonly given: SessionRef | undefined
  readonly deadline: number
  readonly resolve: (result: ApplyResult) => void
  readonly reject: (error: Error) => void
}

interface Proposal {
  readonly session: Session
  /** A session of the caller's is not ours to use again. */
  readonly isGiven: boolean
  readonly data: Uint8Array
  readonly deadline: number
  /** Tick at which it was last handed to Raft; undefined while Raft would not take it. */
  sentAt: number | undefined
  wasEverSent: boolean
  /** Is handed to Raft at the next {@link Replica.takeWork}. */
  isInOutbox: boolean
  readonly resolve: (result: ApplyResult) => void
  readonly reject: (error: Error) => void
}

/**
 * One member of the group and its copy of the state: Raft on one side, the store's machine on the
 * other. It is told ticks, messages and durability, and says what to send and to write. Callers get
 * promises, which settle only inside {@link takeWork}, {@link advance} and {@link tick}.
 */
export class Replica implements Group {
  readonly #options: ReplicaOptions
  readonly #limits: ReplicaLimits
  readonly #storage: MemoryStorage
  readonly #node: RawNode
  readonly #store: StoreMachine
  /** The one used last is used next, so that few are ever needed. */
  readonly #freeSessions: Session[] = []
  #sessionCount = 0
  /**
   * Our own, by client. They stay, and so does this map: one whose keys come and go with each command is
   * made anew all the time, and keeps what its former selves held alive.
   */
  readonly #sessions = new Map<string, Session>()
  /** What is under way in sessions of callers, by client and sequence number. */
  readonly #given = new Map<string, Proposal>()
  #proposalCount = 0
  /** What is handed to Raft at the next {@link takeWork}, and what was settled meanwhile. */
  #outbox: Proposal[] = []
  readonly #waiters: Waiter[] = []
  #ticks = 0

  readonly #reads: ReadRounds
  /** Whether heartbeats of a tick are among the messages: these go to everybody. */
  #hasTicked = false

  #ready: Ready | undefined
  /** Not in any batch yet. */
  #unwritten: HardState | undefined
  #stableIndex: number
  #applied: number
  readonly #snapshots: ReplicaSnapshots
  #role: Role = 'follower'
  #term = 0
  #leader: NodeId = none
  /** The tick at which this member stands for election, because the link to the leader broke. */
  #campaignAt: number | undefined
  readonly #roleListeners = new Set<() => void>()
  /** As applied here: the core's own may be ahead of the store while a snapshot is installed. */
  #config: ConfState
  readonly #configListeners = new Set<() => void>()
  readonly #configChanges: ConfigChanges
  /** The tick at which a message of each member last came in. Whoever was heard of last is the last. */
  readonly #heardAt = new Map<NodeId, number>()
  /** The tick at which each member last passed on what its own callers want written. */
  readonly #passedOnAt = new Map<NodeId, number>()

  constructor(options: ReplicaOptions) {
    this.#options = options
    this.#limits = { ...defaultReplicaLimits, ...options.limits }
    this.#store = options.store
    this.#storage = new MemoryStorage()

    const { recovered, bootstrap } = options
    const base = recovered.snapshot ?? this.#founding(bootstrap.voters)
    if (base !== undefined) this.#storage.applySnapshot(base)
    this.#storage.append(recovered.entries)
    const { index, term } = base?.meta ?? { index: 0, term: 0 }
    this.#storage.setHardState(recovered.hardState ?? { term, vote: none, commit: index })
    this.#stableIndex = this.#storage.lastIndex()
    this.#applied = index
    this.#node = new RawNode({
      id: options.nodeId,
      electionTick: this.#limits.electionTicks,
      heartbeatTick: this.#limits.heartbeatTicks,
      storage: this.#storage,
      applied: index,
      maxSizePerMsg: this.#limits.messageSizeBytes,
      maxCommittedSizePerReady: 64 * 1024 * 1024,
      maxUncommittedEntriesSize: 256 * 1024 * 1024,
      maxInflightMsgs: this.#limits.inflightMessages,
      maxInflightBytes: 64 * 1024 * 1024,
      random: options.random,
    })
    this.#config = this.#node.status().config
    this.#snapshots = new ReplicaSnapshots({
      masterId: options.masterId,
      storage: this.#storage,
      node: this.#node,
      config: () => this.#config,
      store: this.#store,
      limits: this.#limits,
      disk: options.snapshots,
      emit: options.emit,
      post: options.post,
      wake: options.wake,
      onFatal: options.onFatal,
      index,
    })
    this.#configChanges = new ConfigChanges({
      node: this.#node,
      nodeId: options.nodeId,
      config: () => this.#config,
      successor: () => this.#successor(),
      deadlineTicks: this.#limits.deadlineTicks,
      boot: options.boot,
    })
    this.#reads = new ReadRounds({
      nodeId: options.nodeId,
      boot: options.boot,
      deadlineTicks: this.#limits.deadlineTicks,
    })
    this.#noteRole()
    this.#standInTurn(this.#limits.firstElectionTicks)
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
    return this.#applied
  }

  /** What the newest snapshot of this replica stands for. */
  get snapshotIndex(): number {
    return this.#snapshots.index
  }

  /** The next snapshot is taken as soon as it can be: what earlier ones hold must go. */
  demandSnapshot(): void {
    this.#snapshots.demand()
    this.#options.wake()
  }

  get whyMembersStay(): undefined {
    return undefined
  }

  get commitIndex(): number {
    return this.#node.basicStatus().hardState.commit
  }

  /** Calls `listener` after each change of role, term or leader. */
  onRole(listener: () => void): void {
    this.#roleListeners.add(listener)
  }

  /** Who votes and who learns, as applied here. Nobody, for a joined member that has not been told yet. */
  get config(): ConfState {
    return this.#config
  }

  /** Calls `listener` after each change of {@link config}. */
  onConfig(listener: () => void): void {
    this.#configListeners.add(listener)
  }

  /** How far every other member is, by ascending id, as the leader knows it. Elsewhere empty. */
  memberProgress(): readonly MemberProgress[] {
    const { progress, lastIndex } = this.#node.status()
    return [...progress]
      .filter(([nodeId]) => nodeId !== this.#options.nodeId)
      .map(([nodeId, { match, isLearner }]) => ({
        nodeId,
        isVoter: !isLearner,
        isReachable: this.#isHeard(nodeId),
        matchIndex: match,
        lag: lastIndex - match,
      }))
  }

  /** Whether callers of this peer may be waiting to hear there that something is committed. */
  isAwaitedBy(peer: NodeId): boolean {
    return this.#ticks - (this.#passedOnAt.get(peer) ?? Number.NEGATIVE_INFINITY) <= 2
  }

  // ── told ──────────────────────────────────────────────────────────────────────────────────────

  tick(): void {
    this.#ticks++
    this.#hasTicked = true
    this.#node.tick()
    this.#campaignIfDue()
    this.#configChanges.tick()
    this.#tickProposals()
    this.#reads.tick(this.#ticks, (sentAt) => this.#isLost(sentAt))
    this.#snapshots.tick()
    this.#options.wake()
  }

  receive(message: PeerMessage): void {
    this.#heardAt.delete(message.from)
    this.#heardAt.set(message.from, this.#ticks)
    if (isSnapshotMessage(message)) return this.#snapshots.receive(message)
    // The core is given one when its content has arrived, and by nobody else.
    if (message.type === 'MsgSnap') return
    // A follower of a newer build waits: once it is committed, such a command would stop this member.
    if (message.type === 'MsgProp' && message.entries.some(isNewer)) return
    if (message.type === 'MsgProp') this.#passedOnAt.set(message.from, this.#ticks)
    // A message from a stranger or an earlier life is Raft's to refuse; it changes nothing here.
    this.#node.step(message)
    this.#options.wake()
  }

  /** The link to this peer broke: what was on its way is probably lost. */
  unreachable(peer: NodeId): void {
    this.#node.reportUnreachable(peer)
    this.#snapshots.unreachable(peer)
    this.#options.wake()
  }

  /**
   * A link that stood was cut by the other side: if that was the leader, its process is probably gone.
   * Nobody waits for its silence to last, then. It costs nothing if it is not: voters who still hear
   * it refuse the pre-vote, and its next heartbeat brings this member back.
   */
  linkLost(peer: NodeId): void {
    if (peer !== this.#leader || this.#role !== 'follower') return
    // First, so that it grants its vote to whoever noticed earlier.
    this.#node.forgetLeader()
    // Not before the others noticed.
    this.#standInTurn(1, peer)
    this.#options.wake()
  }

  // ── asked ─────────────────────────────────────────────────────────────────────────────────────

  /**
   * Puts a transaction into the log and answers with what it did once it was applied here.
   *
   * @param given makes a repetition by the caller safe; its client has one command under way at a time
   * @throws TxnInvalid when every replica would refuse it
   * @throws Unavailable when nobody could be found to take it, so nothing happened
   * @throws OutcomeUnknown when it was sent but no answer came in time
   */
  propose(txn: Txn, given?: SessionRef): Promise<ApplyResult> {
    return new Promise((resolve, reject) => {
      checkTxn(txn, this.#store.limits, given)
      const deadline = this.#ticks + this.#limits.deadlineTicks
      const waiter = { txn, given, deadline, resolve, reject }
      const mayStart = this.#waiters.length === 0 && this.#mayPropose
      if (mayStart) this.#startProposal(waiter)
      else this.#waiters.push(waiter)
      this.#options.wake()
    })
  }

  /** Resolves once everything acknowledged before the call is applied here (ReadIndex). @throws Unavailable */
  linearize(): Promise<void> {
    const fresh = this.#reads.wait(this.#ticks)
    this.#options.wake()
    return fresh
  }

  /**
   * Changes who is a member, one step of one member at a time; for the leader. Resolves once that is
   * applied here. A leader that is to be demoted or removed hands leadership on instead, and refuses
   * with `NotLeader`: the next one is to be asked.
   *
   * @throws MembershipRefused, MembershipBusy, NotLeader, Unavailable: nothing was changed
   * @throws OutcomeUnknown when leadership was lost, or no quorum answered in time
   */
  changeMembers(change: MemberChange): Promise<void> {
    const applied = this.#configChanges.start(change)
    this.#options.wake()
    return applied
  }

  transferLeadership(to: NodeId): void {
    this.#node.transferLeader(to)
    this.#options.wake()
  }

  // ── driven ────────────────────────────────────────────────────────────────────────────────────

  /** The next piece of work, or undefined when there is none or the last one is not yet advanced. */
  takeWork(): ReplicaWork | undefined {
    if (this.#ready !== undefined) return undefined
    this.#sendOutbox()
    this.#startReadRound()
    if (!this.#node.hasReady()) return undefined

    const ready = this.#node.ready()
    this.#ready = ready
    this.#noteRole()
    this.#reads.confirm(ready.readStates)
    this.#reads.release(this.#applied)
    // What is committed and already on this disk need not wait for the next write.
    const stableIndex = Math.min(this.#stableIndex, (ready.entries[0]?.index ?? Infinity) - 1)
    this.#apply(ready.committedEntries.filter(({ index }) => index <= stableIndex))

    this.#snapshots.send(ready.messages)
    this.#unwritten = ready.hardState ?? this.#unwritten
    // A commit index alone is not worth a write, and goes with the next one. There it must be: whoever
    // has a change of the members in its log must know after a crash that the one before applies, or
    // it may be elected by members who are none any more.
    const batch = ready.mustSync
      ? { entries: ready.entries, ...(this.#unwritten && { hardState: this.#unwritten }) }
      : undefined
    if (batch !== undefined) this.#unwritten = undefined
    return {
      early: this.#early(ready.messages),
      install: this.#snapshots.toInstall(ready.snapshot),
      batch,
      late: ready.messages.filter(({ type }) => waitsForDisk(type)),
    }
  }

  /**
   * Heartbeats that need not wait for the work that was taken: a disk that is slow for a second must
   * not make a leader, or who follows it, look dead. Only in a term that is on the disk already.
   */
  takeHeartbeats(): readonly Message[] {
    const [durable] = this.#storage.initialState()
    const isOnDisk = durable.term === this.#node.basicStatus().hardState.term
    return this.#ready !== undefined && isOnDisk ? this.#node.takeHeartbeats() : []
  }

  /** What {@link takeWork} asked for is durable and sent. */
  advance(): void {
    const ready = this.#ready
    invariant(ready !== undefined, 'advance follows takeWork')
    if (ready.snapshot !== undefined) this.#install(ready.snapshot)
    if (ready.entries.length > 0) {
      this.#storage.append(ready.entries)
      this.#emitRange('raft.appended', ready.entries)
    }
    if (ready.hardState !== undefined) this.#storage.setHardState(ready.hardState)
    this.#stableIndex = this.#storage.lastIndex()
    this.#apply(ready.committedEntries.filter(({ index }) => index > this.#applied))
    this.#ready = undefined
    this.#node.advance()
    this.#noteRole()
    this.#reads.release(this.#applied)
  }

  /**
   * A snapshot that should now be saved: enough was applied since the last one, or a peer needs a
   * newer one than there is. It is written chunk by chunk, because the whole of a large state would hold
   * up everything else.
   */
  beginSnapshot(): SnapshotUnderWay | undefined {
    return this.#ready === undefined ? this.#snapshots.begin(this.#applied) : undefined
  }

  /** Tells every caller that still waits, when the process stops. */
  close(): void {
    const error = new Unavailable('this master is stopping')
    this.#configChanges.close()
    this.#snapshots.close()
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error)
    for (const proposal of this.#proposals()) this.#giveUp(proposal)
    this.#reads.close(error)
  }

  // ── inside ────────────────────────────────────────────────────────────────────────────────────

  /** Every member of a new cluster begins with the same snapshot: an empty store and the voters. */
  #founding(voters: readonly NodeId[]): Snapshot | undefined {
    return voters.length === 0 ? undefined : foundingSnapshot(voters)
  }

  #isHeard(nodeId: NodeId): boolean {
    const heardAt = this.#heardAt.get(nodeId) ?? Number.NEGATIVE_INFINITY
    return this.#ticks - heardAt <= this.#limits.electionTicks
  }

  /** The voter that is closest to taking over. */
  #successor(): NodeId {
    const [best] = this.memberProgress()
      .filter(({ isVoter, isReachable }) => isVoter && isReachable)
      .toSorted((a, b) => b.matchIndex - a.matchIndex)
    return best?.nodeId ?? none
  }

  get #mayPropose(): boolean {
    return this.#proposalCount < this.#limits.proposalsMax
  }

  /** Takes sessions for as many waiters as there may be proposals under way. */
  #startProposals(): void {
    while (this.#mayPropose) {
      const waiter = this.#waiters.shift()
      if (waiter === undefined) return
      this.#startProposal(waiter)
    }
  }

  #startProposal({ txn, given, deadline, resolve, reject }: Waiter): void {
    const isGiven = given !== undefined
    if (isGiven && this.#given.has(proposalKey(given))) {
      reject(new OutcomeUnknown('the same command is under way already; ask again later'))
      return
    }
    const session = isGiven
      ? { client: given.client, sequence: given.seq, proposal: undefined }
      : this.#nextSession()
    const { client, sequence: seq } = session
    const { compare, success, failure } = txn
    const nowMs = this.#options.clock.nowMs()
    const data = encodeCommand(
      { compare, success, ...(failure && { failure }), session: { client, seq }, nowMs },
      this.#store.limits,
    )
    const proposal: Proposal = {
      session,
      isGiven,
      data,
      deadline,
      sentAt: undefined,
      wasEverSent: false,
      isInOutbox: false,
      resolve,
      reject,
    }
    session.proposal = proposal
    if (isGiven) this.#given.set(proposalKey(given), proposal)
    this.#proposalCount++
    this.#send(proposal)
  }

  #nextSession(): Session {
    const session = this.#freeSessions.pop() ?? this.#newSession()
    session.sequence++
    return session
  }

  #newSession(): Session {
    const client = `${this.#options.boot}/${this.#sessionCount++}`
    const session: Session = { client, sequence: 0, proposal: undefined }
    this.#sessions.set(client, session)
    return session
  }

  /** What is under way. */
  #proposals(): readonly Proposal[] {
    const proposals = [...this.#given.values()]
    for (const { proposal } of this.#sessions.values()) {
      if (proposal !== undefined) proposals.push(proposal)
    }
    return proposals
  }

  /** What is under way under this number, if it was proposed here. */
  #proposalOf(session: SessionRef): Proposal | undefined {
    const own = this.#sessions.get(session.client)
    if (own !== undefined) return own.sequence === session.seq ? own.proposal : undefined
    return this.#given.size === 0 ? undefined : this.#given.get(proposalKey(session))
  }

  /** It is under way no more. A session of ours that is not free again is never used again. */
  #end(proposal: Proposal, isFree: boolean): void {
    const { session, isGiven } = proposal
    session.proposal = undefined
    proposal.isInOutbox = false
    this.#proposalCount--
    if (isGiven) this.#given.delete(proposalKey({ client: session.client, seq: session.sequence }))
    else if (isFree) this.#freeSessions.push(session)
    else this.#sessions.delete(session.client)
  }

  /** Not at once: all that is asked in one turn goes into the log, and to the others, together. */
  #send(proposal: Proposal): void {
    if (proposal.isInOutbox) return
    proposal.isInOutbox = true
    this.#outbox.push(proposal)
  }

  #sendOutbox(): void {
    if (this.#outbox.length === 0) return
    const outbox = this.#outbox.filter(({ isInOutbox }) => isInOutbox)
    this.#outbox = []
    for (const proposal of outbox) proposal.isInOutbox = false
    for (let from = 0; from < outbox.length;) {
      let to = from
      let sizeBytes = 0
      do sizeBytes += outbox[to++]?.data.length ?? 0
      while (to < outbox.length && sizeBytes < this.#limits.messageSizeBytes)
      const batch = outbox.slice(from, to)
      // There may be room for some of them where there is none for all.
      if (!this.#hand(batch) && batch.length > 1)
        for (const proposal of batch) this.#hand([proposal])
      from = to
    }
  }

  /** Whether Raft took them. */
  #hand(proposals: readonly Proposal[]): boolean {
    // Dropped for want of a leader, or of room: the next tick tries again until the deadline.
    const isDropped = this.#node.proposeBatch(proposals.map(({ data }) => data)) !== undefined
    for (const proposal of proposals) {
      proposal.sentAt = isDropped ? undefined : this.#ticks
      proposal.wasEverSent ||= !isDropped
    }
    return !isDropped
  }

  #tickProposals(): void {
    for (const proposal of this.#proposals()) {
      if (this.#ticks >= proposal.deadline) {
        this.#giveUp(proposal)
      } else if (proposal.sentAt === undefined || this.#mayBeLost(proposal.sentAt)) {
        // Sent twice it is applied once: the store remembers the session's last sequence number.
        this.#send(proposal)
      }
    }
    // All wait equally long, so the first in the queue is the first to have waited too long.
    while (this.#waiters[0] !== undefined && this.#waiters[0].deadline <= this.#ticks) {
      this.#waiters.shift()?.reject(new Unavailable('too many changes wait; nothing was changed'))
    }
    this.#startProposals()
  }

  /** What a leader has put into its own log stays there as long as it leads. */
  #mayBeLost(sentAt: number): boolean {
    return this.#role !== 'leader' && this.#isLost(sentAt)
  }

  /** Two election timeouts without an answer: whoever should have answered is gone. */
  #isLost(sentAt: number): boolean {
    return this.#ticks - sentAt >= 2 * this.#limits.electionTicks
  }

  #giveUp(proposal: Proposal): void {
    // Its session is not used again: the entry may still be applied one day.
    this.#end(proposal, false)
    proposal.reject(
      proposal.wasEverSent
        ? new OutcomeUnknown('the log did not answer in time; the change may or may not happen')
        : new Unavailable('no leader could be reached; nothing was changed'),
    )
  }

  /** One after the other, or they would vote for themselves. */
  #standInTurn(ticks: number, absent: NodeId = none): void {
    const { voters } = this.#node.status().config
    const rank = voters.filter((id) => id !== absent && id < this.#options.nodeId).length
    this.#campaignAt = this.#ticks + ticks + rank * campaignStepTicks
  }

  #campaignIfDue(): void {
    if (this.#campaignAt === undefined || this.#ticks < this.#campaignAt) return
    this.#campaignAt = undefined
    this.#node.campaign()
  }

  #startReadRound(): void {
    if (this.#leader === none) return
    const context = this.#reads.begin(this.#ticks)
    if (context !== undefined) this.#node.readIndex(context)
  }

  /**
   * Without the heartbeats that nobody needs: who reads waits for a quorum, so just as many are asked, and
   * they are those who were heard of last. If one of them is gone, everybody is asked with the next tick.
   */
  #early(messages: readonly Message[]): readonly Message[] {
    const { voters, votersOutgoing } = this.#config
    const isSimple = votersOutgoing.length === 0 && voters.includes(this.#options.nodeId)
    const isForAll = this.#hasTicked || !isSimple
    this.#hasTicked = false
    const early = messages.filter(({ type }) => type !== 'MsgSnap' && !waitsForDisk(type))
    if (isForAll || !early.some(({ type }) => type === 'MsgHeartbeat')) return early
    const heard = [...this.#heardAt.keys()].filter((id) => voters.includes(id))
    const needed = Math.floor(voters.length / 2)
    if (heard.length < needed) return early
    const asked = heard.slice(heard.length - needed)
    return early.filter(({ type, to }) => type !== 'MsgHeartbeat' || asked.includes(to))
  }

  #install(snapshot: Snapshot): void {
    this.#snapshots.install(snapshot)
    this.#applied = snapshot.meta.index
    this.#noteConfig(snapshot.meta.confState)
  }

  #noteConfig(config: ConfState): void {
    this.#config = config
    for (const listener of this.#configListeners) listener()
  }

  #apply(entries: readonly Entry[]): void {
    if (entries.length === 0) return
    let bytes = 0
    for (const entry of entries) {
      invariant(entry.index === this.#applied + 1, 'entries are applied one after the other')
      this.#applied = entry.index
      bytes += entry.data.length
      if (entry.type !== 'EntryNormal') {
        const change = decodeConfChange(entry.data)
        this.#noteConfig(this.#node.applyConfChange(change, this.#config))
        this.#configChanges.applied(entry)
      } else if (entry.data.length > 0) {
        this.#settle(this.#store.apply(entry.data))
      }
    }
    this.#emitRange('raft.committed', entries)
    this.#startProposals()
    this.#snapshots.applied(entries.length, bytes)
    this.#reads.release(this.#applied)
  }

  #settle(result: ApplyResult): void {
    if (result.session === undefined) return
    const proposal = this.#proposalOf(result.session)
    if (proposal === undefined) return
    this.#end(proposal, true)
    proposal.resolve(result)
  }

  #noteRole(): void {
    const { softState, hardState } = this.#node.basicStatus()
    const role = roles[softState.state]
    if (role === this.#role && hardState.term === this.#term && softState.lead === this.#leader) {
      return
    }
    const isNews = softState.lead !== this.#leader || hardState.term !== this.#term
    const hasNewLeader = softState.lead !== none && isNews
    if (this.#role === 'leader' && role !== 'leader') this.#snapshots.stopSending()
    this.#role = role
    this.#term = hardState.term
    this.#leader = softState.lead
    if (hasNewLeader) {
      this.#campaignAt = undefined
      // Whoever led before may have dropped what it was handed.
      for (const proposal of this.#proposals()) this.#send(proposal)
      this.#reads.breakOff()
    }
    this.#configChanges.roleChanged()
    for (const listener of this.#roleListeners) listener()
  }

  #emitRange(type: 'raft.appended' | 'raft.committed', entries: readonly Entry[]): void {
    const first = entries[0]
    const last = entries.at(-1)
    if (first === undefined || last === undefined) return
    this.#options.emit({
      type,
      masterId: this.#options.masterId,
      fromIndex: first.index,
      toIndex: last.index,
      term: last.term,
    })
  }
}

const roles = {
  StateFollower: 'follower',
  StateCandidate: 'candidate',
  StatePreCandidate: 'candidate',
  StateLeader: 'leader',
} as const

/** How long the next in line leaves to the one before to be elected. */
const campaignStepTicks = 4

const isNewer = ({ type, data }: Entry): boolean => type === 'EntryNormal' && isNewerCommand(data)

const proposalKey = ({ client, seq }: SessionRef): string => `${client}#${seq}`
