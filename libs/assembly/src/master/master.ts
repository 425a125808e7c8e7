import {
  EventLog,
  MasterActor,
  NotLocked,
  type MasterActorOptions,
  type Address,
  type FirstAuthority,
  type MasterApi,
  type PeerPlace,
  type Trust,
} from '@conclave/actors'
import { conclaveFace, conclaveServerOptions } from '@conclave/faces-conclave'
import { dcosFace, dcosServerOptions } from '@conclave/faces-dcos'
import { mesosFace, mesosServerOptions } from '@conclave/faces-mesos'
import { NodeDisk } from '@conclave/journal'
import { uuid, wipe, type Clock, type RedactedBytes } from '@conclave/kernel'
import { FromAgent, type ToAgent } from '@conclave/model'
import { allMembers, none, type NodeId } from '@conclave/raft'
import {
  AgentLinkServer,
  Slices,
  SystemRandom,
  LogVerbosity,
  Ticker,
  type AgentConnection,
  type AuditLog,
  type Log,
  type PeerLink,
  type PeerTalk,
  type TlsIdentity,
  X509Certificates,
} from '@conclave/runtime'
import { loadFirstIdentities, loadMember } from '../cluster/member-files.ts'
import { forgetFirstAuthority } from '../cluster/first-authority.ts'
import { JoinListener } from '../join/join-listener.ts'
import { listenForDocker } from './docker-doors.ts'
import { secretDriversIn } from './secret-drivers.ts'
import { FaceListener } from './face-listener.ts'
import type { MakeHome, StateHome } from './home/state-home.ts'
import type { DiskKeyKeeper } from './keys/disk-key-keeper.ts'
import { BeginAnewRefused, hasBegunAnew } from './begin-anew.ts'
import {
  askAt,
  askToLeave,
  NotLetIn,
  MasterRemoved,
  Membership,
  noteRemoved,
} from './membership.ts'
import { MasterMetrics } from './master-metrics.ts'
import type { MasterOptions, MasterPlace } from './master-options.ts'
import { OwnIdentity } from './own-identity.ts'
import { answerPeer, PeerAsks, takeLine } from './peer-asks.ts'
import { createPeerLink, peersOf, type PeerWire } from './peer-wire.ts'
import { SystemTokenKeys } from './system-token-keys.ts'

const tickMsUsually = 50

/** One member of the group, at work in this process. */
export interface RunningMaster {
  readonly masterId: string
  readonly nodeId: NodeId
  /** Where it really listens. */
  readonly place: MasterPlace
  /** `booting-locked`: autolock is on, and it waits for an operator's unlock key. */
  readonly state: 'booting-locked' | 'running'
  /** What its faces speak to. @throws MasterLocked before it was unlocked */
  readonly api: MasterApi
  /** Resolves when it cannot go on, with the reason: its disk failed, and it has stopped by itself. */
  readonly failed: Promise<unknown>
  /**
   * Opens one that waits for it. Resolves once that is known; the text is wiped.
   * @param source the address that it came from
   * @throws UnlockRefused, LoginThrottled, NotLocked
   */
  unlock(text: RedactedBytes, source: string): Promise<void>
  /** Where the other masters are, once their real ports are known. */
  setPeers(masters: readonly MasterPlace[]): void
  /** Resolves once this master can serve: somebody leads, and holds the state of earlier terms. */
  ready(): Promise<void>
  /**
   * Has the others let it go for good, as one that was let in or not yet, or is locked. Resolves once they have, or
   * `signal` is aborted.
   *
   * @throws MembershipRefused
   */
  leave(signal: AbortSignal): Promise<void>
  /** Hands leadership on, lets requests end, and closes everything. */
  stop(): Promise<void>
  /** Ends as `kill -9` does: connections are cut, nothing is handed on. Resolves once its files are free. */
  destroy(): Promise<void>
}

