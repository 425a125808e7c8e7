import { z } from 'zod'
import { schemaOf } from './mesos/message.ts'
import {
  executorMessagesFromAgent,
  executorMessagesToAgent,
  RunningExecutor,
} from './executor-protocol.ts'
import { ContainerInfo } from './mesos/container.ts'
import { AgentInfo, FrameworkInfo } from './mesos/participants.ts'
import { Secret } from './mesos/secret.ts'
import { TaskInfo } from './mesos/task-info.ts'
import { TaskStatus } from './mesos/task-status.ts'

/*
 * What agents and the leading master say to each other, over one mutually authenticated connection
 * that keeps order. Who the agent is stands in its certificate, never in a message. Values travel in
 * boxes to a key pair that the agent draws for one container and forgets after one answer.
 */

const id = z.string().min(1).max(255)
const requestId = z.string().min(1).max(64)
const task = { frameworkId: id, taskId: id }
/** Up to 64 KiB of a stream at a time. */
const chunk = z.base64().max(90_000)

const Registered = z.object({
  type: z.literal('register'),
  /** The id of an earlier registration, kept in the agent's directory. */
  agentId: id.optional(),
  /** Without an id: the master gives it. */
  info: schemaOf(AgentInfo),
  /** How containers are run: `memory` or `linux`. */
  runtime: z.string().max(32),
  /** All that this agent still runs: what a master knows beyond it is lost, what it does not know is killed. */
  tasks: z.array(z.object({ ...task, containerId: id })).readonly(),
  /** They hold their resources until they end, whether or not a task of theirs still runs. */
  executors: z.array(RunningExecutor).readonly().optional(),
})

/** The label of a terminal status that holds the exit code: Mesos has no field for it. */
export const exitCodeLabel = 'conclave.exit-code'

/** One status; sent again, with the same uuid, until it is acknowledged. One at a time for each task. */
const StatusUpdate = z.object({
  type: z.literal('status-update'),
  frameworkId: id,
  status: schemaOf(TaskStatus),
})

/** Asks for every secret of one container at once: all of them or none will be delivered. */
const ResolveRequest = z.object({
  type: z.literal('resolve'),
  requestId,
  ...task,
  containerId: id,
  /** base64 of a one-time X25519 key, 32 bytes, drawn for this container. */
  publicKey: z.base64().length(44),
  secrets: z
    .array(
      z.object({
        secret: schemaOf(Secret),
        /** What for, in events: `env DB_PASSWORD` or `volume keys/keystore`. */
        purpose: z.string().max(4200),
      }),
    )
    // Every one of them may be a megabyte of the master's memory and of its answer.
    .max(16)
    .readonly(),
})

const AgentEvents = z.object({
  type: z.literal('events'),
  /** Each is checked with {@link AgentEvent} before it enters the master's stream. */
  events: z.array(z.unknown()).readonly(),
})

const SessionOutput = z.object({
  type: z.literal('session-output'),
  sessionId: requestId,
  stream: z.enum(['stdout', 'stderr']),
  data: chunk,
  /** When it was written, of logs: to the millisecond for the first byte of it. */
  atMs: z.int().optional(),
})

/** The program has read so many bytes more of its input: so many more may be sent. */
const SessionTaken = z.object({
  type: z.literal('session-taken'),
  sessionId: requestId,
  sizeBytes: z.int().nonnegative(),
})

const SessionEnd = z.object({
  type: z.literal('session-end'),
  sessionId: requestId,
  /**
   * Of an exec; of logs, the task's own exit code once it is known. With an `error`: the program of an exec
   * was never started, 126 or 127 as shells have it.
   */
  exitCode: z.int().optional(),
  error: z.string().max(1024).optional(),
})

/** How a `rotate-files` went. With a failure the container has what it had, or part of what is new. */
const FilesRotated = z.object({
  type: z.literal('files-rotated'),
  ...task,
  rotation: z.int().positive(),
  failure: z.string().max(2048).optional(),
})

/** What an agent says. */
export const FromAgent = z.discriminatedUnion('type', [
  Registered,
  StatusUpdate,
  ResolveRequest,
  AgentEvents,
  FilesRotated,
  SessionOutput,
  SessionTaken,
  SessionEnd,
  ...executorMessagesFromAgent,
])
export type FromAgent = z.infer<typeof FromAgent>

/** The answer to one secret of a {@link ResolveRequest}, in the order they were asked for. */
export const Resolution = z.discriminatedUnion('outcome', [
  z.object({
    outcome: z.literal('value'),
    /** The path and version that the box's context names (`boxContext` of crypto). */
    path: z.string(),
    version: z.int().nonnegative(),
    sizeBytes: z.int().nonnegative(),
    /** base64 of the box. */
    box: z.base64(),
  }),
  z.object({
    outcome: z.enum(['denied', 'not-found', 'invalid', 'unavailable']),
    why: z.string().max(2048),
  }),
])
export type Resolution = z.infer<typeof Resolution>

const sessionId = { sessionId: requestId }

const screen = z.int().nonnegative().max(65_535)
/** How many characters a terminal shows. */
export const TerminalSize = z.object({ rows: screen, columns: screen })
export type TerminalSize = Readonly<z.infer<typeof TerminalSize>>

