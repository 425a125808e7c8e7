import type { PeerMessage } from '@conclave/actors'
import { Keyring } from '@conclave/crypto'
import type { NodeId } from '@conclave/raft'
import { Client } from './client.ts'
import { ConfigChecker, isIn } from './config-checker.ts'
import { Dice } from './dice.ts'
import { drawPlan } from './fault-plan.ts'
import type { FaultPlan } from './fault.ts'
import { checkHistory } from './history-checker.ts'
import { History } from './history.ts'
import { hunterOf, settingFor } from './hunters.ts'
import { inspectJournal } from './journal-inspector.ts'
import { Keeper } from './keeper.ts'
import { LeakChecker } from './leak-checker.ts'
import { judge } from './linearizability.ts'
import { Member } from './member.ts'
import { Nemesis } from './nemesis.ts'
import { Network } from './network.ts'
import { leaderOf, Operator } from './operator.ts'
import { liveParts, type Parts } from './parts.ts'
import { profiles, type ProfileName } from './profiles.ts'
import { RaftChecker } from './raft-checker.ts'
import { diskManners, drawSetting, networkManners, replicaLimits, type Setting } from './setting.ts'
import { StateChecker, valueText } from './state-checker.ts'
import { TakeoverChecker } from './takeover-checker.ts'
import { StateTracer, type TraceEvent, type Traced } from './trace.ts'
import type { Sight, Witness } from './witness.ts'
import { World, type Violation } from './world.ts'

export interface SimulationOptions {
  readonly seed: number
  readonly profile?: ProfileName
  /** What goes wrong, instead of what the seed says. */
  readonly plan?: FaultPlan
  /** Everything else about the run, as far as it is not to be what the seed says. */
  readonly setting?: Partial<Setting>
  readonly keepsTrace?: boolean
  /** Is told of everything that happens, as data. The run is the same without. */
  readonly onTrace?: (traced: Traced) => void
  /** Judges the clients' history by what they saw alone: slow, so only a sample unless told. */
  readonly isBlackBox?: boolean
  /** What members are made of, other than the live parts. */
  readonly parts?: Partial<Parts>
}

/** What became of a run. */
export interface Verdict {
  readonly seed: number
  readonly profile: ProfileName
  readonly violation: Violation | undefined
  readonly plan: FaultPlan
  readonly setting: Setting
  /** Of everything that happened: the same for the same seed and build. */
  readonly traceHash: string
  readonly trace: readonly string[]
  /** How often each kind of fault, event and answer occurred. */
  readonly tally: ReadonlyMap<string, number>
  readonly counts: {
    readonly members: number
    readonly events: number
    readonly operations: number
    /** Answered by what happened or what was found. */
    readonly answered: number
    readonly crashes: number
    readonly committed: number
    readonly lost: number
    readonly virtualMs: number
  }
}

/** How long everything may take to come to rest once all is well. */
const restUs = 30_000_000

/** One run: a group of members and its clients, ill-treated as `profile` says, and watched throughout. */
export async function simulate(options: SimulationOptions): Promise<Verdict> {
  return new Simulation(options).run()
}

/** A message as data. */
function eventOf(message: PeerMessage): TraceEvent {
  const { type, from, to } = message
  const head = { event: 'message', from, to, type } as const
  switch (message.type) {
    case 'SnapshotOffer': {
      const meta = message.message.snapshot?.meta
      return { ...head, term: message.message.term, ...(meta && { index: meta.index }) }
    }
    case 'SnapshotChunk':
      return { ...head, index: message.index, number: message.number }
    case 'SnapshotAck':
      return { ...head, index: message.index, number: message.next }
    default: {
      const { term, index, logTerm, commit, reject, entries } = message
      const entryTerms = entries.map((entry) => entry.term)
      return { ...head, term, index, logTerm, commit, reject, entryTerms }
    }
  }
}

/** What of a message stands in the trace. */
function placeOf(message: PeerMessage): string {
  switch (message.type) {
    case 'SnapshotOffer':
      return String(message.message.snapshot?.meta.index ?? 0)
    case 'SnapshotChunk':
      return `${message.index}#${message.number}`
    case 'SnapshotAck':
      return `${message.index}#${message.next}`
    default:
      return `${message.term}/${message.index}`
  }
}

