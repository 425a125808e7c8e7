import type { Volume } from '@conclave/model'
import type { WorkloadSpecInput } from '@conclave/workloads'
import { workloadConstraint } from './constraints.ts'
import type { ServiceSpec, TaskTemplate, UpdateConfig } from './service-spec.ts'
import { templateOf } from './template.ts'

/** By this name workloads say that they came as services of Docker's. */
export const originFace = 'docker'

export interface Surroundings {
  /** The service's id: it is among the labels of its tasks. */
  readonly serviceId: string
  /** What its secrets and configs are in the container. */
  readonly volumes: readonly Volume[]
  /** The workloads' name of the node with an id of this face. */
  readonly nodeNameOf: (id: string) => string | undefined
  /** How many ended tasks of each slot are remembered. */
  readonly historyLimit: number
}

/** A stored spec as a workload. All of it is kept beside, for those who read it back. */
export function workloadSpecOf(spec: ServiceSpec, around: Surroundings): WorkloadSpecInput {
  const task = spec.TaskTemplate ?? {}
  const { Placement, ForceUpdate } = task
  const spread = (Placement?.Preferences ?? []).flatMap(({ Spread }) =>
    Spread?.SpreadDescriptor ? [Spread.SpreadDescriptor] : [],
  )
  return {
    name: spec.Name ?? '',
    labels: spec.Labels ?? {},
    template: templateOf(spec, around.serviceId, around.volumes) as WorkloadSpecInput['template'],
    mode: modeOf(spec),
    restart: restartOf(task),
    update: changeOf(spec.UpdateConfig),
    rollback: changeOf(spec.RollbackConfig),
    placement: {
      constraints: (Placement?.Constraints ?? []).map((text) =>
        workloadConstraint(text, around.nodeNameOf),
      ),
      spread,
      maxPerNode: Placement?.MaxReplicas ?? 0,
    },
    waitsForHealth: true,
    historyLimit: around.historyLimit,
    forceUpdate: ForceUpdate ?? 0,
    origin: { face: originFace, document: spec as never },
  }
}

export function modeOf({ Mode }: ServiceSpec): NonNullable<WorkloadSpecInput['mode']> {
  const { Replicated, Global, ReplicatedJob, GlobalJob } = Mode ?? {}
  if (Global) return { kind: 'global' }
  if (GlobalJob) return { kind: 'global-job' }
  if (!ReplicatedJob) return { kind: 'replicated', replicas: Replicated?.Replicas ?? 1 }
  return {
    kind: 'replicated-job',
    maxConcurrent: ReplicatedJob.MaxConcurrent ?? 1,
    completions: ReplicatedJob.TotalCompletions ?? 1,
  }
}

/** SwarmKit waits as long after each failure as after the first. */
function restartOf({ RestartPolicy }: TaskTemplate): WorkloadSpecInput['restart'] {
  const { Condition, Delay, MaxAttempts, Window } = RestartPolicy ?? {}
  return {
    condition: (Condition || 'any') as 'any',
    delayMs: milliseconds(Delay ?? 5_000_000_000),
    backoffFactor: 1,
    maxAttempts: MaxAttempts ?? 0,
    windowMs: milliseconds(Window ?? 0),
  }
}

function changeOf(change: UpdateConfig | null | undefined): WorkloadSpecInput['update'] {
  if (!change) return {}
  const { Parallelism, Delay, FailureAction, Monitor, MaxFailureRatio, Order } = change
  return {
    // In Go, what is left out of a config is 0, and that is all at once.
    parallelism: Parallelism ?? 0,
    delayMs: milliseconds(Delay ?? 0),
    failureAction: (FailureAction || 'pause') as 'pause',
    monitorMs: milliseconds(Monitor || 5_000_000_000),
    maxFailureRatio: MaxFailureRatio ?? 0,
    order: (Order || 'stop-first') as 'stop-first',
  }
}

/** Never less than what was asked for. */
const milliseconds = (ns: number): number => Math.ceil(ns / 1e6)
