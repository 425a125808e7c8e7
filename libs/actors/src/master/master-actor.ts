import { agentsIn, type ClusterEffect, type RecordReader } from '@conclave/cluster'
import { uuid, type Clock, type Random, type RedactedBytes } from '@conclave/kernel'
import {
  secretResource,
  secretSizeBytesMax,
  type ConclaveEvent,
  type EventDraft,
  type FromAgent,
  type SecretPath,
} from '@conclave/model'
import { none } from '@conclave/raft'
import type { SecretDrivers } from '@conclave/resolver'
import type { Compare, LiveView } from '@conclave/store'
import { secretsUsedKey } from '@conclave/workloads'
import { EventLog } from '../event-log.ts'
import type { AuditSink, Certificates, KeyKeeper, LoggingLevel, TokenKeys } from '../ports.ts'
import type { Group } from '../group.ts'
import { Access } from './access.ts'
import type { AgentChannel } from './agents/agent-channel.ts'
import { AgentDesk } from './agents/agent-desk.ts'
import type { AuthorityApi } from './authority/authority-api.ts'
import { AuthorityDesk } from './authority/authority-desk.ts'
import type { Trust } from './authority/authority-state.ts'
import type { EnrolmentApi } from './authority/enrolment-api.ts'
import type { Reservation } from './authority/reservations.ts'
import { ClusterKeys } from './cluster-keys.ts'
import { Compaction } from './compaction.ts'
import { DocumentService } from './documents/document-service.ts'
import { found } from './founding.ts'
import { FrameworkService } from './framework-service.ts'
import { inlinePath } from './inline-path.ts'
import { NewsService } from './news/news-service.ts'
import { OperatorService } from './operator-service.ts'
import { ShownMessages } from './shown-messages.ts'
import { IdentityService } from './identity/identity-service.ts'
import type {
  Address,
  AgentView,
  Caller,
  EventApi,
  MasterApi,
  MasterStatus,
  MemberApi,
} from './master-api.ts'
import { masterInfoOf } from './master-info.ts'
import { foundingKey, keyringKey } from './master-records.ts'
import { KekChain } from './keys/kek-chain.ts'
import { KeyDesk } from './keys/key-desk.ts'
import type { LockApi } from './keys/lock-api.ts'
import { resealedTemplate, rewrapped } from './keys/sealed-records.ts'
import { LedMembers } from './led-members.ts'
import { doForPeer, LedTasks, serveForPeer } from './led-tasks.ts'
import { MemberService } from './member-service.ts'
import { Members, type PeerPlace } from './members.ts'
import type { PeerAnswer, PeerAsk, PeerQuestion } from './peer-questions.ts'
import type { FromSession, PeerLine, SessionOpening, ToSession } from './peer-sessions.ts'
import { isStill, Replicated } from './replicated.ts'
import { ResolveService } from './agents/resolve-service.ts'
import { operatorResource } from './resources.ts'
import { RunService } from './run-service.ts'
import { SecretIndex } from './secret-index.ts'
import { SecretService } from './secret-service.ts'
import { agentsListener, type MasterSettings } from './settings.ts'
import { StateService } from './state/state-service.ts'
import { TaskService } from './task-service.ts'
import { TaskSessions } from './task-sessions.ts'
import { Term } from './term.ts'
import { WorkloadDesk } from './workloads/workload-desk.ts'
import type { NodeService } from './workloads/node-service.ts'
import type { WorkloadService } from './workloads/workload-service.ts'

export interface MasterActorOptions {
  readonly settings: MasterSettings
  readonly replica: Group
  readonly store: LiveView
  readonly events: EventLog
  readonly clock: Clock
  readonly random: Random
  readonly audit: AuditSink
  readonly tokenKeys: TokenKeys
  readonly certificates: Certificates
  /** What members must trust has changed, and first when it is known at all. */
  readonly onTrust?: (trust: Trust) => void
  /** What an operator may turn up for a while. Without it there is nothing to turn. */
  readonly logging?: LoggingLevel
  /** Where this master's disk has keys. */
  readonly keeper?: KeyKeeper
  /** Who has the values of secrets that have none here. */
  readonly drivers?: SecretDrivers | undefined
  /** How other masters are asked, beside Raft. */
  readonly peers: PeerAsk
  /** Another master said, with authority, that this one was removed from the group. */
  readonly onRemoved?: () => void
  /** Something failed that nobody asked for and that will be tried again. */
  readonly onProblem?: (what: string, error: unknown) => void
}

