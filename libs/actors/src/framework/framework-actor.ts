import type { Core } from '@conclave/kernel'
import { addScalars } from '@conclave/model'
import type { PendingRuns } from '../master/master-api.ts'

/*
 * One framework's view of the cluster: what waits to be launched, and the offers to launch it on.
 * It speaks Mesos' own words (mesos.md §5) and knows nothing of how they travel.
 */

export type FrameworkInput =
  | { readonly kind: 'subscribed'; readonly frameworkId: string }
  | { readonly kind: 'disconnected' }
  | { readonly kind: 'offers'; readonly offers: readonly OfferSeen[] }
  | { readonly kind: 'update'; readonly status: StatusSeen }
  /** All that waits, replacing what was told before. It must come anew after each subscription. */
  | { readonly kind: 'pending'; readonly pending: PendingRuns }
  | { readonly kind: 'tick' }

/** The parts of an Offer that decide. */
export interface OfferSeen {
  readonly offerId: string
  readonly agentId: string
  readonly scalars: Readonly<Record<string, number>>
}

/** The parts of a TaskStatus that decide. */
export interface StatusSeen {
  readonly taskId: string
  readonly agentId: string | undefined
  readonly state: string
  readonly reason: string | undefined
  /** Base64; absent on updates that the master made itself, which must not be acknowledged. */
  readonly uuid: string | undefined
}

/** A scheduler call without its `framework_id`, ready to be posted. */
export interface FrameworkEffect {
  readonly do: 'call'
  readonly call: Readonly<Record<string, unknown>> & { readonly type: string }
}

/** Ticks (of a second) after which an unanswered launch or kill is tried again. */
const retryTicks = 10

interface Waiting {
  readonly spec: unknown
  readonly wants: Readonly<Record<string, number>>
  /** The one agent that it may run on; any, if it does not say. */
  readonly agentId: string | undefined
  /** Tick of the ACCEPT that launches it, until the master no longer lists it as waiting. */
  launchedAt: number | undefined
  /** The master would not have it, and says so to whoever submitted it: another try would end the same. */
  isRefused: boolean
}

/**
 * Launches what waits, in the order it was submitted, on the first offer with room. While nothing
 * waits it asks for no offers, so other frameworks may have them all.
 */
export class FrameworkActor implements Core<FrameworkInput, FrameworkEffect> {
  readonly #waiting = new Map<string, Waiting>()
  readonly #killing = new Map<string, number>()
  #avoided: ReadonlySet<string> = new Set()
  #effects: FrameworkEffect[] = []
  #isSubscribed = false
  #wantsOffers = true
  #ticks = 0

