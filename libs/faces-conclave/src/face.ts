import { NotLocked, type Caller, type MasterApi } from '@conclave/actors'
import { answerBrokenHttp, Callers, takeBodiesAsBytes } from '@conclave/runtime'
import type {
  FastifyInstance,
  FastifyPluginAsync,
  FastifyRequest,
  FastifyServerOptions,
} from 'fastify'
import { answerError, documentOf, isNotLeader, locationAtLeader, refuse } from './errors.ts'
import { authorityRoutes } from './authority-routes.ts'
import { lockRoutes } from './lock-routes.ts'
import { memberRoutes } from './member-routes.ts'
import { clusterRoutes } from './routes.ts'
import { stateRoutes } from './state-routes.ts'
import { sessionRoutes } from './session-routes.ts'
import { workloadRoutes } from './workload-routes.ts'

export interface ConclaveFaceOptions {
  readonly master: MasterApi
  /** The process's metrics in Prometheus' text form. */
  readonly metrics: () => Promise<string>
}

/** A spec with inline secrets of 1 MiB each, in base64. */
const bodyBytesMax = 16 * 1024 * 1024

/** What the server that carries this face must know. Ids of tasks are longer than its usual limit. */
export const conclaveServerOptions = {
  frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
  clientErrorHandler: answerBrokenHttp(({ message }) => ({
    type: 'application/json',
    body: JSON.stringify(documentOf('request.invalid', message)),
  })),
  routerOptions: { maxParamLength: 1024 },
} as const satisfies FastifyServerOptions

/** Our own API, beside those that imitate others. */
export const conclaveFace =
  ({ master, metrics }: ConclaveFaceOptions): FastifyPluginAsync =>
  async (app) => {
    takeBodiesAsBytes(app, bodyBytesMax)
    app.setErrorHandler((error, request, reply) => {
      const location = isNotLeader(error) ? locationAtLeader(master.status(), request) : undefined
      if (location === undefined) return answerError(error, request, reply)
      return refuse(
        reply.header('location', location),
        307,
        'cluster.not-leader',
        'this is for the leader; ask it, at the Location',
      )
    })
    app.setNotFoundHandler((_request, reply) =>
      refuse(reply, 404, 'route.not-found', 'there is nothing at this address'),
    )

    app.get('/health', async () => {
      const { masterId, state, role, term, isReady, leader } = master.status()
      return { masterId, state, role, term, isReady, leader: leader?.masterId ?? null }
    })
    app.get('/metrics', async (_request, reply) =>
      reply.type('text/plain; version=0.0.4; charset=utf-8').send(await metrics()),
    )

    app.post('/conclave/v1/lock/unlock', async () => {
      throw new NotLocked()
    })

    await app.register(async (guarded) => {
      const caller = guard(guarded, master)
      await guarded.register(lockRoutes(master, caller))
      await guarded.register(authorityRoutes(master, caller))
      await guarded.register(clusterRoutes(master, caller))
      await guarded.register(memberRoutes(master, caller))
      await guarded.register(sessionRoutes(master, caller))
      await guarded.register(stateRoutes(master, caller))
      await guarded.register(workloadRoutes(master, caller))
    })
  }

/** Lets nobody in without a token that holds. */
function guard(app: FastifyInstance, { identity }: MasterApi): (request: FastifyRequest) => Caller {
  const callers = new Callers(identity)
  app.addHook('onRequest', async (request, reply) => {
    const admission = await callers.admit(request)
    if (admission === 'known') return undefined
    if (admission === 'ambiguous') {
      return refuse(reply, 400, 'request.invalid', 'send one Authorization header, not two')
    }
    return refuse(
      reply.header('www-authenticate', 'acsjwt'),
      401,
      'access.unauthenticated',
      'log in with POST /acs/api/v1/auth/login, then send Authorization: token=<token>',
    )
  })
  return (request) => callers.of(request)
}
