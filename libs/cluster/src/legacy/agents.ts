import { Attribute, type JsonObject } from '@conclave/model'
import { agentPid } from '../operator/agents.ts'
import { mesosVersion } from '../operator/shown.ts'
import type { Agent, ClusterState } from '../state.ts'
import { resourcesObject } from './resources.ts'
import { present, seconds, type Show } from './show.ts'
import { emptyBag } from '../resources.ts'

/** An agent in the words of old. Source: mesos.md §9. */
export function agentObject(
  state: ClusterState,
  show: Show,
  { record, connection, total }: Agent,
): JsonObject {
  const { agentId, info } = record
  const isActive = connection !== undefined
  return present({
    id: agentId,
    hostname: info.hostname,
    port: info.port ?? 5051,
    attributes: Object.fromEntries(
      info.attributes.map((attribute) => [
        attribute.name,
        attribute.text?.value ?? attribute.scalar?.value ?? show(Attribute, attribute),
      ]),
    ),
    pid: agentPid(info),
    registered_time: seconds(record.registeredAtMs),
    reregistered_time:
      record.reregisteredAtMs === undefined ? undefined : seconds(record.reregisteredAtMs),
    resources: resourcesObject(total),
    used_resources: resourcesObject(state.tasks.usedOn(agentId)),
    offered_resources: resourcesObject(state.offers.offeredOn(agentId)),
    reserved_resources: {},
    unreserved_resources: resourcesObject(total),
    active: isActive,
    deactivated: record.isDeactivated === true,
    version: mesosVersion,
    capabilities: [],
  })
}

export const recoveredAgentObject = ({ record: { agentId, info } }: Agent): JsonObject => ({
  id: agentId,
  hostname: info.hostname,
  port: info.port ?? 5051,
  resources: resourcesObject(emptyBag),
})
