import {
  hasCapability,
  type Filters,
  type Operation,
  type SchedulerCall,
  type TaskInfo,
} from '@conclave/model'
import { refuseTicks } from './filters.ts'
import { launchGroup, launchOne, refuseTask, type Pool } from './launch.ts'
import type { OpenOffer } from './offers.ts'
import { operationUnsupported, refuseOperation } from './operations.ts'
import { firstTwice } from './problem.ts'
import { emptyBag, isEmpty, plus } from './resources.ts'
import type { ClusterState, Framework } from './state.ts'

type Accept = NonNullable<SchedulerCall['accept']>

/** ACCEPT. Every offer in it is used up, whatever becomes of its operations. Source: mesos.md §5.3. */
export function accept(state: ClusterState, framework: Framework, call: Accept): void {
  const ids = call.offer_ids.map(({ value }) => value)
  const { frameworkId } = framework.record
  const offers = ids.map((id) => state.offers.get(id))
  const why = offersProblem(ids, offers, frameworkId)
  const own = offers.filter((offer) => offer?.frameworkId === frameworkId)
  for (const offer of own) {
    if (offer === undefined || state.offers.close(offer.offerId) === undefined) continue
    const { offerId, agentId } = offer
    state.outbox.emit({ type: 'offer.accepted', offerId, frameworkId, agentId })
  }
  state.mayAllocate = true
  const first = own[0]
  if (why !== undefined || first === undefined) {
    return drop(state, framework, call.operations, why ?? 'No offers specified')
  }
  const left = own.reduce((sum, offer) => plus(sum, offer?.bag ?? emptyBag), emptyBag)
  const pool: Pool = { agentId: first.agentId, role: first.role, left }
  for (const operation of call.operations) operate(state, framework, pool, operation)
  refuseRest(state, frameworkId, pool, call.filters)
}

function offersProblem(
  ids: readonly string[],
  offers: readonly (OpenOffer | undefined)[],
  frameworkId: string,
): string | undefined {
  const [first] = offers
  if (ids.length === 0) return 'No offers specified'
  const twice = firstTwice(ids)
  if (twice !== undefined) return `Duplicate offer ${twice} in offer list`
  for (const [index, offer] of offers.entries()) {
    const id = ids[index]
    if (offer === undefined) return `Offer ${id} is no longer valid`
    if (offer.frameworkId !== frameworkId) {
      return `Offer ${id} has invalid framework ${offer.frameworkId} while framework ${frameworkId} is expected`
    }
    if (first !== undefined && offer.role !== first.role) {
      return `Aggregated offers must be allocated to the same role. Offer ${id} uses role ${offer.role} but another is using role ${first.role}`
    }
    if (first !== undefined && offer.agentId !== first.agentId) {
      return `Aggregated offers must belong to one single agent. Offer ${id} uses agent ${offer.agentId} and agent ${first.agentId}`
    }
  }
  return undefined
}

const tasksOf = ({ type, launch, launch_group: group }: Operation): readonly TaskInfo[] => {
  if (type === 'LAUNCH') return launch?.task_infos ?? []
  return type === 'LAUNCH_GROUP' ? (group?.task_group.tasks ?? []) : []
}

function drop(
  state: ClusterState,
  framework: Framework,
  operations: readonly Operation[],
  why: string,
): void {
  const isAware = hasCapability(framework.record.info, 'PARTITION_AWARE')
  for (const operation of operations) {
    const isLaunch = operation.type === 'LAUNCH' || operation.type === 'LAUNCH_GROUP'
    if (isLaunch) continue
    refuseOperation(state, framework, operation, `Operation attempted with invalid offers: ${why}`)
  }
  for (const task of operations.flatMap(tasksOf)) {
    refuseTask(state, framework, task, {
      state: isAware ? 'TASK_DROPPED' : 'TASK_LOST',
      reason: 'REASON_INVALID_OFFERS',
      message: `Task launched with invalid offers: ${why}`,
    })
  }
}

function operate(
  state: ClusterState,
  framework: Framework,
  pool: Pool,
  operation: Operation,
): void {
  const { type, id, launch_group: group } = operation
  switch (type) {
    case 'LAUNCH':
      for (const task of operation.launch?.task_infos ?? [])
        launchOne(state, framework, pool, task, id !== undefined)
      return
    case 'LAUNCH_GROUP':
      if (group !== undefined) launchGroup(state, framework, pool, group, id !== undefined)
      return
    default:
      // Reservations and volumes are known by name only: their resources go back with the rest.
      refuseOperation(state, framework, operation, operationUnsupported(type))
  }
}

/** DECLINE. */
export function decline(
  state: ClusterState,
  framework: Framework,
  call: NonNullable<SchedulerCall['decline']>,
): void {
  const { frameworkId } = framework.record
  for (const { value: offerId } of call.offer_ids) {
    const offer = state.offers.get(offerId)
    if (offer?.frameworkId !== frameworkId) continue
    state.offers.close(offerId)
    const { agentId, role, bag: left } = offer
    state.outbox.emit({ type: 'offer.declined', offerId, frameworkId, agentId })
    refuseRest(state, frameworkId, { agentId, role, left }, call.filters)
  }
  state.mayAllocate = true
}

/** Takes back offers that nobody answered. Others get a chance at them, as if they had been declined. */
export function expireOffers(state: ClusterState): void {
  const latest = state.ticks - state.limits.offerTimeoutTicks
  const isOld = ({ madeAtTick }: OpenOffer): boolean => madeAtTick <= latest
  if (!Iterator.from(state.offers.all()).some(isOld)) return
  for (const offer of state.closeOffers(isOld, { rescind: true })) {
    const { frameworkId, agentId, role, bag: left } = offer
    refuseRest(state, frameworkId, { agentId, role, left }, undefined)
  }
}

/** What a framework did not take of an offer is not offered to it again for a while. */
export function refuseRest(
  state: ClusterState,
  frameworkId: string,
  { agentId, role, left }: Pool,
  filters: Filters | undefined,
): void {
  const ticks = refuseTicks(filters)
  if (ticks === 0 || isEmpty(left)) return
  const untilTick = state.ticks + ticks
  state.allocator.refuse(frameworkId, { role, agentId, refused: left, untilTick })
}