/** What a master is made of, opened and checked. */
export interface MasterParts {
  readonly options: MasterOptions
  readonly own: MasterPlace
  readonly clusterId: string
  readonly log: Log
  readonly clock: Clock
  readonly random: SystemRandom
  readonly keeper: DiskKeyKeeper
  /** Whether it waited for an operator's unlock key before it could be made of anything. */
  readonly wasLocked: boolean
  /** Undefined for a master that joins: it founds nothing. */
  readonly firstIdentities: Awaited<ReturnType<typeof loadFirstIdentities>> | undefined
  readonly firstAuthority: FirstAuthority | undefined
  readonly identity: Awaited<ReturnType<typeof loadMember>>['identity']
  readonly audit: AuditLog
  /** The others are lost: before it listens to anybody, they are removed. */
  readonly beginsAnew: boolean
  readonly makeHome: MakeHome
}

export class Master implements RunningMaster {
  readonly masterId: string
  readonly nodeId: NodeId
  readonly failed: Promise<unknown>
  readonly #parts: MasterParts
  readonly #log: Log
  readonly #verbosity: LogVerbosity
  readonly #events: EventLog
  readonly #home: StateHome
  readonly #drivers: ReturnType<typeof secretDriversIn>
  readonly #actor: MasterActor
  readonly #wire: PeerWire
  readonly #peers: PeerLink
  readonly #talk: PeerTalk
  readonly #asks: PeerAsks
  readonly #membership: Membership
  readonly #agents: AgentLinkServer<ToAgent, FromAgent>
  readonly #ticker: Ticker
  readonly #metrics: MasterMetrics
  readonly #identity: OwnIdentity
  readonly #faces: FaceListener[] = []
  /** Callers and agents share each turn of the event loop, and leave time for the other masters. */
  readonly #slices = new Slices()
  #join: JoinListener | undefined
  readonly #failure = Promise.withResolvers<unknown>()
  #place: MasterPlace
  #ending: Promise<void> | undefined

