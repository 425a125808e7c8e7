import { z } from 'zod'
import { schemaOf } from './mesos/message.ts'
import { FrameworkInfo } from './mesos/participants.ts'
import { ExecutorInfo, TaskInfo } from './mesos/task-info.ts'

/*
 * What masters and agents say to each other of executors, and of who calls at an agent's own listener.
 * Part of the protocol in `agent-protocol.ts`.
 */

const id = z.string().min(1).max(255)
const requestId = z.string().min(1).max(64)
const executor = { frameworkId: id, executorId: id }
/** An executor of a framework's own that has a container, or is about to. Its tasks may have ended. */
export const RunningExecutor = z.object({
  ...executor,
  containerId: id,
  info: schemaOf(ExecutorInfo),
})
export type RunningExecutor = z.infer<typeof RunningExecutor>

/** base64 of what a framework and its executor say to each other: bytes that only they understand. */
const data = z.base64().max(1_400_000)

/** Tasks that live and die together, under one executor: a new one, or one that runs already. */
const LaunchGroup = z.object({
  type: z.literal('launch-group'),
  frameworkId: id,
  /** What the executor is told of its framework. */
  framework: schemaOf(FrameworkInfo).optional(),
  executor: schemaOf(ExecutorInfo),
  tasks: z
    .array(z.object({ containerId: id, task: schemaOf(TaskInfo) }))
    .min(1)
    .readonly(),
})

/** The answer to a question of an agent: who calls at its listener, and may they operate it. */
const CallerKnown = z.discriminatedUnion('outcome', [
  z.object({
    type: z.literal('caller-known'),
    requestId,
    outcome: z.literal('known'),
    uid: z.string().max(255),
    /** Whether they hold the operator's right in full (`operatorResource`). */
    isOperator: z.boolean(),
  }),
  z.object({
    type: z.literal('caller-known'),
    requestId,
    outcome: z.enum(['unknown', 'unavailable']),
  }),
  z.object({
    type: z.literal('caller-known'),
    requestId,
    outcome: z.literal('throttled'),
    retryAfterSeconds: z.number().nonnegative(),
  }),
])
export type CallerKnown = z.infer<typeof CallerKnown>

/** What a master says. */
export const executorMessagesToAgent = [
  LaunchGroup,
  z.object({ type: z.literal('executor-message'), ...executor, data }),
  /** The framework wants the executor's end, and with it that of its tasks. */
  z.object({ type: z.literal('shutdown-executor'), ...executor }),
  CallerKnown,
] as const

/** What an agent says. */
export const executorMessagesFromAgent = [
  z.object({ type: z.literal('executor-message'), ...executor, data }),
  /** An executor of a framework's own has a container now, or is about to: it holds its resources. */
  z.object({ type: z.literal('executor-started'), ...executor, containerId: id }),
  /** It has ended, and its container is gone; its framework hears of it as FAILURE. */
  z.object({ type: z.literal('executor-ended'), ...executor, containerId: id, status: z.int() }),
  /** Whose credentials are these, and may they operate this agent? */
  z.object({
    type: z.literal('ask-caller'),
    requestId,
    /** The `Authorization` header as it came. */
    authorization: z.string().max(8192),
    /** The address it came from: guesses are bounded by it. */
    source: z.string().max(64),
    /** What they want to do, for the audit: `LAUNCH_NESTED_CONTAINER`. */
    call: z.string().max(64),
  }),
] as const