  step(input: FrameworkInput): void {
    switch (input.kind) {
      case 'subscribed':
        // A new leader may know of launches that the list told before does not: only a list that
        // comes after the subscription counts.
        this.#isSubscribed = true
        this.#wantsOffers = true
        this.#killing.clear()
        this.#waiting.clear()
        return
      case 'disconnected':
        this.#isSubscribed = false
        return
      case 'offers':
        for (const offer of input.offers) this.#use(offer)
        if (!this.#hasUnlaunched()) this.#suppress()
        return
      case 'update':
        return this.#update(input.status)
      case 'pending':
        return this.#replace(input.pending)
      case 'tick':
        this.#ticks++
        for (const waiting of this.#waiting.values()) {
          const isLost =
            waiting.launchedAt !== undefined &&
            !waiting.isRefused &&
            this.#ticks - waiting.launchedAt >= retryTicks
          if (isLost) waiting.launchedAt = undefined
        }
        if (this.#hasUnlaunched() && this.#ticks % retryTicks === 0) this.#revive()
        this.#killAll()
        return
    }
  }

  takeEffects(): readonly FrameworkEffect[] {
    const effects = this.#effects
    this.#effects = []
    return effects
  }

  #replace({ launch, kill, avoid = [] }: PendingRuns): void {
    this.#avoided = new Set(avoid)
    const listed = new Set(launch.map(({ taskId }) => taskId))
    for (const taskId of this.#waiting.keys()) {
      if (!listed.has(taskId)) this.#waiting.delete(taskId)
    }
    for (const { taskId, spec, agentId } of launch) {
      const known = this.#waiting.get(taskId)
      // Listed with another agent, it was not launched on the one before.
      if (known !== undefined && known.agentId === agentId) continue
      const wants = scalarsOf(spec)
      this.#waiting.set(taskId, { spec, wants, agentId, launchedAt: undefined, isRefused: false })
    }
    const toKill = new Set(kill.map(({ taskId }) => taskId))
    for (const taskId of this.#killing.keys()) {
      if (!toKill.has(taskId)) this.#killing.delete(taskId)
    }
    for (const taskId of toKill) {
      if (!this.#killing.has(taskId)) this.#killing.set(taskId, -retryTicks)
    }
    if (this.#hasUnlaunched()) this.#revive()
    this.#killAll()
  }

  #use(offer: OfferSeen): void {
    const left = { ...offer.scalars }
    const tasks: unknown[] = []
    for (const [taskId, waiting] of this.#waiting) {
      if (waiting.launchedAt !== undefined || !fits(waiting.wants, left)) continue
      if (!this.#mayRunOn(waiting, offer.agentId)) continue
      for (const [name, amount] of Object.entries(waiting.wants)) {
        left[name] = addScalars(left[name] ?? 0, -amount)
      }
      waiting.launchedAt = this.#ticks
      tasks.push({
        ...(waiting.spec as object),
        task_id: { value: taskId },
        agent_id: { value: offer.agentId },
      })
    }
    const offerIds = [{ value: offer.offerId }]
    if (tasks.length === 0) {
      this.#call({ type: 'DECLINE', decline: { offer_ids: offerIds } })
      return
    }
    this.#call({
      type: 'ACCEPT',
      accept: {
        offer_ids: offerIds,
        operations: [{ type: 'LAUNCH', launch: { task_infos: tasks } }],
        // Nothing is refused: the rest of this agent may be what the next run needs.
        filters: { refuse_seconds: 0 },
      },
    })
  }

  /** What is for one agent was decided by who knows of nodes; anything else keeps off closed ones. */
  #mayRunOn(waiting: Waiting, agentId: string): boolean {
    return waiting.agentId === undefined ? !this.#avoided.has(agentId) : waiting.agentId === agentId
  }

  #update({ taskId, agentId, state, reason, uuid }: StatusSeen): void {
    if (uuid !== undefined && agentId !== undefined) {
      this.#call({
        type: 'ACKNOWLEDGE',
        acknowledge: { agent_id: { value: agentId }, task_id: { value: taskId }, uuid },
      })
    }
    const waiting = this.#waiting.get(taskId)
    if (waiting?.launchedAt === undefined) return
    if (state === 'TASK_ERROR') waiting.isRefused = true
    const neverStarted =
      reason === 'REASON_INVALID_OFFERS' && (state === 'TASK_LOST' || state === 'TASK_DROPPED')
    if (!neverStarted) return
    waiting.launchedAt = undefined
    this.#revive()
  }

  #hasUnlaunched(): boolean {
    return this.#waiting.values().some(({ launchedAt }) => launchedAt === undefined)
  }

  #revive(): void {
    this.#wantsOffers = true
    this.#call({ type: 'REVIVE' })
  }

  #suppress(): void {
    if (!this.#wantsOffers) return
    this.#wantsOffers = false
    this.#call({ type: 'SUPPRESS' })
  }

  #killAll(): void {
    for (const [taskId, askedAt] of this.#killing) {
      if (this.#ticks - askedAt < retryTicks) continue
      this.#killing.set(taskId, this.#ticks)
      this.#call({ type: 'KILL', kill: { task_id: { value: taskId } } })
    }
  }

  #call(call: FrameworkEffect['call']): void {
    if (this.#isSubscribed) this.#effects.push({ do: 'call', call })
  }
}

/** What a spec asks for, by resource. Only scalars: a spec with ranges or sets waits for ever. */
function scalarsOf(spec: unknown): Record<string, number> {
  const wants: Record<string, number> = {}
  const resources = (spec as { resources?: unknown }).resources
  for (const resource of Array.isArray(resources) ? resources : []) {
    const { name, scalar } = resource as { name?: unknown; scalar?: { value?: unknown } }
    if (typeof name !== 'string') continue
    const amount = typeof scalar?.value === 'number' ? scalar.value : Number.POSITIVE_INFINITY
    wants[name] = (wants[name] ?? 0) + amount
  }
  return wants
}

const fits = (
  wants: Readonly<Record<string, number>>,
  room: Readonly<Record<string, number>>,
): boolean => Object.entries(wants).every(([name, amount]) => (room[name] ?? 0) >= amount)
