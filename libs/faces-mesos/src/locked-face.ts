import { MasterLocked } from '@conclave/actors'
import type { FastifyPluginAsync } from 'fastify'
import { plain, send } from './answers.ts'

/** What frameworks hear of a master that waits for the unlock key: as while it recovers, and why. */
export const lockedMesosFace = (): FastifyPluginAsync => async (app) => {
  app.addHook('onRequest', async (_request, reply) =>
    send(reply.header('retry-after', 5), plain(503, new MasterLocked().message)),
  )
  app.setNotFoundHandler(() => undefined)
}
