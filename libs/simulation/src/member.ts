import type { Journal, Replica, ReplicaLimits } from '@conclave/actors'
import { ReplicaDriver } from '@conclave/assembly/replica-driver'
import {
  JournalCorrupt,
  JournalFailed,
  JournalUndecryptable,
  type Recovered,
} from '@conclave/journal'
import { SimulatedDisk, type DiskOperation } from '@conclave/journal/testing'
import type { EventDraft } from '@conclave/model'
import type { Message, NodeId } from '@conclave/raft'
import type { StoreMachine } from '@conclave/store'
import { Dice } from './dice.ts'
import { ProcessDisk, type DiskManners } from './disk.ts'
import type { Moment } from './fault.ts'
import type { Parts } from './parts.ts'
import type { Asked, Sight, Witness } from './witness.ts'
import type { World } from './world.ts'

export const directory = '/data/journal'
const tickUs = 50_000

export interface MemberOptions {
  readonly world: World
  readonly seed: number
  readonly nodeId: NodeId
  readonly voters: readonly NodeId[]
  readonly parts: Parts
  readonly witness: Witness
  readonly send: (message: Message) => void
  readonly emit: (member: NodeId, draft: EventDraft) => void
  /** It has just become leader, and has told nobody yet. */
  readonly onLeading: (leader: Member) => void
  readonly limits: Partial<ReplicaLimits>
  readonly segmentSizeBytes: number
  readonly diskManners: DiskManners
}

/** The process was not there, or ended before it answered. */
export class ProcessGone extends Error {}

/** How a process ends. */
export interface Crash {
  /** The whole machine, so that what was not synced may be lost; otherwise the process alone. */
  readonly isPowerCut: boolean
  readonly downUs: number
}

/** `lost`: its disk is damaged, and it refused to start. */
export type MemberState = 'down' | 'starting' | 'up' | 'stopping' | 'lost'

/** A machine with a disk, and the process of a master's log and store on it, if there is one just now. */
export class Member {
  readonly nodeId: NodeId
  readonly dice: Dice
  state: MemberState = 'down'
  disk = new SimulatedDisk()
  diskManners: DiskManners
  isDiskFull = false
  /** Bits were changed behind its back, so it may refuse to start. */
  isTamperedWith = false
  skewMs = 0
  /** How much longer its ticks are than everybody else's, in thousandths. */
  driftPermille = 0
  readonly lastSyncedWrites = new Map<string, number>()
  readonly #options: MemberOptions
  #process: Process | undefined
  #bootCount = 0
  #armed: readonly { readonly moment: Moment; readonly crash: Crash }[] = []
  #recoveryCutAfter: number | undefined
  #failsNextSync = false
  #commitAtElection = Infinity

  constructor(options: MemberOptions) {
    this.#options = options
    this.nodeId = options.nodeId
    this.diskManners = options.diskManners
    this.dice = new Dice(options.seed, `member ${options.nodeId}`)
  }

  get replica(): Replica | undefined {
    return this.state === 'up' ? this.#process?.replica : undefined
  }

  get store(): StoreMachine | undefined {
    return this.state === 'up' ? this.#process?.store : undefined
  }

  get sight(): Sight | undefined {
    return this.replica
  }

