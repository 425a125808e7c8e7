import { z } from 'zod'

/*
 * What shall be kept running, in words of no face: how many, of which task, placed where, restarted when,
 * and changed how. Times are milliseconds.
 */

const durationMs = z.int().min(0).max(31_536_000_000)
const labelText = z.string().max(4096)

export const Labels = z.record(z.string().min(1).max(255), labelText)
export type Labels = Readonly<z.infer<typeof Labels>>

const instances = z.int().min(0).max(10_000)

/**
 * `global`: one on each node that may have it, as nodes come and go. A job is what shall end well, and is not run
 * again then: as many times as it says, or once on each node.
 */
const Mode = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('replicated'), replicas: instances.default(1) }),
  z.strictObject({ kind: z.literal('global') }),
  z.strictObject({
    kind: z.literal('replicated-job'),
    completions: instances.default(1),
    /** So many run at once. */
    maxConcurrent: instances.default(1),
  }),
  z.strictObject({ kind: z.literal('global-job') }),
])
export type Mode = Readonly<z.infer<typeof Mode>>

/** What shall end well, and not run on. */
export const isJob = ({ mode: { kind } }: Pick<WorkloadSpec, 'mode'>): boolean =>
  kind === 'replicated-job' || kind === 'global-job'

/** Its slots are nodes. */
export const isPerNode = ({ mode: { kind } }: Pick<WorkloadSpec, 'mode'>): boolean =>
  kind === 'global' || kind === 'global-job'

const RestartPolicy = z.strictObject({
  /** `on-failure`: not after it ended with status 0. Of jobs, `any` means the same. */
  condition: z.enum(['none', 'on-failure', 'any']).default('any'),
  delayMs: durationMs.default(1000),
  /** Each failure in a row waits so many times longer than the one before, up to `delayMaxMs`. 1: always the same. */
  backoffFactor: z.number().min(1).max(10).default(2),
  delayMaxMs: durationMs.default(60_000),
  /** Who ran so long is not counted as one more failure in a row. */
  resetAfterMs: durationMs.default(10_000),
  /** How many restarts of one instance there may be within `windowMs`. 0: any number. */
  maxAttempts: z.int().min(0).max(1000).default(0),
  /** 0: in its whole life under one template. */
  windowMs: durationMs.default(0),
})
export type RestartPolicy = Readonly<z.infer<typeof RestartPolicy>>

/** How an update, or the way back from one, goes on; not looked at for jobs. Defaults are Docker's. */
const ChangePolicy = z.strictObject({
  /** How many instances are replaced at once. 0: all. */
  parallelism: z.int().min(0).max(10_000).default(1),
  /** Between the end of one replacement and the beginning of the next in its place. */
  delayMs: durationMs.default(0),
  order: z.enum(['stop-first', 'start-first']).default('stop-first'),
  failureAction: z.enum(['pause', 'continue', 'rollback']).default('pause'),
  /** An instance that ends within this time after its start has failed the update. */
  monitorMs: durationMs.default(5000),
  /** More failures than this part of all instances, and `failureAction` is taken. */
  maxFailureRatio: z.number().min(0).max(1).default(0),
})
export type ChangePolicy = Readonly<z.infer<typeof ChangePolicy>>

const Placement = z.strictObject({
  /** Such as `node.hostname == agent-1` or `node.labels.zone != a`; all must hold. */
  constraints: z.array(z.string().min(1).max(1024)).max(64).readonly().default([]),
  /** Spread evenly over the values of these, the first first: such as `node.labels.zone`. */
  spread: z.array(z.string().min(1).max(255)).max(8).readonly().default([]),
  /** 0: any number on one node. */
  maxPerNode: z.int().min(0).max(10_000).default(0),
})
export type Placement = Readonly<z.infer<typeof Placement>>

/** What another system wrote, kept for it as it came: what its clients read back. */
const Origin = z.strictObject({
  face: z.string().min(1).max(32),
  document: z.json(),
})
export type Origin = Readonly<z.infer<typeof Origin>>

export const WorkloadSpec = z.strictObject({
  name: z.string().min(1).max(255),
  labels: Labels.default({}),
  /** TaskInfo-like JSON (mesos.md §2) without ids: command, container, resources, labels, kill_policy. */
  template: z.record(z.string(), z.json()),
  mode: Mode.default({ kind: 'replicated', replicas: 1 }),
  restart: RestartPolicy.prefault({}),
  update: ChangePolicy.prefault({}),
  rollback: ChangePolicy.prefault({}),
  placement: Placement.prefault({}),
  /** An instance with a health check runs only once it was healthy: until then it is starting, and updates wait. */
  waitsForHealth: z.boolean().default(false),
  /** How many ended tasks of each instance are remembered. */
  historyLimit: z.int().min(0).max(100).default(5),
  /** Another number than before replaces all instances, whatever else is the same. */
  forceUpdate: z.int().min(0).default(0),
  origin: Origin.optional(),
})
export type WorkloadSpec = Readonly<z.infer<typeof WorkloadSpec>>
/** A spec as it is written, with whatever has a default left out. */
export type WorkloadSpecInput = Readonly<z.input<typeof WorkloadSpec>>
