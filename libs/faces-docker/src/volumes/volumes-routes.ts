import type { FastifyPluginAsync } from 'fastify'
import { sendJson } from '../answers.ts'
import { Refusal } from '../errors.ts'
import { parseFilters } from '../filters.ts'
import { printable } from '../printable.ts'
import { queryOf } from '../query.ts'

interface Named {
  readonly Params: { readonly name: string }
}

/**
 * Volumes: there are none. What a simulated container writes is gone with it, and a volume that keeps nothing
 * would be a lie. Source: API 1.47, Volume; docker-swarm.md errors.json.
 */
export const volumesRoutes: FastifyPluginAsync = async (app) => {
  app.get('/volumes', async (request, reply) => {
    parseFilters(queryOf(request).get('filters'), ['dangling', 'driver', 'label', 'name'])
    return sendJson(reply, { Volumes: [], Warnings: null })
  })

  app.post('/volumes/create', async () => {
    throw new Refusal(
      501,
      'volumes are not kept here: this Engine is simulated by Conclave, and what a container writes ends with it',
    )
  })

  app.post('/volumes/prune', async (_request, reply) =>
    sendJson(reply, { VolumesDeleted: null, SpaceReclaimed: 0 }),
  )

  app.route<Named>({
    method: ['GET', 'DELETE'],
    url: '/volumes/:name',
    handler: async ({ params }) => {
      throw new Refusal(404, `get ${printable(params.name)}: no such volume`)
    },
  })
}
