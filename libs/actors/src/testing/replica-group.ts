import { utf8 } from '@conclave/kernel'
import type { EventDraft } from '@conclave/model'
import type { NodeId } from '@conclave/raft'
import { StoreMachine, type ApplyResult, type Txn } from '@conclave/store'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import type { ReplicaLimits } from '../replica-limits.ts'
import { Replica, type ReplicaWork } from '../replica.ts'
import {
  decodePeerMessage,
  encodePeerMessage,
  type PeerMessage,
} from '../snapshot/snapshot-message.ts'
import { MemoryJournal } from './memory-journal.ts'

/** One member: its replica while it is up, and its disk in any case. */
export class GroupMember {
  readonly nodeId: NodeId
  readonly events: EventDraft[] = []
  readonly fatal: unknown[] = []
  journal = new MemoryJournal()
  store = new StoreMachine()
  replica: Replica
  isUp = true
  /** Writing, or waiting for a held disk. */
  isBusy = false
  readonly #group: ReplicaGroup
  readonly #founders: readonly NodeId[]
  #isSaving = false
  #life = 0

  constructor(group: ReplicaGroup, nodeId: NodeId, founders: readonly NodeId[]) {
    this.#group = group
    this.nodeId = nodeId
    this.#founders = founders
    this.replica = this.#start()
  }

  propose(txn: Txn): Promise<ApplyResult> {
    return this.replica.propose(txn)
  }

  put(key: string, value = key): Promise<ApplyResult> {
    return this.propose({ compare: [], success: [{ do: 'put', key, value: utf8(value) }] })
  }

  /** The power goes: only what its disk has made durable is left. */
  crash(): void {
    if (!this.isUp) return
    this.isUp = false
    this.isBusy = false
    this.#isSaving = false
    this.#life++
    this.replica.close()
    this.journal = this.journal.crash()
  }

  restart(): void {
    this.crash()
    this.store = new StoreMachine()
    this.replica = this.#start()
    this.isUp = true
  }

  /** Begins the next piece of work, if there is any. */
  work(): boolean {
    if (!this.isUp || this.isBusy) return false
    const work = this.replica.takeWork()
    if (work === undefined) return false
    this.isBusy = true
    for (const message of work.early) this.#group.post(message)
    void this.#carryOut(work, this.#life)
    return true
  }