/**
 * One master: a member of the group, its copy of the state, and, while it leads, the core that
 * decides for the cluster. It is told ticks and messages; all it does goes through its ports.
 */
export class MasterActor implements MasterApi {
  readonly identity: IdentityService
  readonly secrets: SecretService
  readonly runs: RunService
  readonly workloads: WorkloadService
  readonly nodes: NodeService
  readonly tasks: LedTasks
  readonly #tasks: TaskService
  readonly frameworks: FrameworkService
  readonly operators: OperatorService
  readonly events: EventApi
  readonly news: NewsService
  readonly authority: AuthorityApi
  readonly state: StateService
  /** For who is, or wants to be, a member: no face has it. */
  readonly enrolment: EnrolmentApi
  readonly lock: LockApi
  readonly members: MemberApi
  readonly #members: MemberService
  readonly documents: DocumentService

  readonly #options: MasterActorOptions
  readonly #replicated: Replicated
  readonly #access: Access
  readonly #records: Members
  readonly #desk: AuthorityDesk
  readonly #keyDesk: KeyDesk
  readonly #workloadDesk: WorkloadDesk
  readonly #agents: AgentDesk
  readonly #compaction: Compaction
  readonly #sessions: TaskSessions
  readonly #messages: ShownMessages
  #term: Term | undefined
  #ticks = 0
  #rightsRevision = 0
  #isStopped = false

