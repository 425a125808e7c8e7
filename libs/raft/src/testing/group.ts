import { type Random, invariant } from '@conclave/kernel'
import { decodeConfChange, decodeMessage, encodeMessage } from '../codec.ts'
import type { RaftConfig } from '../config.ts'
import type { ConfState, Entry, NodeId, Snapshot } from '../entry.ts'
import { RaftError } from '../errors.ts'
import { emptyConfig } from '../membership.ts'
import {
  APPEND_THREAD,
  APPLY_THREAD,
  type Message,
  isLocalTarget,
  waitsForDisk,
} from '../message.ts'
import { RawNode } from '../raw-node.ts'
import type { ReadState } from '../read-only.ts'
import type { Ready } from '../ready.ts'
import { MemoryStorage, foundingSnapshot } from '../storage.ts'

export type MemberOptions = Partial<Omit<RaftConfig, 'id' | 'storage' | 'applied'>>

/** Where carrying out a Ready may end early: a power cut before or after the write. */
export type Cut = 'before-write' | 'after-write'

/**
 * A member with its disk and a state machine. The machine's state is a text that depends on every
 * entry that was applied and on their order, so two machines agree only if their histories do.
 */
export class Member {
  readonly id: NodeId
  readonly storage = new MemoryStorage()
  readonly #options: MemberOptions & Pick<RaftConfig, 'random'>
  node: RawNode
  isUp = true
  /** The state of the machine after `applied`. */
  digest = ''
  applied = 0
  confState: ConfState = emptyConfig
  /** Entries that this process has applied, in order. */
  history: Entry[] = []
  reads: ReadState[] = []
  /** With asynchronous storage: what the two threads have yet to do. */
  #appendWork: Message[] = []
  #applyWork: Message[] = []
  /** What the machine was at the newest snapshot here, and at those on their way to the disk. */
  #contents = new Map<string, string>()

  constructor(
    id: NodeId,
    options: MemberOptions & Pick<RaftConfig, 'random'>,
    first: Snapshot | undefined,
  ) {
    this.id = id
    this.#options = options
    if (first !== undefined) this.storage.applySnapshot(first)
    this.node = this.#start()
  }

  get hasWork(): boolean {
    return this.node.hasReady() || this.#appendWork.length > 0 || this.#applyWork.length > 0
  }

  /** Begins anew from what is on disk. */
  restart(): void {
    this.#appendWork = []
    this.#applyWork = []
    this.node = this.#start()
    this.isUp = true
  }

  /** Carries out one Ready, and answers what reaches the network. */
  process(cut?: Cut): readonly Message[] {
    const ready = this.node.ready()
    if (this.node.raft.config.asyncStorageWrites) return this.#handOver(ready)
    const early = ready.messages.filter(({ type }) => !waitsForDisk(type))
    if (cut === 'before-write') {
      this.isUp = false
      return early
    }
    this.#write(ready)
    if (cut === 'after-write') {
      this.isUp = false
      return early
    }
    this.reads.push(...ready.readStates)
    if (ready.snapshot !== undefined) this.#restore(ready.snapshot)
    for (const entry of ready.committedEntries) this.#apply(entry)
    this.node.advance()
    if (this.node.wantsSnapshot()) this.compact(Number.MAX_SAFE_INTEGER)
    return ready.messages
  }

  /** Does the oldest work of the append thread, or of the apply thread when there is none. */
  processThread(): readonly Message[] {
    const work = this.#appendWork.shift() ?? this.#applyWork.shift()
    if (work === undefined) return []
    const { term, vote, commit, entries, snapshot } = work
    if (work.type === 'MsgStorageApply') {
      // A snapshot may have overtaken them on the other thread, and stands for them.
      for (const entry of entries) if (entry.index > this.applied) this.#apply(entry)
    } else {
      const hardState = term === 0 && commit === 0 ? undefined : { term, vote, commit }
      this.#write({ hardState, entries, snapshot })
      if (snapshot !== undefined) this.#restore(snapshot)
    }
    if (this.node.wantsSnapshot()) this.compact(Number.MAX_SAFE_INTEGER)
    // What it tells itself does not cross the network.
    for (const response of work.responses) {
      if (response.to === this.id) this.node.step(response)
    }
    return work.responses.filter(({ to }) => to !== this.id)
  }

