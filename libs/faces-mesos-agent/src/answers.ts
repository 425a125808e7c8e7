import type { PlainAnswer } from '@conclave/actors'
import { ConclaveError } from '@conclave/kernel'
import { asciiJson, statusWords } from '@conclave/model'
import { couldNotBeRead, unreadableOf, type Unreadable } from '@conclave/runtime'
import type { FastifyReply, FastifyRequest } from 'fastify'

export const plain = (status: number, body = statusWords[status] ?? ''): PlainAnswer => ({
  status,
  body,
})

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

/** As bytes: a text would be given a charset, which Mesos does not send. */
export const sendJson = (reply: FastifyReply, json: unknown): FastifyReply =>
  reply
    .code(200)
    .header('content-type', 'application/json')
    .send(Buffer.from(asciiJson(json)))

/** Answers what was thrown. A failure of ours is logged, and its answer says nothing of it. */
export function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  if (error instanceof ConclaveError) {
    if (error.code === 'body.too-large') return send(reply, plain(413))
    if (error.code === 'body.broke-off') return send(reply, plain(400))
  } else {
    const unreadable = unreadableOf(error, request)
    if (unreadable !== undefined) return send(reply, plainOf(unreadable))
  }
  request.log.error({ err: error }, 'a request failed')
  return send(reply, plain(500))
}
