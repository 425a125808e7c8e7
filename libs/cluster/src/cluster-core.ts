import type { Core } from '@conclave/kernel'
import type {
  ContainerInfo,
  Grant,
  JsonObject,
  MasterCall,
  MasterInfo,
  SchedulerCall,
  TaskInfo,
} from '@conclave/model'
import { expireOffers } from './accept.ts'
import { agentStatus, disconnectAgent, expireAgents, markGone, registerAgent } from './agents.ts'
import { answerCall, callRefusal } from './calls.ts'
import type { ClusterEffect, ClusterInput, ClusterSurroundings, PlainAnswer } from './effect.ts'
import { toldOfExecutor } from './executors.ts'
import { disconnectFramework, expireFrameworks, heartbeats, subscribe } from './frameworks.ts'
import { finishDrains } from './draining.ts'
import { makeInverseOffers } from './inverse-offers.ts'
import { graceOf, requestKill } from './kills.ts'
import { defaultClusterLimits, type ClusterLimits } from './limits.ts'
import { legacyObject, type LegacyAsk } from './legacy/legacy.ts'
import { operate, type OperatorAnswer } from './operator/operate.ts'
import type { Viewer } from './operator/viewer.ts'
import { watch, watcherHeartbeats } from './operator/watchers.ts'
import type { AgentRecord, FrameworkRecord, StoredRecord, TaskRecord } from './records.ts'
import { resealTasks } from './reseal.ts'
import { rotateFiles, toldOfRotation } from './rotate.ts'
import { feedStarving } from './starving.ts'
import { ClusterState } from './state.ts'
import { isStanding, retryStatuses } from './statuses.ts'
import { isHolding } from './tasks.ts'

export interface ClusterOptions {
  /** M in the ids `M-0000` (frameworks), `M-S0` (agents) and `M-O0` (offers). */
  readonly clusterId: string
  readonly masterInfo: MasterInfo
  /** Everything below `cluster/` in the store, at the start of the term. */
  readonly records: Iterable<StoredRecord>
  readonly surroundings: ClusterSurroundings
  readonly limits?: Partial<ClusterLimits>
}

/** Whether an agent may have the secrets of one of its tasks now, and of which versions. */
export type GrantAnswer =
  | {
      readonly outcome: 'granted'
      readonly task: TaskInfo
      readonly agentId: string
      readonly grants: readonly Grant[]
    }
  | { readonly outcome: 'denied'; readonly why: string }

const notSubscribe: PlainAnswer = {
  status: 400,
  body: "Failed to validate scheduler::Call: Expecting 'type' to be SUBSCRIBE",
}

const denied = (why: string): GrantAnswer => ({ outcome: 'denied', why })

export interface GrantAsk {
  readonly frameworkId: string
  readonly taskId: string
  readonly containerId: string
}

/**
 * Who runs what, and why: agents, frameworks, offers, tasks and grants, as the leader of one term sees
 * them. Inputs and calls may come in any order; effects come out in the order they must be carried
 * out. Secrets in calls are sealed before they get here.
 */
export class ClusterCore implements Core<ClusterInput, ClusterEffect> {
  readonly #state: ClusterState

  constructor({ limits, ...options }: ClusterOptions) {
    this.#state = new ClusterState({ ...options, limits: { ...defaultClusterLimits, ...limits } })
  }

  step(input: ClusterInput): void {
    const state = this.#state
    switch (input.kind) {
      case 'tick':
        this.#tick()
        break
      case 'agent-message':
        if (input.message.type === 'register') {
          registerAgent(state, input.connection, input.agentName, input.message)
        } else if (input.message.type === 'status-update') {
          agentStatus(state, input.connection, input.message)
        } else if (input.message.type === 'files-rotated') {
          toldOfRotation(state, input.connection, input.message)
        } else {
          toldOfExecutor(state, input.connection, input.message)
        }
        break
      case 'agent-disconnected':
        disconnectAgent(state, input.connection)
        break
      case 'framework-disconnected':
        disconnectFramework(state, input.streamId)
        break
      case 'operator-disconnected':
        state.watchers.delete(input.streamId)
        break
      case 'resealed':
        resealTasks(state, input.envelopes)
        break
    }
    state.allocate()
  }

  takeEffects(): readonly ClusterEffect[] {
    return this.#state.outbox.take()
  }

