import { MasterLocked, UnlockDoor, type MasterApi, type PeerPlace } from '@conclave/actors'
import type { Kek } from '@conclave/crypto'
import { conclaveServerOptions, lockedConclaveFace } from '@conclave/faces-conclave'
import { dcosServerOptions, lockedDcosFace } from '@conclave/faces-dcos'
import { masterNow, swarmLocked } from '@conclave/faces-docker'
import { lockedMesosFace, mesosServerOptions } from '@conclave/faces-mesos'
import type { Clock, RedactedBytes } from '@conclave/kernel'
import type { NodeId } from '@conclave/raft'
import { Metrics, type Log, type TlsIdentity } from '@conclave/runtime'
import { listenForDocker, type DockerDoors } from '../docker-doors.ts'
import { FaceListener } from '../face-listener.ts'
import type { MasterPlace } from '../master-options.ts'
import type { RunningMaster } from '../master.ts'
import { askAt, askToLeave, MasterRemoved, Membership, noteRemoved } from '../membership.ts'
import { PeerAsks, talkOverTcp } from '../peer-asks.ts'
import type { DiskKeyKeeper } from './disk-key-keeper.ts'
import { lockedNode } from './locked-node.ts'

/** Goes on with a start whose keys are open, at the places that were listened at until now. */
export type StartOpened = (
  keeper: DiskKeyKeeper,
  own: MasterPlace,
  wasLocked: boolean,
) => Promise<RunningMaster>

export interface LockableMasterOptions {
  readonly clusterId: string
  readonly own: MasterPlace
  readonly directory: string
  /** The masters as they were known last. */
  readonly masters: readonly MasterPlace[]
  /** Its certificate, which no KEK keeps shut. */
  readonly identity: TlsIdentity
  readonly docker: DockerDoors | undefined
  readonly log: Log
  readonly clock: Clock
  /** What a KEK opens, if it is the right one. */
  readonly open: (kek: Kek) => DiskKeyKeeper | undefined
  readonly start: StartOpened
}

/**
 * A master that autolock keeps shut: its journal is not opened, it hears no peer and takes part in no
 * election. It answers that it is locked, in the words of each face, until an unlock key opens its
 * keys; from then on it is the master that starts with them. Whether it still is one of them it asks the others
 * meanwhile: one that was removed has nothing to be unlocked for.
 */
export class LockableMaster implements RunningMaster {
  readonly masterId: string
  readonly nodeId: NodeId
  readonly failed: Promise<unknown>
  readonly #options: LockableMasterOptions
  readonly #failure = Promise.withResolvers<unknown>()
  readonly #begun = Promise.withResolvers<void>()
  readonly #door: UnlockDoor<DiskKeyKeeper>
  readonly #asks: PeerAsks
  readonly #membership: Membership
  #place: MasterPlace
  #peers: readonly MasterPlace[] | undefined
  #faces: readonly FaceListener[] = []
  #opening: Promise<void> | undefined
  #master: RunningMaster | undefined
  #isEnding = false

