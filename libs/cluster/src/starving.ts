import { refuseRest } from './accept.ts'
import type { Contender } from './allocator.ts'
import type { OpenOffer } from './offers.ts'
import { dominantShare } from './resources.ts'
import type { ClusterState } from './state.ts'

/*
 * Offers that one framework sits on while another waits for any. Mesos leaves them where they are until
 * `--offer_timeout`, which by default never comes.
 */

/**
 * **CL13** Takes back offers that are held for too long, as many as others would use who have none, and
 * gives each to whoever waits longest. The one who holds most is the first to lose one.
 */
export function feedStarving(state: ClusterState): void {
  const latest = state.ticks - state.limits.offerHoldTicks
  const open = Array.from(state.offers.all())
  const held = open.filter(({ madeAtTick }) => madeAtTick <= latest)
  if (held.length === 0) return
  const contenders = state.contenders()
  const victims = new Set(mostHeldFirst(state, held, contenders))
  const fed = new Set(open.map(({ frameworkId }) => frameworkId))
  const promised = new Map<string, Contender>()
  for (const contender of longestWaitFirst(state, contenders)) {
    const { frameworkId } = contender
    if (fed.has(frameworkId)) continue
    const taken = victims.values().find(({ agentId, bag: free }) => {
      return !promised.has(agentId) && state.allocator.wouldTake(contender, { agentId, free })
    })
    if (taken === undefined) continue
    victims.delete(taken)
    fed.add(frameworkId)
    promised.set(taken.agentId, contender)
    takeBack(state, taken)
  }
  if (promised.size > 0) state.allocate(promised)
}

function takeBack(state: ClusterState, taken: OpenOffer): void {
  const { frameworkId, agentId, role, bag: left } = taken
  state.closeOffers((offer) => offer === taken, { rescind: true })
  refuseRest(state, frameworkId, { agentId, role, left }, undefined)
}

function mostHeldFirst(
  state: ClusterState,
  held: readonly OpenOffer[],
  contenders: readonly Contender[],
): readonly OpenOffer[] {
  const { total } = state
  const shares = new Map(
    contenders.map(({ frameworkId, role, held: bag }) => [
      `${frameworkId} ${role}`,
      dominantShare(bag, total),
    ]),
  )
  const shareOf = ({ frameworkId, role }: OpenOffer): number =>
    shares.get(`${frameworkId} ${role}`) ?? 0
  // Sorting keeps the order in which they were made.
  return held.toSorted((a, b) => shareOf(b) - shareOf(a))
}

function longestWaitFirst(
  state: ClusterState,
  contenders: readonly Contender[],
): readonly Contender[] {
  const offeredAt = ({ frameworkId }: Contender): number =>
    state.frameworks.get(frameworkId)?.offeredAtTick ?? 0
  return contenders.filter(({ isEager }) => isEager).toSorted((a, b) => offeredAt(a) - offeredAt(b))
}
