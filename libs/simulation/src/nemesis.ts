import { OutcomeUnknown, Unavailable } from '@conclave/actors'
import type { NodeId } from '@conclave/raft'
import type { SessionRef } from '@conclave/store'
import type { Dice } from './dice.ts'
import { quickDisk } from './disk.ts'
import { formatFault, type Fault, type FaultPlan, type Planned, type Target } from './fault.ts'
import type { Member } from './member.ts'
import { newerCommand } from './newer-command.ts'
import { leaderOf, type Operator } from './operator.ts'
import { perfectNetwork, type Network } from './network.ts'
import { directory, ProcessGone } from './process.ts'
import type { World } from './world.ts'

/** A fault that hits one member. */
type Hit = Exclude<Planned, { readonly do: 'split' | 'transfer' }>

/** Carries out a plan of faults, and undoes them in the end. */
export class Nemesis {
  readonly #world: World
  readonly #network: Network
  readonly #members: readonly Member[]
  readonly #operator: Operator
  readonly #founderCount: number
  readonly #dice: Dice
  readonly #undo = new Set<() => void>()
  /** What the next leaders have to expect, in this order. */
  #awaitingLeader: readonly Hit[] = []
  #bursts = 0
  #isOver = false

  constructor(o: {
    world: World
    network: Network
    members: readonly Member[]
    operator: Operator
    founderCount: number
    dice: Dice
  }) {
    this.#world = o.world
    this.#network = o.network
    this.#members = o.members
    this.#operator = o.operator
    this.#founderCount = o.founderCount
    this.#dice = o.dice
  }