  /**
   * SUBSCRIBE of an authenticated principal. An answer is a refusal; without one the stream is open,
   * and what comes on it (a refusal, maybe) is among the effects.
   */
  subscribe(uid: string, call: SchedulerCall, streamId: string): PlainAnswer | undefined {
    const refusal = callRefusal(call, uid)
    if (refusal !== undefined) return refusal
    if (call.type !== 'SUBSCRIBE' || call.subscribe === undefined) return notSubscribe
    subscribe(this.#state, uid, { ...call, subscribe: call.subscribe }, streamId)
    this.#state.allocate()
    return undefined
  }

  /** Any other call. */
  call(uid: string, call: SchedulerCall, streamId: string | undefined): PlainAnswer {
    const answer = answerCall(this.#state, uid, call, streamId)
    this.#state.allocate()
    return answer
  }

  /** Whether `uid` may ask at all is decided before. */
  operator(viewer: Viewer, call: MasterCall): OperatorAnswer {
    const answer = operate(this.#state, viewer, call)
    this.#state.allocate()
    return answer
  }

  /** Agents that were removed from the cluster will not come back: their tasks are over. */
  forgetAgents(isRemoved: (certificateName: string) => boolean): void {
    for (const agent of this.#state.agents.values()) {
      if (isRemoved(agent.record.certificateName)) markGone(this.#state, agent)
    }
    this.#state.allocate()
  }

  /** A read endpoint from before the operator API, as JSON. */
  legacy(ask: LegacyAsk): JsonObject {
    return legacyObject(this.#state, ask)
  }

  /** SUBSCRIBE of the operator API: how the state is, and what changes, until the stream is gone. */
  watch(viewer: Viewer, streamId: string): void {
    watch(this.#state, viewer, streamId)
  }

  /** Ends a task on an operator's wish. False when no such task runs. */
  kill(frameworkId: string, taskId: string, graceMs?: number): boolean {
    const task = this.#state.tasks.get(frameworkId, taskId)
    if (task === undefined || !isHolding(task.record)) return false
    requestKill(this.#state, task, graceMs ?? graceOf(this.#state, task.record))
    return true
  }

  /** See {@link rotateFiles}. */
  rotate(frameworkId: string, taskId: string, wanted: ContainerInfo): void {
    rotateFiles(this.#state, frameworkId, taskId, wanted)
  }

  /**
   * **CL3** (S3 of docs/architecture.md) Secrets go to the one agent that a task runs on, for the container it was
   * launched as, while it has not ended and its framework is not removed.
   */
  grantsFor(connection: number, { frameworkId, taskId, containerId }: GrantAsk): GrantAnswer {
    const agentId = this.#state.agentBehind.get(connection)
    if (agentId === undefined) return denied('the agent is not registered')
    const task = this.#state.tasks.get(frameworkId, taskId)
    if (task?.record.agentId !== agentId) return denied('no such task runs on this agent')
    if (task.record.containerId !== containerId) {
      return denied('the task runs in another container')
    }
    if (!isHolding(task.record)) return denied('the task has ended')
    const framework = this.#state.frameworks.get(frameworkId)
    if (framework === undefined || framework.record.state === 'completed') {
      return denied('the framework of the task was removed')
    }
    const grants = task.grants.filter(isStanding)
    return { outcome: 'granted', task: task.record.info, agentId, grants }
  }

  connectionOf(agentId: string): number | undefined {
    return this.#state.agents.get(agentId)?.connection
  }

  /** Who is behind a connection, once it registered. */
  agentOf(connection: number): AgentRecord | undefined {
    const agentId = this.#state.agentBehind.get(connection)
    return agentId === undefined ? undefined : this.#state.agents.get(agentId)?.record
  }

  taskOf(frameworkId: string, taskId: string): TaskRecord | undefined {
    return this.#state.tasks.get(frameworkId, taskId)?.record
  }

  tasks(): readonly TaskRecord[] {
    return Array.from(this.#state.tasks.all(), ({ record }) => record)
  }

  agents(): readonly AgentRecord[] {
    return Array.from(this.#state.agents.values(), ({ record }) => record)
  }

  frameworks(): readonly FrameworkRecord[] {
    return Array.from(this.#state.frameworks.values(), ({ record }) => record)
  }

  #tick(): void {
    const state = this.#state
    state.ticks++
    expireAgents(state)
    expireFrameworks(state)
    expireOffers(state)
    feedStarving(state)
    finishDrains(state)
    makeInverseOffers(state)
    if (state.allocator.expire(state.ticks)) state.mayAllocate = true
    retryStatuses(state)
    heartbeats(state)
    watcherHeartbeats(state)
  }
}
