import { invariant } from '@conclave/kernel'
import type { AgentInfo, Offer, Unavailability } from '@conclave/model'
import {
  bagText,
  contains,
  emptyBag,
  minus,
  plus,
  resourcesOf,
  tally,
  type Bag,
} from './resources.ts'

/** Resources of one agent that are promised to one framework until it answers. */
export interface OpenOffer {
  readonly offerId: string
  readonly frameworkId: string
  readonly agentId: string
  readonly role: string
  readonly bag: Bag
  readonly madeAtTick: number
}

/**
 * The offers that wait for an answer. They live in memory only: a new leader makes new ones, under
 * numbers that no other term has used.
 *
 * **CL1** (C2 of docs/architecture.md) What an agent's tasks use and what is offered of it is never more than it
 * has: no resource is promised twice.
 */
export class OfferBook {
  readonly #offers = new Map<string, OpenOffer>()
  readonly #offeredOn = new Map<string, Bag>()
  readonly #offeredTo = new Map<string, Bag>()

  get(offerId: string): OpenOffer | undefined {
    return this.#offers.get(offerId)
  }

  all(): Iterable<OpenOffer> {
    return this.#offers.values()
  }

  offeredOn(agentId: string): Bag {
    return this.#offeredOn.get(agentId) ?? emptyBag
  }

  offeredTo(frameworkId: string, role: string): Bag {
    return this.#offeredTo.get(`${frameworkId} ${role}`) ?? emptyBag
  }

  open(offer: OpenOffer, agent: { readonly total: Bag; readonly used: Bag }): void {
    const { agentId, bag, role } = offer
    const free = minus(minus(agent.total, agent.used), this.offeredOn(agentId))
    invariant(contains(free, bag), `CL1: ${bagText(bag, role)} of ${agentId} is free`)
    this.#offers.set(offer.offerId, offer)
    this.#count(offer, plus)
  }

  close(offerId: string): OpenOffer | undefined {
    const offer = this.#offers.get(offerId)
    if (offer === undefined) return undefined
    this.#offers.delete(offerId)
    this.#count(offer, minus)
    return offer
  }

  /** Closes every offer that `matches`, in the order they were made. */
  closeAll(matches: (offer: OpenOffer) => boolean): readonly OpenOffer[] {
    const closed = [...this.#offers.values()].filter(matches)
    for (const { offerId } of closed) this.close(offerId)
    return closed
  }

  #count(
    { agentId, frameworkId, role, bag }: OpenOffer,
    change: (sum: Bag, part: Bag) => Bag,
  ): void {
    tally(this.#offeredOn, agentId, change(this.offeredOn(agentId), bag))
    tally(this.#offeredTo, `${frameworkId} ${role}`, change(this.offeredTo(frameworkId, role), bag))
  }
}

/** How a framework sees an offer. Frameworks without MULTI_ROLE know nothing of allocation. */
export function offerMessage(
  offer: OpenOffer,
  agent: AgentInfo,
  isMultiRole: boolean,
  unavailability: Unavailability | undefined,
): Offer {
  const allocation = { allocation_info: { role: offer.role } }
  return {
    id: { value: offer.offerId },
    framework_id: { value: offer.frameworkId },
    agent_id: { value: offer.agentId },
    hostname: agent.hostname,
    url: urlOf(agent),
    resources: resourcesOf(offer.bag, isMultiRole ? allocation : { role: '*' }),
    attributes: agent.attributes,
    executor_ids: [],
    ...(unavailability && { unavailability }),
    ...(isMultiRole ? allocation : {}),
  }
}

export const urlOf = ({ hostname, port = 5051 }: AgentInfo): NonNullable<Offer['url']> => ({
  scheme: 'http',
  address: { hostname, ip: ipOf(hostname), port },
  path: '/slave(1)',
})

/** A real client reads `url.address.ip` without looking whether it is there (mesos.md §23). */
export const ipOf = (hostname: string): string =>
  /^\d{1,3}(\.\d{1,3}){3}$/.test(hostname) ? hostname : '127.0.0.1'
