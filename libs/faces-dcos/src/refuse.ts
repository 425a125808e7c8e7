import { LoginThrottled } from '@conclave/actors'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { refusal, refusalOf, type Refusal } from './errors.ts'

/** DC/OS's error document. */
export const documentOf = ({ title, description, code }: Refusal): object => ({
  title,
  description,
  code,
})

/** Answers with it. */
export function refuse(reply: FastifyReply, refused: Refusal): FastifyReply {
  const { status } = refused
  // What is left of a body that nobody reads to its end would be taken for the next request.
  if (status === 413) void reply.header('connection', 'close')
  return reply.code(status).send(documentOf(refused))
}

/** No token, or one that does not hold. The CLI reads this header and asks for a login. */
export function unauthorized(reply: FastifyReply, code: string, description: string): FastifyReply {
  return refuse(reply.header('www-authenticate', 'acsjwt'), refusal(401, code, description))
}

/** Answers what was thrown: a refusal in DC/OS' words, and anything else without a word of it. */
export function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const refused = refusalOf(error, request)
  if (error instanceof LoginThrottled) void reply.header('retry-after', error.retryAfterSeconds)
  if (refused !== undefined) return refuse(reply, refused)
  request.log.error({ err: error }, 'a request failed')
  const where = `this is a fault of ours; the log has it as request ${request.id}`
  return refuse(reply, refusal(500, 'ERR_INTERNAL', where))
}
