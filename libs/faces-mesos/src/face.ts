import { legacyEndpoints, type Caller, type MasterApi, type PlainAnswer } from '@conclave/actors'
import {
  callProblem,
  MasterCall,
  masterCallProblem,
  MasterResponse,
  SchedulerCall,
  wipeSecrets,
} from '@conclave/model'
import { answerBrokenHttp, Callers, takeBodiesAsBytes } from '@conclave/runtime'
import type {
  FastifyPluginAsync,
  FastifyReply,
  FastifyRequest,
  FastifyServerOptions,
  onRequestAsyncHookHandler,
} from 'fastify'
import { answerError, plain, send } from './answers.ts'
import { contentTypeRefusal, locationAt, readCall } from './checks.ts'
import { answerLegacy, answerTeardown } from './legacy.ts'
import { acceptedMedia, isMedia, json } from './media-type.ts'
import { OperatorStream, SchedulerStream } from './stream.ts'

/** A call with 500 tasks is some hundred kilobytes; inline secrets of 1 MiB each make it larger. */
const bodyBytesMax = 64 * 1024 * 1024

/** What the server that carries this face must know: it answers with Mesos' words before any route, too. */
export const mesosServerOptions = {
  frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
  clientErrorHandler: answerBrokenHttp(({ message }) => ({
    type: 'text/plain; charset=utf-8',
    body: message,
  })),
} as const satisfies FastifyServerOptions

/** The Mesos v1 scheduler and operator APIs and the endpoints before them, on a master. Source: mesos.md §4 to §6, §9, §10. */
export const mesosFace =
  (master: MasterApi): FastifyPluginAsync =>
  async (app) => {
    takeBodiesAsBytes(app, bodyBytesMax)
    app.setErrorHandler(answerError)
    app.setNotFoundHandler((_request, reply) => send(reply, plain(404)))

    const callers = new Callers(master.identity)
    const scheduler = guard(master, callers, 'mesos-master-scheduler', callRefusal)
    const operator = guard(master, callers, 'mesos-master-readwrite', callRefusal)
    const reader = guard(master, callers, 'mesos-master-readonly', methodRefusal('GET'))
    const writer = guard(master, callers, 'mesos-master-readwrite', methodRefusal('POST'))
    // The DC/OS front door has the master below /mesos, and libprocess below its own name.
    for (const prefix of ['', '/master', '/mesos', '/mesos/master']) {
      app.all(`${prefix}/api/v1/scheduler`, { onRequest: scheduler }, async (request, reply) =>
        answerScheduler(master, callers.of(request), request, reply),
      )
      app.all(`${prefix}/api/v1`, { onRequest: operator }, async (request, reply) =>
        answerOperator(master, callers.of(request), request, reply),
      )
      for (const endpoint of legacyEndpoints) {
        const handler = answerLegacy(master, callers, endpoint)
        app.all(`${prefix}/${endpoint}`, { onRequest: reader }, handler)
      }
      app.all(`${prefix}/teardown`, { onRequest: writer }, answerTeardown(master, callers))
      app.get(`${prefix}/redirect`, async (_request, reply) => toLeader(master, reply, ''))
      app.get(`${prefix}/health`, async (_request, reply) => reply.send())
    }
  }

type Refuse = (request: FastifyRequest) => RefusalAnswer | undefined
type RefusalAnswer = PlainAnswer & { readonly allow?: string }

const methodRefusal =
  (expected: 'GET' | 'POST'): Refuse =>
  ({ method }) => {
    if (method === expected || (method === 'HEAD' && expected === 'GET')) return undefined
    const body = `405 Method Not Allowed. Expecting one of { '${expected}' }, but received '${method}'.`
    return { ...plain(405, body), allow: expected }
  }

const callRefusal: Refuse = (request) =>
  methodRefusal('POST')(request) ?? contentTypeRefusal(request.headers)

