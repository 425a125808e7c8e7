import { createHash } from 'node:crypto'
import {
  restoreStore,
  type Journal,
  type PeerMessage,
  type Replica,
  type ReplicaLimits,
  type SnapshotSink,
} from '@conclave/actors'
import { ReplicaDriver } from '@conclave/assembly/replica-driver'
import {
  JournalFailed,
  type Journal as DiskJournal,
  type JournalKey,
  type Recovered,
} from '@conclave/journal'
import type { DiskOperation, SimulatedDisk } from '@conclave/journal/testing'
import type { EventDraft } from '@conclave/model'
import type { NodeId } from '@conclave/raft'
import type { StoreMachine } from '@conclave/store'
import { Dice } from './dice.ts'
import { ProcessDisk, type DiskManners } from './disk.ts'
import type { Parts } from './parts.ts'
import type { Asked, Witness } from './witness.ts'
import type { World } from './world.ts'

export const directory = '/data/journal'
const tickUs = 50_000

export interface ProcessOptions {
  readonly world: World
  readonly seed: number
  readonly nodeId: NodeId
  /** Who founds the group; nobody, for a machine that may join it later. */
  readonly voters: readonly NodeId[]
  readonly parts: Parts
  readonly witness: Witness
  readonly send: (message: PeerMessage) => void
  readonly emit: (member: NodeId, draft: EventDraft) => void
  readonly limits: Partial<ReplicaLimits>
  readonly segmentSizeBytes: number
  readonly sessionsMax: number
}

/** What a process needs of the machine it runs on, and what it tells it. */
export interface Machine {
  readonly dice: Dice
  readonly disk: SimulatedDisk
  readonly diskManners: DiskManners
  readonly lastSyncedWrites: Map<string, number>
  readonly journalKeys: readonly JournalKey[]
  readonly isTamperedWith: boolean
  readonly skewMs: number
  /** How much longer its ticks are than everybody else's, in thousandths. */
  readonly driftPermille: number
  note(what: string): void
  takeFault(operation: DiskOperation): string | undefined
  hasStarted(): void
  forgetKeys(inUse: readonly number[]): void
  hasDone(operation: DiskOperation, path: string): void
  hasRole(role: string, term: number): void
  hasLostPower(): void
  hasFailed(error: unknown): void
}

/** The process was not there, or ended before it answered. */
export class ProcessGone extends Error {}

/** One life of a member's process. */
export class Process {
  readonly #machine: Machine
  readonly #options: ProcessOptions
  readonly #boot: number
  readonly #disk: ProcessDisk
  readonly #gone = Promise.withResolvers<never>()
  readonly #whenAwake: (() => void)[] = []
  #isPaused = false
  #isGone = false
  #journal: Journal | undefined
  #diskJournal: DiskJournal | undefined
  /** A snapshot is about to count. */
  isSavingSnapshot = false
  #driver: ReplicaDriver | undefined
  replica: Replica | undefined
  store: StoreMachine | undefined

