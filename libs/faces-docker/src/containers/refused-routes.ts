import type { FastifyPluginAsync } from 'fastify'
import { callerOf, type Engine } from '../engine.ts'
import { Refusal } from '../errors.ts'
import { queryOf } from '../query.ts'
import { findContainer } from './container.ts'

interface Named {
  readonly Params: { readonly id: string }
}

/**
 * What only dockerd's own containers can do. Those here belong to tasks of services, and what they are is in the
 * spec of the service: what is not possible says so, and what is instead.
 */
const refused: readonly (readonly ['GET' | 'POST', string, string])[] = [
  ['POST', 'pause', 'cannot be paused: docker service scale SERVICE=0 ends it, and =1 begins anew'],
  ['POST', 'unpause', 'is not paused'],
  ['POST', 'rename', 'is called by its service, its slot and its task'],
  ['POST', 'update', 'is what its service says: docker service update SERVICE'],
  ['GET', 'export', 'has files in memory only: docker cp CONTAINER:/ - copies all of them'],
  ['GET', 'changes', 'has files in memory only, and nobody compares them with its image'],
  ['GET', 'attach/ws', 'is attached to without WebSockets'],
]

export const refusedRoutes =
  (engine: Engine): FastifyPluginAsync =>
  async (app) => {
    for (const [method, action, why] of refused) {
      app.route<Named>({
        method,
        url: `/containers/:id/${action}`,
        exposeHeadRoute: false,
        handler: async (request) => {
          const found = await findContainer(engine, callerOf(engine, request), request.params.id)
          const service = found.task.workloadName
          const container = found.id.slice(0, 12)
          const text = why.replaceAll('SERVICE', service).replaceAll('CONTAINER', container)
          throw new Refusal(501, `container ${found.id} ${text}`)
        },
      })
    }

    app.post('/commit', async (request) => {
      const asked = queryOf(request).get('container') ?? ''
      const { id } = await findContainer(engine, callerOf(engine, request), asked)
      throw new Refusal(
        501,
        `container ${id} has files in memory only, and no image is made of them here: this Engine is simulated by Conclave`,
      )
    })

    app.post('/containers/create', async () => {
      throw new Refusal(
        501,
        'containers are started by services here: docker service create --name NAME IMAGE COMMAND, then docker exec; conclave run runs one to its end',
      )
    })
  }