/** The checks that need no body, in Mesos' order: so a refused one is not even read. */
const guard =
  (master: MasterApi, callers: Callers, realm: string, refuse: Refuse): onRequestAsyncHookHandler =>
  async (request, reply) => {
    const admission = await callers.admit(request)
    if (admission === 'ambiguous') return send(reply, plain(400))
    if (admission === 'stranger') {
      return send(reply.header('www-authenticate', `Basic realm="${realm}"`), plain(401))
    }
    const { role, isReady } = master.status()
    if (role !== 'leader') return toLeader(master, reply, request.raw.url ?? '')
    if (!isReady) return send(reply, plain(503, 'Master has not finished recovery'))
    const refusal = refuse(request)
    if (refusal === undefined) return undefined
    if (refusal.allow !== undefined) void reply.header('allow', refusal.allow)
    return send(reply, refusal)
  }

function toLeader(master: MasterApi, reply: FastifyReply, url: string): FastifyReply {
  const location = locationAt(master.status().leader, url)
  if (location === undefined) return send(reply, plain(503, 'No leader elected'))
  return send(reply.header('location', location), plain(307))
}

function answerScheduler(
  master: MasterApi,
  caller: Caller,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const read = readCall(request, { kind: SchedulerCall, type: 'scheduler.Call' })
  if ('refusal' in read) return send(reply, read.refusal)
  let isTaken = false
  try {
    const refusal = schedule(master, caller, read.call, request, reply)
    isTaken = refusal === undefined || refusal.status < 400
    return refusal === undefined ? reply : send(reply, refusal)
  } finally {
    // Inline values of a call that is taken are the master's to seal and wipe.
    if (!isTaken) wipeSecrets(SchedulerCall, read.call)
  }
}

/** Undefined once the answer is a stream that has begun. */
function schedule(
  { frameworks }: MasterApi,
  caller: Caller,
  call: SchedulerCall,
  request: FastifyRequest,
  reply: FastifyReply,
): PlainAnswer | undefined {
  const problem = callProblem(call, caller.principal.uid)
  if (problem !== undefined) return plain(400, `Failed to validate scheduler::Call: ${problem}`)
  if (call.type === 'UNKNOWN') return plain(501)
  const streamId = headerOf(request, 'mesos-stream-id')
  const mayAnswer = call.type === 'SUBSCRIBE' || call.type === 'RECONCILE_OPERATIONS'
  const media = mayAnswer ? acceptedMedia(request.headers) : json
  if (!isMedia(media)) return media
  if (call.type !== 'SUBSCRIBE') return frameworks.call(caller, call, streamId)

  if (streamId !== undefined) {
    return plain(400, "Subscribe calls should not include the 'Mesos-Stream-Id' header")
  }
  const stream = new SchedulerStream(reply, request.log, media)
  const refused = frameworks.subscribe(caller, call, stream)
  if (refused !== undefined) return refused
  stream.open(() => frameworks.disconnected(stream))
  return undefined
}

async function answerOperator(
  { operators }: MasterApi,
  caller: Caller,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const read = readCall(request, { kind: MasterCall, type: 'master.Call' })
  if ('refusal' in read) return send(reply, read.refusal)
  const { call } = read
  const problem = masterCallProblem(call)
  if (problem !== undefined) {
    return send(reply, plain(400, `Failed to validate master::Call: ${problem}`))
  }
  const media = acceptedMedia(request.headers)
  if (!isMedia(media)) return send(reply, media)
  if (call.type === 'SUBSCRIBE') {
    const stream = new OperatorStream(reply, request.log, media)
    const refused = operators.watch(caller, stream)
    if (refused !== undefined) return send(reply, refused)
    stream.open(() => operators.unwatched(stream))
    return reply
  }
  const answer = await operators.call(caller, call)
  if ('body' in answer) return send(reply, answer)
  const { message, writing } = answer.shown
  // As bytes: a text would be given a charset, which Mesos does not send.
  return reply
    .code(200)
    .header('content-type', media.name)
    .send(Buffer.from(media.write(MasterResponse, 'master.Response', message, writing)))
}

function headerOf({ headers }: FastifyRequest, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}
