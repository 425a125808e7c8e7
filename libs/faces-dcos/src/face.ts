import { principalOf, type Caller, type MasterApi } from '@conclave/actors'
import type { FastifyPluginAsync, FastifyRequest, FastifyServerOptions } from 'fastify'
import { authRoutes } from './auth-routes.ts'
import { takeBodiesAsBytes } from './bodies.ts'
import { refusal } from './errors.ts'
import { answerError, refuse, unauthorized } from './refuse.ts'
import { pingRoutes, secretsRoutes } from './secrets-routes.ts'

/** What the server that carries this face must know: it answers in DC/OS' form before any route, too. */
export const dcosServerOptions = {
  frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
} as const satisfies FastifyServerOptions

/** What DC/OS clients see of a master: login, and the Secrets API. */
export const dcosFace =
  (master: MasterApi): FastifyPluginAsync =>
  async (app) => {
    takeBodiesAsBytes(app)
    app.setErrorHandler(answerError)
    app.setNotFoundHandler((_request, reply) =>
      refuse(reply, refusal(404, 'ERR_NOT_FOUND', 'there is nothing at this address')),
    )

    await app.register(authRoutes(master.identity))
    await app.register(pingRoutes())
    await app.register(async (guarded) => {
      const callers = new WeakMap<FastifyRequest, Caller>()
      // Before the body is read: a stranger's costs nothing.
      guarded.addHook('onRequest', async (request, reply) => {
        if (countOf(request, 'authorization') > 1) return refuse(reply, twoTokens)
        const principal = await principalOf(master.identity, request.headers.authorization)
        if (principal === undefined) {
          const mend = 'log in first, then send Authorization: token=<token>'
          return unauthorized(reply, 'ERR_UNAUTHORIZED', mend)
        }
        callers.set(request, { principal, requestId: request.id })
        return undefined
      })
      await guarded.register(
        secretsRoutes(master, (request) => {
          const caller = callers.get(request)
          if (caller === undefined) throw new Error('a guarded route ran without its guard')
          return caller
        }),
      )
    })
  }

const twoTokens = refusal(400, 'ERR_INVALID_DATA', 'send one Authorization header, not two')

/** How often a header was sent. Node keeps the first and drops the others (threats.md AU-14). */
const countOf = ({ raw }: FastifyRequest, name: string): number =>
  raw.rawHeaders.filter((text, index) => index % 2 === 0 && text.toLowerCase() === name).length