  /** Takes a snapshot of the machine, and drops entries but for the last `keepCount`. */
  compact(keepCount: number): void {
    const snapshot = this.storage.createSnapshot(this.applied, this.confState)
    if (snapshot instanceof RaftError) return
    const { index: standsFor } = snapshot.meta
    invariant(standsFor === this.applied, 'a snapshot stands for all that its machine has applied')
    this.#contents.set(nameOf(snapshot), this.digest)
    const index = this.applied - keepCount
    if (index >= this.storage.firstIndex()) this.storage.compact(index)
  }

  #handOver(ready: Ready): readonly Message[] {
    this.reads.push(...ready.readStates)
    this.#appendWork.push(...ready.messages.filter(({ to }) => to === APPEND_THREAD))
    this.#applyWork.push(...ready.messages.filter(({ to }) => to === APPLY_THREAD))
    return ready.messages.filter(({ to }) => !isLocalTarget(to))
  }

  #write({ snapshot, hardState, entries }: Written): void {
    if (snapshot !== undefined) this.storage.applySnapshot(snapshot)
    if (hardState !== undefined) this.storage.setHardState(hardState)
    this.storage.append(entries)
  }

  #apply(entry: Entry): void {
    invariant(entry.index === this.applied + 1, 'entries are applied one after another')
    this.applied = entry.index
    this.digest = `${entry.index}/${entry.term}:${hash(this.digest, entry.data)}`
    this.history.push(entry)
    if (entry.type !== 'EntryNormal') {
      this.confState = this.node.applyConfChange(decodeConfChange(entry.data))
    }
  }

  /** What goes beside a message that carries this snapshot. */
  contentOf(snapshot: Snapshot): string {
    return this.#contents.get(nameOf(snapshot)) ?? ''
  }

  receive(one: Message, content: string): void {
    if (one.snapshot !== undefined) this.#contents.set(nameOf(one.snapshot), content)
    this.node.step(one)
  }

  #restore(snapshot: Snapshot): void {
    const { index, confState } = snapshot.meta
    this.applied = index
    this.confState = confState
    this.digest = this.contentOf(snapshot)
  }

  #start(): RawNode {
    const snapshot = this.storage.snapshot()
    invariant(!(snapshot instanceof RaftError), 'the memory storage always has a snapshot')
    this.#restore(snapshot)
    this.history = []
    this.reads = []
    return new RawNode({
      ...this.#options,
      id: this.id,
      storage: this.storage,
      applied: snapshot.meta.index,
    })
  }
}

const nameOf = ({ meta }: Snapshot): string => `${meta.index}/${meta.term}`

type Written = Pick<Ready, 'snapshot' | 'hardState' | 'entries'>

interface Envelope {
  readonly to: NodeId
  readonly from: NodeId
  readonly bytes: Uint8Array
  /** Of the snapshot, which the core does not see. */
  readonly content: string
}

/** In one of which everybody works and hears everybody; the longest exchanges of our tests take dozens. */
const roundsMax = 1000

/** Members and the messages between them, moved only when told to. */
export class Group {
  readonly members: Member[] = []
  /** On their way, as bytes: whatever the codec loses is lost here too. */
  inFlight: Envelope[] = []
  readonly #options: MemberOptions & Pick<RaftConfig, 'random'>

