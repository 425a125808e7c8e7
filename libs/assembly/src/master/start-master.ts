import { join } from 'node:path'
import {
  EventLog,
  MasterActor,
  Replica,
  type Address,
  type MasterApi,
  type Recovered,
} from '@conclave/actors'
import { conclaveFace, conclaveServerOptions } from '@conclave/faces-conclave'
import { dcosFace, dcosServerOptions } from '@conclave/faces-dcos'
import { mesosFace, mesosServerOptions } from '@conclave/faces-mesos'
import { openJournal, type Journal, type JournalEvent } from '@conclave/journal'
import { BytesMalformed, uuid, wipe } from '@conclave/kernel'
import { FromAgent, type ToAgent } from '@conclave/model'
import { decodeMessage, encodeMessage, RaftError, type Message, type NodeId } from '@conclave/raft'
import {
  AgentLinkServer,
  openAuditLog,
  silentLog,
  SystemClock,
  SystemRandom,
  TcpPeerLink,
  Ticker,
  type AuditLog,
  type Log,
  type PeerAddress,
} from '@conclave/runtime'
import { StoreMachine } from '@conclave/store'
import {
  MemberFileUnusable,
  loadFirstIdentities,
  loadKek,
  loadMember,
} from '../cluster/member-files.ts'
import { ReplicaDriver } from '../replica-driver.ts'
import { FaceExposed, FaceListener, isLoopback } from './face-listener.ts'
import { journalKey } from './journal-key.ts'
import { MasterMetrics } from './master-metrics.ts'
import type { MasterOptions, MasterPlace } from './master-options.ts'
import { SystemTokenKeys } from './system-token-keys.ts'

const tickMsUsually = 50
/** How long a leader that stops waits for another one to take over. */
const transferMs = 2000

/** One member of the group, at work in this process. */
export interface RunningMaster {
  readonly masterId: string
  readonly nodeId: NodeId
  /** Where it really listens. */
  readonly place: MasterPlace
  /** What its faces speak to. */
  readonly api: MasterApi
  /** Resolves when it cannot go on, with the reason: its disk failed, and it has stopped by itself. */
  readonly failed: Promise<unknown>
  /** Where the other masters are, once their real ports are known. */
  setPeers(masters: readonly MasterPlace[]): void
  /** Resolves once this master can serve: somebody leads, and holds the state of earlier terms. */
  ready(): Promise<void>
  /** Hands leadership on, lets requests end, and closes everything. */
  stop(): Promise<void>
  /** Ends as `kill -9` does: connections are cut, nothing is handed on. Resolves once its files are free. */
  destroy(): Promise<void>
}

/**
 * Starts one master from what lies in its directory: a new one on an empty journal, or one that goes
 * on where it was.
 *
 * @throws MemberFileUnusable, JournalCorrupt, JournalLocked, AuditBroken, FaceExposed, …
 */
export async function startMaster(options: MasterOptions): Promise<RunningMaster> {
  const { directory } = options
  const log = options.log ?? silentLog
  const random = new SystemRandom()
  const clock = new SystemClock()
  const { id: masterId, clusterId, identity } = await loadMember(directory, 'conclave-master')
  const own = options.masters.find((one) => one.masterId === masterId)
  if (own === undefined) {
    throw new MemberFileUnusable(
      join(directory, 'identity.pem'),
      `it is of ${masterId}, who is not among the masters`,
    )
  }
  if (!isLoopback(own.host)) {
    if (options.plainHttp !== true) throw new FaceExposed(own.host)
    log.warn({ host: own.host }, 'faces listen beyond this machine, in plain HTTP')
  }
  const [kek, firstIdentities] = await Promise.all([
    loadKek(directory),
    loadFirstIdentities(directory),
  ])
  log.warn({ file: 'kek.key' }, 'autolock is off: whoever has this directory can read every secret')

  const key = await journalKey({ directory, clusterId, masterId, kek, random })
  const opened = await openJournal({
    directory: join(directory, 'journal'),
    key: key.reveal(),
    clusterId,
    nodeId: own.nodeId,
    random,
    onEvent: (event) => logJournal(log, event),
    ...(options.segmentSizeBytes !== undefined && { segmentSizeBytes: options.segmentSizeBytes }),
  }).finally(() => wipe(key))
  const parts: Closable[] = [{ close: () => opened.journal.close() }]
  try {
    const audit = await openAuditLog(join(directory, 'audit.log'))
    parts.push(audit)
    const master = new Master({
      options,
      own,
      clusterId,
      log,
      clock,
      random,
      kek,
      firstIdentities,
      identity,
      audit,
      ...opened,
    })
    parts.push({ close: () => master.destroy() })
    await master.start()
    return master
  } catch (error) {
    // The last one closes those before it, too; closing twice is harmless.
    for (const part of parts.toReversed()) await part.close().catch(ignore)
    throw error
  }
}