  start(): void {
    if (this.state !== 'down') return
    this.state = 'starting'
    this.note(`starts, the ${this.#bootCount + 1}. time`)
    if (this.#recoveryCutAfter !== undefined) this.disk.cutPowerAfter(this.#recoveryCutAfter)
    this.#recoveryCutAfter = undefined
    const process = new Process(this, this.#options, this.#bootCount++)
    this.#process = process
    void process.run().catch((error: unknown) => {
      if (process === this.#process) this.hasFailed(error)
    })
  }

  /** The process is gone this instant. It starts again after a while. */
  crash({ isPowerCut, downUs }: Crash): void {
    if (this.state === 'lost' || this.state === 'down') return
    this.note(isPowerCut ? 'loses power' : 'is killed')
    this.#armed = []
    this.#end(isPowerCut)
    this.#options.world.after(downUs, () => this.start())
  }

  /** Ends as it should, when asked to. */
  async stop(downUs: number): Promise<void> {
    const process = this.#process
    if (this.state !== 'up' || process === undefined) return
    this.note('stops')
    this.state = 'stopping'
    try {
      await process.close()
    } catch (error) {
      if (process === this.#process) this.hasFailed(error)
    }
    if (process !== this.#process) return
    this.#end(false)
    this.#options.world.after(downUs, () => this.start())
  }

  /** It crashes when it comes to this, once. */
  arm(moment: Moment, crash: Crash): void {
    if (moment === 'now') return this.crash(crash)
    if (moment === 'recovering') {
      this.#recoveryCutAfter = this.dice.below(12)
      return this.crash(crash)
    }
    this.#armed = [...this.#armed, { moment, crash }]
    if (moment === 'writing') this.disk.cutPowerAfter(this.dice.below(4))
  }

  disarm(): void {
    this.#armed = []
    this.#failsNextSync = false
    this.disk.cutPowerAfter(Number.POSITIVE_INFINITY)
  }

  failNextSync(): void {
    this.#failsNextSync = true
  }

  pause(forUs: number): void {
    this.#process?.pause(forUs)
  }

  receive(message: Message): void {
    this.#process?.receive(message)
  }

  /** A link broke with a snapshot for `peer` on it. */
  unreachable(peer: NodeId): void {
    this.#process?.unreachable(peer)
  }

  /** Asks the process something. @throws ProcessGone when it ends first */
  call<T>(act: (replica: Replica, store: StoreMachine) => Promise<T>): Promise<T> {
    const process = this.#process
    if (this.state !== 'up' || process === undefined) return Promise.reject(new ProcessGone())
    return process.call(act)
  }

  note(what: string): void {
    this.#options.world.note(`${this.nodeId} ${what}`)
  }

  // ── what a process reports ────────────────────────────────────────────────────────────────────

  hasStarted(): void {
    this.state = 'up'
    this.note('is up')
  }

  hasDone(operation: DiskOperation, path: string): void {
    const isSegment = path.endsWith('.wal')
    if (operation === 'write' && isSegment) this.#reach('written')
    if (operation === 'sync' && isSegment) this.#reach('synced')
    if (path.includes('.snap')) this.#reach('saving')
  }

  hasRole(role: string, term: number): void {
    this.note(`is ${role} in term ${term}`)
    this.#commitAtElection = role === 'leader' ? (this.replica?.commitIndex ?? 0) : Infinity
    if (role !== 'leader') return
    this.#options.onLeading(this)
    // Some time between its first message and the commit of its first entry.
    const delayUs = this.dice.around(this.dice.pick([500, 3_000, 15_000]))
    this.#options.world.after(delayUs, () => this.#reach('leading'))
  }

  /** An event is over, and all that it set going. */
  hasTurned(): void {
    if ((this.sight?.commitIndex ?? 0) > this.#commitAtElection) this.#reach('committing')
  }

  hasLostPower(): void {
    const cut = this.#armed.find(({ moment }) => moment === 'writing')
    this.#options.world.count(cut === undefined ? 'crash recovering' : 'crash writing')
    this.crash({ isPowerCut: true, downUs: cut?.crash.downUs ?? 500_000 })
  }

  /** The error that an operation of this kind has to fail with, if any. */
  takeFault(operation: DiskOperation): string | undefined {
    if (this.isDiskFull && (operation === 'write' || operation === 'create')) return 'ENOSPC'
    if (!this.#failsNextSync || operation !== 'sync') return undefined
    this.#failsNextSync = false
    return 'EIO'
  }

  /** Something was thrown that a process does not get over. */
  hasFailed(error: unknown): void {
    const isDamaged = error instanceof JournalCorrupt || error instanceof JournalUndecryptable
    if (isDamaged && this.isTamperedWith) {
      this.note('refuses to start')
      this.#options.world.count('refuses to start')
      this.#end(false)
      this.state = 'lost'
      return
    }
    const code = systemCode(error instanceof JournalFailed ? error.cause : error)
    if (code === undefined) {
      const rule = isDamaged ? 'SI5' : 'SI9'
      this.#options.world.violate(rule, `member ${this.nodeId} fails: ${describe(error)}`)
      return
    }
    this.note(`stops because of ${code}`)
    // What a failed sync has left on the platter, nobody knows.
    this.crash({ isPowerCut: code === 'EIO', downUs: 300_000 })
  }

  #reach(reached: Moment): void {
    const armed = this.#armed.find(({ moment }) => moment === reached)
    if (armed === undefined) return
    this.#options.world.count(`crash ${reached}`)
    this.crash(armed.crash)
  }

  #end(isPowerCut: boolean): void {
    this.#process?.kill()
    this.#process = undefined
    this.#commitAtElection = Infinity
    if (isPowerCut) this.disk = this.disk.crash(this.dice)
    else this.disk.cutPowerAfter(Number.POSITIVE_INFINITY)
    this.state = 'down'
  }
}

/** One life of a member's process. */
class Process {
  readonly #member: Member
  readonly #options: MemberOptions
  readonly #boot: number
  readonly #disk: ProcessDisk
  readonly #gone = Promise.withResolvers<never>()
  readonly #whenAwake: (() => void)[] = []
  #isPaused = false
  #isGone = false
  #journal: Journal | undefined
  #driver: ReplicaDriver | undefined
  replica: Replica | undefined
  store: StoreMachine | undefined

  constructor(member: Member, options: MemberOptions, boot: number) {
    this.#member = member
    this.#options = options
    this.#boot = boot
    this.#gone.promise.catch(() => undefined)
    this.#disk = new ProcessDisk(member.disk, {
      world: options.world,
      dice: member.dice,
      manners: () => member.diskManners,
      onPowerCut: () => this.#unlessGone(() => member.hasLostPower()),
      onDone: (operation, path) => this.#unlessGone(() => member.hasDone(operation, path)),
      takeFault: (operation) => member.takeFault(operation),
      awake: () => this.#awake(),
      lastSyncedWrites: member.lastSyncedWrites,
    })
  }

  async run(): Promise<void> {
    const { parts, nodeId, seed, segmentSizeBytes, witness } = this.#options
    const { journal, recovered } = await parts.openJournal({
      directory,
      disk: this.#disk,
      key: new Uint8Array(32).fill(nodeId),
      clusterId: 'simulated',
      nodeId,
      random: new Dice(seed, `journal ${nodeId}/${this.#boot}`),
      segmentSizeBytes,
      onEvent: ({ type }) => this.#options.world.count(`journal ${type}`),
    })
    if (this.#isGone) return
    witness.recovered(nodeId, recovered, this.#member.isTamperedWith)
    this.#journal = this.#watched(journal)
    this.#begin(this.#journal, recovered)
    this.#member.hasStarted()
    this.#tickLater()
  }

  kill(): void {
    this.#isGone = true
    this.#disk.kill()
    void this.#driver?.stop()
    this.#gone.reject(new ProcessGone())
  }

  async close(): Promise<void> {
    this.replica?.close()
    await this.#driver?.stop()
    await this.#journal?.close()
  }

  pause(forUs: number): void {
    if (this.#isPaused) return
    this.#isPaused = true
    this.#member.note('freezes')
    this.#options.world.after(forUs, () => {
      this.#isPaused = false
      this.#unlessGone(() => this.#member.note('goes on'))
      for (const act of this.#whenAwake.splice(0)) this.#unlessGone(act)
    })
  }

  receive(message: Message): void {
    this.#act(() => this.replica?.receive(message))
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

  #begin(journal: Journal, recovered: Recovered): void {
    const { parts, world, nodeId, voters, seed, witness, send, emit, limits } = this.#options
    const store = parts.createStore()
    witness.restored(nodeId, 0)
    store.onRestore((revision) => witness.restored(nodeId, revision))
    store.onBatch((batch) => witness.told(nodeId, batch))
    const replica = parts.createReplica({
      nodeId,
      masterId: `master-${nodeId}`,
      bootstrap: { voters },
      recovered,
      store,
      random: new Dice(seed, `replica ${nodeId}/${this.#boot}`),
      clock: world.clock(() => this.#member.skewMs),
      boot: `${nodeId}/${this.#boot}`,
      emit: (draft) => emit(nodeId, draft),
      wake: () => this.#driver?.wake(),
      limits,
    })
    const apply = store.apply.bind(store)
    store.apply = (data) => {
      const result = apply(data)
      witness.applied(nodeId, replica.appliedIndex, data, result)
      return result
    }
    replica.onRole(() => this.#unlessGone(() => this.#member.hasRole(replica.role, replica.term)))
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
      onFatal: (error) => this.#unlessGone(() => this.#member.hasFailed(error)),
    })
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
      saveSnapshot: (snapshot) =>
        watch({ do: 'snapshot', snapshot }, journal.saveSnapshot(snapshot)),
      close: () => journal.close(),
    }
  }

  #tickLater(): void {
    this.#options.world.after(tickUs * (1 + this.#member.driftPermille / 1000), () => {
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

  #awake(): Promise<void> {
    return this.#isPaused
      ? new Promise((resolve) => this.#whenAwake.push(resolve))
      : Promise.resolve()
  }

  #unlessGone(act: () => void): void {
    if (!this.#isGone) act()
  }
}

/** The code of an operating system's error, such as `ENOSPC`. */
function systemCode(error: unknown): string | undefined {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^E[A-Z]+$/.test(code) ? code : undefined
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? String(error) : `${String(error)}: ${describe(error.cause)}`
}