  constructor(machine: Machine, options: ProcessOptions, boot: number) {
    this.#machine = machine
    this.#options = options
    this.#boot = boot
    this.#gone.promise.catch(() => undefined)
    this.#disk = new ProcessDisk(machine.disk, {
      world: options.world,
      dice: machine.dice,
      manners: () => machine.diskManners,
      onPowerCut: () => this.#unlessGone(() => machine.hasLostPower()),
      onDone: (operation, path) => this.#unlessGone(() => machine.hasDone(operation, path)),
      takeFault: (operation) => machine.takeFault(operation),
      awake: () => this.#awake(),
      lastSyncedWrites: machine.lastSyncedWrites,
    })
  }

  async run(): Promise<void> {
    const { parts, nodeId, seed, segmentSizeBytes, witness } = this.#options
    const [seals, ...older] = this.#machine.journalKeys.toReversed()
    if (seals === undefined) throw new Error('a journal has a key')
    const { journal, recovered } = await parts.openJournal({
      directory,
      disk: this.#disk,
      key: seals.bytes,
      keyId: seals.id,
      olderKeys: older,
      clusterId: 'simulated',
      nodeId,
      random: new Dice(seed, `journal ${nodeId}/${this.#boot}`),
      segmentSizeBytes,
      onEvent: ({ type }) => this.#options.world.count(`journal ${type}`),
    })
    if (this.#isGone) return
    witness.recovered(nodeId, recovered, this.#machine.isTamperedWith)
    this.#journal = this.#watched(journal)
    this.#diskJournal = journal
    const store = this.#makeStore()
    await restoreStore(store, journal)
    if (this.#isGone) return
    this.#begin(this.#journal, recovered, store)
    this.#machine.hasStarted()
    this.#tickLater()
  }

  kill(): void {
    this.#isGone = true
    this.#disk.kill()
    void this.#driver?.stop()
    this.#gone.reject(new ProcessGone())
  }

  /** What cannot be done, as on a disk that fails, its next append says, too. */
  async rotateKey(key: JournalKey): Promise<void> {
    const journal = this.#diskJournal
    try {
      await journal?.rotateKey(key)
      if (journal !== undefined && !this.#isGone) this.#machine.forgetKeys(journal.keysInUse())
    } catch (error) {
      this.#options.world.count(`new key ${error instanceof Error ? error.name : 'failed'}`)
    }
  }

  async close(): Promise<void> {
    this.replica?.close()
    await this.#driver?.stop()
    await this.#journal?.close()
  }

  pause(forUs: number): void {
    if (this.#isPaused) return
    this.#isPaused = true
    this.#machine.note('freezes')
    this.#options.world.after(forUs, () => {
      this.#isPaused = false
      this.#unlessGone(() => this.#machine.note('goes on'))
      for (const act of this.#inSomeOrder(this.#whenAwake.splice(0))) this.#unlessGone(act)
    })
  }

  receive(message: PeerMessage): void {
    this.#act(() => this.replica?.receive(message))
  }

  /** A link that stood was broken by the other side. */
  linkLost(peer: NodeId): void {
    this.#act(() => {
      this.replica?.unreachable(peer)
      this.replica?.linkLost(peer)
    })
  }

  unreachable(peer: NodeId): void {
    this.#act(() => this.replica?.unreachable(peer))
  }

  async call<T>(act: (replica: Replica, store: StoreMachine) => Promise<T>): Promise<T> {
    const asked = async (): Promise<T> => {
      if (this.#isPaused) await this.#awake()
      const { replica, store } = this
      if (replica === undefined || store === undefined) throw new ProcessGone()
      return act(replica, store)
    }
    return Promise.race([asked(), this.#gone.promise])
  }

  #makeStore(): StoreMachine {
    const { parts, nodeId, witness, sessionsMax } = this.#options
    const store = parts.createStore({ sessionsMax })
    witness.restored(nodeId, 0)
    store.onRestore((revision) => witness.restored(nodeId, revision))
    store.onBatch((batch) => witness.told(nodeId, batch))
    return store
  }

  #begin(journal: Journal, recovered: Recovered, store: StoreMachine): void {
    const { parts, world, nodeId, voters, seed, witness, send, emit, limits } = this.#options
    const replica = parts.createReplica({
      nodeId,
      masterId: `master-${nodeId}`,
      bootstrap: { voters },
      recovered,
      store,
      snapshots: journal,
      random: new Dice(seed, `replica ${nodeId}/${this.#boot}`),
      clock: world.clock(() => this.#machine.skewMs),
      boot: `${nodeId}/${this.#boot}`,
      emit: (draft) => emit(nodeId, draft),
      wake: () => this.#driver?.wake(),
      post: (message) => {
        if (!this.#isGone) send(message)
      },
      onFatal: (error) => this.#unlessGone(() => this.#machine.hasFailed(error)),
      limits,
    })
    const takeWork = replica.takeWork.bind(replica)
    replica.takeWork = () => {
      // Before: a change of the members that is applied in it may commit more, which the next write tells.
      const { commitIndex } = replica
      const work = takeWork()
      if (work?.batch !== undefined) witness.taken(nodeId, work.batch, commitIndex)
      return work
    }
    const apply = store.apply.bind(store)
    store.apply = (data) => {
      const result = apply(data)
      witness.applied(nodeId, replica.appliedIndex, data, result)
      return result
    }
    replica.onRole(() => this.#unlessGone(() => this.#machine.hasRole(replica.role, replica.term)))
    this.store = store
    this.replica = replica
    this.#driver = new ReplicaDriver({
      replica,
      journal,
      send: (_, message) => {
        if (this.#isGone) return
        witness.sending(nodeId, message)
        send(message)
      },
      onFatal: (error) => this.#failed(error),
      after: (ms, run) => this.#later(ms * 1000, run),
    })
  }

  #failed(error: unknown): void {
    if (this.#isGone) return
    if (error instanceof JournalFailed) void this.#askOnceMore()
    this.#machine.hasFailed(error)
  }

  /** A journal that has failed refuses whatever it is asked for next, there and then. */
  async #askOnceMore(): Promise<void> {
    const { world, nodeId } = this.#options
    let isRefused = false
    world.after(0, () => {
      if (!isRefused) world.violate('SI5', `the journal of member ${nodeId} failed, and goes on`)
    })
    try {
      await this.#diskJournal?.append({ entries: [] })
    } catch {
      isRefused = true
    }
  }

  /** Answers with how to call it off. */
  #later(us: number, run: () => void): () => void {
    let isOff = false
    this.#options.world.after(us, () => {
      if (!isOff) this.#act(run)
    })
    return () => {
      isOff = true
    }
  }

  #watched(journal: Journal): Journal {
    const { witness, nodeId } = this.#options
    const watch = async (work: Asked, done: Promise<void>): Promise<void> => {
      witness.asked(nodeId, work)
      await done
      if (!this.#isGone) witness.durable(nodeId, work)
    }
    return {
      append: (batch) => watch({ do: 'append', batch }, journal.append(batch)),
      beginSnapshot: async (meta) => {
        const sink = await journal.beginSnapshot(meta)
        const hash = createHash('sha256')
        const hashed: SnapshotSink = {
          write: (chunk) => {
            hash.update(chunk)
            return sink.write(chunk)
          },
          commit: () => {
            const work = { do: 'snapshot', meta, contentHash: hash.digest('hex') } as const
            return watch(work, this.#committed(sink))
          },
          discard: () => sink.discard(),
        }
        return hashed
      },
      openSnapshot: () => journal.openSnapshot(),
      close: () => journal.close(),
    }
  }

  async #committed(sink: SnapshotSink): Promise<void> {
    this.isSavingSnapshot = true
    try {
      await sink.commit()
    } finally {
      this.isSavingSnapshot = false
    }
  }

  #tickLater(): void {
    this.#options.world.after(tickUs * (1 + this.#machine.driftPermille / 1000), () => {
      if (this.#isGone) return
      this.#act(() => {
        this.replica?.tick()
        this.#tickLater()
      })
    })
  }

  #act(act: () => void): void {
    if (this.#isGone) return
    if (this.#isPaused) this.#whenAwake.push(act)
    else act()
  }

  /** What came meanwhile came by many sockets, and none of them is the first to be read. */
  #inSomeOrder(acts: readonly (() => void)[]): readonly (() => void)[] {
    const { dice } = this.#machine
    const places = acts.map((act) => ({ act, place: dice.below(1_000_000) }))
    return places.sort((a, b) => a.place - b.place).map(({ act }) => act)
  }

  #awake(): Promise<void> {
    return this.#isPaused
      ? new Promise((resolve) => this.#whenAwake.push(resolve))
      : Promise.resolve()
  }

  #unlessGone(act: () => void): void {
    if (!this.#isGone) act()
  }
}
