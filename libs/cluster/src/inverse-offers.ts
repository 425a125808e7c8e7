import type { Filters, InverseOffer, SchedulerEvent, Unavailability } from '@conclave/model'
import { refuseTicks } from './filters.ts'
import { unavailabilityOf } from './machines.ts'
import { urlOf } from './offers.ts'
import type { Agent, ClusterState, Framework } from './state.ts'

/*
 * Inverse offers ask a framework for what it has on a machine that will be taken away. What it says
 * decides nothing: it is shown to the operator. Source: Mesos' hierarchical allocator, which asks again
 * for as long as anything is there, and forgets the answers with its leader.
 */

export interface OpenInverseOffer {
  readonly offerId: string
  readonly frameworkId: string
  readonly agentId: string
}

interface Answer extends Omit<OpenInverseOffer, 'offerId'> {
  readonly status: 'ACCEPT' | 'DECLINE'
  readonly atMs: number
  /** It is not asked again before. */
  readonly untilTick: number
}

const keyOf = ({ frameworkId, agentId }: Omit<OpenInverseOffer, 'offerId'>): string =>
  `${agentId} ${frameworkId}`

/** What was asked, and what was said to it. */
export class InverseOffers {
  readonly #open = new Map<string, OpenInverseOffer>()
  /** The keys of those that are open: each tick looks for every framework on every agent that will be away. */
  readonly #asked = new Set<string>()
  readonly #answers = new Map<string, Answer>()

  get(offerId: string): OpenInverseOffer | undefined {
    return this.#open.get(offerId)
  }

  of(frameworkId: string): readonly OpenInverseOffer[] {
    return [...this.#open.values()].filter((one) => one.frameworkId === frameworkId)
  }

  /** The latest answer of each framework. */
  answersFor(agentId: string): readonly Answer[] {
    return [...this.#answers.values()].filter((one) => one.agentId === agentId)
  }

  open(offer: OpenInverseOffer): void {
    this.#open.set(offer.offerId, offer)
    this.#asked.add(keyOf(offer))
  }

  answer(offer: OpenInverseOffer, answer: Pick<Answer, 'status' | 'atMs' | 'untilTick'>): void {
    const { frameworkId, agentId } = offer
    const key = keyOf(offer)
    this.#open.delete(offer.offerId)
    this.#asked.delete(key)
    this.#answers.set(key, { frameworkId, agentId, ...answer })
  }

  mayAsk(frameworkId: string, agentId: string, tick: number): boolean {
    const key = keyOf({ frameworkId, agentId })
    const untilTick = this.#answers.get(key)?.untilTick ?? 0
    return untilTick <= tick && !this.#asked.has(key)
  }

  /** Takes back what was asked, and forgets what was said to it. */
  close(matches: (one: Omit<OpenInverseOffer, 'offerId'>) => boolean): readonly OpenInverseOffer[] {
    const closed = [...this.#open.values()].filter(matches)
    for (const one of closed) {
      this.#open.delete(one.offerId)
      this.#asked.delete(keyOf(one))
    }
    for (const [key, answer] of this.#answers) if (matches(answer)) this.#answers.delete(key)
    return closed
  }
}

/** How a framework sees it. */
export const inverseOfferMessage = (
  { offerId, frameworkId, agentId }: OpenInverseOffer,
  { record: { info } }: Agent,
  unavailability: Unavailability,
): InverseOffer => ({
  id: { value: offerId },
  url: urlOf(info),
  framework_id: { value: frameworkId },
  agent_id: { value: agentId },
  unavailability,
  resources: [],
})

/** Asks everybody who has something on a machine that will be away. */
export function makeInverseOffers(state: ClusterState): void {
  if (state.maintenance.windows.length === 0) return
  const made = new Map<Framework, InverseOffer[]>()
  for (const agent of state.agents.values()) {
    const { agentId } = agent.record
    const unavailability = unavailabilityOf(state, agent.record.info)
    if (unavailability === undefined || agent.connection === undefined) continue
    for (const frameworkId of state.tasks.frameworksOn(agentId)) {
      const framework = state.frameworks.get(frameworkId)
      if (framework?.streamId === undefined) continue
      if (!state.inverseOffers.mayAsk(frameworkId, agentId, state.ticks)) continue
      const { id: offerId, change } = state.numbers.offer()
      if (change !== undefined) state.outbox.commit([change])
      const offer = { offerId, frameworkId, agentId }
      state.inverseOffers.open(offer)
      const messages = made.get(framework) ?? []
      messages.push(inverseOfferMessage(offer, agent, unavailability))
      made.set(framework, messages)
    }
  }
  for (const [{ streamId }, inverse_offers] of made) {
    if (streamId === undefined) continue
    state.outbox.toFramework(streamId, {
      type: 'INVERSE_OFFERS',
      inverse_offers: { inverse_offers },
    })
  }
}

/** ACCEPT_INVERSE_OFFERS and DECLINE_INVERSE_OFFERS. */
export function answerInverseOffers(
  state: ClusterState,
  { record: { frameworkId } }: Framework,
  status: 'ACCEPT' | 'DECLINE',
  call: {
    readonly inverse_offer_ids: readonly { value: string }[]
    readonly filters?: Filters | undefined
  },
): void {
  const untilTick = state.ticks + refuseTicks(call.filters)
  for (const { value } of call.inverse_offer_ids) {
    const offer = state.inverseOffers.get(value)
    if (offer?.frameworkId !== frameworkId) continue
    state.inverseOffers.answer(offer, { status, atMs: state.nowMs, untilTick })
  }
}

/** Takes back what was asked of those who `matches`, and tells them. */
export function closeInverseOffers(
  state: ClusterState,
  matches: (one: Omit<OpenInverseOffer, 'offerId'>) => boolean,
): void {
  for (const { offerId, frameworkId } of state.inverseOffers.close(matches)) {
    const streamId = state.frameworks.get(frameworkId)?.streamId
    if (streamId === undefined) continue
    const event: SchedulerEvent = {
      type: 'RESCIND_INVERSE_OFFER',
      rescind_inverse_offer: { inverse_offer_id: { value: offerId } },
    }
    state.outbox.toFramework(streamId, event)
  }
}