  constructor(parts: MasterParts) {
    const { options, own, clusterId, log, clock, random, identity } = parts
    const tickMs = options.tickMs ?? tickMsUsually
    const boot = uuid(random).slice(0, 8)
    this.#parts = parts
    this.#wire = options.peerWire ?? 'tcp'
    this.#log = log
    this.masterId = own.masterId
    this.nodeId = own.nodeId
    this.failed = this.#failure.promise
    this.#place = own
    this.#events = new EventLog(own.masterId, boot, clock)
    this.#home = parts.makeHome({
      boot,
      emit: (draft) => this.#events.append(draft),
      send: (to, bytes, isBulk) => this.#peers.send(to, bytes, ...(isBulk ? [ignore] : [])),
      onSent: () => this.#peers.flush(),
      onFatal: (why, error) => this.#fail(why, error),
    })
    const { group, state } = this.#home
    const peers = new PeerAsks(() => this.#talk)
    this.#asks = peers
    this.#drivers = secretDriversIn(options.directory)
    this.#verbosity = new LogVerbosity(log)
    this.#actor = new MasterActor({
      settings: settingsOf(parts, tickMs),
      replica: group,
      store: state,
      events: this.#events,
      clock,
      random,
      audit: parts.audit,
      tokenKeys: new SystemTokenKeys(),
      keeper: parts.keeper,
      logging: this.#verbosity,
      certificates: new X509Certificates({ clock, random }),
      drivers: this.#drivers,
      onTrust: (trust) => void this.#follow(trust),
      peers,
      onRemoved: () => void this.#removed(),
      onProblem: (what, error) => log.warn({ err: error }, what),
    })
    void parts.audit.failed.then((error) =>
      this.#fail('the audit log failed: this master stops', error),
    )
    this.#identity = new OwnIdentity({
      masterId: own.masterId,
      directory: options.directory,
      identity,
      enrolment: this.#actor.enrolment,
      onIdentity: (next) => this.#setIdentity(next),
      events: this.#events,
      clock,
      random,
      log,
    })
    this.#metrics = new MasterMetrics(this.#actor, own.masterId, this.#identity.keeper)
    const { link, talk } = createPeerLink({
      wire: this.#wire,
      clusterId,
      own,
      identity,
      places: this.#actor.peerPlaces(),
      former: this.#actor.formerPeers(),
      onMessage: (from, bytes) => this.#home.receive(from, bytes),
      onUnreachable: (nodeId) => this.#home.unreachable(nodeId),
      onLost: (nodeId) => this.#home.linkLost(nodeId),
      onAsk: (from, bytes) => answerPeer(bytes, (question) => this.#actor.peerAsks(from, question)),
      onOpen: (from, bytes, end) => {
        const [opening, line] = takeLine(bytes, end)
        void this.#actor.peerOpens(from, opening, line).catch((error: unknown) => {
          log.warn({ err: error }, 'a session for another master failed')
          line.hangUp()
        })
      },
      identityNow: () => this.#identity.keeper.identity,
      log,
      random,
    })
    this.#peers = link
    this.#talk = talk
    this.#actor.onPeerPlaces(() =>
      this.#peers.setPeers(
        peersOf(this.#wire, this.#actor.peerPlaces(), this.#actor.formerPeers()),
      ),
    )
    this.#membership = new Membership({
      masterId: own.masterId,
      nodeId: own.nodeId,
      role: options.joinAs ?? 'voter',
      peers,
      places: () => this.#actor.peerPlaces(),
      listeners: () => listenersOf(this.#place),
      isMember: () => allMembers(group.config).length > 0,
      hasLeader: () => group.leader !== none,
      onRefused: (why) =>
        this.#fail('the masters do not let this one in', new NotLetIn(own.masterId, why)),
      onRemoved: () => void this.#removed(),
      log,
    })
    this.#agents = new AgentLinkServer<ToAgent, FromAgent>({
      clusterId,
      identity,
      listen: { host: own.host, port: own.ports.agents },
      parse: (value) => FromAgent.parse(value),
      onConnection: (connection) => this.#attach(connection),
      slices: this.#slices,
      log,
    })
    this.#ticker = new Ticker(tickMs, () => {
      this.#actor.tick()
      this.#identity.keeper.tick()
    })
    group.onRole(() => {
      const { role, term, leader } = group
      log.info({ role, term, leader }, 'the role of this master')
    })
  }

  get state(): 'running' {
    return 'running'
  }

  get place(): MasterPlace {
    return this.#place
  }

  get api(): MasterApi {
    return this.#actor
  }

  /** Listens everywhere, then takes part. @throws FaceListenFailed, LinkListenFailed */
  async start(): Promise<void> {
    const { host, ports } = this.#place
    if (this.#parts.beginsAnew) await this.#beginAnew()
    const peers = await this.#peers.start()
    const agents = await this.#agents.start()
    const mesos = await this.#listen('mesos', ports.mesos)
    const dcos = await this.#listen('dcos', ports.dcos)
    const conclave = await this.#listen('conclave', ports.conclave)
    await this.#listenForDocker()
    this.#join = await JoinListener.start({
      clusterId: this.#parts.clusterId,
      identity: this.#identity.keeper.identity,
      enrolment: this.#actor.enrolment,
      host,
      port: ports.join,
      log: this.#log,
      onAnswered: this.#metrics.answered,
    })
    const join = this.#join.port
    this.#place = {
      ...this.#place,
      ports: { peers: peers.port, agents: agents.port, join, mesos, dcos, conclave },
    }
    this.#actor.setListeners(listenersOf(this.#place))
    const { recoveredEntries } = this.#home
    if (this.#parts.wasLocked) {
      this.#events.append({ type: 'master.locked', masterId: this.masterId })
      this.#events.append({ type: 'master.unlocked', masterId: this.masterId })
    }
    this.#events.append({ type: 'master.started', masterId: this.masterId, recoveredEntries })
    this.#log.info({ host, ports: this.#place.ports, recoveredEntries }, 'this master has started')
    if (!this.#parts.beginsAnew) this.#run()
    this.#membership.start()
  }

  #run(): void {
    this.#ticker.start()
    this.#home.start()
  }

  /** Alone, with nobody who could reach it: what the others were must be settled before one of them comes back. */
  async #beginAnew(): Promise<void> {
    const { directory, disks } = this.#parts.options
    this.#log.warn({}, 'this master begins anew without the others')
    this.#run()
    for (;;) {
      await this.ready()
      if (this.#ending !== undefined) throw new BeginAnewRefused('it ended before it was alone')
      try {
        await this.#actor.beginAnew()
        break
      } catch (error) {
        this.#log.warn({ err: error }, 'the other masters are not removed yet')
        await nextTick(tickMsUsually)
      }
    }
    await hasBegunAnew(directory, disks?.journal ?? new NodeDisk())
    this.#events.append({ type: 'master.began-anew', masterId: this.masterId })
  }

  async unlock(text: RedactedBytes): Promise<void> {
    wipe(text)
    throw new NotLocked()
  }

  setPeers(masters: readonly MasterPlace[]): void {
    this.#actor.setContacts(masters.map(contactOf))
  }

  async ready(): Promise<void> {
    const endings = this.failed.then(() => true)
    while (this.#ending === undefined && !this.#actor.status().isReady) {
      if (await Promise.race([endings, nextTick(tickMsUsually)])) return
    }
  }

  leave(signal: AbortSignal): Promise<void> {
    const question = { ask: 'leave' } as const
    const places = (): readonly PeerPlace[] => this.#actor.peerPlaces()
    return askToLeave(
      (place) =>
        place === 'self'
          ? this.#actor.peerAsks(this.masterId, question)
          : askAt(this.#asks, place, question, signal),
      places,
      signal,
    )
  }

  stop(): Promise<void> {
    this.#ending ??= this.#stop()
    return this.#ending
  }

  destroy(): Promise<void> {
    this.#ending ??= this.#destroy()
    return this.#ending
  }

  async #stop(): Promise<void> {
    this.#membership.stop()
    await this.#home.handOver((nodeId) => this.#peers.isUp(nodeId))
    await Promise.all(this.#listeners().map((listener) => listener.close()))
    this.#events.append({ type: 'master.stopped', masterId: this.masterId })
    this.#actor.stop()
    this.#ticker.stop()
    await this.#identity.keeper.stop()
    await this.#agents.close()
    await this.#home.stop()
    await this.#peers.close()
    await this.#closeFiles()
    this.#log.info({}, 'this master has stopped')
  }

  async #destroy(): Promise<void> {
    this.#membership.stop()
    this.#ticker.stop()
    const kept = this.#identity.keeper.stop()
    this.#peers.destroy()
    this.#agents.destroy()
    const driven = this.#home.stop()
    await Promise.all(this.#listeners().map((listener) => listener.destroy()))
    this.#actor.stop()
    await Promise.all([driven, kept])
    await this.#closeFiles()
  }

  #listeners(): readonly (FaceListener | JoinListener)[] {
    return this.#join === undefined ? this.#faces : [...this.#faces, this.#join]
  }

  /** What the set-up left is in the store now: no file needs to hold it as well. */
  async #follow(trust: Trust): Promise<void> {
    try {
      await forgetFirstAuthority(this.#parts.options.directory)
      await this.#identity.follow(trust)
    } catch (error) {
      this.#log.error({ err: error }, 'what the authority has become could not be written')
    }
  }

  /** Connections that stand go on with the one before. */
  #setIdentity(identity: TlsIdentity): void {
    this.#peers.setIdentity(identity)
    this.#agents.setIdentity(identity)
    this.#join?.setIdentity(identity)
  }

  async #closeFiles(): Promise<void> {
    await this.#home.close().catch(ignore)
    await this.#parts.audit.close().catch(ignore)
  }

  /** The others go on without this one, for good: it stops, and does not start again. */
  async #removed(): Promise<void> {
    if (this.#ending !== undefined) return
    const { directory } = this.#parts.options
    await noteRemoved(directory, this.masterId).catch((error: unknown) =>
      this.#log.warn({ err: error }, 'it cannot be written down that this master was removed'),
    )
    this.#fail('this master was removed', new MasterRemoved(this.masterId, directory))
  }

  async #listen(face: keyof typeof facePlugins, port: number): Promise<number> {
    const host = this.#place.faceHost ?? this.#place.host
    const metrics = (): Promise<string> => this.#metrics.registry.text()
    const listener = await FaceListener.start({
      face,
      plugin: facePlugins[face](this.#actor, metrics),
      server: faceServers[face],
      host,
      port,
      requestSeconds: face === 'conclave' ? 0 : 120,
      log: this.#log,
      slices: this.#slices,
      onAnswered: this.#metrics.answered,
    })
    this.#faces.push(listener)
    return listener.port
  }

  async #listenForDocker(): Promise<void> {
    const { docker } = this.#parts.options
    if (docker === undefined) return
    const listeners = await listenForDocker({
      doors: docker,
      master: this.#actor,
      secretDrivers: this.#drivers,
      log: this.#log,
      slices: this.#slices,
      onAnswered: this.#metrics.answered,
    })
    this.#faces.push(...listeners)
  }

  #attach(connection: AgentConnection<ToAgent, FromAgent>): void {
    connection.onMessage((message, sizeBytes) =>
      this.#actor.agentMessage(connection.id, message, sizeBytes),
    )
    connection.onClose(() => this.#actor.agentDisconnected(connection.id))
    this.#actor.agentConnected(connection)
  }

  /**
   * The disk failed: what this member has promised may not be there, so it must not say a word more; or
   * it can put nothing on record, and others can.
   */
  #fail(why: string, error: unknown): void {
    if (this.#ending !== undefined) return
    this.#log.error({ err: error }, why)
    this.#failure.resolve(error)
    void this.destroy()
  }
}