  follow(plan: FaultPlan): void {
    for (const planned of plan) {
      this.#world.after(planned.atMs * 1000, () => {
        if (this.#isOver) return
        const { atMs: _atMs, ...fault } = planned
        this.#world.note(`fault ${formatFault(planned)}`, { event: 'fault', fault })
        this.#carryOut(planned)
      })
    }
  }

  /** All is well again, and stays so: everybody who can starts. */
  heal(): void {
    this.#isOver = true
    this.#awaitingLeader = []
    this.#operator.stop()
    this.#world.note('heal', { event: 'heal' })
    for (const undo of this.#undo) undo()
    this.#network.manners = perfectNetwork
    for (const member of this.#members) {
      member.disarm()
      member.isDiskFull = false
      member.driftPermille = 0
      member.diskManners = quickDisk
      member.start()
    }
  }

  /** Somebody has become leader, and nobody has heard of it. */
  leads(member: Member): void {
    const waiting = this.#awaitingLeader
    const its = waiting.filter(({ atMs }) => atMs === waiting[0]?.atMs)
    this.#awaitingLeader = waiting.slice(its.length)
    for (const planned of its) this.#hit(member, planned)
  }

  #carryOut(planned: Planned): void {
    if (planned.do === 'split' || planned.do === 'transfer') {
      this.#world.count(`fault ${planned.do}`)
      if (planned.do === 'split') this.#split(planned)
      else leaderOf(this.#members)?.replica?.transferLeadership(planned.to)
      return
    }
    if (planned.who === 'next-leader') {
      this.#awaitingLeader = [...this.#awaitingLeader, planned]
      return
    }
    const member = this.#find(planned.who)
    if (member !== undefined) this.#hit(member, planned)
  }

  #hit(member: Member, fault: Hit): void {
    this.#world.count(`fault ${fault.do}`)
    switch (fault.do) {
      case 'crash':
        return this.#arm(member, fault)
      case 'stop':
        return void member.stop(fault.downMs * 1000)
      case 'pause':
        return member.pause(fault.forMs * 1000)
      case 'cut':
        return this.#cut(member.nodeId, fault)
      case 'slow-link':
        return this.#slow(member.nodeId, fault)
      case 'slow-disk': {
        const before = member.diskManners
        member.diskManners = { ...before, syncUs: fault.ms * 1000 }
        return this.#undoAfter(fault.forMs, () => (member.diskManners = before))
      }
      case 'fail-sync':
        return member.failNextSync()
      case 'new-key':
        return member.newKey()
      case 'newer-command':
        return this.#handNewerCommand(member)
      case 'burst':
        return void this.#burst(member, fault.count)
      case 'full-disk':
        member.isDiskFull = true
        return this.#undoAfter(fault.forMs, () => (member.isDiskFull = false))
      case 'flip':
        return this.#flip(member, fault)
      case 'hang-up':
        return this.hangUp(member.nodeId)
      case 'change':
        return this.#isGrowing ? this.#operator.change(member, fault) : undefined
      case 'clock':
        member.skewMs += fault.jumpMs
        member.driftPermille = fault.driftPermille
    }
  }

  /** Everybody else hears that its links broke, unless they are cut off from it. */
  hangUp(nodeId: NodeId): void {
    const others = this.#members.flatMap((other) =>
      other.nodeId === nodeId || other.state === 'absent' ? [] : [other.nodeId],
    )
    this.#network.hangUp(nodeId, others)
  }

  #arm(member: Member, { when, power, downMs }: Fault & { readonly do: 'crash' }): void {
    member.arm(when, { isPowerCut: power, downUs: downMs * 1000 })
  }

  #cut(who: NodeId, { way, forMs }: Fault & { readonly do: 'cut' }): void {
    for (const { nodeId } of this.#members) {
      if (nodeId === who) continue
      if (way !== 'out') this.#undoAfter(forMs, this.#network.cut(nodeId, who))
      if (way !== 'in') this.#undoAfter(forMs, this.#network.cut(who, nodeId))
    }
  }

  #split({ from, count, forMs }: Fault & { readonly do: 'split' }): void {
    const size = this.#members.length
    const isNear = ({ nodeId }: Member): boolean => (nodeId - from + size) % size < count
    for (const near of this.#members.filter(isNear)) {
      for (const far of this.#members) {
        if (isNear(far)) continue
        this.#undoAfter(forMs, this.#network.cut(near.nodeId, far.nodeId))
        this.#undoAfter(forMs, this.#network.cut(far.nodeId, near.nodeId))
      }
    }
  }

  #slow(who: NodeId, { ms, forMs }: Fault & { readonly do: 'slow-link' }): void {
    for (const { nodeId } of this.#members) {
      if (nodeId === who) continue
      this.#undoAfter(forMs, this.#network.slow(nodeId, who, ms * 1000))
      this.#undoAfter(forMs, this.#network.slow(who, nodeId, ms * 1000))
    }
  }

  /**
   * Changes one bit of what its journal had promised before its last promise. The last record is left
   * alone: damaged, it looks like one that a crash tore, and the journal says so (rule J4 there). A
   * member may be lost by this, so it happens to fewer than half of them, and not while it changes who
   * they are.
   */
  #flip(member: Member, { place, downMs }: Fault & { readonly do: 'flip' }): void {
    const touched = this.#members.filter(({ isTamperedWith }) => isTamperedWith).length
    if (
      this.#isGrowing ||
      member.isTamperedWith ||
      touched >= Math.floor((this.#members.length - 1) / 2)
    )
      return
    member.crash({ isPowerCut: true, downUs: downMs * 1000 })
    if (member.state !== 'down') return
    const places = member.disk.paths().flatMap((path) => {
      const isSegment = path.endsWith('.wal')
      if (!path.startsWith(directory) || (!isSegment && !path.endsWith('.snap'))) return []
      const { length } = member.disk.bytes(path)
      return [{ path, length: isSegment ? (member.lastSyncedWrites.get(path) ?? 0) : length }]
    })
    const total = places.reduce((sum, { length }) => sum + length, 0)
    let at = Math.floor((total * place) / 1000)
    for (const { path, length } of places) {
      if (at < length) {
        const bytes = member.disk.bytes(path)
        bytes[at] = (bytes[at] ?? 0) ^ (1 << this.#dice.below(8))
        member.disk.overwrite(path, bytes)
        member.isTamperedWith = true
        member.note(`has a bit flipped in ${path} at ${at}`)
        return
      }
      at -= length
    }
  }

  /** As if one of the others ran a newer build, and had been asked for what only that one can do. */
  #handNewerCommand(member: Member): void {
    const other = this.#members.find((one) => one.state === 'up' && one !== member)
    if (other !== undefined) member.receive(newerCommand(other.nodeId, member.nodeId))
  }

  /**
   * Each of them asks once. Before and after them somebody who comes every time asks in the same words, and
   * is not forgotten in between. What is asked changes nothing.
   */
  async #burst(member: Member, count: number): Promise<void> {
    const nothing = { compare: [], success: [{ do: 'delete', key: 'burst' }] } as const
    const ask = async (session: SessionRef): Promise<void> => {
      await member.call((replica) => replica.propose(nothing, session))
    }
    const everyTime = { client: 'every time', seq: ++this.#bursts }
    try {
      const strangers = Array.from({ length: count }, (_, at) => `${this.#bursts}/${at}`)
      const asked = [everyTime, ...strangers.map((client) => ({ client, seq: 1 }))]
      await Promise.all(asked.map(ask))
      await ask(everyTime)
    } catch (error) {
      const told = [ProcessGone, Unavailable, OutcomeUnknown]
      if (told.some((one) => error instanceof one)) return
      this.#world.violate('SI9', `who asks in a crowd is told ${String(error)}`)
    }
  }

  #find(target: Target): Member | undefined {
    if (typeof target === 'number') return this.#members[target - 1]
    const leader = leaderOf(this.#members)
    if (target !== 'follower') return leader
    return this.#members.find((member) => member.state === 'up' && member !== leader)
  }

  /** Whether there ever were machines that may join. */
  get #isGrowing(): boolean {
    return this.#members.length > this.#founderCount
  }

  /** Undoes something after a while, or when all is healed. */
  #undoAfter(forMs: number, undo: () => void): void {
    const once = (): void => {
      if (this.#undo.delete(once)) undo()
    }
    this.#undo.add(once)
    this.#world.after(forMs * 1000, once)
  }
}