  constructor(options: MasterActorOptions) {
    const { settings, replica, store, clock, random, audit, events } = options
    const { clusterId, kek } = settings
    const emit = (draft: EventDraft): void => {
      events.append(draft)
    }
    this.#options = options
    this.#replicated = new Replicated(store, replica)
    this.#compaction = new Compaction(store, this.#replicated, settings)
    this.#records = new Members(settings, this.#replicated, () => replica.config, clock)
    const held = { kek, version: settings.kekVersion ?? 0 }
    const chain = new KekChain({ clusterId, view: store, held })
    const keys = new ClusterKeys({ clusterId, chain, view: store })
    this.#replicated.guardBy((txn) => keys.guarded(txn))
    const refresh = (): Promise<void> => this.#replicated.refresh()
    this.identity = new IdentityService({ view: store, keys, audit, clock, random, emit, refresh })
    this.#access = new Access({ identity: this.identity, audit, clock, emit })
    const access = this.#access
    this.#members = new MemberService({
      masterId: settings.masterId,
      nodeId: settings.nodeId,
      members: this.#records,
      replica,
      replicated: this.#replicated,
      access,
      clock,
      peers: options.peers,
      emit,
      onRemoved: () => options.onRemoved?.(),
      onProblem: (what, error) => options.onProblem?.(what, error),
    })
    const led = {
      isLeader: () => replica.role === 'leader',
      leader: () => this.#records.peers().find(({ nodeId }) => nodeId === replica.leader),
      peers: options.peers,
    }
    this.members = new LedMembers({ own: this.#members, ...led })
    const sizeBytesMax = settings.secretSizeBytesMax ?? secretSizeBytesMax
    this.secrets = new SecretService({
      clusterId,
      replicated: this.#replicated,
      keys,
      access,
      index: new SecretIndex(clusterId, store),
      users: {
        of: (path) => this.#workloadDesk.service.namesThatUse(path),
        claim: () => isStill(secretsUsedKey, store.get(secretsUsedKey)),
      },
      identityRevision: () => this.identity.changedRevision,
      clock,
      random,
      emit,
      secretSizeBytesMax: sizeBytesMax,
    })
    const resolver = new ResolveService({
      clusterId,
      drivers: options.drivers,
      replicated: this.#replicated,
      secrets: this.secrets,
      audit,
      clock,
      random,
      emit,
    })
    const reader = readerOf(store)
    const seal = (data: RedactedBytes): { id: string; envelope: string } => {
      const id = uuid(random)
      return { id, envelope: Buffer.from(this.secrets.sealInline(id, data)).toString('base64') }
    }
    this.runs = new RunService({
      replicated: this.#replicated,
      reader,
      access,
      seal,
      clock,
      random,
      emit,
      secretSizeBytesMax: sizeBytesMax,
      alsoPending: () => this.#workloadDesk.keeper.pending(),
      sealing: {
        claim: () => isStill(keyringKey, store.get(keyringKey)),
        reseal: (template) =>
          resealedTemplate(template, (part) =>
            rewrapped(part, { clusterId, keyring: keys.keyring(), random }),
          ),
      },
    })
    this.#workloadDesk = new WorkloadDesk({
      clusterId,
      replicated: this.#replicated,
      reader,
      secretAt: (path) => this.secrets.standing(path),
      access,
      clock,
      random,
      emit,
      onProblem: (what, error) => options.onProblem?.(what, error),
    })
    this.workloads = this.#workloadDesk.service
    this.nodes = this.#workloadDesk.nodes
    const term = (): Term | undefined => (this.#term?.core === undefined ? undefined : this.#term)
    this.#sessions = new TaskSessions(random)
    this.#tasks = new TaskService({
      replicated: this.#replicated,
      reader,
      access,
      sessions: this.#sessions,
      term,
      channel: (connection) => this.#agents.channel(connection),
      submitterOf: (taskId) => this.#submitterOf(taskId),
    })
    this.tasks = new LedTasks({ own: this.#tasks, ...led })
    this.#messages = new ShownMessages({
      faithfulLeaks: settings.faithfulLeaks ?? false,
      open: ({ id, envelope }) =>
        this.secrets.open(inlinePath(id), 1, new Uint8Array(Buffer.from(envelope, 'base64'))),
    })
    this.frameworks = new FrameworkService({
      access,
      term,
      seal,
      show: this.#messages.show,
      onProblem: (what) => options.onProblem?.(what, undefined),
      runs: this.runs,
      workloads: this.#workloadDesk,
    })
    this.operators = new OperatorService({
      access,
      term,
      messages: this.#messages,
      logging: options.logging,
    })
    this.#desk = new AuthorityDesk({
      clusterId,
      kek: () => chain.current().kek,
      keys,
      firstAuthority: settings.firstAuthority,
      replicated: this.#replicated,
      access,
      whyMembersStay: () => replica.whyMembersStay,
      certificates: options.certificates,
      reservations: this.#records,
      masters: () => this.#records.places(),
      agents: () => agentsIn(reader).map(({ certificateName }) => certificateName),
      audit,
      clock,
      random,
      emit,
      onTrust: (trust) => {
        options.onTrust?.(trust)
        this.#agents.trustChanged()
      },
      onProblem: (what, error) => options.onProblem?.(what, error),
    })
    this.#agents = new AgentDesk({
      identity: this.identity,
      access,
      members: this.#records,
      resolver,
      sessions: this.#sessions,
      events,
      faithfulLeaks: settings.faithfulLeaks ?? false,
      isLeader: () => replica.role === 'leader',
      term: () => this.#term,
      leaderAt: () => {
        const { leader } = this.status()
        return leader?.masterId === settings.masterId
          ? undefined
          : leader?.listeners[agentsListener]
      },
      trust: () => this.#desk.trust,
      isRemoved: (agentName) => this.#desk.holders.isRemoved('agent', agentName),
      onProblem: (what, error) => options.onProblem?.(what, error),
    })
    this.#records.onChanged(() => this.#agents.membersChanged())
    this.authority = this.#desk.operators
    this.documents = new DocumentService({ replicated: this.#replicated, access, clock, emit })
    this.state = new StateService({
      clusterId,
      store,
      replicated: this.#replicated,
      keys,
      access,
      clock,
      random,
    })
    this.enrolment = this.#desk.enrolment
    this.#keyDesk = new KeyDesk({
      clusterId,
      masterId: settings.masterId,
      store,
      replica,
      replicated: this.#replicated,
      keys,
      access,
      random,
      keeper: options.keeper,
      masters: () => this.#records.all().map(({ masterId }) => masterId),
      emit,
      onProblem: (what, error) => options.onProblem?.(what, error),
    })
    this.lock = this.#keyDesk.operators
    this.news = new NewsService(clusterId, access)
    this.events = { follow: (caller, after, signal) => this.#follow(caller, after, signal) }

    store.onBatch((batch) => {
      this.#compaction.told(batch)
      this.runs.told(batch)
      this.#workloadDesk.told(batch)
      if (this.#workloadDesk.keeper.hasNews) void this.#followWorkloads()
      this.news.told(batch)
      this.#records.told(batch)
    })
    store.onRestore(() => {
      this.runs.toldOfEverything()
      this.#workloadDesk.toldOfEverything()
      this.#records.toldOfEverything()
    })
    replica.onRole(() => this.#roleChanged())
  }

  // ── told ──────────────────────────────────────────────────────────────────────────────────────

  tick(): void {
    const { replica, settings } = this.#options
    replica.tick()
    this.#sessions.tick()
    this.runs.tick()
    this.#workloadDesk.tick()
    this.#endForbidden()
    this.#desk.look()
    this.#ticks++
    const isLeading = replica.role === 'leader'
    // A term that ended without another master's doing, as when a commit found no quorum in time.
    if (isLeading && this.#term?.isOver !== false) this.#beginTerm()
    if (replica.leader !== none) void this.#records.publish()
    if (this.#ticks % settings.ticksPerSecond === 0) this.#eachSecond()
    if (!isLeading) return this.#workloadDesk.rest()
    if (this.#term?.core !== undefined) this.#keyDesk.lead(this.#term)
    void this.runs.note(this.#kill)
    this.#workloadDesk.keeper.tick()
    if (this.#term?.core !== undefined) {
      void this.#workloadDesk.keeper.lead(this.#kill)
      void this.#workloadDesk.rotation.lead(this.#term)
    }
    if (this.#ticks % settings.ticksPerSecond === 0) {
      this.#term?.step({ kind: 'tick' })
      void this.#compaction.lead()
      void this.#desk.lead()
    }
  }

  readonly #kill = (task: { readonly frameworkId: string; readonly taskId: string }): void => {
    this.#term?.core?.kill(task.frameworkId, task.taskId)
    this.#term?.flush()
  }

  /** Not before everybody was told of the batch that it follows. */
  async #followWorkloads(): Promise<void> {
    await Promise.resolve()
    const isLeading = this.#options.replica.role === 'leader' && !this.#isStopped
    if (isLeading && this.#term?.core !== undefined) {
      await this.#workloadDesk.keeper.follow(this.#kill)
    }
  }

  #eachSecond(): void {
    this.identity.tick()
    this.#desk.tick()
    void this.#keyDesk.tick(this.#term?.core !== undefined)
    this.#agents.closeRemoved()
    // After that: whoever was removed does not hear of it as of an agent id that is over.
    this.#term?.core?.forgetAgents((name) => this.#desk.holders.isRemoved('agent', name))
    this.#term?.flush()
    this.#access.endExpired()
    this.#sessions.endForbidden()
    this.frameworks.endForbidden()
    this.operators.endForbidden()
    this.#members.tick()
  }

  /** What was opened while it was allowed, and is no longer, ends (MA5). */
  #endForbidden(): void {
    const { changedRevision } = this.identity
    if (changedRevision === this.#rightsRevision) return
    this.#rightsRevision = changedRevision
    this.#sessions.endForbidden()
    this.frameworks.endForbidden()
    this.operators.endForbidden()
    this.runs.rightsChanged()
  }

  agentConnected(channel: AgentChannel): void {
    this.#agents.connected(channel)
  }

  agentMessage(connection: number, message: FromAgent, sizeBytes = 0): void {
    this.#agents.message(connection, message, sizeBytes)
  }

  agentDisconnected(connection: number): void {
    if (!this.#agents.disconnected(connection)) return
    this.#sessions.endAll('the connection to the agent is lost', connection)
    this.#term?.step({ kind: 'agent-disconnected', connection })
  }

  /** The faces listen there: other masters will send their clients and agents on to them. */
  setListeners(listeners: Readonly<Record<string, Address>>): void {
    this.#records.setListeners(listeners)
  }

  /** The others are lost for good, and this master leads a group of its own: they are removed. */
  beginAnew(): Promise<void> {
    return this.#members.beginAnew()
  }

  /** A master asks, and its certificate proves that it is `masterId`. */
  async peerAsks(masterId: string, question: PeerQuestion): Promise<PeerAnswer> {
    if (question.ask !== 'task') return this.#members.answer(masterId, question)
    if (this.#isMember(masterId)) return doForPeer(this.#tasks, question)
    return { answer: 'refused', why: 'you are no member of the group' }
  }

  /** A member has a client who is to be in a container: until that ends, or they hang up. */
  async peerOpens(
    masterId: string,
    opening: SessionOpening,
    line: PeerLine<FromSession, ToSession>,
  ): Promise<void> {
    if (this.#isMember(masterId)) return serveForPeer(this.#tasks, opening, line)
    line.hangUp()
  }

  /** Ids for a master that is about to join: never given again. @throws Unavailable, OutcomeUnknown */
  reserveMember(): Promise<Reservation> {
    return this.#records.reserve()
  }

  /** The other masters, and where each may be found. */
  peerPlaces(): readonly PeerPlace[] {
    return this.#records.peers()
  }

  /** Masters that were removed, which may not have heard of it. */
  formerPeers(): readonly Pick<PeerPlace, 'masterId' | 'nodeId'>[] {
    return this.#records.former()
  }

  /** Where the other masters are, as it was found out by other means than the records. */
  setContacts(members: MasterSettings['members']): void {
    this.#records.setContacts(members)
  }

  /** Calls `listener` when {@link peerPlaces} may have changed. */
  onPeerPlaces(listener: () => void): void {
    this.#records.onChanged(listener)
  }

  /** Nobody is answered any more, and whoever waits is told. */
  stop(): void {
    this.#isStopped = true
    this.identity.stop()
    this.#desk.stop()
    this.#replicated.stop()
    this.#endTerm()
    this.#options.replica.close()
  }

  // ── asked ─────────────────────────────────────────────────────────────────────────────────────

  status(): MasterStatus {
    const { replica, settings, store } = this.#options
    const leader = this.#isStopped ? none : replica.leader
    const role = this.#isStopped ? 'follower' : replica.role
    const isFounded = store.get(foundingKey) !== undefined
    return {
      masterId: settings.masterId,
      clusterId: settings.clusterId,
      state: 'running',
      role,
      isVoter: replica.config.voters.includes(settings.nodeId),
      term: replica.term,
      leader: leader === none ? undefined : this.#records.byNode(leader),
      isReady: role === 'leader' ? this.#term?.core !== undefined : isFounded && leader !== none,
      appliedIndex: replica.appliedIndex,
      commitIndex: replica.commitIndex,
      revision: store.revision,
      members: this.#records.all(),
    }
  }

  agents(caller: Caller): Promise<readonly AgentView[]> {
    return this.#tasks.agents(caller)
  }

  // ── leading ───────────────────────────────────────────────────────────────────────────────────

  #roleChanged(): void {
    const { replica, events, settings } = this.#options
    const leader = replica.leader === none ? undefined : this.#records.byNode(replica.leader)
    events.append({
      type: 'raft.role-changed',
      masterId: settings.masterId,
      role: replica.role,
      term: replica.term,
      ...(leader === undefined ? {} : { leader: leader.masterId }),
    })
    if (replica.role === 'leader') {
      if (this.#term?.term !== replica.term) this.#beginTerm()
      return
    }
    this.#endTerm()
    // Agents that were sent away while nobody led ask again; these still hold on to us.
    if (leader !== undefined) this.#agents.sendAllAway()
  }

  #beginTerm(): void {
    this.#endTerm()
    if (this.#isStopped) return
    const { replica, random, clock, settings, events } = this.#options
    const { clusterId, masterId, nodeId } = settings
    const term = new Term({
      term: replica.term,
      replicated: this.#replicated,
      random,
      cluster: {
        clusterId,
        masterInfo: masterInfoOf(masterId, this.#records.byNode(nodeId)?.listeners['mesos']),
        surroundings: {
          nowMs: () => clock.nowMs(),
          uuid: () => uuid(random),
          secretVersion: (path) => this.secrets.currentVersionOf(path),
          show: this.#messages.show,
          mayRead: (uid, path, taskId) => this.#mayBeGiven(uid, path as SecretPath, taskId),
        },
      },
      found: (claim) => this.#found(claim),
      perform: (effect) => this.#perform(effect),
      emit: (draft) => events.append(draft),
      onReady: () => this.#ready(),
      onOver: (error) => {
        if (this.#term !== term) return
        this.#options.onProblem?.('a term ended before its time', error)
        this.#letGo()
      },
    })
    this.#term = term
    void term.begin()
  }

  /**
   * Who launches for others may not give them more than they may have: a scheduler is trusted with
   * secrets that the submitter of a run is not, or no longer.
   */
  #mayBeGiven(uid: string, path: SecretPath, taskId: string): boolean {
    const submitter = this.#submitterOf(taskId) ?? uid
    const mayRead = (one: string): boolean =>
      this.identity.allowed({ uid: one }, secretResource(path), 'read')
    return mayRead(uid) && mayRead(submitter)
  }

  #isMember(masterId: string): boolean {
    return this.#records.get(masterId)?.state === 'member'
  }

  #submitterOf(taskId: string): string | undefined {
    return this.runs.submitterOf(taskId) ?? this.workloads.ownerOf(taskId)
  }

  async #found(claim: Compare): Promise<void> {
    const { settings, tokenKeys, clock, random, events } = this.#options
    const { clusterId, masterId, kek, firstIdentities: identities } = settings
    const replicated = this.#replicated
    const options = { clusterId, masterId, kek, identities, tokenKeys, clock, random, replicated }
    const dekId = await found({ ...options, claim })
    if (dekId !== undefined) events.append({ type: 'keyring.created', dekId })
    await this.#desk.found(claim)
  }

  #ready(): void {
    this.runs.toldOfEverything()
    this.#workloadDesk.toldOfEverything()
    this.#agents.ready()
  }

  #endTerm(): void {
    if (this.#term === undefined) return
    this.#term.end()
    this.#term = undefined
    this.#letGo()
  }

  /** What only a leader has: streams, sessions and agents. They look for the next one. */
  #letGo(): void {
    this.frameworks.closeAll()
    this.operators.closeAll()
    this.#sessions.endAll('this master no longer leads')
    this.#agents.sendAllAway()
  }

  #perform(effect: Exclude<ClusterEffect, { do: 'commit' }>): void {
    switch (effect.do) {
      case 'send-agent':
        this.#agents.channel(effect.connection)?.send(effect.message)
        return
      case 'close-agent':
        this.#agents.channel(effect.connection)?.close()
        return
      case 'send-framework':
        return this.frameworks.send(effect.streamId, effect.event)
      case 'close-framework':
        return this.frameworks.close(effect.streamId)
      case 'send-operator':
        return this.operators.send(effect.streamId, effect.event)
      case 'close-operator':
        return this.operators.close(effect.streamId)
      case 'emit':
        if (effect.event.type === 'task.refused') {
          this.runs.refused(effect.event)
          this.#workloadDesk.keeper.refused(effect.event)
        }
        this.#options.events.append(effect.event)
    }
  }

  #follow(
    caller: Caller,
    after: string | undefined,
    signal: AbortSignal,
  ): AsyncIterable<ConclaveEvent> {
    this.#access.demand(caller, operatorResource, 'full')
    const valid = this.#access.whileValid(caller, signal)
    const events = this.#options.events.follow(after, valid)
    return this.#access.whileAllowed(caller, operatorResource, 'full', events)
  }
}

const readerOf = (store: LiveView): RecordReader => ({
  get: (key) => store.get(key),
  list: (prefix) => store.list(prefix).kvs,
})
