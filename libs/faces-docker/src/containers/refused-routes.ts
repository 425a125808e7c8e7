import { posix } from 'node:path'
import type { FastifyPluginAsync } from 'fastify'
import { callerOf, type Engine } from '../engine.ts'
import { Refusal } from '../errors.ts'
import { queryOf } from '../query.ts'
import { zeroTime } from '../times.ts'
import { findContainer, findRunning } from './container.ts'
import { runIn } from './run-in.ts'

interface Named {
  readonly Params: { readonly id: string }
}

/**
 * What only dockerd's own containers can do. Those here belong to tasks of services, and what they are is in the
 * spec of the service: what is not possible says so, and what is instead.
 */
const refused: readonly (readonly ['GET' | 'HEAD' | 'POST' | 'PUT', string, string])[] = [
  ['POST', 'pause', 'cannot be paused: docker service scale SERVICE=0 ends it, and =1 begins anew'],
  ['POST', 'unpause', 'is not paused'],
  ['POST', 'rename', 'is called by its service, its slot and its task'],
  ['POST', 'update', 'is what its service says: docker service update SERVICE'],
  ['GET', 'archive', 'has files in memory only: docker exec CONTAINER cat FILE'],
  ['PUT', 'archive', 'takes files as configs and secrets: docker config create NAME FILE'],
  ['GET', 'export', 'has files in memory only: docker exec CONTAINER cat FILE'],
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

    // The CLI asks what is at the other end before it copies, and only then hears why it cannot.
    app.head<Named>('/containers/:id/archive', async (request, reply) => {
      const caller = callerOf(engine, request)
      const container = await findRunning(engine, caller, request.params.id)
      const path = queryOf(request).get('path') ?? ''
      if (path === '') throw new Refusal(400, 'bad parameter: path cannot be empty')
      const { exitCode } = await runIn(engine, caller, container, ['test', '-d', path])
      if (exitCode !== 0) throw new Refusal(501, 'only directories are told of')
      void reply.header('x-docker-container-path-stat', directoryStat(path))
      return reply.code(200).send()
    })

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

/** In Go, the highest bit of a mode says that it is a directory. */
const directoryMode = 2 ** 31 + 0o755

/** Source: moby, `container.PathStat`. */
const directoryStat = (path: string): string =>
  Buffer.from(
    JSON.stringify({
      name: posix.basename(path) || '/',
      size: 4096,
      mode: directoryMode,
      mtime: zeroTime,
      linkTarget: '',
    }),
  ).toString('base64')
