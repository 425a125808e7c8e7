import { generateKeyPairSync } from 'node:crypto'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { AeadKey, hashPassword, Kek, wrapKey } from '@conclave/crypto'
import {
  invariant,
  Redacted,
  utf8,
  type Clock,
  type Random,
  type RedactedBytes,
} from '@conclave/kernel'
import type { Entry, HardState, NodeId, SnapshotMeta } from '@conclave/raft'
import type { SecretDrivers } from '@conclave/resolver'
import { StoreMachine, type WatchBatch } from '@conclave/store'
import { EventLog } from '../event-log.ts'
import type { FirstAuthority } from '../master/authority/authority-founding.ts'
import type { FirstIdentities } from '../master/founding.ts'
import { PeerSilent } from '../master/errors.ts'
import { recordFault } from '../master/keys/record-kinds.ts'
import { MasterActor } from '../master/master-actor.ts'
import type { Address } from '../master/master-api.ts'
import { PeerQuestion, type CalledAt, type PeerAnswer } from '../master/peer-questions.ts'
import { FromSession, SessionOpening, ToSession, type PeerLine } from '../master/peer-sessions.ts'
import type { MasterSettings } from '../master/settings.ts'
import type { Recovered, SnapshotDisk, SnapshotSink, TokenKeys } from '../ports.ts'
import type { ReplicaLimits } from '../replica-limits.ts'
import { Replica, type ReplicaWork } from '../replica.ts'
import {
  decodePeerMessage,
  encodePeerMessage,
  type PeerMessage,
} from '../snapshot/snapshot-message.ts'
import { sourceOf } from '../snapshot/memory-source.ts'
import { MemoryAudit } from './memory-audit.ts'
import { MemoryCertificates, memoryRootKey, memoryRootPem } from './memory-certificates.ts'
import { MemoryKeyKeeper } from './memory-key-keeper.ts'
import { memoryLine } from './memory-line.ts'

export interface MemoryClusterOptions {
  readonly masters?: number
  readonly clock: Clock & { advance(ms: number): void }
  readonly random: Random
  readonly identities: FirstIdentities
  readonly replicaLimits?: Partial<ReplicaLimits>
  /** Who has the values of secrets that have none. */
  readonly drivers?: SecretDrivers
  readonly settings?: Partial<
    Pick<
      MasterSettings,
      'secretSizeBytesMax' | 'revisionsKept' | 'historyBytesMax' | 'faithfulLeaks'
    >
  >
}

const tickMs = 50
const clusterId = '5c6a1c1e-0000-4000-8000-00000000000a'

/** Long enough for any election here; a condition that still does not hold never will. */
const roundsMax = 5000
const patientRounds = 500

/**
 * Masters in one process without disks, sockets or timers: time passes when a test waits for
 * something. A crash forgets everything that was not on the disk.
 */
export class MemoryCluster {
  readonly clusterId = clusterId
  readonly kek: Kek
  /** As a set-up leaves it beside each master. Without it, a cluster that lost the file. */
  firstAuthority: FirstAuthority | undefined
  /** For a test that puts a record there which none of ours would. */
  takesAnyRecord = false
  readonly founders: readonly NodeId[]
  readonly #options: MemoryClusterOptions
  readonly #masters: MemoryMaster[]
  readonly #cut = new Set<NodeId>()
  readonly #messages: { readonly from: NodeId; readonly to: NodeId; readonly bytes: Uint8Array }[] =
    []

  constructor(options: MemoryClusterOptions) {
    this.#options = options
    this.kek = Kek.of(AeadKey.draw(options.random))
    const { random } = options
    this.firstAuthority = {
      certificatePem: memoryRootPem,
      wrappedKey: wrapKey({ kek: this.kek, key: memoryRootKey(), clusterId, name: 'ca', random }),
    }
    const nodeIds = Array.from({ length: options.masters ?? 3 }, (_, index) => index + 1)
    this.founders = nodeIds
    this.#masters = nodeIds.map((nodeId) => new MemoryMaster(this, options, nodeId, nodeIds))
  }

