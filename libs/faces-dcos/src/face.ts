import type { MasterApi } from '@conclave/actors'
import { answerBrokenHttp, Callers, takeBodiesAsBytes } from '@conclave/runtime'
import type { FastifyPluginAsync, FastifyServerOptions } from 'fastify'
import { authRoutes } from './auth-routes.ts'
import { refusal } from './errors.ts'
import { answerError, documentOf, refuse, unauthorized } from './refuse.ts'
import { pingRoutes, secretsRoutes } from './secrets-routes.ts'

/** Escapes of JSON make a text value at most six times longer than its bytes; the rest is room. */
export const bodyBytesMax = 7 * 1024 * 1024

/** What the server that carries this face must know: it answers in DC/OS' form before any route, too. */
export const dcosServerOptions = {
  frameworkErrors: (error, request, reply) =>
    void (error.code === 'FST_ERR_BAD_URL'
      ? refuse(reply, undecodable)
      : answerError(error, request, reply)),
  clientErrorHandler: answerBrokenHttp(({ status, message }) => ({
    type: 'application/json',
    body: JSON.stringify(documentOf(refusal(status, 'ERR_INVALID_DATA', message))),
  })),
} as const satisfies FastifyServerOptions

const undecodable = refusal(
  400,
  'ERR_INVALID_PATH',
  'the path cannot be decoded: write % as %25, and text as UTF-8',
)

/** What DC/OS clients see of a master: login, and the Secrets API. */
export const dcosFace =
  (master: MasterApi): FastifyPluginAsync =>
  async (app) => {
    takeBodiesAsBytes(app, bodyBytesMax)
    app.setErrorHandler(answerError)
    app.setNotFoundHandler((_request, reply) =>
      refuse(reply, refusal(404, 'ERR_NOT_FOUND', 'there is nothing at this address')),
    )

    await app.register(authRoutes(master.identity))
    await app.register(pingRoutes())
    await app.register(async (guarded) => {
      const callers = new Callers(master.identity)
      const guard = callers.guard((reply, why) => {
        if (why === 'ambiguous') refuse(reply, twoTokens)
        else unauthorized(reply, 'ERR_UNAUTHORIZED', logInFirst)
      })
      guarded.addHook('onRequest', guard)
      await guarded.register(secretsRoutes(master, (request) => callers.of(request)))
    })
  }

const logInFirst = 'log in first, then send Authorization: token=<token>'

const twoTokens = refusal(400, 'ERR_INVALID_DATA', 'send one Authorization header, not two')
