import { hasCapability, type FrameworkState, type GetFrameworks } from '@conclave/model'
import { inverseOfferMessage } from '../inverse-offers.ts'
import { unavailabilityOf } from '../machines.ts'
import { offerMessage, type OpenOffer } from '../offers.ts'
import { emptyBag, plus } from '../resources.ts'
import type { ClusterState, Framework } from '../state.ts'
import { shownResources, timeOf, timeOrNone } from './shown.ts'
import { maySee, type Viewer } from './viewer.ts'

export function getFrameworks(state: ClusterState, viewer: Viewer): GetFrameworks {
  const offers = Map.groupBy(state.offers.all(), ({ frameworkId }) => frameworkId)
  const shown = (isWanted: boolean): readonly FrameworkState[] =>
    [...state.frameworks.values()]
      .filter(({ record }) => (record.state === 'completed') === isWanted)
      .filter(({ record }) => maySee(state, viewer, record.frameworkId))
      .map((framework) =>
        frameworkMessage(state, framework, offers.get(framework.record.frameworkId)),
      )
  return { frameworks: shown(false), completed_frameworks: shown(true) }
}

export function frameworkMessage(
  state: ClusterState,
  { record, streamId }: Framework,
  offers: readonly OpenOffer[] = offersOf(state, record.frameworkId),
): FrameworkState {
  const { frameworkId, info } = record
  const held = [...state.tasks.heldBy(frameworkId).values()].reduce(plus, emptyBag)
  const isMultiRole = hasCapability(info, 'MULTI_ROLE')
  return {
    framework_info: info,
    active: streamId !== undefined,
    connected: streamId !== undefined,
    recovered: record.state === 'active' && streamId === undefined,
    registered_time: timeOf(record.registeredAtMs),
    reregistered_time: timeOrNone(record.reregisteredAtMs),
    unregistered_time: timeOrNone(record.completedAtMs ?? record.disconnectedAtMs),
    offers: offers.flatMap((offer) => {
      const agent = state.agents.get(offer.agentId)?.record.info
      return agent === undefined
        ? []
        : [offerMessage(offer, agent, isMultiRole, unavailabilityOf(state, agent))]
    }),
    inverse_offers: state.inverseOffers.of(frameworkId).flatMap((offer) => {
      const agent = state.agents.get(offer.agentId)
      const unavailability = agent && unavailabilityOf(state, agent.record.info)
      return agent && unavailability ? [inverseOfferMessage(offer, agent, unavailability)] : []
    }),
    allocated_resources: shownResources(held),
    offered_resources: shownResources(offers.reduce((sum, { bag }) => plus(sum, bag), emptyBag)),
  }
}

export const offersOf = (state: ClusterState, frameworkId: string): readonly OpenOffer[] =>
  Array.from(state.offers.all()).filter((offer) => offer.frameworkId === frameworkId)
