import { z } from 'zod'

const id = z.string().min(1).max(255)
const timeMs = z.int().nonnegative()

/**
 * What shall become of a task. `ready`: it waits for its turn, for the one before it in its slot to end or for a
 * delay. `remove`: it is forgotten once it has ended.
 */
export const DesiredState = z.enum(['ready', 'running', 'shutdown', 'remove'])
export type DesiredState = z.infer<typeof DesiredState>

/**
 * Where it is. `pending`: no node yet. `assigned`: a node, and an offer of it is waited for. `staging`: its agent
 * has it. `rejected`: it never started, since the cluster or the container would not have it. `lost`: nobody
 * knows what became of it. The last five are final.
 */
export const InstanceState = z.enum([
  'pending',
  'assigned',
  'staging',
  'starting',
  'running',
  'finished',
  'failed',
  'killed',
  'rejected',
  'lost',
])
export type InstanceState = z.infer<typeof InstanceState>

const finalStates: ReadonlySet<InstanceState> = new Set([
  'finished',
  'failed',
  'killed',
  'rejected',
  'lost',
])

export const isFinal = (state: InstanceState): boolean => finalStates.has(state)

/** One attempt at one instance of a workload. */
export const WorkloadTask = z.object({
  id,
  /** The cluster's task that it becomes: `<name>.<slot>.<id>`. */
  taskId: id,
  workloadId: id,
  /** `1`, `2`, … of replicated workloads; `0`, `1`, … of replicated jobs; the node's name of what is on each node. */
  slot: id,
  /** The how-many-th of its slot, as far as is remembered. */
  attempt: z.int().positive(),
  templateVersion: z.int().positive(),
  /** Of a job: which of its runs it is of. */
  jobIteration: z.int().nonnegative().optional(),
  desired: DesiredState,
  state: InstanceState,
  /** The node that it was placed on, once it was. */
  nodeName: id.optional(),
  agentId: id.optional(),
  frameworkId: id.optional(),
  containerId: id.optional(),
  /** What the agent or the master says of it: Mesos' state, reason and words. */
  taskState: z.string().max(64).optional(),
  reason: z.string().max(255).optional(),
  message: z.string().max(4096).optional(),
  exitCode: z.int().optional(),
  healthy: z.boolean().optional(),
  createdAtMs: timeMs,
  /** When `state` last changed. */
  stateAtMs: timeMs,
  assignedAtMs: timeMs.optional(),
  /** When it was first seen running. */
  startedAtMs: timeMs.optional(),
  endedAtMs: timeMs.optional(),
  /** It shall not run before this. */
  notBeforeMs: timeMs.optional(),
  /** How many tasks before it in its slot have failed in a row. */
  failuresInRow: z.int().nonnegative(),
  /** When tasks of its slot were restarted, as far as the policy counts them. */
  restartsAtMs: z.array(timeMs).readonly(),
  /** When its slot was first settled under this template: an update goes on from there. */
  settledAtMs: timeMs.optional(),
  /** It ended by itself, and that was counted as a failure of the update. */
  isCounted: z.boolean().optional(),
})
export type WorkloadTask = Readonly<z.infer<typeof WorkloadTask>>

/** It runs or may still come to run. */
export const isLive = ({ desired, state }: WorkloadTask): boolean =>
  (desired === 'running' || desired === 'ready') && !isFinal(state)

/** A task says what it is of, and a person sees it. */
export const taskIdOf = (name: string, slot: string, ending: string): string =>
  `${safe(name, 120)}.${safe(slot, 80)}.${ending}`

/** The workload's task that a cluster's task may be. */
export const idInTaskId = (taskId: string): string => taskId.slice(taskId.lastIndexOf('.') + 1)

const safe = (text: string, lengthMax: number): string =>
  text
    .replaceAll(/[^\w-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, lengthMax) || 'task'
