import type { FastifyReply, FastifyRequest } from 'fastify'
import { refusalOf, type Refusal } from './errors.ts'
import { apiVersion } from './versions.ts'

/** The version of the Engine whose behaviour this face shows. */
export const engineVersion = '27.5.1'

/** What dockerd puts on everything that is routed. Source: docker-swarm.md A2. */
export const engineHeaders: Readonly<Record<string, string>> = {
  'api-version': apiVersion,
  'docker-experimental': 'false',
  ostype: 'linux',
  server: `Docker/${engineVersion} (linux)`,
}

/** What is larger is no text twice. */
const textLengthMax = 4096

const asItIs = (text: string): string => text

/**
 * JSON with a newline behind it, and without the charset that Fastify adds to a text that it has not serialized
 * itself: the CLI would not read the error in it. Source: docker-swarm.md A3.
 */
export const sendJson = (reply: FastifyReply, value: unknown, status = 200): FastifyReply =>
  sendJsonText(reply, JSON.stringify(value), status)

/** As {@link sendJson}, for what is JSON already. */
export const sendJsonText = (reply: FastifyReply, json: string, status = 200): FastifyReply => {
  void reply.code(status).header('content-type', 'application/json')
  const text = `${json}\n`
  // A text is sent in one piece with its head, bytes behind it.
  return text.length > textLengthMax
    ? reply.send(Buffer.from(text))
    : reply.serializer(asItIs).send(text)
}

/** What is JSON already, as a body. */
export const jsonBody = (json: string): Buffer => Buffer.from(`${json}\n`)

/** As {@link sendJson}, for what is a body already. */
export const sendJsonBody = (reply: FastifyReply, body: Buffer): FastifyReply =>
  reply.header('content-type', 'application/json').send(body)

export const jsonLine = (value: unknown): Buffer => Buffer.from(`${JSON.stringify(value)}\n`)

export const sendEmpty = (reply: FastifyReply, status = 200): FastifyReply => {
  if (status !== 204) void reply.header('content-length', '0')
  return reply.code(status).send()
}

export function refuse(reply: FastifyReply, refusal: Refusal): FastifyReply {
  return sendJson(reply, { message: refusal.message }, refusal.status)
}

/** Answers what was thrown: a refusal in the Engine's words, and anything else without a word of it. */
export function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const refused = refusalOf(error, request)
  if (refused !== undefined) return refuse(reply, refused)
  request.log.error({ err: error }, 'a request failed')
  const message = `this is a fault of ours; the log has it as request ${request.id}`
  return sendJson(reply, { message }, 500)
}
