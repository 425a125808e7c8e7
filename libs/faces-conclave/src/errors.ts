import { LoginThrottled, type MasterStatus } from '@conclave/actors'
import { ConclaveError } from '@conclave/kernel'
import { unreadableOf } from '@conclave/runtime'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** One row for each code of ours: the status it is answered with. Everything else is a failure: 500. */
const statusOf: Readonly<Record<string, number>> = {
  'access.denied': 403,
  'audit.unavailable': 503,
  'authority.missing': 503,
  'authority.rotating': 409,
  'authority.validity-invalid': 400,
  'body.broke-off': 400,
  'body.too-large': 413,
  'bytes.malformed': 400,
  'cluster.not-leader': 503,
  'cluster.outcome-unknown': 503,
  'cluster.unavailable': 503,
  'keyring.rotating': 409,
  'lock.changed': 409,
  'lock.not-locked': 409,
  'lock.off': 409,
  'lock.refused': 403,
  'lock.unchanged': 409,
  'holder.unknown': 404,
  'login.throttled': 429,
  'master.locked': 503,
  'member.busy': 409,
  'member.refused': 409,
  'mesos.malformed': 400,
  'node.not-found': 404,
  'request.invalid': 400,
  'run.not-found': 404,
  'secret.exists': 409,
  'secret.labels-invalid': 400,
  'secret.not-found': 404,
  'secret.path-invalid': 400,
  'secret.too-large': 413,
  'secret.version-conflict': 409,
  'spec.invalid': 422,
  'state.key-invalid': 400,
  'store.compacted': 410,
  'store.revision-ahead': 409,
  'task.ambiguous': 409,
  'task.not-found': 404,
  'task.not-running': 409,
  'workload.exists': 409,
  'workload.no-previous': 409,
  'workload.not-found': 404,
  'workload.task-not-found': 404,
  'workload.version-conflict': 409,
}

/** A request whose shape is off. Names the field and the mend. */
export class RequestInvalid extends ConclaveError {
  readonly code = 'request.invalid'
}

/** `{"error":{"code","message"}}`: the code is stable, the message is for people. */
export const documentOf = (code: string, message: string): object => ({ error: { code, message } })

export function refuse(
  reply: FastifyReply,
  status: number,
  code: string,
  message: string,
): FastifyReply {
  // What is left of a body that nobody reads to its end would be taken for the next request.
  if (status === 413) void reply.header('connection', 'close')
  return reply.code(status).send(documentOf(code, message))
}

/** Answers what was thrown: our own errors in their words, and a failure of ours without a word of it. */
export function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  if (error instanceof ConclaveError) {
    const status = statusOf[error.code]
    if (error instanceof LoginThrottled) void reply.header('retry-after', error.retryAfterSeconds)
    if (status !== undefined) return refuse(reply, status, error.code, error.message)
  } else {
    const unreadable = unreadableOf(error, request)
    if (unreadable !== undefined) {
      return refuse(reply, unreadable.status, 'request.invalid', unreadable.message)
    }
  }
  request.log.error({ err: error }, 'a request failed')
  const where = `this is a fault of ours; the log has it as request ${request.id}`
  return refuse(reply, 500, 'internal', where)
}

export const isNotLeader = (error: unknown): boolean =>
  error instanceof ConclaveError && error.code === 'cluster.not-leader'

/** The same request at the leader's own listener, or undefined while no other leader is known. */
export function locationAtLeader(
  { masterId, leader }: MasterStatus,
  { protocol, raw: { url = '' } }: FastifyRequest,
): string | undefined {
  const at = leader?.listeners['conclave']
  // A request line may also carry a whole URL, which behind a port would be nonsense.
  if (at === undefined || leader?.masterId === masterId || !url.startsWith('/')) return undefined
  const host = at.host.includes(':') ? `[${at.host}]` : at.host
  return `${protocol}://${host}:${at.port}${url}`
}