  async #carryOut(work: ReplicaWork, life: number): Promise<void> {
    const { journal } = this
    await work.install?.commit()
    if (work.batch !== undefined) await journal.append(work.batch)
    if (life !== this.#life) return
    for (const message of work.late) this.#group.post(message)
    this.replica.advance()
    this.isBusy = false
    if (!this.#isSaving) await this.#saveSnapshotIfDue(life)
  }

  async #saveSnapshotIfDue(life: number): Promise<void> {
    const snapshot = this.replica.beginSnapshot()
    if (snapshot === undefined) return
    this.#isSaving = true
    const sink = await this.journal.beginSnapshot(snapshot.meta)
    for (let chunk = snapshot.next(); chunk !== undefined; chunk = snapshot.next()) {
      await sink.write(chunk)
    }
    await sink.commit()
    if (life !== this.#life) return
    this.#isSaving = false
    snapshot.saved()
  }

  #start(): Replica {
    const { clock, limits } = this.#group
    const life = this.#life
    const content = this.journal.content()
    const reader = this.store.beginRestore()
    for (const chunk of content) reader.push(chunk)
    if (content.length > 0) this.store.adopt(reader.end())
    return new Replica({
      nodeId: this.nodeId,
      masterId: `master-${this.nodeId}`,
      bootstrap: { voters: this.#founders },
      recovered: this.journal.recovered(),
      store: this.store,
      snapshots: this.journal,
      random: new SeededRandom(this.nodeId + this.#life * 100),
      clock,
      boot: `master-${this.nodeId}/${this.#life}`,
      emit: (draft) => this.events.push(draft),
      wake: () => undefined,
      post: (message) => {
        if (this.isUp && life === this.#life) this.#group.post(message)
      },
      onFatal: (error) => this.fatal.push(error),
      limits,
    })
  }
}

/** Replicas on a network in memory, moved only when told to. */
export class ReplicaGroup {
  readonly limits: Partial<ReplicaLimits>
  readonly clock = new ManualClock()
  readonly members: GroupMember[]
  /** On their way, as bytes, because that is what a network carries. */
  inFlight: { readonly to: NodeId; readonly from: NodeId; readonly bytes: Uint8Array }[] = []
  /** Messages that a test wants lost. */
  isLost: (message: PeerMessage) => boolean = () => false
  readonly #cut = new Set<NodeId>()

  constructor(size: number, limits: Partial<ReplicaLimits> = {}) {
    this.limits = limits
    const founders = Array.from({ length: size }, (_, at) => at + 1)
    this.members = founders.map((nodeId) => new GroupMember(this, nodeId, founders))
  }

  /** Starts one more member, with nothing on its disk, that the others do not know of yet. */
  start(): GroupMember {
    const member = new GroupMember(this, this.members.length + 1, [])
    this.members.push(member)
    return member
  }

  /** Lets time pass until `promise` has settled, and answers as it does. */
  async settled<T>(promise: Promise<T>): Promise<T> {
    const settled = { is: false }
    const watched = promise.finally(() => (settled.is = true))
    watched.catch(() => undefined)
    for (let ticked = 0; !settled.is; ticked++) {
      if (ticked > 1000) throw new Error('waited in vain')
      await this.tick()
    }
    return watched
  }

  member(nodeId: NodeId): GroupMember {
    const member = this.members[nodeId - 1]
    if (member === undefined) throw new Error(`there is no member ${nodeId}`)
    return member
  }

  get leader(): GroupMember {
    const leading = this.members
      .filter(({ isUp, replica }) => isUp && replica.role === 'leader')
      .sort((a, b) => b.replica.term - a.replica.term)[0]
    if (leading === undefined) throw new Error('nobody leads')
    return leading
  }

  get followers(): readonly GroupMember[] {
    const { leader } = this
    return this.members.filter((member) => member !== leader)
  }

  /** Somebody who does not lead. */
  get follower(): GroupMember {
    const [follower] = this.followers
    if (follower === undefined) throw new Error('there is no follower')
    return follower
  }

  /** Nothing reaches this member, and nothing comes from it. */
  cut(member: GroupMember): void {
    this.#cut.add(member.nodeId)
  }

  heal(): void {
    this.#cut.clear()
  }

  post(message: PeerMessage): void {
    const { to, from } = message
    if (this.#cut.has(to) || this.#cut.has(from) || this.isLost(message)) return
    this.inFlight.push({ to, from, bytes: encodePeerMessage(message) })
  }

  /** Delivers the message at this place of the queue. */
  deliver(at: number): void {
    const [envelope] = this.inFlight.splice(at, 1)
    if (envelope === undefined) return
    const { to, from, bytes } = envelope
    const receiver = this.members[to - 1]
    if (receiver?.isUp === true && !this.#cut.has(to) && !this.#cut.has(from)) {
      receiver.replica.receive(decodePeerMessage(bytes))
    }
  }

  /** Lets everybody work and talk until nobody has anything to do. */
  async settle(): Promise<void> {
    for (let idleCount = 0; idleCount < 8;) {
      let isBusy = false
      for (const member of this.members) isBusy = member.work() || isBusy
      while (this.inFlight.length > 0) {
        this.deliver(0)
        isBusy = true
      }
      // A disk that is not held needs a few turns of the microtask queue.
      await Promise.resolve()
      idleCount = isBusy ? 0 : idleCount + 1
    }
  }

  async tick(count = 1): Promise<void> {
    for (let ticked = 0; ticked < count; ticked++) {
      this.clock.advance(50)
      for (const { isUp, replica } of this.members) if (isUp) replica.tick()
      await this.settle()
    }
  }

  /** Until somebody leads, and has committed an entry of its term. */
  async elected(): Promise<void> {
    for (let ticked = 0; ticked < 500; ticked++) {
      await this.tick()
      if (this.members.some(({ isUp, replica }) => isUp && replica.role === 'leader')) {
        await this.tick()
        return
      }
    }
    throw new Error('nobody was elected')
  }
}