/** Files of a container in or out, in the place of a program: what `docker cp` asks for. */
export const ArchiveWanted = z.object({
  /** Tells of `path`; and what is there as an archive; or lays an archive down in the directory that it is. */
  do: z.enum(['stat', 'pack', 'unpack']),
  path: z.string().max(4096),
  /** No directory takes the place of something else, nor the other way round. */
  keepsKinds: z.boolean().optional(),
  /** What is laid down belongs to the container's user, rather than to whom the archive says. */
  isForUser: z.boolean().optional(),
})
export type ArchiveWanted = Readonly<z.infer<typeof ArchiveWanted>>

/** How a program is run beside a container's own. */
const ExecHow = {
  argv: z.array(z.string()).min(1).readonly(),
  /** Beside the container's. */
  env: z.record(z.string(), z.string()),
  /** `name`, `uid`, `name:group` or `uid:gid`, as the container's own files know them. Default: the container's. */
  user: z.string().max(255).optional(),
  /** Absolute. Default: the container's. */
  workdir: z.string().max(4096).optional(),
  /** Its input and output are one terminal. */
  terminal: TerminalSize.optional(),
  /** A program that cannot be started is an `error` of the session, rather than output of a shell. */
  mustStart: z.boolean().optional(),
  /** Instead of `argv`, which a build without it cannot start. */
  archive: ArchiveWanted.optional(),
}

/** What a master says. */
export const ToAgent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('registered'), agentId: id, heartbeatSeconds: z.number() }),
  z.object({
    type: z.literal('not-leader'),
    leader: z.object({ host: z.string(), port: z.int() }).optional(),
  }),
  /**
   * How the authority is now, by fingerprints: of the root that issues, and of all that count. An agent
   * that is behind asks at the `join` port.
   */
  z.object({ type: z.literal('authority'), issuer: z.string().max(80), trust: z.string().max(80) }),
  /** Who the masters are, and where each listens, by the face's name: whoever knew only the first ones finds these. */
  z.object({
    type: z.literal('masters'),
    masters: z
      .array(
        z.object({
          masterId: z.string().max(255),
          nodeId: z.int().positive(),
          listeners: z.record(
            z.string().max(32),
            z.object({ host: z.string().max(255), port: z.int().min(0).max(65_535) }),
          ),
        }),
      )
      .max(64)
      .readonly(),
  }),
  /** This agent id is over (removed, or gone too long): end every container, register anew. */
  z.object({ type: z.literal('shutdown'), why: z.string() }),
  /** Inline values in `task` are sealed: they, too, have to be resolved. */
  z.object({
    type: z.literal('launch'),
    frameworkId: id,
    /** What an executor of the framework's own is told of it. */
    framework: schemaOf(FrameworkInfo).optional(),
    containerId: id,
    task: schemaOf(TaskInfo),
  }),
  z.object({
    type: z.literal('kill'),
    ...task,
    /** How long SIGTERM is given before SIGKILL. */
    graceMs: z.int().nonnegative(),
    /** Whether the framework wants to hear of TASK_KILLING. */
    tellKilling: z.boolean(),
  }),
  /** Asks for the secrets of these volumes anew, and gives their files what they are now, without a restart. */
  z.object({
    type: z.literal('rotate-files'),
    ...task,
    containerId: id,
    rotation: z.int().positive(),
    container: schemaOf(ContainerInfo),
  }),
  z.object({ type: z.literal('status-acknowledged'), ...task, uuid: z.base64() }),
  z.object({
    type: z.literal('resolved'),
    requestId,
    resolutions: z.array(Resolution).readonly(),
  }),
  z.object({
    type: z.literal('open-logs'),
    ...sessionId,
    ...task,
    follow: z.boolean(),
    /** So many of the last lines, of those that are there. Default: all. */
    tail: z.int().nonnegative().optional(),
    /** Nothing that was written before. */
    sinceMs: z.int().nonnegative().optional(),
    /** Input of the session is for the container's own program, if that was given any. */
    isAttached: z.boolean().optional(),
  }),
  z.object({
    type: z.literal('open-exec'),
    ...sessionId,
    ...task,
    ...ExecHow,
  }),
  /**
   * To the container's own program; without a signal, what asks it to end. Nothing happens when it does not run.
   */
  z.object({ type: z.literal('signal-task'), ...task, signal: z.string().max(16).optional() }),
  /** The terminal of the container's own program, if it has one. */
  z.object({ type: z.literal('resize-task'), ...task, ...TerminalSize.shape }),
  /** What a task's container has used until now: a session whose output is one `TaskUsage` in JSON. */
  z.object({ type: z.literal('open-usage'), ...sessionId, ...task }),
  z.object({ type: z.literal('session-input'), ...sessionId, data: chunk }),
  z.object({ type: z.literal('session-input-end'), ...sessionId }),
  z.object({ type: z.literal('session-signal'), ...sessionId, signal: z.string().max(16) }),
  z.object({ type: z.literal('session-resize'), ...sessionId, ...TerminalSize.shape }),
  /** No more output until `session-go`: its reader is slow. What an exec writes meanwhile waits. */
  z.object({ type: z.literal('session-hold'), ...sessionId }),
  z.object({ type: z.literal('session-go'), ...sessionId }),
  z.object({ type: z.literal('session-close'), ...sessionId }),
  ...executorMessagesToAgent,
])
export type ToAgent = z.infer<typeof ToAgent>
