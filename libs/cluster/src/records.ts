import { invariant } from '@conclave/kernel'
import {
  AgentInfo,
  decodeRecord,
  encodeRecord,
  FrameworkInfo,
  Grant,
  MachineId,
  MaintenanceWindow,
  schemaOf,
  TaskInfo,
  TaskStatus,
} from '@conclave/model'
import type { TaskState } from '@conclave/model'
import { z } from 'zod'
import type { RecordChange } from './effect.ts'

/*
 * What the cluster keeps in the store, below `cluster/`. Every record is JSON and is written whole, so
 * that any master can list agents, frameworks, tasks and grants with nothing but a reader:
 *
 *   cluster/weights                                    of roles
 *   cluster/maintenance                                which machines will be away, and which are
 *   cluster/counters                                   the numbers that ids are made of
 *   cluster/agents/<agent id>
 *   cluster/frameworks/<framework id>
 *   cluster/tasks/<framework id>/<task id>
 *   cluster/grants/<framework id>/<task id>/<secret path>
 *
 * Ids have no slash in them (`idProblem` of model); a path may, and is therefore the last. A record
 * holds inline secrets as envelopes only, and loses those too when its task has ended.
 */

export const clusterPrefix = 'cluster/'
export const agentsPrefix = 'cluster/agents/'
/** Below which every task lies, by framework. */
export const tasksPrefix = 'cluster/tasks/'

const id = z.string().min(1).max(255)
const timeMs = z.int().nonnegative()

/** The next free number of each kind. Offers are numbered in blocks: see {@link Numbers}. */
export const Counters = z.object({
  agents: z.int().nonnegative(),
  frameworks: z.int().nonnegative(),
  offers: z.int().nonnegative(),
})
export type Counters = Readonly<z.infer<typeof Counters>>

/** `disconnected` agents may come back; `unreachable` ones were given up, and are shut down if they do. */
const AgentState = z.enum(['active', 'disconnected', 'unreachable'])
type AgentState = z.infer<typeof AgentState>

export const AgentRecord = z.object({
  agentId: id,
  /** The name in the certificate that registered it: no other certificate may use this id. */
  certificateName: id,
  info: schemaOf(AgentInfo),
  /** `memory` or `linux`. */
  runtime: z.string().max(32),
  state: AgentState,
  registeredAtMs: timeMs,
  reregisteredAtMs: timeMs.optional(),
  /** When `state` last changed. */
  changedAtMs: timeMs,
  /** An operator wants nothing new to be run there. */
  isDeactivated: z.boolean().optional(),
  /** Nor anything old; afterwards the agent may be gone for good. */
  drain: z
    .object({
      markGone: z.boolean(),
      maxGraceMs: z.int().nonnegative().optional(),
      startedAtMs: timeMs,
      isDrained: z.boolean(),
    })
    .optional(),
})
export type AgentRecord = Readonly<z.infer<typeof AgentRecord>>

const FrameworkState = z.enum(['active', 'disconnected', 'completed'])
type FrameworkState = z.infer<typeof FrameworkState>

export const FrameworkRecord = z.object({
  frameworkId: id,
  /** Who subscribed it. Nobody else may speak for it, and its tasks get no secret that it may not read. */
  uid: id,
  info: schemaOf(FrameworkInfo),
  state: FrameworkState,
  suppressedRoles: z.array(z.string()).readonly(),
  registeredAtMs: timeMs,
  reregisteredAtMs: timeMs.optional(),
  disconnectedAtMs: timeMs.optional(),
  completedAtMs: timeMs.optional(),
})
export type FrameworkRecord = Readonly<z.infer<typeof FrameworkRecord>>

export const TaskRecord = z.object({
  frameworkId: id,
  taskId: id,
  agentId: id,
  containerId: id,
  /** The role that the offer was made to. */
  role: z.string(),
  /** Of a task group: its default executor's id, and a number that its tasks have in common. */
  group: z.object({ id, executorId: id }).optional(),
  info: schemaOf(TaskInfo),
  state: z.custom<TaskState>((state) => typeof state === 'string' && state.startsWith('TASK_')),
  /** The latest status of each state the task went through, oldest first, without its data. */
  statuses: z.array(schemaOf(TaskStatus)).readonly(),
  /** What the framework has not acknowledged yet, oldest first. Only the first may be under way. */
  pending: z.array(schemaOf(TaskStatus)).readonly(),
  /** The uuid of the agent's latest status: the one it may send again. */
  lastUuid: z.string().optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
  exitCode: z.int().optional(),
  /** Set once somebody wanted its end, so that an agent that was away hears of it when it is back. */
  kill: z.object({ requestedAtMs: timeMs, graceMs: z.int().nonnegative() }).optional(),
  /** The latest time that its files were given new contents while it ran (rotate.ts). */
  rotation: z
    .object({ id: z.int().positive(), state: z.enum(['asked', 'done', 'failed']) })
    .optional(),
  submittedAtMs: timeMs,
  updatedAtMs: timeMs,
  endedAtMs: timeMs.optional(),
})
export type TaskRecord = Readonly<z.infer<typeof TaskRecord>>