  /** One more master that nobody knows yet, on an empty disk. It may ask to be let in. */
  start(nodeId: NodeId, masterId = masterIdOf(nodeId)): MemoryMaster {
    const master = new MemoryMaster(this, this.#options, nodeId, [], masterId)
    this.#masters.push(master)
    return master
  }

  /** As `master` asks whoever listens there, if that is who it should be. @throws PeerSilent */
  async ask(
    master: MemoryMaster,
    at: CalledAt,
    masterId: string,
    question: PeerQuestion,
  ): Promise<PeerAnswer> {
    const asked = this.#reached(master, at, masterId)
    if (asked === undefined) throw new PeerSilent(masterId, at)
    return asked.actor.peerAsks(
      master.masterId,
      PeerQuestion.parse(JSON.parse(JSON.stringify(question))),
    )
  }

  /** As `master` opens a session there. */
  open(
    master: MemoryMaster,
    at: CalledAt,
    masterId: string,
    opening: SessionOpening,
  ): PeerLine<ToSession, FromSession> {
    const [line, other] = memoryLine(
      (json) => ToSession.parse(json),
      (json) => FromSession.parse(json),
    )
    const asked = this.#reached(master, at, masterId)
    const parsed = SessionOpening.parse(JSON.parse(JSON.stringify(opening)))
    if (asked === undefined) other.hangUp()
    else void asked.actor.peerOpens(master.masterId, parsed, other)
    return line
  }

  #reached(master: MemoryMaster, at: CalledAt, masterId: string): MemoryMaster | undefined {
    const asked = this.#masters.find(({ nodeId }) => peersPortOf(nodeId) === at?.port)
    const isCut = this.#cut.has(master.nodeId) || this.#cut.has(asked?.nodeId ?? 0)
    return isCut || asked?.isUp !== true || asked.masterId !== masterId ? undefined : asked
  }

  get masters(): readonly MemoryMaster[] {
    return this.#masters
  }

  /** Who leads and is ready. @throws when nobody does */
  get leader(): MemoryMaster {
    const leader = this.#findLeader()
    if (leader === undefined) throw new Error('nobody leads')
    return leader
  }

  get follower(): MemoryMaster {
    const { leader } = this
    const follower = this.#masters.find((master) => master.isUp && master !== leader)
    if (follower === undefined) throw new Error('there is no follower')
    return follower
  }

  /** Until somebody leads, and all who are up and reachable know. */
  async elected(): Promise<void> {
    await this.until(() => {
      const isReady = this.#findLeader() !== undefined
      return isReady && this.#reachable().every(({ actor }) => actor.status().isReady)
    })
  }

  /** Lets time pass until `isTrue`. */
  async until(isTrue: () => boolean): Promise<void> {
    for (let round = 0; !isTrue(); round++) {
      if (round > roundsMax) throw new Error('waited in vain')
      await this.round()
      // Then it is no message that is waited for, but work outside this thread, such as a hash.
      if (round > patientRounds) await sleep(1)
    }
  }

  /** Lets time pass until `promise` has settled, and answers as it does. */
  async settle<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false
    const watched = (async () => {
      try {
        return await promise
      } finally {
        isSettled = true
      }
    })()
    const [settled] = await Promise.allSettled([watched, this.until(() => isSettled)])
    if (!isSettled) throw new Error('waited in vain')
    if (settled.status === 'rejected') throw settled.reason
    return settled.value
  }

  /** One tick of everybody, and whatever follows from it. */
  async round(): Promise<void> {
    this.#options.clock.advance(tickMs)
    for (const master of this.#masters) if (master.isUp) master.actor.tick()
    await this.flow()
  }

  /** Whatever follows without a tick. */
  async flow(): Promise<void> {
    for (let moves = 0; moves < 100 && this.#move(); moves++) await Promise.resolve()
    await turn()
  }

  /** Nobody hears `master`, and it hears nobody. */
  cut(master: MemoryMaster): void {
    this.#cut.add(master.nodeId)
  }

  heal(): void {
    this.#cut.clear()
  }

  post(from: NodeId, to: NodeId, bytes: Uint8Array): void {
    this.#messages.push({ from, to, bytes })
  }

  #findLeader(): MemoryMaster | undefined {
    return this.#reachable().find(({ actor }) => {
      const { role, isReady } = actor.status()
      return role === 'leader' && isReady
    })
  }

  #reachable(): readonly MemoryMaster[] {
    return this.#masters.filter(({ isUp, nodeId }) => isUp && !this.#cut.has(nodeId))
  }

  #move(): boolean {
    let hasMoved = false
    for (const master of this.#masters) hasMoved = master.work() || hasMoved
    for (const { from, to, bytes } of this.#messages.splice(0)) {
      const isCut = this.#cut.has(from) || this.#cut.has(to)
      const receiver = this.#masters.find(({ nodeId }) => nodeId === to)
      if (isCut || receiver?.isUp !== true || !receiver.knows(from)) continue
      receiver.replica.receive(decodePeerMessage(bytes))
      hasMoved = true
    }
    return hasMoved
  }
}

