import { wipe, type RedactedBytes } from '@conclave/kernel'
import { wipeAtTheEnd } from '@conclave/runtime'
import type { FastifyReply } from 'fastify'

/**
 * A key or a token as the whole body of its answer: bytes that are never part of a document, and are
 * wiped once they are sent.
 */
export function sendSecretText(reply: FastifyReply, text: RedactedBytes): FastifyReply {
  const body = Buffer.from(text.reveal())
  wipe(text)
  wipeAtTheEnd(reply.raw, body)
  return reply.header('cache-control', 'no-store').type('text/plain; charset=utf-8').send(body)
}