const facePlugins = {
  mesos: (master: MasterApi) => mesosFace(master),
  dcos: (master: MasterApi) => dcosFace(master),
  conclave: (master: MasterApi, metrics: () => Promise<string>) =>
    conclaveFace({ master, metrics }),
} as const

const faceServers = {
  mesos: mesosServerOptions,
  dcos: dcosServerOptions,
  conclave: conclaveServerOptions,
} as const

/** What the actor must know, in ticks and bytes. */
function settingsOf(
  { options, own, clusterId, keeper, firstIdentities, firstAuthority }: MasterParts,
  tickMs: number,
): MasterActorOptions['settings'] {
  const { masters, secretSizeBytesMax, revisionsKept, faithfulLeaks } = options
  return {
    clusterId,
    masterId: own.masterId,
    nodeId: own.nodeId,
    members: masters.map(contactOf),
    kek: keeper.kek,
    kekVersion: keeper.version,
    firstIdentities,
    firstAuthority,
    ticksPerSecond: Math.max(1, Math.round(1000 / tickMs)),
    ...(secretSizeBytesMax !== undefined && { secretSizeBytesMax }),
    ...(revisionsKept !== undefined && { revisionsKept }),
    ...(faithfulLeaks !== undefined && { faithfulLeaks }),
  }
}

function listenersOf({
  host,
  faceHost = host,
  ports,
}: MasterPlace): Readonly<Record<string, Address>> {
  const { peers, agents, join, conclave, dcos, mesos } = ports
  return {
    peers: { host, port: peers },
    agents: { host, port: agents },
    join: { host, port: join },
    conclave: { host: faceHost, port: conclave },
    dcos: { host: faceHost, port: dcos },
    mesos: { host: faceHost, port: mesos },
  }
}

const contactOf = (place: MasterPlace): MasterActorOptions['settings']['members'][number] => ({
  masterId: place.masterId,
  nodeId: place.nodeId,
  listeners: listenersOf(place),
})

const nextTick = (ms: number): Promise<false> =>
  new Promise((resolve) => {
    setTimeout(() => resolve(false), ms).unref()
  })

const ignore = (): void => undefined