class Simulation {
  readonly #options: SimulationOptions
  readonly #profile: ProfileName
  readonly #setting: Setting
  readonly #plan: FaultPlan
  readonly #world: World
  readonly #raft: RaftChecker
  readonly #configs: ConfigChecker
  readonly #state: StateChecker
  readonly #leaks: LeakChecker
  readonly #history: History
  readonly #members: readonly [Member, ...Member[]]
  readonly #nemesis: Nemesis
  readonly #clients: readonly Client[]
  readonly #keeper: Keeper
  readonly #takeovers: TakeoverChecker
  /** Nothing else goes wrong then, so that it can be said how long one may take. */
  readonly #isAboutTakeovers: boolean
  readonly #states: StateTracer | undefined
  #bootCount = 0

  constructor(options: SimulationOptions) {
    const { seed, keepsTrace = false, onTrace } = options
    this.#options = options
    this.#profile = options.profile ?? 'mixed'
    const hunter = profiles[this.#profile].isAboutOneHunter ? hunterOf(seed) : undefined
    const setting = {
      ...drawSetting(this.#profile, new Dice(seed, 'setting')),
      ...(hunter && settingFor(hunter)),
      ...options.setting,
    }
    this.#setting = setting
    this.#isAboutTakeovers = hunter === 'killed-leader'

    const world = new World({ keepsTrace, onTrace })
    this.#world = world
    this.#raft = new RaftChecker(world, this.#everybody())
    this.#configs = new ConfigChecker(world)
    this.#state = new StateChecker(world, setting.sessionsMax)
    this.#leaks = new LeakChecker(world, new Dice(seed, 'canaries'))
    this.#history = new History(world)
    const network = this.#makeNetwork()
    this.#members = this.#makeMembers(network)
    const members = this.#members
    this.#takeovers = new TakeoverChecker(world, members)
    this.#nemesis = new Nemesis({
      world,
      network,
      members,
      operator: new Operator({ world, members, checker: this.#configs }),
      founderCount: setting.members,
      dice: new Dice(seed, 'nemesis'),
    })
    this.#plan =
      options.plan ??
      drawPlan({
        profile: this.#profile,
        hunter,
        memberCount: setting.members + setting.spares,
        durationMs: setting.durationMs,
        dice: new Dice(seed, 'faults'),
      })
    this.#clients = this.#makeClients()
    this.#keeper = new Keeper({
      world,
      dice: new Dice(seed, 'keeper'),
      members,
      keyPrefix: this.#leaks.key.text,
      everyUs: setting.keepUs,
      revision: () => this.#state.revision,
    })
    this.#states = world.isTraced ? new StateTracer((event) => world.trace(event)) : undefined
    world.afterEvent(() => this.#look())
  }

  async run(): Promise<Verdict> {
    const world = this.#world
    for (const member of this.#members) member.start()
    for (const client of this.#clients) client.start()
    this.#keeper.start()
    this.#nemesis.follow(this.#plan)
    await world.run(this.#setting.durationMs * 1000)
    if (world.violation === undefined) await this.#settle()
    if (world.violation === undefined) this.#judge()
    if (world.violation === undefined) await this.#inspect()
    return this.#verdict()
  }

  /** All is well again: everybody must come to rest at the same state, and answer. */
  async #settle(): Promise<void> {
    const world = this.#world
    for (const client of this.#clients) client.stop()
    this.#keeper.stop()
    this.#nemesis.heal()
    await this.#rest()
    if (world.violation !== undefined) return
    const [client] = this.#clients
    for (const member of this.#insiders()) {
      if (member.state === 'up' && client !== undefined)
        world.after(0, () => void client.lastWord(member))
    }
    await this.#rest()
  }

  async #rest(): Promise<void> {
    const world = this.#world
    await world.run(world.nowUs + 1)
    await world.run(world.nowUs + restUs, () => this.#isAtRest())
    if (world.violation !== undefined || this.#isAtRest()) return
    const states = this.#members.map(
      ({ nodeId, state, sight }) =>
        `${nodeId} ${state} ${sight?.role ?? ''} ${sight?.term ?? ''} ${sight?.appliedIndex ?? ''}/${sight?.commitIndex ?? ''}`,
    )
    world.violate(
      'SI11',
      `30 s after all was healed: ${states.join('; ')}; ${this.#history.openCount} questions are open`,
    )
  }

  #isAtRest(): boolean {
    if (this.#history.openCount > 0) return false
    const living = this.#insiders().filter(({ state }) => state !== 'lost')
    const [first] = living
    const index = first?.sight?.appliedIndex
    return (
      living.every(({ state }) => state === 'up') &&
      living.some(({ sight }) => sight?.role === 'leader') &&
      living.every(({ sight }) => sight?.appliedIndex === index && sight?.commitIndex === index)
    )
  }

  #judge(): void {
    const world = this.#world
    const { seed, isBlackBox = seed % 20 === 0 } = this.#options
    this.#takeovers.judge()
    const expected = [...this.#state.newest()].map(([key, value]) => `${key}=${value ?? ''}`)
    for (const { nodeId, disk } of this.#members) {
      this.#leaks.disk(nodeId, disk)
      if (isBlackBox) this.#leaks.diskInAllForms(nodeId, disk)
    }
    for (const { nodeId, store } of this.#insiders()) {
      if (store === undefined) continue
      const found = store.list('').kvs.map(({ key, value }) => `${key}=${valueText(value) ?? ''}`)
      if (found.join() === expected.join()) continue
      world.violate('SI8', `member ${nodeId} does not hold in the end what the log came to`)
    }
    const hashes = new Set(this.#insiders().flatMap(({ store }) => store?.stateHash() ?? []))
    if (hashes.size > 1) world.violate('SI4', 'members at rest are in different states')
    checkHistory(world, this.#history, this.#state)
    if (isBlackBox && judge(this.#history.operations) === 'not linearizable') {
      world.violate('SI7', 'no order of the operations explains what the clients saw')
    }
  }

  /** What members at rest have on their disks. */
  async #inspect(): Promise<void> {
    for (const member of this.#insiders()) {
      const { nodeId, disk, journalKeys: keys, isTamperedWith, state } = member
      if (state === 'up' && !isTamperedWith)
        await inspectJournal(this.#world, { nodeId, disk, keys })
    }
  }

  #look(): void {
    for (const member of this.#members) {
      const { nodeId, sight } = member
      if (sight !== undefined) {
        this.#raft.seen(nodeId, sight)
        this.#configs.seen(nodeId, sight)
        this.#trace(nodeId, sight)
      }
      member.hasTurned()
    }
  }

  #trace(member: NodeId, sight: Sight): void {
    const { role, term, commitIndex, appliedIndex, config } = sight
    const { voters, learners } = config
    const log = this.#raft.logOf(member)
    const seen = { member, role, term, commitIndex, appliedIndex, ...log, voters, learners }
    this.#states?.seen(seen)
  }

  #makeNetwork(): Network {
    const world = this.#world
    return new Network({
      world,
      dice: new Dice(this.#options.seed, 'network'),
      manners: networkManners(this.#setting),
      deliver: (message) => {
        const { type, from, to } = message
        world.note(`${from}>${to} ${type} ${placeOf(message)}`, eventOf(message))
        this.#member(to)?.receive(message)
      },
      onLost: ({ from, to }) => this.#member(from)?.unreachable(to),
      onHungUp: (from, to) => this.#member(to)?.linkLost(from),
      onPacket: ({ from }, bytes) => this.#leaks.packet(from, bytes),
    })
  }

  #makeMembers(network: Network): readonly [Member, ...Member[]] {
    const world = this.#world
    const setting = this.#setting
    const witness = this.#witness()
    const voters = this.#voters()
    const member = (nodeId: number): Member =>
      new Member({
        world,
        seed: this.#options.seed,
        nodeId,
        voters: voters.includes(nodeId) ? voters : [],
        parts: { ...liveParts, ...this.#options.parts },
        witness,
        send: (message) => network.send(message),
        onLeading: (leader) => this.#nemesis.leads(leader),
        onHangUp: (from, wasLeading) => {
          this.#nemesis.hangUp(from)
          if (wasLeading && this.#isAboutTakeovers) this.#takeovers.leaderGone(from)
        },
        emit: (from, draft) => {
          world.count(draft.type)
          this.#leaks.event(from, draft)
        },
        limits: replicaLimits(setting),
        segmentSizeBytes: setting.segmentSizeBytes,
        sessionsMax: setting.sessionsMax,
        diskManners: diskManners(setting),
      })
    return [member(1), ...this.#everybody().slice(1).map(member)]
  }

  #makeClients(): readonly Client[] {
    const { seed } = this.#options
    const { clients, keys: keyCount, thinkUs, stubbornPermille } = this.#setting
    const keys: [string, ...string[]] = [this.#key(1)]
    for (let number = 2; number <= keyCount; number++) keys.push(this.#key(number))
    const dek = Keyring.create(new Dice(seed, 'keyring')).newest
    const client = (id: number): Client =>
      new Client({
        world: this.#world,
        id,
        dice: new Dice(seed, `client ${id}`),
        members: this.#members,
        history: this.#history,
        keys,
        thinkUs,
        stubbornPermille,
        dek,
        canaryText: this.#leaks.value.text,
      })
    return Array.from({ length: clients }, (_, at) => client(at + 1))
  }

  /** Who founds the group. */
  #voters(): readonly number[] {
    return this.#everybody().slice(0, this.#setting.members)
  }

  #everybody(): readonly number[] {
    const { members, spares } = this.#setting
    return Array.from({ length: members + spares }, (_, at) => at + 1)
  }

  #startedCount(): number {
    return this.#members.filter(({ state }) => state !== 'absent').length
  }

  /** Whoever is a member now: others need not come to rest, and know nothing for sure. */
  #insiders(): readonly Member[] {
    const config = leaderOf(this.#members)?.replica?.config ?? this.#configs.newest
    return this.#members.filter(({ nodeId }) => config !== undefined && isIn(config, nodeId))
  }

  #witness(): Witness {
    return {
      recovered: (member, recovered, isTamperedWith) => {
        this.#bootCount++
        this.#raft.recovered(member, recovered, isTamperedWith)
        const disk = this.#member(member)?.disk
        if (disk !== undefined) this.#leaks.disk(member, disk)
      },
      asked: (member, work) => {
        this.#raft.asked(member, work)
        if (work.do === 'snapshot') this.#state.saving(member, work.meta, work.contentHash)
      },
      taken: (member, batch, commitIndex) => this.#raft.taken(member, batch, commitIndex),
      durable: (member, work) => this.#raft.durable(member, work),
      sending: (member, message) => this.#raft.sending(member, message),
      applied: (member, index, data, result) => this.#state.applied(member, index, data, result),
      restored: (member, revision) => this.#state.restored(member, revision),
      told: (member, batch) => this.#state.told(member, batch),
    }
  }

  #member(nodeId: number): Member | undefined {
    return this.#members[nodeId - 1]
  }

  #key(number: number): string {
    return `${this.#leaks.key.text}/${number}`
  }

  #verdict(): Verdict {
    const world = this.#world
    const { operations } = this.#history
    return {
      seed: this.#options.seed,
      profile: this.#profile,
      violation: world.violation,
      plan: this.#plan,
      setting: this.#setting,
      traceHash: world.traceHash(),
      trace: world.lines,
      tally: world.tally,
      counts: {
        members: this.#startedCount(),
        events: world.eventCount,
        operations: operations.length,
        answered: operations.filter(({ answer }) => answer?.is === 'done' || answer?.is === 'found')
          .length,
        crashes: this.#bootCount - this.#startedCount(),
        committed: this.#raft.committedCount,
        lost: this.#members.filter(({ state }) => state === 'lost').length,
        virtualMs: world.nowMs,
      },
    }
  }
}
