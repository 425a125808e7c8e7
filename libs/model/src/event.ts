import { z } from 'zod'

/*
 * Everything that can be watched. An event says what its actor knows and never more: ids, paths,
 * versions, sizes and reasons. No field of any event can hold a secret's value, so the page, the
 * audit, the tests and the simulation may all read the same stream (docs/architecture.md).
 */

const id = z.string().max(1024)
const count = z.number().int().nonnegative()
const task = { frameworkId: id, taskId: id }
const container = { ...task, agentId: id, containerId: id }
const secret = { path: id, version: count }
const executor = { frameworkId: id, executorId: id, agentId: id, containerId: id }

/** One line for each type of event: what it is told with. */
export const eventFields = {
  'master.started': z.object({ masterId: id, recoveredEntries: count }),
  'master.stopped': z.object({ masterId: id }),
  'raft.role-changed': z.object({ masterId: id, role: id, term: count, leader: id.optional() }),
  'raft.appended': z.object({ masterId: id, fromIndex: count, toIndex: count, term: count }),
  'raft.committed': z.object({ masterId: id, fromIndex: count, toIndex: count, term: count }),
  'raft.snapshot-taken': z.object({ masterId: id, index: count, sizeBytes: count }),
  'raft.snapshot-refused': z.object({ masterId: id, index: count }),
  'raft.snapshot-installed': z.object({ masterId: id, index: count, sizeBytes: count }),

  'member.added': z.object({ masterId: id, nodeId: count }),
  'member.promoted': z.object({ masterId: id, nodeId: count }),
  'member.demoted': z.object({ masterId: id, nodeId: count }),
  'member.removed': z.object({ masterId: id, nodeId: count }),

  'auth.login': z.object({ uid: id, outcome: z.enum(['allowed', 'refused']) }),
  'auth.refused': z.object({ uid: id.optional(), resource: id, action: id }),

  'secret.sealed': z.object({ ...secret, dekId: count, sizeBytes: count, kind: id }),
  'secret.stored': z.object({ ...secret, revision: count, change: z.enum(['created', 'updated']) }),
  'secret.deleted': z.object({ path: id, revision: count }),
  'secret.read': z.object({ ...secret, uid: id }),
  'secret.requested': z.object({ ...container, path: id, purpose: id.optional() }),
  'secret.released': z.object({ ...container, ...secret }),
  'secret.refused': z.object({ ...container, path: id, outcome: id, why: id }),
  'secret.resolved': z.object({
    ...container,
    path: id,
    version: count.optional(),
    sizeBytes: count.optional(),
  }),
  'secret.placed': z.object({
    ...container,
    path: id,
    where: z.enum(['tmpfs', 'env']),
    at: id,
    mode: id.optional(),
  }),
  'secret.forgotten': z.object({
    ...container,
    files: count.optional(),
    variables: count.optional(),
  }),
  /** An agent that leaks as Mesos does has shown a value there: a path on its disk, or a process. */
  'secret.leaked': z.object({ ...container, where: z.enum(['disk', 'process']), at: id }),
  /** An object that a face keeps for its clients, such as a config of Docker's. */
  'document.changed': z.object({
    kind: id,
    id,
    name: id,
    revision: count,
    change: z.enum(['created', 'updated', 'removed']),
  }),
  'keyring.created': z.object({ dekId: count }),
  'keyring.rotated': z.object({ dekId: count }),
  /** So many sealed records were moved under the newest DEK. */
  'keyring.rewrapped': z.object({ dekId: count, records: count }),
  /** Nothing needed it any more: what it sealed never opens again. */
  'keyring.dropped': z.object({ dekId: count }),
  'journal.key-rotated': z.object({ masterId: id, keyId: count }),
  'journal.key-destroyed': z.object({ masterId: id, keyId: count }),
  'cluster.autolock-changed': z.object({ isOn: z.boolean(), version: count }),
  'cluster.unlock-key-rotated': z.object({ version: count }),
  /** This master's own files are under that KEK, and no other. */
  'master.kek-kept': z.object({ masterId: id, version: count, isAtRest: z.boolean() }),
  'master.locked': z.object({ masterId: id }),
  'master.unlocked': z.object({ masterId: id }),

  'authority.founded': z.object({ root: id }),
  'authority.rotation-begun': z.object({ from: id, to: id }),
  'authority.rotation-ended': z.object({ root: id }),
  'join-token.rotated': z.object({ role: id }),
  'certificate.issued': z.object({
    memberId: id,
    role: id,
    why: z.enum(['enrolment', 'renewal']),
    issuer: id,
    untilMs: count,
  }),
  'certificate.refused': z.object({ memberId: id.optional(), role: id.optional(), why: id }),
  'certificate.renewed': z.object({ memberId: id, untilMs: count }),
  'certificate.renewal-failed': z.object({
    memberId: id,
    why: id,
    attempts: count,
    untilMs: count,
  }),
  /** The others are lost for good, and it is a group of its own. */
  'master.began-anew': z.object({ masterId: id }),
  /** A machine that had an agent alone shall have a master beside it. */
  'member.promotion-wanted': z.object({ memberId: id }),
  'member.forgotten': z.object({ memberId: id, role: id }),
  'kek.handed-out': z.object({ masterId: id }),

  'grant.issued': z.object({ ...task, agentId: id, path: id, version: count.nullable() }),
  'grant.revoked': z.object({ ...task, agentId: id, path: id }),

  'agent.registered': z.object({ agentId: id, hostname: id, isNew: z.boolean() }),
  'agent.disconnected': z.object({ agentId: id }),
  'agent.lost': z.object({ agentId: id, why: id }),
  'framework.subscribed': z.object({ frameworkId: id, name: id, isNew: z.boolean() }),
  'framework.disconnected': z.object({ frameworkId: id }),
  'framework.removed': z.object({ frameworkId: id, why: id }),
  'offer.made': z.object({ offerId: id, frameworkId: id, agentId: id }),
  'offer.accepted': z.object({ offerId: id, frameworkId: id, agentId: id }),
  'offer.declined': z.object({ offerId: id, frameworkId: id, agentId: id }),
  'offer.rescinded': z.object({ offerId: id, frameworkId: id, agentId: id }),
  'run.submitted': z.object({ runId: id, uid: id, taskId: id }),
  'workload.created': z.object({ workloadId: id, name: id, uid: id }),
  'workload.changed': z.object({ workloadId: id, name: id, templateVersion: count, uid: id }),
  'workload.removed': z.object({ workloadId: id, name: id, uid: id }),
  /** Its rolling update, or the way back from one, has begun, paused or ended. */
  'workload.update': z.object({ workloadId: id, name: id, state: id, message: id }),
  'node.changed': z.object({ name: id, availability: id, role: id, uid: id }),
  'task.refused': z.object({ ...task, reason: id.optional(), why: id }),
  /** An operation that changes resources: this master has none of them. */
  'operation.refused': z.object({
    frameworkId: id,
    operation: id,
    operationId: id.optional(),
    why: id,
  }),
  'task.launched': z.object({ ...task, agentId: id }),
  'task.status': z.object({
    ...task,
    agentId: id.optional(),
    state: id,
    source: id.optional(),
    reason: id.optional(),
    message: id.optional(),
  }),
  'container.started': z.object(container),
  'container.ended': z.object({
    ...container,
    exitCode: z.number().int().optional(),
    why: id.optional(),
  }),
  'executor.started': z.object(executor),
  'executor.subscribed': z.object(executor),
  'executor.ended': z.object({ ...executor, why: id.optional() }),
  /** Somebody called at an agent as an executor that they are not, or with no right to what they asked. */
  'executor.refused': z.object({
    agentId: id,
    call: id,
    status: count,
    why: id,
    frameworkId: id.optional(),
    executorId: id.optional(),
    containerId: id.optional(),
  }),
  'events.gap': z.object({ requested: id }),
} as const