interface Closable {
  close(): Promise<void>
}

const ignore = (): void => undefined

interface MasterParts {
  readonly options: MasterOptions
  readonly own: MasterPlace
  readonly clusterId: string
  readonly log: Log
  readonly clock: SystemClock
  readonly random: SystemRandom
  readonly kek: Awaited<ReturnType<typeof loadKek>>
  readonly firstIdentities: Awaited<ReturnType<typeof loadFirstIdentities>>
  readonly identity: Awaited<ReturnType<typeof loadMember>>['identity']
  readonly audit: AuditLog
  readonly journal: Journal
  readonly recovered: Recovered
}

class Master implements RunningMaster {
  readonly masterId: string
  readonly nodeId: NodeId
  readonly failed: Promise<unknown>
  readonly #parts: MasterParts
  readonly #log: Log
  readonly #events: EventLog
  readonly #replica: Replica
  readonly #driver: ReplicaDriver
  readonly #actor: MasterActor
  readonly #peers: TcpPeerLink
  readonly #agents: AgentLinkServer<ToAgent, FromAgent>
  readonly #ticker: Ticker
  readonly #metrics: MasterMetrics
  readonly #faces: FaceListener[] = []
  readonly #failure = Promise.withResolvers<unknown>()
  #place: MasterPlace
  #ending: Promise<void> | undefined