const countersKey = 'cluster/counters'
export const agentKey = (agentId: string): string => `cluster/agents/${segment(agentId)}`
export const frameworkKey = (frameworkId: string): string =>
  `cluster/frameworks/${segment(frameworkId)}`
export const taskKey = (frameworkId: string, taskId: string): string =>
  `cluster/tasks/${segment(frameworkId)}/${segment(taskId)}`
const grantsPrefix = (frameworkId: string, taskId: string): string =>
  `cluster/grants/${segment(frameworkId)}/${segment(taskId)}/`
export const grantKey = (grant: Pick<Grant, 'frameworkId' | 'taskId' | 'path'>): string =>
  grantsPrefix(grant.frameworkId, grant.taskId) + grant.path

function segment(text: string): string {
  invariant(!text.includes('/'), 'an id that has no slash')
  return text
}

const weightsKey = 'cluster/weights'
export const WeightsRecord = z.object({ weights: z.record(z.string(), z.number().positive()) })
export type WeightsRecord = Readonly<z.infer<typeof WeightsRecord>>

const maintenanceKey = 'cluster/maintenance'
export const MaintenanceRecord = z.object({
  windows: z.array(schemaOf(MaintenanceWindow)).readonly(),
  down: z.array(schemaOf(MachineId)).readonly(),
})
export type MaintenanceRecord = Readonly<z.infer<typeof MaintenanceRecord>>

/** The change that writes a record whole. */
export const putWeights = (weights: WeightsRecord): RecordChange => ({
  key: weightsKey,
  value: encodeRecord(weights),
})
export const putMaintenance = (maintenance: MaintenanceRecord): RecordChange => ({
  key: maintenanceKey,
  value: encodeRecord(maintenance),
})
export const putCounters = (counters: Counters): RecordChange => ({
  key: countersKey,
  value: encodeRecord(counters),
})
export const putAgent = (agent: AgentRecord): RecordChange => ({
  key: agentKey(agent.agentId),
  value: encodeRecord(agent),
})
export const putFramework = (framework: FrameworkRecord): RecordChange => ({
  key: frameworkKey(framework.frameworkId),
  value: encodeRecord(framework),
})
export const putTask = (task: TaskRecord): RecordChange => ({
  key: taskKey(task.frameworkId, task.taskId),
  value: encodeRecord(task),
})
export const putGrant = (grant: Grant): RecordChange => ({
  key: grantKey(grant),
  value: encodeRecord(grant),
})

/** Each reads what one of the `put…` functions wrote. @throws RecordUnreadable */
export const readCounters = (value: Uint8Array): Counters =>
  decodeRecord(Counters, countersKey, value)
export const readWeights = (value: Uint8Array): WeightsRecord =>
  decodeRecord(WeightsRecord, weightsKey, value)
export const readMaintenance = (value: Uint8Array): MaintenanceRecord =>
  decodeRecord(MaintenanceRecord, maintenanceKey, value)
export const readAgent = (key: string, value: Uint8Array): AgentRecord =>
  decodeRecord(AgentRecord, key, value)
export const readFramework = (key: string, value: Uint8Array): FrameworkRecord =>
  decodeRecord(FrameworkRecord, key, value)
export const readTask = (key: string, value: Uint8Array): TaskRecord =>
  decodeRecord(TaskRecord, key, value)
export const readGrant = (key: string, value: Uint8Array): Grant => decodeRecord(Grant, key, value)

export interface StoredRecord {
  readonly key: string
  readonly value: Uint8Array
}

/** What these views need of the store, at one revision. */
export interface RecordReader {
  get(key: string): { readonly value: Uint8Array } | undefined
  /** Every record whose key begins with `prefix`, in the order of keys. */
  list(prefix: string): Iterable<StoredRecord>
}

const listOf =
  <T>(read: (key: string, value: Uint8Array) => T) =>
  (reader: RecordReader, prefix: string): readonly T[] =>
    Array.from(reader.list(prefix), ({ key, value }) => read(key, value))

/** All agents that were not removed. Sorted by key, not by age. */
export const agentsIn = (reader: RecordReader): readonly AgentRecord[] =>
  listOf(readAgent)(reader, agentsPrefix)

export const frameworksIn = (reader: RecordReader): readonly FrameworkRecord[] =>
  listOf(readFramework)(reader, 'cluster/frameworks/')

/** All tasks that are known, ended ones among them; of one framework, when it is named. */
export const tasksIn = (reader: RecordReader, frameworkId?: string): readonly TaskRecord[] =>
  listOf(readTask)(
    reader,
    frameworkId === undefined ? tasksPrefix : `${tasksPrefix}${segment(frameworkId)}/`,
  )

export function taskIn(
  reader: RecordReader,
  frameworkId: string,
  taskId: string,
): TaskRecord | undefined {
  const key = taskKey(frameworkId, taskId)
  const found = reader.get(key)
  return found === undefined ? undefined : readTask(key, found.value)
}

/** Every grant of a task, revoked ones among them. */
export const grantsIn = (
  reader: RecordReader,
  frameworkId: string,
  taskId: string,
): readonly Grant[] => listOf(readGrant)(reader, grantsPrefix(frameworkId, taskId))

export const allGrantsIn = (reader: RecordReader): readonly Grant[] =>
  listOf(readGrant)(reader, 'cluster/grants/')
