import { z } from 'zod'

const timeMs = z.int().nonnegative()

/** What a person submits with `conclave run`: a TaskInfo without the agent, which an offer decides. */
export const RunSpec = z.object({
  name: z.string().min(1).max(255),
  /** JSON of a TaskInfo-like spec. Values in it are sealed before it gets here. */
  template: z.json(),
})
export type RunSpec = Readonly<z.infer<typeof RunSpec>>

/** How the task of a run ended. */
export const RunOutcome = z.object({
  /** The terminal Mesos task state, such as `TASK_FINISHED`. */
  state: z.string().max(64),
  reason: z.string().max(255).optional(),
  message: z.string().max(4096).optional(),
  exitCode: z.int().optional(),
  atMs: timeMs,
})
export type RunOutcome = Readonly<z.infer<typeof RunOutcome>>

/** A one-off task, from its submission to its end. */
export const Run = RunSpec.extend({
  id: z.string().min(1).max(255),
  taskId: z.string().min(1).max(255),
  submittedBy: z.string().max(255),
  submittedAtMs: timeMs,
  state: z.enum(['pending', 'launched', 'finished']),
  /** The framework that launched it, once one did. */
  frameworkId: z.string().max(255).optional(),
  /** When somebody asked for its end before it came by itself. */
  killRequestedAtMs: timeMs.optional(),
  outcome: RunOutcome.optional(),
})
export type Run = Readonly<z.infer<typeof Run>>
