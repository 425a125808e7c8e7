import type { Caller, MasterApi } from '@conclave/actors'
import { wipe, type RedactedBytes } from '@conclave/kernel'
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { RequestInvalid } from './errors.ts'

const LockRequest = z.strictObject({ isOn: z.boolean() })

/**
 * The lock and the keys, for operators. An unlock key is the whole body of its answer, as text: bytes
 * that are never part of a document, and are wiped once they are sent.
 */
export const lockRoutes =
  ({ lock }: MasterApi, caller: (request: FastifyRequest) => Caller): FastifyPluginAsync =>
  async (app) => {
    app.get('/conclave/v1/lock', async (request) => lock.status(caller(request)))
    app.put('/conclave/v1/lock', async (request, reply) => {
      if (readWanted(request.body)) return sendKey(reply, await lock.lock(caller(request)))
      await lock.unlock(caller(request))
      return reply.code(204).send()
    })
    app.get('/conclave/v1/lock/key', async (request, reply) =>
      sendKey(reply, await lock.unlockKey(caller(request))),
    )
    app.post('/conclave/v1/lock/key/rotate', async (request, reply) =>
      sendKey(reply, await lock.rotateUnlockKey(caller(request))),
    )
    app.post('/conclave/v1/keyring/rotate', async (request) => lock.rotateKeyring(caller(request)))
  }

/** @throws RequestInvalid */
function readWanted(body: unknown): boolean {
  const asked = LockRequest.safeParse(Buffer.isBuffer(body) ? tryJson(body) : undefined)
  if (asked.success) return asked.data.isOn
  throw new RequestInvalid('the body must be {"isOn": true} or {"isOn": false}')
}

function tryJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}

function sendKey(reply: FastifyReply, text: RedactedBytes): FastifyReply {
  const body = Buffer.from(text.reveal())
  wipe(text)
  reply.raw.once('close', () => body.fill(0))
  return reply.header('cache-control', 'no-store').type('text/plain; charset=utf-8').send(body)
}
