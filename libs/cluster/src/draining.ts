import type { MasterCall } from '@conclave/model'
import { markGone } from './agents.ts'
import type { PlainAnswer } from './effect.ts'
import { graceOf, requestKill } from './kills.ts'
import { putAgent, type AgentRecord } from './records.ts'
import type { Agent, ClusterState } from './state.ts'
import { isHolding, type Task } from './tasks.ts'

/*
 * Agents that an operator wants to be left alone: one that is deactivated is offered to nobody; one that
 * is drained is, too, and its tasks are ended. Either lasts over changes of leader and returns of the
 * agent, until it is reactivated.
 */

const done: PlainAnswer = { status: 200, body: '' }

const unknown = (agentId: string): PlainAnswer => ({
  status: 404,
  body: `Agent '${agentId.slice(0, 255)}' not found`,
})

/** DRAIN_AGENT. Its tasks have their own grace, but no more than the call says. */
export function drainAgent(
  state: ClusterState,
  call: NonNullable<MasterCall['drain_agent']>,
): PlainAnswer {
  const agent = state.agents.get(call.agent_id.value)
  if (agent === undefined) return unknown(call.agent_id.value)
  const nanoseconds = call.max_grace_period?.nanoseconds
  if (nanoseconds !== undefined && !(nanoseconds >= 0)) {
    return { status: 400, body: "'drain_agent.max_grace_period' must not be negative" }
  }
  const longestMs = Math.min((nanoseconds ?? Infinity) / 1e6, Number.MAX_SAFE_INTEGER)
  const drain = {
    markGone: call.mark_gone === true,
    ...(nanoseconds !== undefined && { maxGraceMs: Math.round(longestMs) }),
    startedAtMs: agent.record.drain?.startedAtMs ?? state.nowMs,
    isDrained: false,
  }
  keep(state, agent, { ...agent.record, isDeactivated: true, drain })
  for (const task of state.tasks.on(agent.record.agentId)) {
    if (!isHolding(task.record)) continue
    requestKill(state, task, Math.min(graceOf(state, task.record), Math.round(longestMs)))
  }
  finishDrain(state, agent)
  return done
}

export function deactivateAgent(state: ClusterState, agentId: string): PlainAnswer {
  const agent = state.agents.get(agentId)
  if (agent === undefined) return unknown(agentId)
  keep(state, agent, { ...agent.record, isDeactivated: true })
  return done
}

export function reactivateAgent(state: ClusterState, agentId: string): PlainAnswer {
  const agent = state.agents.get(agentId)
  if (agent === undefined) return unknown(agentId)
  if (agent.record.drain?.isDrained === false) {
    const body = `Agent '${agentId}' is still in the DRAINING state and cannot be reactivated`
    return { status: 400, body }
  }
  const { isDeactivated: _was, drain: _over, ...record } = agent.record
  keep(state, agent, record)
  return done
}

/** Drains end when nothing of any task is left there, and all that is to be said of them is acknowledged. */
export function finishDrains(state: ClusterState): void {
  for (const agent of state.agents.values()) finishDrain(state, agent)
}

/** Nothing of it is there, and all of it is known. */
const isOver = ({ record }: Task): boolean => !isHolding(record) && record.pending.length === 0

function finishDrain(state: ClusterState, agent: Agent): void {
  const { drain, agentId } = agent.record
  if (drain === undefined || drain.isDrained) return
  if (!state.tasks.on(agentId).every(isOver)) return
  keep(state, agent, { ...agent.record, drain: { ...drain, isDrained: true } })
  if (drain.markGone) markGone(state, agent)
}

function keep(state: ClusterState, agent: Agent, record: AgentRecord): void {
  agent.record = record
  state.outbox.commit([putAgent(record)])
  if (record.isDeactivated !== true) state.mayAllocate = true
  else state.closeOffers(({ agentId }) => agentId === record.agentId, { rescind: true })
}
