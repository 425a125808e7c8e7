import { z } from 'zod'
import { WorkloadSpec } from './spec.ts'
import type { WorkloadTask } from './task.ts'

const id = z.string().min(1).max(255)
const timeMs = z.int().nonnegative()
/** Counts the templates that a workload has had. A task says which one it was made from. */
const templateVersion = z.int().positive()

/**
 * Which run of a job it is, and when it began. Each change of what is wanted begins the next one: what the one
 * before has completed does not count for it.
 */
export const JobRun = z.object({ iteration: z.int().nonnegative(), startedAtMs: timeMs })
export type JobRun = Readonly<z.infer<typeof JobRun>>

const Written = z.object({ spec: WorkloadSpec, templateVersion })

/** What people want. Only they write it, and a rollback that an update's policy asks for. */
export const Workload = Written.extend({
  id,
  /** Whose rights its tasks have: they get no secret that this principal may not read. */
  owner: z.string().max(255),
  /** The highest template version that was given out. */
  templateVersionLast: templateVersion,
  /** What a rollback goes back to. */
  previous: Written.optional(),
  /** Jobs have it, and nobody else. */
  job: JobRun.optional(),
  createdAtMs: timeMs,
  updatedAtMs: timeMs,
  /** Nobody sees it any more; it goes once its last task has ended. */
  removedAtMs: timeMs.optional(),
})
export type Workload = Readonly<z.infer<typeof Workload>>

/** What is no job has one run that does not end. */
export const isOfThisRun = ({ job }: Pick<Workload, 'job'>, task: WorkloadTask): boolean =>
  task.jobIteration === job?.iteration

export const UpdateState = z.enum([
  'updating',
  'paused',
  'completed',
  'rollback-started',
  'rollback-paused',
  'rollback-completed',
])
export type UpdateState = z.infer<typeof UpdateState>

/** How the latest change of the template goes. In words of SwarmKit, which its clients match. */
export const UpdateStatus = z.object({
  state: UpdateState,
  message: z.string().max(1024),
  startedAtMs: timeMs,
  completedAtMs: timeMs.optional(),
  /** How many instances had to be replaced when it began. */
  instances: z.int().nonnegative(),
  /** How many of the new ones ended too soon. */
  failures: z.int().nonnegative(),
})
export type UpdateStatus = Readonly<z.infer<typeof UpdateStatus>>

/** How far it is. Only the leader's reconciler writes it. */
export const WorkloadStatus = z.object({ update: UpdateStatus.optional() })
export type WorkloadStatus = Readonly<z.infer<typeof WorkloadStatus>>
