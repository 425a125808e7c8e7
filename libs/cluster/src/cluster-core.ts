import type { Core } from '@conclave/kernel'
import type { Grant, MasterCall, MasterInfo, SchedulerCall, TaskInfo } from '@conclave/model'
import type { ClusterEffect, ClusterInput, ClusterSurroundings, PlainAnswer } from './effect.ts'
import type { ClusterLimits } from './limits.ts'
import type { AgentRecord, FrameworkRecord, StoredRecord, TaskRecord } from './records.ts'

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

export interface GrantAsk {
  readonly frameworkId: string
  readonly taskId: string
  readonly containerId: string
}

export type OperatorAnswer = PlainAnswer | { readonly status: 200; readonly json: unknown }

/** Who runs what, and why. */
export class ClusterCore implements Core<ClusterInput, ClusterEffect> {
  constructor(_options: ClusterOptions) {}
  step(input: ClusterInput): void {
    throw new Error('on its way')
  }
  takeEffects(): readonly ClusterEffect[] {
    throw new Error('on its way')
  }
  subscribe(uid: string, call: SchedulerCall, streamId: string): PlainAnswer | undefined {
    throw new Error('on its way')
  }
  call(uid: string, call: SchedulerCall, streamId: string | undefined): PlainAnswer {
    throw new Error('on its way')
  }
  operator(uid: string, call: MasterCall): OperatorAnswer {
    throw new Error('on its way')
  }
  /** Ends a task on an operator's wish. False when no such task runs. */
  kill(frameworkId: string, taskId: string, graceMs?: number): boolean {
    throw new Error('on its way')
  }
  grantsFor(connection: number, ask: GrantAsk): GrantAnswer {
    throw new Error('on its way')
  }
  connectionOf(agentId: string): number | undefined {
    throw new Error('on its way')
  }
  agentOf(connection: number): AgentRecord | undefined {
    throw new Error('on its way')
  }
  taskOf(frameworkId: string, taskId: string): TaskRecord | undefined {
    throw new Error('on its way')
  }
  tasks(): Iterable<TaskRecord> {
    throw new Error('on its way')
  }
  agents(): Iterable<AgentRecord> {
    throw new Error('on its way')
  }
  frameworks(): Iterable<FrameworkRecord> {
    throw new Error('on its way')
  }
}