  constructor(parts: MasterParts) {
    const { options, own, clusterId, log, clock, random, recovered, journal, identity } = parts
    const tickMs = options.tickMs ?? tickMsUsually
    const boot = uuid(random).slice(0, 8)
    this.#parts = parts
    this.#log = log
    this.masterId = own.masterId
    this.nodeId = own.nodeId
    this.failed = this.#failure.promise
    this.#place = own
    this.#events = new EventLog(own.masterId, boot, clock)
    const store = new StoreMachine()
    this.#replica = new Replica({
      nodeId: own.nodeId,
      masterId: own.masterId,
      bootstrap: { voters: options.masters.map(({ nodeId }) => nodeId) },
      recovered,
      store,
      random,
      clock,
      boot: `${own.masterId}:${boot}`,
      emit: (draft) => this.#events.append(draft),
      wake: () => this.#driver.wake(),
      ...(options.replicaLimits && { limits: options.replicaLimits }),
    })
    this.#driver = new ReplicaDriver({
      replica: this.#replica,
      journal,
      send: (to, message) => this.#send(to, message),
      onFatal: (error) => this.#fail(error),
    })
    this.#actor = new MasterActor({
      settings: {
        clusterId,
        masterId: own.masterId,
        nodeId: own.nodeId,
        members: options.masters.map((place) => ({
          masterId: place.masterId,
          nodeId: place.nodeId,
          listeners: listenersOf(place),
        })),
        kek: parts.kek,
        firstIdentities: parts.firstIdentities,
        ticksPerSecond: Math.max(1, Math.round(1000 / tickMs)),
        ...(options.secretSizeBytesMax !== undefined && {
          secretSizeBytesMax: options.secretSizeBytesMax,
        }),
        ...(options.revisionsKept !== undefined && { revisionsKept: options.revisionsKept }),
      },
      replica: this.#replica,
      store,
      events: this.#events,
      clock,
      random,
      audit: parts.audit,
      tokenKeys: new SystemTokenKeys(),
      onProblem: (what, error) => log.warn({ err: error }, what),
    })
    this.#metrics = new MasterMetrics(this.#actor, own.masterId)
    this.#peers = new TcpPeerLink({
      clusterId,
      nodeId: own.nodeId,
      identity,
      listen: { host: own.host, port: own.ports.peers },
      peers: peersOf(options.masters),
      onMessage: (from, bytes) => this.#receive(from, bytes),
      onUnreachable: (nodeId) => this.#replica.unreachable(nodeId),
      log,
      random,
    })
    this.#agents = new AgentLinkServer<ToAgent, FromAgent>({
      clusterId,
      identity,
      listen: { host: own.host, port: own.ports.agents },
      parse: (value) => FromAgent.parse(value),
      onConnection: (connection) => {
        connection.onMessage((message) => this.#actor.agentMessage(connection.id, message))
        connection.onClose(() => this.#actor.agentDisconnected(connection.id))
        this.#actor.agentConnected(connection)
      },
      log,
    })
    this.#ticker = new Ticker(tickMs, () => this.#actor.tick())
    this.#replica.onRole(() => {
      const { role, term, leader } = this.#replica
      log.info({ role, term, leader }, 'the role of this master')
    })
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
    const peers = await this.#peers.start()
    const agents = await this.#agents.start()
    const mesos = await this.#listen('mesos', ports.mesos)
    const dcos = await this.#listen('dcos', ports.dcos)
    const conclave = await this.#listen('conclave', ports.conclave)
    this.#place = {
      ...this.#place,
      ports: { peers: peers.port, agents: agents.port, mesos, dcos, conclave },
    }
    this.#actor.setListeners(listenersOf(this.#place))
    const recoveredEntries = this.#parts.recovered.entries.length
    this.#events.append({ type: 'master.started', masterId: this.masterId, recoveredEntries })
    this.#log.info({ host, ports: this.#place.ports, recoveredEntries }, 'this master has started')
    this.#ticker.start()
    this.#driver.wake()
  }

  setPeers(masters: readonly MasterPlace[]): void {
    this.#peers.setPeers(peersOf(masters))
  }

  async ready(): Promise<void> {
    const endings = this.failed.then(() => true)
    while (this.#ending === undefined && !this.#actor.status().isReady) {
      if (await Promise.race([endings, nextTick(tickMsUsually)])) return
    }
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
    await this.#handOver()
    await Promise.all(this.#faces.map((face) => face.close()))
    this.#events.append({ type: 'master.stopped', masterId: this.masterId })
    this.#actor.stop()
    this.#ticker.stop()
    await this.#agents.close()
    await this.#driver.stop()
    await this.#peers.close()
    await this.#closeFiles()
    this.#log.info({}, 'this master has stopped')
  }

  async #destroy(): Promise<void> {
    this.#ticker.stop()
    this.#peers.destroy()
    this.#agents.destroy()
    const driven = this.#driver.stop()
    await Promise.all(this.#faces.map((face) => face.destroy()))
    this.#actor.stop()
    await driven
    await this.#closeFiles()
  }

  async #closeFiles(): Promise<void> {
    await this.#parts.journal.close().catch(ignore)
    await this.#parts.audit.close().catch(ignore)
  }

  /** A leader that just leaves would cost the group an election's silence. */
  async #handOver(): Promise<void> {
    const { masters } = this.#parts.options
    const next = masters.find(({ nodeId }) => nodeId !== this.nodeId && this.#peers.isUp(nodeId))
    if (this.#replica.role !== 'leader' || next === undefined) return
    const handedOver = new Promise<boolean>((resolve) => {
      this.#replica.onRole(() => {
        if (this.#replica.role !== 'leader') resolve(true)
      })
    })
    this.#replica.transferLeadership(next.nodeId)
    await Promise.race([handedOver, nextTick(transferMs)])
  }

  async #listen(face: keyof typeof facePlugins, port: number): Promise<number> {
    const { host } = this.#place
    const metrics = (): Promise<string> => this.#metrics.registry.text()
    const listener = await FaceListener.start({
      face,
      plugin: facePlugins[face](this.#actor, metrics),
      server: faceServers[face],
      host,
      port,
      requestSeconds: face === 'conclave' ? 0 : 120,
      log: this.#log,
      onAnswered: this.#metrics.answered,
    })
    this.#faces.push(listener)
    return listener.port
  }

  #send(to: NodeId, message: Message): void {
    const bytes = encodeMessage(message)
    if (message.type !== 'MsgSnap') return this.#peers.send(to, bytes)
    this.#peers.send(to, bytes, (isDelivered) => {
      if (!isDelivered) this.#replica.unreachable(to)
    })
  }

  #receive(from: NodeId, bytes: Uint8Array): void {
    try {
      const message = decodeMessage(bytes)
      if (message.from === from) return this.#replica.receive(message)
      this.#log.warn({ from, claimed: message.from }, 'a peer speaks in the name of another')
    } catch (error) {
      if (!(error instanceof BytesMalformed || error instanceof RaftError)) throw error
      this.#log.warn({ from, err: error }, 'a message of a peer was dropped')
    }
  }

  /** The disk failed: what this member has promised may not be there, so it must not say a word more. */
  #fail(error: unknown): void {
    this.#log.error({ err: error }, 'the journal failed: this master stops')
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

function listenersOf({ host, ports }: MasterPlace): Readonly<Record<string, Address>> {
  const { agents, conclave, dcos, mesos } = ports
  return {
    agents: { host, port: agents },
    conclave: { host, port: conclave },
    dcos: { host, port: dcos },
    mesos: { host, port: mesos },
  }
}

/** Without those whose port is not known yet. */
const peersOf = (masters: readonly MasterPlace[]): ReadonlyMap<NodeId, PeerAddress> =>
  new Map(
    masters
      .filter(({ ports }) => ports.peers !== 0)
      .map(({ masterId, nodeId, host, ports }) => [
        nodeId,
        { id: masterId, host, port: ports.peers },
      ]),
  )

const nextTick = (ms: number): Promise<false> =>
  new Promise((resolve) => {
    setTimeout(() => resolve(false), ms).unref()
  })

function logJournal(log: Log, event: JournalEvent): void {
  const { type, ...fields } = event
  if (type === 'failed') return
  if (type === 'torn-tail-cut' || type === 'snapshot-unreadable') log.warn(fields, type)
  else log.debug(fields, type)
}