/** One master: what dies with it, and the disk that does not. */
export class MemoryMaster {
  readonly nodeId: NodeId
  readonly masterId: string
  readonly audit = new MemoryAudit()
  /** Every record and event that this master, in all its lives, has written: for leak searches. */
  readonly journal: Uint8Array[] = []
  readonly problems: unknown[] = []
  /** What it would have logged. */
  readonly warnings: string[] = []
  readonly #certificates: MemoryCertificates
  readonly keeper: MemoryKeyKeeper
  /** It was told that it is no member any more. */
  wasRemoved = false
  readonly #cluster: MemoryCluster
  readonly #options: MemoryClusterOptions
  readonly #nodeIds: readonly NodeId[]
  readonly #disk: {
    hardState?: HardState
    snapshot?: { readonly meta: SnapshotMeta }
    content: readonly Uint8Array[]
    entries: Entry[]
  } = { content: [], entries: [] }
  #life: Life
  #lives = 0
  isUp = true

  constructor(
    cluster: MemoryCluster,
    options: MemoryClusterOptions,
    nodeId: NodeId,
    nodeIds: readonly NodeId[],
    masterId = masterIdOf(nodeId),
  ) {
    this.nodeId = nodeId
    this.masterId = masterId
    this.#cluster = cluster
    this.#options = options
    this.#certificates = new MemoryCertificates(options.clock)
    this.#nodeIds = nodeIds
    this.keeper = new MemoryKeyKeeper(cluster.kek)
    this.#life = this.#begin()
  }

  get actor(): MasterActor {
    return this.#life.actor
  }

  get replica(): Replica {
    return this.#life.replica
  }

  get store(): StoreMachine {
    return this.#life.store
  }

  get events(): EventLog {
    return this.#life.events
  }

  /** Whether its link takes messages from there: of members, and of nobody else. */
  knows(nodeId: NodeId): boolean {
    return this.actor.peerPlaces().some((place) => place.nodeId === nodeId)
  }

  /** Asks `other` to be let in. */
  askToJoin(
    other: MemoryMaster,
    {
      role = 'voter',
      port = peersPortOf(this.nodeId),
    }: { role?: 'voter' | 'learner'; port?: number } = {},
  ): Promise<PeerAnswer> {
    const listeners = { ...listenersOf(this.nodeId), peers: { host: '10.0.0.1', port } }
    const question = { ask: 'join', nodeId: this.nodeId, role, listeners } as const
    const at = { host: '10.0.0.1', port: peersPortOf(other.nodeId) }
    return this.#cluster.ask(this, at, other.masterId, question)
  }

  /** As `kill -9` does. */
  crash(): void {
    this.isUp = false
    this.#life.actor.stop()
  }

  /** Comes back with its disk. */
  restart(): void {
    this.#life = this.#begin()
    this.isUp = true
  }

  /** Carries out what there is to do. @returns whether there was anything */
  work(): boolean {
    if (!this.isUp) return false
    const work = this.replica.takeWork()
    if (work === undefined) return false
    for (const message of work.early) this.#post(message)
    this.#write(work)
    for (const message of work.late) this.#post(message)
    this.replica.advance()
    this.#saveSnapshotIfDue()
    return true
  }

  #post(message: PeerMessage): void {
    this.#cluster.post(this.nodeId, message.to, encodePeerMessage(message))
  }

  #saveSnapshotIfDue(): void {
    const snapshot = this.replica.beginSnapshot()
    if (snapshot === undefined) return
    const sink = this.#sink(snapshot.meta)
    for (let chunk = snapshot.next(); chunk !== undefined; chunk = snapshot.next()) {
      void sink.write(chunk)
    }
    void sink.commit()
    snapshot.saved()
  }

  #write({ install, batch }: ReplicaWork): void {
    // What a disk would take its time for happens at once here.
    void install?.commit()
    if (batch === undefined) return
    if (batch.hardState !== undefined) this.#disk.hardState = batch.hardState
    const [first] = batch.entries
    if (first === undefined) return
    const kept = this.#disk.entries.filter(({ index }) => index < first.index)
    this.#disk.entries = [...kept, ...batch.entries]
    for (const { data } of batch.entries) this.journal.push(data)
  }

  #sink(meta: SnapshotMeta): SnapshotSink {
    const content: Uint8Array[] = []
    return {
      write: (chunk) => Promise.resolve(void content.push(chunk.slice())),
      commit: () => {
        this.#disk.snapshot = { meta }
        this.#disk.content = content
        const { index, term } = meta
        const { vote = 0, ...known } = this.#disk.hardState ?? { term, commit: index }
        // What a snapshot stands for is agreed on, whatever was written before.
        this.#disk.hardState = { ...known, vote, commit: Math.max(known.commit, index) }
        this.#disk.entries = this.#disk.entries.filter((entry) => entry.index > index)
        this.journal.push(...content)
        return Promise.resolve()
      },
      discard: () => Promise.resolve(),
    }
  }

  #snapshots(): SnapshotDisk {
    return {
      beginSnapshot: (meta) => Promise.resolve(this.#sink(meta)),
      openSnapshot: () => {
        const { snapshot, content } = this.#disk
        return Promise.resolve(snapshot && sourceOf(snapshot.meta, content))
      },
    }
  }

  /** The founders; whoever joins has heard of them, too. */
  #contacts(): readonly NodeId[] {
    return this.#nodeIds.length > 0 ? this.#nodeIds : this.#cluster.founders
  }

  #begin(): Life {
    const { clock, random, identities, settings = {} } = this.#options
    const life = ++this.#lives
    const boot = `${this.masterId}-${life}`
    const store = new StoreMachine()
    const reader = store.beginRestore()
    for (const chunk of this.#disk.content) reader.push(chunk)
    if (this.#disk.content.length > 0) store.adopt(reader.end())
    store.onBatch((batch) => {
      if (!this.#cluster.takesAnyRecord) checkRecords(batch)
    })
    const events = new EventLog(this.masterId, boot, clock)
    const replica = new Replica({
      nodeId: this.nodeId,
      masterId: this.masterId,
      bootstrap: { voters: this.#nodeIds },
      recovered: { ...this.#disk, entries: [...this.#disk.entries] } satisfies Recovered,
      store,
      snapshots: this.#snapshots(),
      random,
      clock,
      boot,
      emit: (draft) => events.append(draft),
      wake: () => undefined,
      post: (message) => {
        if (this.isUp && life === this.#lives) this.#post(message)
      },
      onFatal: (error) => this.problems.push(error),
      ...(this.#options.replicaLimits && { limits: this.#options.replicaLimits }),
    })
    const actor = new MasterActor({
      settings: {
        clusterId,
        masterId: this.masterId,
        nodeId: this.nodeId,
        members: this.#contacts().map((nodeId) => ({
          masterId: masterIdOf(nodeId),
          nodeId,
          listeners: listenersOf(nodeId),
        })),
        kek: this.keeper.kek,
        kekVersion: this.keeper.version,
        firstIdentities: identities,
        firstAuthority: this.#cluster.firstAuthority,
        ticksPerSecond: 1000 / tickMs,
        ...settings,
      },
      replica,
      store,
      events,
      clock,
      random,
      audit: this.audit,
      tokenKeys: new MemoryTokenKeys(),
      certificates: this.#certificates,
      keeper: this.keeper,
      drivers: this.#options.drivers,
      peers: {
        ask: (...asked) => this.#cluster.ask(this, ...asked),
        open: (...opened) => this.#cluster.open(this, ...opened),
      },
      onRemoved: () => (this.wasRemoved = true),
      onProblem: (what, error) => {
        this.warnings.push(what)
        if (error !== undefined) this.problems.push(error)
      },
    })
    actor.setListeners(listenersOf(this.nodeId))
    return { store, events, replica, actor }
  }
}

/** Whatever a test is about, no record in it may hold what its kind must not. */
function checkRecords({ events }: WatchBatch): void {
  for (const event of events) {
    const fault = event.type === 'put' ? recordFault(event.key, event.kv.value) : undefined
    invariant(fault === undefined, fault ?? '')
  }
}

interface Life {
  readonly store: StoreMachine
  readonly events: EventLog
  readonly replica: Replica
  readonly actor: MasterActor
}

const masterIdOf = (nodeId: NodeId): string => `master-${nodeId}`
const peersPortOf = (nodeId: NodeId): number => 200 + nodeId

const listenersOf = (nodeId: NodeId): Readonly<Record<string, Address>> => ({
  mesos: { host: '10.0.0.1', port: nodeId },
  agents: { host: '10.0.0.1', port: 100 + nodeId },
  peers: { host: '10.0.0.1', port: peersPortOf(nodeId) },
})

let tokenKeyPem: string | undefined

/** One RSA key for a whole test run, since drawing one takes longer than most tests. */
export class MemoryTokenKeys implements TokenKeys {
  async generate(): Promise<RedactedBytes> {
    tokenKeyPem ??= generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    }).privateKey
    return new Redacted(utf8(tokenKeyPem))
  }
}

/** Cheap to verify: tests log in often. Never for real passwords. */
export const cheapPasswordHash = (password: string, random: Random): Promise<string> =>
  hashPassword(new Redacted(utf8(password)), random, { logN: 4, r: 1, p: 1 })