  /** @param size how many founding voters, with the ids 1 to `size` */
  constructor(size: number, random: Random, options: MemberOptions = {}) {
    this.#options = { ...options, random }
    const ids = Array.from({ length: size }, (_, at) => at + 1)
    for (const id of ids) {
      this.members.push(new Member(id, this.#options, foundingSnapshot(ids)))
    }
  }

  /** Somebody who knows nothing, and is in no configuration yet. */
  join(): Member {
    const member = new Member(this.members.length + 1, this.#options, undefined)
    this.members.push(member)
    return member
  }

  member(id: NodeId): Member {
    const member = this.members[id - 1]
    invariant(member !== undefined, 'this member was started')
    return member
  }

  node(id: NodeId): RawNode {
    return this.member(id).node
  }

  leader(): Member | undefined {
    return this.members
      .filter(({ isUp, node }) => isUp && node.basicStatus().softState.state === 'StateLeader')
      .sort((a, b) => b.node.raft.term - a.node.raft.term)[0]
  }

  process(id: NodeId, cut?: Cut): void {
    for (const one of this.member(id).process(cut)) this.send(one)
  }

  processThread(id: NodeId): void {
    for (const one of this.member(id).processThread()) this.send(one)
  }

  send(one: Message): void {
    const content = one.snapshot ? this.member(one.from).contentOf(one.snapshot) : ''
    this.inFlight.push({ to: one.to, from: one.from, bytes: encodeMessage(one), content })
  }

  /** Delivers the message at this place of the queue; somebody who is down misses it. */
  deliver(at: number): void {
    const [envelope] = this.inFlight.splice(at, 1)
    if (envelope === undefined) return
    const member = this.members[envelope.to - 1]
    const isReceived = member?.isUp ?? false
    const one = decodeMessage(envelope.bytes)
    if (isReceived) member?.receive(one, envelope.content)
    this.#reportSnapshot(one, isReceived)
  }

  /** The message at this place of the queue never arrives. */
  lose(at: number): void {
    const [envelope] = this.inFlight.splice(at, 1)
    if (envelope !== undefined) this.#reportSnapshot(decodeMessage(envelope.bytes), false)
  }

  drop(isDropped: (to: NodeId, from: NodeId) => boolean): void {
    for (let at = this.inFlight.length - 1; at >= 0; at--) {
      const envelope = this.inFlight[at]
      if (envelope !== undefined && isDropped(envelope.to, envelope.from)) this.lose(at)
    }
  }

  /**
   * Lets these members work and talk to each other until there is nothing left to do.
   *
   * @throws InvariantViolated when they never come to rest: without a tick every exchange has an end
   */
  settle(ids: readonly NodeId[] = this.members.map(({ id }) => id)): void {
    const among = new Set(ids)
    for (let round = 0; ; round++) {
      invariant(round < roundsMax, 'members that nothing happens to come to rest')
      let isBusy = false
      for (const id of ids) {
        if (!this.member(id).isUp || !this.member(id).hasWork) continue
        if (this.node(id).hasReady()) this.process(id)
        this.processThread(id)
        isBusy = true
      }
      for (;;) {
        const at = this.inFlight.findIndex(({ to, from }) => among.has(to) && among.has(from))
        if (at < 0) break
        this.deliver(at)
        isBusy = true
      }
      if (!isBusy) return
    }
  }

  /** Whoever sends a snapshot must say in the end what became of it, or its leader waits for ever. */
  #reportSnapshot({ type, from, to }: Message, isReceived: boolean): void {
    const sender = this.members[from - 1]
    if (type === 'MsgSnap' && sender?.isUp) sender.node.reportSnapshot(to, isReceived)
  }

  /** Makes this member leader, if the others let it. */
  elect(id: NodeId): void {
    this.node(id).campaign()
    this.settle()
  }
}

/** FNV-1a over the state before and the entry. */
function hash(before: string, data: Uint8Array): number {
  let value = 0x811c9dc5
  const mix = (byte: number): void => {
    value = Math.imul(value ^ byte, 0x01000193)
  }
  for (let at = 0; at < before.length; at++) mix(before.charCodeAt(at))
  for (const byte of data) mix(byte)
  return value >>> 0
}
