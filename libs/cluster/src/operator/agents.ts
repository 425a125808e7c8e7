import type { AgentState, DrainInfo, GetAgents } from '@conclave/model'
import type { AgentRecord } from '../records.ts'
import type { Agent, ClusterState } from '../state.ts'
import { mesosVersion, shownResources, timeOf, timeOrNone } from './shown.ts'
import type { Viewer } from './viewer.ts'

export function getAgents(state: ClusterState, { isOperator }: Viewer): GetAgents {
  const all = isOperator ? [...state.agents.values()] : []
  return {
    agents: all
      .filter((agent) => agent.record.state !== 'unreachable' && !isRecovered(agent))
      .map((agent) => agentMessage(state, agent)),
    recovered_agents: all.filter(isRecovered).map(({ record: { info } }) => info),
  }
}

/** Known from before this leader's term, and not back yet. */
export const isRecovered = ({ record, connection }: Agent): boolean =>
  record.state === 'active' && connection === undefined

export function agentMessage(
  state: ClusterState,
  { record, connection, total }: Agent,
): AgentState {
  const { agentId, info } = record
  return {
    agent_info: info,
    active: connection !== undefined,
    deactivated: record.isDeactivated === true,
    version: mesosVersion,
    pid: agentPid(info),
    registered_time: timeOf(record.registeredAtMs),
    reregistered_time: timeOrNone(record.reregisteredAtMs),
    total_resources: shownResources(total),
    allocated_resources: shownResources(state.tasks.usedOn(agentId)),
    offered_resources: shownResources(state.offers.offeredOn(agentId)),
    capabilities: [],
    drain_info: drainInfo(record),
    estimated_drain_start_time: timeOrNone(record.drain?.startedAtMs),
  }
}

export const agentPid = (info: {
  readonly hostname: string
  readonly port?: number | undefined
}): string => `slave(1)@${info.hostname}:${info.port ?? 5051}`

function drainInfo({ drain }: AgentRecord): DrainInfo | undefined {
  if (drain === undefined) return undefined
  const { isDrained, markGone: mark_gone, maxGraceMs } = drain
  return {
    state: isDrained ? 'DRAINED' : 'DRAINING',
    config: {
      ...(maxGraceMs !== undefined && { max_grace_period: { nanoseconds: maxGraceMs * 1e6 } }),
      mark_gone,
    },
  }
}