export type EventType = keyof typeof eventFields

type Told<T extends EventType> = {
  readonly type: T
  readonly cause?: string | undefined
} & Readonly<z.infer<(typeof eventFields)[T]>>

/** An event before its log has given it an id and a time. */
export type EventDraft = { [T in EventType]: Told<T> }[EventType]

/**
 * An event as it is streamed. `id` is `<source>:<boot>:<number>`, numbers without gaps within one
 * boot of a source; `cause` is the id of the event that led to this one.
 */
export type ConclaveEvent = EventDraft & {
  readonly id: string
  readonly atMs: number
  readonly source: string
}

const isEventType = (type: string): type is EventType => Object.hasOwn(eventFields, type)

/** What an agent reports of itself, checked before it enters a master's stream. */
export const AgentEvent = z
  .looseObject({ type: z.string(), cause: id.optional(), atMs: z.number() })
  .transform((told, context): EventDraft & { atMs: number } => {
    const fields = isEventType(told.type) ? eventFields[told.type].safeParse(told) : undefined
    if (fields?.success === true) {
      const cause = told.cause === undefined ? {} : { cause: told.cause }
      return { type: told.type, ...fields.data, ...cause, atMs: told.atMs } as EventDraft & {
        atMs: number
      }
    }
    context.addIssue({ code: 'custom', message: `not an event of type ${told.type}` })
    return z.NEVER
  })
