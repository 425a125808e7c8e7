import { answerBrokenHttp, letIn, takeBodiesAsBytes } from '@conclave/runtime'
import type { FastifyPluginAsync, FastifyServerOptions } from 'fastify'
import { answerError, engineHeaders, refuse } from './answers.ts'
import { containersRoutes } from './containers/containers-routes.ts'
import type { Engine } from './engine.ts'
import { ContainerEvents } from './events/container-events.ts'
import { EngineEvents } from './events/event-log.ts'
import { eventsRoutes } from './events/events-routes.ts'
import { noSuchPage } from './errors.ts'
import { distributionRoutes } from './images/distribution-routes.ts'
import { imagesRoutes } from './images/images-routes.ts'
import { networksRoutes } from './networks/networks-routes.ts'
import { notHereRoutes } from './not-here-routes.ts'
import { pluginsRoutes } from './plugins/plugins-routes.ts'
import { volumesRoutes } from './volumes/volumes-routes.ts'
import { configsRoutes } from './configs/configs-routes.ts'
import { secretsRoutes } from './secrets-routes.ts'
import { nodesRoutes } from './nodes-routes.ts'
import { taskLogsRoutes } from './services/logs-routes.ts'
import { servicesRoutes } from './services/services-routes.ts'
import { tasksRoutes } from './services/tasks-routes.ts'
import { swarmLifeRoutes } from './swarm-life.ts'
import { swarmRoutes } from './swarm-routes.ts'
import { systemRoutes } from './system-routes.ts'
import { takeVersion, versionRefusalOf } from './request-version.ts'

/** A secret that is too large must be told so in the Engine's words: some clients send all of it first. */
const bodyBytesMax = 16 * 1024 * 1024

/** What the server that carries this face must know: routes are found behind the version in the path. */
export const dockerServerOptions = {
  rewriteUrl: takeVersion,
  frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
  clientErrorHandler: answerBrokenHttp(({ message }) => ({
    type: 'application/json',
    body: `${JSON.stringify({ message })}\n`,
  })),
} as const satisfies FastifyServerOptions

/** Docker's Engine API, as far as a swarm and its secrets go. Source: docker-swarm.md part A. */
export const dockerFace =
  (engine: Engine): FastifyPluginAsync =>
  async (app) => {
    takeBodiesAsBytes(app, bodyBytesMax)
    app.setErrorHandler(answerError)
    app.setNotFoundHandler((_request, reply) => {
      for (const name of Object.keys(engineHeaders)) reply.removeHeader(name)
      return refuse(reply, noSuchPage())
    })
    app.addHook('onRequest', async (request, reply) => {
      const split = versionRefusalOf(request)
      if (split !== undefined) {
        if (split.refused === 'too-new')
          return refuse(reply, { ...badVersion, message: split.message })
        return reply
          .code(400)
          .header('content-type', 'text/plain; charset=utf-8')
          .send(split.message)
      }
      reply.headers(engineHeaders)
      letIn(request)
      return undefined
    })

    await app.register(systemRoutes(engine))
    await app.register(imagesRoutes(engine))
    await app.register(distributionRoutes(engine))
    await app.register(networksRoutes(engine))
    await app.register(volumesRoutes)
    await app.register(pluginsRoutes)
    await app.register(notHereRoutes)
    await app.register(swarmLifeRoutes(engine))
    await app.register(swarmRoutes(engine))
    await app.register(nodesRoutes(engine))
    await app.register(secretsRoutes(engine))
    await app.register(configsRoutes(engine))
    await app.register(servicesRoutes(engine))
    await app.register(tasksRoutes(engine))
    await app.register(taskLogsRoutes(engine))
    const events = new EngineEvents()
    const containerEvents = new ContainerEvents(events)
    await app.register(containersRoutes(engine, containerEvents))
    await app.register(eventsRoutes(engine, events, containerEvents))
  }

const badVersion = { name: 'Refusal', status: 400 }
