import type { PeerMessage, Replica } from '@conclave/actors'
import {
  JournalCorrupt,
  JournalFailed,
  JournalUndecryptable,
  type JournalKey,
} from '@conclave/journal'
import { SimulatedDisk, type DiskOperation } from '@conclave/journal/testing'
import type { NodeId } from '@conclave/raft'
import type { StoreMachine } from '@conclave/store'
import { Dice } from './dice.ts'
import type { DiskManners } from './disk.ts'
import type { Moment } from './fault.ts'
import { Process, ProcessGone, type Machine, type ProcessOptions } from './process.ts'
import type { Sight } from './witness.ts'

export interface MemberOptions extends ProcessOptions {
  readonly diskManners: DiskManners
  /** It has just become leader, and has told nobody yet. */
  readonly onLeading: (leader: Member) => void
  /** Its process has ended, and its machine has closed its links. */
  readonly onHangUp: (nodeId: NodeId, wasLeading: boolean) => void
}

/** How a process ends. */
export interface Crash {
  /** The whole machine, so that what was not synced may be lost; otherwise the process alone. */
  readonly isPowerCut: boolean
  readonly downUs: number
}

/** `absent`: nobody has started it yet, and nothing is on its disk. `lost`: its disk is damaged, and it refused to start. */
export type MemberState = 'absent' | 'down' | 'starting' | 'up' | 'stopping' | 'lost'

/** A machine with a disk, and the process of a master's log and store on it, if there is one just now. */
export class Member implements Machine {
  readonly nodeId: NodeId
  readonly dice: Dice
  state: MemberState
  disk = new SimulatedDisk()
  diskManners: DiskManners
  isDiskFull = false
  /** Bits were changed behind its back, so it may refuse to start. */
  isTamperedWith = false
  skewMs = 0
  driftPermille = 0
  readonly lastSyncedWrites = new Map<string, number>()
  /** Of its journal, oldest first. As a key file would, they outlive every crash. */
  journalKeys: readonly JournalKey[]
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
    this.state = options.voters.length === 0 ? 'absent' : 'down'
    this.diskManners = options.diskManners
    this.dice = new Dice(options.seed, `member ${options.nodeId}`)
    this.journalKeys = [{ id: 1, bytes: new Uint8Array(32).fill(options.nodeId) }]
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

  /** It is to become a member: its process starts with nothing. */
  join(): void {
    if (this.state !== 'absent') return
    this.state = 'down'
    this.start()
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
    if (this.state === 'lost' || this.state === 'down' || this.state === 'absent') return
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

  /** Another key seals its journal, and is known to it before it does. */
  newKey(): void {
    if (this.state !== 'up') return
    const id = (this.journalKeys.at(-1)?.id ?? 0) + 1
    const key = { id, bytes: new Uint8Array(32).fill(this.nodeId + 16 * id) }
    this.journalKeys = [...this.journalKeys, key]
    this.note(`is sealed under key ${id}`)
    void this.#process?.rotateKey(key)
  }

  /** Keys that no file of the journal needs are destroyed. */
  forgetKeys(inUse: readonly number[]): void {
    const newest = this.journalKeys.at(-1)
    this.journalKeys = this.journalKeys.filter((key) => key === newest || inUse.includes(key.id))
  }

  pause(forUs: number): void {
    this.#process?.pause(forUs)
  }

  receive(message: PeerMessage): void {
    this.#process?.receive(message)
  }

  /** A link broke with a snapshot for `peer` on it. */
  linkLost(peer: NodeId): void {
    this.#process?.linkLost(peer)
  }

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
    const { nodeId: member } = this
    this.#options.world.note(`${member} ${what}`, { event: 'member', member, what })
  }

  // ── what a process reports ────────────────────────────────────────────────────────────────────

  hasStarted(): void {
    this.state = 'up'
    this.note('is up')
  }

  hasDone(operation: DiskOperation, path: string): void {
    const isSegment = path.endsWith('.wal')
    if (operation === 'sync' && isSegment && this.#process?.isSavingSnapshot === true) {
      this.#reach('marking')
    }
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
    const wasLeading = this.sight?.role === 'leader'
    this.#process?.kill()
    this.#process = undefined
    this.#commitAtElection = Infinity
    if (!isPowerCut) this.#options.onHangUp(this.nodeId, wasLeading)
    if (isPowerCut) this.disk = this.disk.crash(this.dice)
    else this.disk.cutPowerAfter(Number.POSITIVE_INFINITY)
    this.state = 'down'
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
