import type { FastifyPluginAsync } from 'fastify'
import { Refusal } from './errors.ts'
import { sendJson } from './answers.ts'

/** What an Engine does that a simulated one does not, and in which words it says so. */
const refused: readonly (readonly [url: string, what: string])[] = [
  ['/auth', 'nobody logs in to a registry'],
  ['/build', 'images are not built'],
  ['/session', 'images are not built'],
  ['/grpc', 'images are not built'],
]

/** Everything that people try and that is not here: clear words rather than `page not found`. */
export const notHereRoutes: FastifyPluginAsync = async (app) => {
  for (const [url, what] of refused) {
    app.post(url, async () => {
      throw new Refusal(501, `${what} here: this Engine is simulated by Conclave`)
    })
  }

  app.post('/build/prune', async (_request, reply) =>
    sendJson(reply, { CachesDeleted: null, SpaceReclaimed: 0 }),
  )
}
