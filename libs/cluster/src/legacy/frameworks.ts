import { hasCapability, rolesOf, type JsonObject } from '@conclave/model'
import { offersOf } from '../operator/frameworks.ts'
import { isKnown, isUnreachable } from '../operator/tasks.ts'
import { emptyBag, plus } from '../resources.ts'
import type { ClusterState, Framework } from '../state.ts'
import { isCompleted } from '../tasks.ts'
import { resourcesObject } from './resources.ts'
import { present, seconds, type Show } from './show.ts'
import { executorObject, taskObject } from './tasks.ts'

/** What every list of frameworks says of one. */
export function frameworkSummary(state: ClusterState, framework: Framework): JsonObject {
  const { record, streamId } = framework
  const { frameworkId, info } = record
  const used = usedBy(state, frameworkId)
  const offered = offersOf(state, frameworkId).reduce((sum, { bag }) => plus(sum, bag), emptyBag)
  return {
    id: frameworkId,
    name: info.name,
    used_resources: resourcesObject(used),
    offered_resources: resourcesObject(offered),
    capabilities: info.capabilities.map(({ type }) => type ?? 'UNKNOWN'),
    hostname: info.hostname ?? '',
    webui_url: info.webui_url ?? '',
    active: streamId !== undefined,
    connected: streamId !== undefined,
    recovered: record.state === 'active' && streamId === undefined,
  }
}

const usedBy = (state: ClusterState, frameworkId: string) =>
  [...state.tasks.heldBy(frameworkId).values()].reduce(plus, emptyBag)

/** A framework in the words of old, with all of its tasks. Source: mesos.md §9. */
export function frameworkObject(state: ClusterState, show: Show, framework: Framework): JsonObject {
  const { record } = framework
  const { frameworkId, info } = record
  const records = state.tasks.of(frameworkId).map((task) => task.record)
  const shown = (isWanted: typeof isKnown) =>
    records.filter(isWanted).map((one) => taskObject(state, show, one))
  const offers = offersOf(state, frameworkId)
  const total = offers.reduce((sum, { bag }) => plus(sum, bag), usedBy(state, frameworkId))
  return present({
    ...frameworkSummary(state, framework),
    user: info.user,
    failover_timeout: info.failover_timeout ?? 0,
    checkpoint: info.checkpoint ?? false,
    registered_time: seconds(record.registeredAtMs),
    unregistered_time: seconds(record.completedAtMs ?? record.disconnectedAtMs),
    reregistered_time:
      record.reregisteredAtMs === undefined ? undefined : seconds(record.reregisteredAtMs),
    principal: info.principal,
    resources: resourcesObject(total),
    ...(hasCapability(info, 'MULTI_ROLE')
      ? { roles: rolesOf(info) }
      : { role: rolesOf(info)[0] ?? '*' }),
    tasks: shown(isKnown),
    unreachable_tasks: shown(isUnreachable),
    completed_tasks: shown(isCompleted),
    offers: offers.map((offer) => ({
      id: offer.offerId,
      framework_id: frameworkId,
      allocation_info: { role: offer.role },
      slave_id: offer.agentId,
      resources: resourcesObject(offer.bag),
    })),
    executors: Array.from(state.tasks.executors())
      .filter((executor) => executor.frameworkId === frameworkId)
      .map((executor) => executorObject(show, executor)),
    labels: info.labels?.labels.map(({ key, value }) => present({ key, value })),
    offer_constraints: {},
  })
}
