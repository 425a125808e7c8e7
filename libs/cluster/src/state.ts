import { hasCapability, rolesOf, type Grant, type MasterInfo, type Offer } from '@conclave/model'
import { Allocator, type Contender } from './allocator.ts'
import type { ClusterSurroundings } from './effect.ts'
import { InverseOffers } from './inverse-offers.ts'
import type { ClusterLimits } from './limits.ts'
import { unavailabilityOf } from './machines.ts'
import { Numbers } from './numbers.ts'
import { OfferBook, offerMessage, type OpenOffer } from './offers.ts'
import { Outbox } from './outbox.ts'
import {
  readAgent,
  readCounters,
  readFramework,
  readGrant,
  readMaintenance,
  readTask,
  readWeights,
  taskKey,
  type AgentRecord,
  type Counters,
  type FrameworkRecord,
  type MaintenanceRecord,
  type StoredRecord,
  type TaskRecord,
} from './records.ts'
import { bagOf, emptyBag, minus, plus, type Bag } from './resources.ts'
import { TaskTable } from './tasks.ts'
import type { Viewer } from './operator/viewer.ts'

/** An agent as the leader holds it. Without a connection it is away since a tick. */
export interface Agent {
  record: AgentRecord
  total: Bag
  connection: number | undefined
  awaySinceTick: number
}

/** A framework as the leader holds it. Without a stream it is away since a tick. */
export interface Framework {
  record: FrameworkRecord
  streamId: string | undefined
  awaySinceTick: number
  /** How long it may stay away, from `awaySinceTick` on. */
  awayTicksMax: number
  heartbeatAtTick: number
  /** When it was last offered anything in this term; before all ticks, if never. */
  offeredAtTick: number
}

/** All that the leader knows, and the outbox of what it decided. The verbs are in the files around. */
export class ClusterState {
  readonly clusterId: string
  readonly masterInfo: MasterInfo
  readonly limits: ClusterLimits
  readonly surroundings: ClusterSurroundings
  readonly startedAtMs: number
  readonly outbox = new Outbox()
  readonly tasks = new TaskTable()
  readonly offers = new OfferBook()
  readonly allocator = new Allocator()
  readonly inverseOffers = new InverseOffers()
  readonly numbers: Numbers
  readonly agents = new Map<string, Agent>()
  readonly frameworks = new Map<string, Framework>()
  /** Who is behind a connection, and behind a stream. */
  readonly agentBehind = new Map<number, string>()
  readonly frameworkBehind = new Map<string, string>()
  /** Who follows the state, by their streams, the oldest first. */
  readonly watchers = new Map<string, { readonly viewer: Viewer; heartbeatAtTick: number }>()
  /** Of the roles that have one of their own; of any other it is 1. */
  weights: ReadonlyMap<string, number> = new Map()
  maintenance: MaintenanceRecord = { windows: [], down: [] }
  /** Seconds since the term began. */
  ticks = 0
  /** Set by whatever may have freed resources, or made somebody want them. */
  mayAllocate = true

  constructor(options: {
    readonly clusterId: string
    readonly masterInfo: MasterInfo
    readonly limits: ClusterLimits
    readonly surroundings: ClusterSurroundings
    readonly records: Iterable<StoredRecord>
  }) {
    this.clusterId = options.clusterId
    this.masterInfo = options.masterInfo
    this.limits = options.limits
    this.surroundings = options.surroundings
    this.startedAtMs = options.surroundings.nowMs()
    const counters = this.#load(options.records)
    this.numbers = new Numbers(options.clusterId, counters)
  }

  get nowMs(): number {
    return this.surroundings.nowMs()
  }

  frameworkOf(record: TaskRecord): Framework | undefined {
    return this.frameworks.get(record.frameworkId)
  }

  closeOffers(
    matches: (offer: OpenOffer) => boolean,
    { rescind }: { rescind: boolean },
  ): readonly OpenOffer[] {
    const closed = this.offers.closeAll(matches)
    for (const { offerId, frameworkId, agentId } of closed) {
      const streamId = this.frameworks.get(frameworkId)?.streamId
      if (rescind && streamId !== undefined) {
        const event = { type: 'RESCIND', rescind: { offer_id: { value: offerId } } } as const
        this.outbox.toFramework(streamId, event)
      }
      this.outbox.emit({ type: 'offer.rescinded', offerId, frameworkId, agentId })
    }
    this.mayAllocate = true
    return closed
  }

