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
  isNewerCommand,
  type ApplyResult,
  type SessionRef,
  type StoreMachine,
  type Txn,
} from '@conclave/store'
import { ConfigChanges, type MemberChange } from './config-changes.ts'
import type { Group, MemberProgress, Role } from './group.ts'
import { Unavailable } from './master/errors.ts'
import type { Recovered, SnapshotDisk } from './ports.ts'
import { Proposals } from './proposals.ts'
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
  #ticks = 0

  readonly #proposals: Proposals
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
    this.#proposals = new Proposals({
      limits: this.#limits,
      storeLimits: this.#store.limits,
      boot: options.boot,
      clock: options.clock,
      isLeader: () => this.#role === 'leader',
      isLost: (sentAt) => this.#isLost(sentAt),
      hand: (commands) => this.#node.proposeBatch(commands) === undefined,
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
    this.#proposals.tick(this.#ticks)
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
    const result = this.#proposals.propose(txn, given)
    this.#options.wake()
    return result
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
    this.#proposals.sendOutbox()
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
    this.#proposals.close(error)
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

  /** Two election timeouts without an answer: whoever should have answered is gone. */
  #isLost(sentAt: number): boolean {
    return this.#ticks - sentAt >= 2 * this.#limits.electionTicks
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
        this.#proposals.settle(this.#store.apply(entry.data))
      }
    }
    this.#emitRange('raft.committed', entries)
    this.#proposals.startWaiting()
    this.#snapshots.applied(entries.length, bytes)
    this.#reads.release(this.#applied)
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
      this.#proposals.sendAll()
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
