import { MasterLocked } from '@conclave/actors'
import type { FastifyPluginAsync } from 'fastify'
import { refusal } from './errors.ts'
import { refuse } from './refuse.ts'

/** What DC/OS clients hear of a master that waits for the unlock key. */
export const lockedDcosFace = (): FastifyPluginAsync => async (app) => {
  app.addHook('onRequest', async (_request, reply) => {
    const { message } = new MasterLocked()
    return refuse(reply.header('retry-after', 5), refusal(503, 'ERR_UNAVAILABLE', message))
  })
  app.setNotFoundHandler(() => undefined)
}