  /**
   * Offers what is free, if anything changed since the last time.
   *
   * @param promised who is to have what is free on an agent, whatever others hold
   */
  allocate(promised?: ReadonlyMap<string, Contender>): void {
    if (!this.mayAllocate) return
    this.mayAllocate = false
    const useful = this.#present.filter(({ record }) => record.isDeactivated !== true)
    const supplies = useful.map(({ record: { agentId }, total }) => {
      const used = plus(this.tasks.usedOn(agentId), this.offers.offeredOn(agentId))
      return { agentId, free: minus(total, used) }
    })
    const { total } = this
    const made = new Map<Framework, Offer[]>()
    const contenders = this.contenders()
    for (const allotment of this.allocator.allocate(supplies, contenders, total, promised)) {
      const framework = this.frameworks.get(allotment.frameworkId)
      const agent = this.agents.get(allotment.agentId)
      if (framework === undefined || agent === undefined) continue
      const { agentId, frameworkId, role, free: bag } = allotment
      const { id: offerId, change } = this.numbers.offer()
      if (change !== undefined) this.outbox.commit([change])
      const offer = { offerId, frameworkId, agentId, role, bag, madeAtTick: this.ticks }
      this.offers.open(offer, { total: agent.total, used: this.tasks.usedOn(agentId) })
      const isMultiRole = hasCapability(framework.record.info, 'MULTI_ROLE')
      const message = offerMessage(
        offer,
        agent.record.info,
        isMultiRole,
        unavailabilityOf(this, agent.record.info),
      )
      framework.offeredAtTick = this.ticks
      const messages = made.get(framework)
      if (messages === undefined) made.set(framework, [message])
      else messages.push(message)
      this.outbox.emit({ type: 'offer.made', offerId, frameworkId, agentId })
    }
    for (const [{ streamId }, offers] of made) {
      if (streamId !== undefined)
        this.outbox.toFramework(streamId, { type: 'OFFERS', offers: { offers } })
    }
  }

  /** All that the agents have which are there. */
  get total(): Bag {
    return this.#present.reduce((sum, agent) => plus(sum, agent.total), emptyBag)
  }

  get #present(): readonly Agent[] {
    return [...this.agents.values()].filter(({ connection }) => connection !== undefined)
  }

  /** Everybody who may be offered something, once for each of their roles. */
  contenders(): readonly Contender[] {
    return [...this.frameworks.values()].flatMap(({ record, streamId }) => {
      const held = this.tasks.heldBy(record.frameworkId)
      return rolesOf(record.info).map((role): Contender => {
        const { frameworkId } = record
        const used = held.get(role) ?? emptyBag
        return {
          frameworkId,
          role,
          weight: this.weights.get(role) ?? 1,
          held: plus(used, this.offers.offeredTo(frameworkId, role)),
          isEager: streamId !== undefined && !record.suppressedRoles.includes(role),
        }
      })
    })
  }

  #load(records: Iterable<StoredRecord>): Counters | undefined {
    const grants = new Map<string, Grant[]>()
    const tasks: TaskRecord[] = []
    let counters: Counters | undefined
    for (const { key, value } of records) {
      const kind = key.split('/')[1]
      if (kind === 'counters') counters = readCounters(value)
      else if (kind === 'weights') this.#loadWeights(value)
      else if (kind === 'maintenance') this.maintenance = readMaintenance(value)
      else if (kind === 'agents') this.#loadAgent(readAgent(key, value))
      else if (kind === 'frameworks') this.#loadFramework(readFramework(key, value))
      else if (kind === 'tasks') tasks.push(readTask(key, value))
      else if (kind === 'grants') {
        const grant = readGrant(key, value)
        const of = taskKey(grant.frameworkId, grant.taskId)
        grants.set(of, [...(grants.get(of) ?? []), grant])
      }
    }
    // The table remembers the order in which tasks completed.
    for (const task of tasks.toSorted((a, b) => a.updatedAtMs - b.updatedAtMs)) {
      this.tasks.put(task, grants.get(taskKey(task.frameworkId, task.taskId)) ?? [])
    }
    return counters
  }

  #loadWeights(value: Uint8Array): void {
    this.weights = new Map(Object.entries(readWeights(value).weights))
  }

  #loadAgent(record: AgentRecord): void {
    this.agents.set(record.agentId, {
      record,
      total: bagOf(record.info.resources),
      connection: undefined,
      awaySinceTick: 0,
    })
  }

  #loadFramework(record: FrameworkRecord): void {
    const seconds = Math.max(record.info.failover_timeout ?? 0, this.limits.failoverTicksMin)
    this.frameworks.set(record.frameworkId, {
      record,
      streamId: undefined,
      awaySinceTick: 0,
      awayTicksMax: Math.ceil(seconds),
      heartbeatAtTick: 0,
      offeredAtTick: -1,
    })
  }
}
