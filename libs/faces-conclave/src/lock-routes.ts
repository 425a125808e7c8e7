import type { Caller, MasterApi } from '@conclave/actors'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { RequestInvalid } from './errors.ts'
import { tryJson } from './json-body.ts'
import { sendSecretText } from './secret-text.ts'

const LockRequest = z.strictObject({ isOn: z.boolean() })

/** The lock and the keys, for operators. An unlock key is the whole body of its answer, as text. */
export const lockRoutes =
  ({ lock }: MasterApi, caller: (request: FastifyRequest) => Caller): FastifyPluginAsync =>
  async (app) => {
    app.get('/conclave/v1/lock', async (request) => lock.status(caller(request)))
    app.put('/conclave/v1/lock', async (request, reply) => {
      if (readWanted(request.body)) return sendSecretText(reply, await lock.lock(caller(request)))
      await lock.unlock(caller(request))
      return reply.code(204).send()
    })
    app.get('/conclave/v1/lock/key', async (request, reply) =>
      sendSecretText(reply, await lock.unlockKey(caller(request))),
    )
    app.post('/conclave/v1/lock/key/rotate', async (request, reply) =>
      sendSecretText(reply, await lock.rotateUnlockKey(caller(request))),
    )
    app.post('/conclave/v1/keyring/rotate', async (request) => lock.rotateKeyring(caller(request)))
  }

/** @throws RequestInvalid */
function readWanted(body: unknown): boolean {
  const asked = LockRequest.safeParse(tryJson(body))
  if (asked.success) return asked.data.isOn
  throw new RequestInvalid('the body must be {"isOn": true} or {"isOn": false}')
}