  private constructor(options: LockableMasterOptions) {
    this.#options = options
    this.masterId = options.own.masterId
    this.nodeId = options.own.nodeId
    this.#place = options.own
    this.failed = this.#failure.promise
    this.#door = new UnlockDoor(options.clock, options.open)
    const { own, clusterId, identity, log } = options
    this.#asks = new PeerAsks(() => talkOverTcp(clusterId, () => identity))
    this.#membership = new Membership({
      masterId: own.masterId,
      nodeId: own.nodeId,
      role: 'voter',
      peers: this.#asks,
      places: () => this.#places(),
      // It listens to none of them yet.
      listeners: () => ({}),
      isMember: () => true,
      hasLeader: () => false,
      onRefused: () => undefined,
      onRemoved: () => void this.#removed(),
      log,
    })
  }

  /** Resolves once it can be told the unlock key. @throws FaceListenFailed */
  static async start(options: LockableMasterOptions): Promise<LockableMaster> {
    const master = new LockableMaster(options)
    await master.#listen()
    options.log.warn({}, 'this master is locked: it waits for conclave cluster unlock')
    master.#membership.start()
    return master
  }

  get state(): RunningMaster['state'] {
    return this.#master?.state ?? 'booting-locked'
  }

  get place(): MasterPlace {
    return this.#master?.place ?? this.#place
  }

  get api(): MasterApi {
    if (this.#master === undefined) throw new MasterLocked()
    return this.#master.api
  }

  setPeers(masters: readonly MasterPlace[]): void {
    this.#peers = masters
    this.#master?.setPeers(masters)
  }

  async ready(): Promise<void> {
    await Promise.race([this.#begun.promise, this.failed])
    await this.#master?.ready()
  }

  async leave(signal: AbortSignal): Promise<void> {
    if (this.#master !== undefined) return this.#master.leave(signal)
    const question = { ask: 'leave' } as const
    await askToLeave(
      async (place) => (place === 'self' ? undefined : askAt(this.#asks, place, question, signal)),
      () => this.#places(),
      signal,
    )
  }

  async stop(): Promise<void> {
    await this.#end((face) => face.close())
    await this.#master?.stop()
  }

  async destroy(): Promise<void> {
    await this.#end((face) => face.destroy())
    await this.#master?.destroy()
  }

  async #end(close: (face: FaceListener) => Promise<void>): Promise<void> {
    this.#isEnding = true
    this.#membership.stop()
    this.#begun.resolve()
    if (this.#opening === undefined) await Promise.all(this.#faces.map(close))
    else await this.#opening
  }

  async unlock(text: RedactedBytes, address: string): Promise<void> {
    if (this.#master !== undefined) return this.#master.unlock(text, address)
    this.#unlock(text, address)
  }

  /** @throws UnlockRefused, LoginThrottled */
  #unlock(text: RedactedBytes, address: string): void {
    const keeper = this.#door.try(text, address)
    // Twice, when two operators type at once: the first one has it.
    this.#opening ??= this.#open(keeper)
  }

  #places(): readonly PeerPlace[] {
    return placesOf(this.#peers ?? this.#options.masters, this.masterId)
  }

  /** The others go on without this one, for good: no unlock key changes that. */
  async #removed(): Promise<void> {
    if (this.#isEnding || this.#opening !== undefined) return
    const { directory, log } = this.#options
    await noteRemoved(directory, this.masterId).catch((error: unknown) =>
      log.warn({ err: error }, 'it cannot be written down that this master was removed'),
    )
    const removed = new MasterRemoved(this.masterId, directory)
    log.error({ err: removed }, 'this master was removed')
    this.#failure.resolve(removed)
    await this.destroy()
  }

  async #open(keeper: DiskKeyKeeper): Promise<void> {
    const { log, start } = this.#options
    this.#membership.stop()
    log.info({}, 'this master is unlocked, and starts')
    try {
      // Each waits for its requests, so whoever unlocked is answered first.
      await Promise.all(this.#faces.map((face) => face.close()))
      if (this.#isEnding) return
      const master = await start(keeper, this.#place, true)
      if (this.#peers !== undefined) master.setPeers(this.#peers)
      this.#master = master
      void master.failed.then((error) => this.#failure.resolve(error))
    } catch (error) {
      log.error({ err: error }, 'this master was unlocked, and could not start')
      this.#failure.resolve(error)
    }
    this.#begun.resolve()
  }

  async #listen(): Promise<void> {
    const { clusterId, log } = this.#options
    const { masterId, ports } = this.#place
    const host = this.#place.faceHost ?? this.#place.host
    const registry = new Metrics({ labels: { master: masterId }, process: true })
    registry.watch(
      'master_locked',
      'Whether this master waits for the unlock key: 0 or 1.',
      () => 1,
    )
    const conclave = lockedConclaveFace({
      masterId,
      clusterId,
      unlock: (text, address) => this.#unlock(text, address),
      metrics: () => registry.text(),
    })
    const faces = {
      mesos: { plugin: lockedMesosFace(), server: mesosServerOptions },
      dcos: { plugin: lockedDcosFace(), server: dcosServerOptions },
      conclave: { plugin: conclave, server: conclaveServerOptions },
    } as const
    const found: Partial<Record<keyof typeof faces, number>> = {}
    try {
      for (const face of ['mesos', 'dcos', 'conclave'] as const) {
        const listener = await FaceListener.start({
          face,
          ...faces[face],
          host,
          port: ports[face],
          requestSeconds: 30,
          log,
          onAnswered: () => undefined,
        })
        this.#faces = [...this.#faces, listener]
        found[face] = listener.port
      }
      this.#faces = [...this.#faces, ...(await this.#listenForDocker())]
    } catch (error) {
      await Promise.all(this.#faces.map((face) => face.close()))
      throw error
    }
    this.#place = { ...this.#place, ports: { ...ports, ...found } }
  }

  /** The docker CLI asks at the same doors, and is told that they are locked. */
  async #listenForDocker(): Promise<readonly FaceListener[]> {
    const { docker, log } = this.#options
    if (docker === undefined) return []
    return listenForDocker({
      doors: docker,
      master: masterNow(() => {
        throw swarmLocked()
      }),
      node: lockedNode((text, address) => this.unlock(text, address)),
      log,
    })
  }
}

const placesOf = (masters: readonly MasterPlace[], self: string): readonly PeerPlace[] =>
  masters
    .filter(({ masterId }) => masterId !== self)
    .map(({ masterId, nodeId, host, ports }) => ({
      masterId,
      nodeId,
      addresses: ports.peers === 0 ? [] : [{ host, port: ports.peers }],
    }))
