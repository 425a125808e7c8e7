import { LoginThrottled, type PlainAnswer } from '@conclave/actors'
import { ConclaveError } from '@conclave/kernel'
import { statusWords } from '@conclave/model'
import { couldNotBeRead, unreadableOf, type Unreadable } from '@conclave/runtime'
import type { FastifyReply, FastifyRequest } from 'fastify'

export const plain = (status: number, body = statusWords[status] ?? ''): PlainAnswer => ({
  status,
  body,
})

/** One row for each code of ours that is no failure. */
const statusOf: Readonly<Record<string, number>> = {
  'access.denied': 403,
  'audit.unavailable': 503,
  'body.broke-off': 400,
  'body.too-large': 413,
  'cluster.not-leader': 503,
  'cluster.outcome-unknown': 503,
  'cluster.unavailable': 503,
  'login.throttled': 429,
}

/** Mesos has words of its own where ours say nothing more. */
const plainOf = ({ status, message }: Unreadable): PlainAnswer =>
  plain(status, message === couldNotBeRead ? (statusWords[status] ?? statusWords[400]) : message)

/** Answers with text, as Mesos does; an empty body has no type. */
export function send(reply: FastifyReply, { status, body }: PlainAnswer): FastifyReply {
  if (body !== '') void reply.header('content-type', 'text/plain; charset=utf-8')
  // What is left of a body that nobody reads to its end would be taken for the next request.
  if (status === 413) void reply.header('connection', 'close')
  return reply.code(status).send(body === '' ? undefined : body)
}

/** Answers what was thrown. A failure of ours is logged, and its answer says nothing of it. */
export function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  if (error instanceof ConclaveError) {
    const status = statusOf[error.code]
    if (error instanceof LoginThrottled) void reply.header('retry-after', error.retryAfterSeconds)
    if (status !== undefined) return send(reply, plain(status))
  }
  const unreadable = unreadableOf(error, request)
  if (unreadable !== undefined) return send(reply, plainOf(unreadable))
  request.log.error({ err: error }, 'a request failed')
  return send(reply, plain(500))
}
