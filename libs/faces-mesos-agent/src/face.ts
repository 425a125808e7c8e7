import type { AgentApi, LoggingLevel } from '@conclave/actors'
import { answerBrokenHttp, letIn, takeBodiesAsBytes } from '@conclave/runtime'
import type {
  FastifyPluginAsync,
  FastifyReply,
  FastifyRequest,
  FastifyServerOptions,
} from 'fastify'
import { admitExecutor, admitOperator, type Caller } from './admission.ts'
import { answerError, plain, send } from './answers.ts'
import { contentTypeRefusal, methodRefusal } from './checks.ts'
import { answerExecutor } from './executor-api.ts'
import { legacyRoutes } from './legacy-routes.ts'
import { answerOperator } from './operator-api.ts'

/** A launch with a few inline values of a megabyte each is the largest call there is. */
const bodyBytesMax = 16 * 1024 * 1024

export interface AgentFaceOptions {
  /** Whether executors have to show their tokens. Mesos: `--authenticate_http_executors`, off. */
  readonly authenticateExecutors: boolean
  /** Shows inline values where Mesos does. For whoever teaches what that leads to. */
  readonly faithfulLeaks: boolean
  /** What GET_FLAGS tells of how this agent was started. Nothing in it may be a secret. */
  readonly flags: Readonly<Record<string, string>>
  /** What an operator may turn up for a while. */
  readonly logging?: LoggingLevel
  /** What was fetched into the sandbox of a container, where it is kept to be shown as Mesos shows it. */
  readonly fetchedInto?: (containerId: string) => readonly FetchedInto[]
}

/** A file in a sandbox: `path` is below it. */
export interface FetchedInto {
  readonly path: string
  readonly bytes: Uint8Array
}

/** What the server that carries this face must know: it answers with Mesos' words before any route, too. */
export const mesosAgentServerOptions = {
  frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
  clientErrorHandler: answerBrokenHttp(({ message }) => ({
    type: 'text/plain; charset=utf-8',
    body: message,
  })),
} as const satisfies FastifyServerOptions

/** An agent's own listener: its operator and executor APIs. Source: mesos.md §7 to §9, §18. */
export const mesosAgentFace =
  (api: AgentApi, options: AgentFaceOptions): FastifyPluginAsync =>
  async (app) => {
    takeBodiesAsBytes(app, bodyBytesMax)
    // Input of a container comes while its output goes: it is read record by record.
    app.addContentTypeParser('application/recordio', (_request, payload, done) =>
      done(null, payload),
    )
    app.setErrorHandler(answerError)
    app.setNotFoundHandler((_request, reply) => send(reply, plain(404)))
    const callers = new WeakMap<FastifyRequest, Caller>()
    const known = (request: FastifyRequest): Caller => {
      const caller = callers.get(request)
      if (caller === undefined) throw new Error('a guarded route ran without its guard')
      return caller
    }
    const remember = (request: FastifyRequest, caller: Caller): void => {
      callers.set(request, caller)
      letIn(request)
    }
    const executor = async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
      const caller: Caller | undefined = options.authenticateExecutors
        ? await admitExecutor(api, request, reply)
        : { kind: 'anyone' }
      if (caller === undefined) return reply
      remember(request, caller)
      return headersRefused(request, reply, { isStreaming: false })
    }
    const operator = async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
      const caller = await admitOperator(api, 'GET_ANY', request, reply)
      if (caller === undefined) return reply
      remember(request, caller)
      return headersRefused(request, reply, { isStreaming: true })
    }
    for (const prefix of ['', '/slave(1)', '/slave']) {
      app.all(`${prefix}/api/v1/executor`, { onRequest: executor }, async (request, reply) =>
        answerExecutor(api, known(request), request, reply, options),
      )
      app.all(`${prefix}/api/v1`, { onRequest: operator }, async (request, reply) =>
        answerOperator(api, known(request), request, reply, options),
      )
      legacyRoutes(app, prefix, api, options)
    }
  }

function headersRefused(
  request: FastifyRequest,
  reply: FastifyReply,
  bodies: Parameters<typeof contentTypeRefusal>[1],
): FastifyReply | undefined {
  const method = methodRefusal(request.method)
  if (method !== undefined) return send(reply.header('allow', 'POST'), method)
  const type = contentTypeRefusal(request.headers, bodies)
  return type === undefined ? undefined : send(reply, type)
}
