import { randomUUID } from 'node:crypto'
import { chmod, lstat, rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ConclaveError } from '@conclave/kernel'
import {
  expectationUnknown,
  HeadersRefused,
  hostMissing,
  type Log,
  type Slices,
  type Unreadable,
} from '@conclave/runtime'
import Fastify, {
  LogController,
  type FastifyInstance,
  type FastifyPluginAsync,
  type FastifyServerOptions,
} from 'fastify'
import { faceLog } from './face-log.ts'

/** Nobody can call there: the port is taken, or not ours to take. */
export class FaceListenFailed extends ConclaveError {
  readonly code = 'face.listen-failed'

  /** @param place `host:port`, or the path of a socket */
  constructor(face: string, place: string, cause: unknown) {
    const why = (cause as { code?: string }).code ?? 'unknown'
    super(
      `the ${face} face cannot listen on ${place} (${why}): free that place or choose another`,
      {
        cause,
      },
    )
  }
}

/** A face speaks HTTP without TLS: on a network, passwords and values would travel for all to read. */
export class FaceExposed extends ConclaveError {
  readonly code = 'face.exposed'

  constructor(host: string) {
    super(
      `faces speak plain HTTP and would listen on ${host}, beyond this machine: listen on 127.0.0.1, ` +
        'or say plainHttp where a proxy or a tunnel adds TLS',
    )
  }
}

/** Whether only this machine can call there. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)

export interface FaceListenerOptions {
  readonly face: string
  readonly plugin: FastifyPluginAsync
  /** What the face wants of the server that carries it: its own words for what no route is asked, or is no HTTP. */
  readonly server: Pick<FastifyServerOptions, 'frameworkErrors' | 'serverFactory' | 'rewriteUrl'> &
    Required<Pick<FastifyServerOptions, 'clientErrorHandler'>>
  readonly host: string
  readonly port: number
  /** A socket of this machine's file system instead of a port: whoever may open it may call. */
  readonly path?: string
  /** Speaks TLS, and with those alone who show a certificate of `ca`. PEM. */
  readonly tls?: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer } | undefined
  /** How long a whole request may take to arrive, 0 for ever: what goes into a container may take its time. */
  readonly requestSeconds: number
  readonly connectionsMax?: number
  /** After so many requests a connection ends; usually none does. Who is at its other end is judged once for each. */
  readonly requestsPerConnectionMax?: number
  readonly log: Log
  /** Whole requests are answered in these, beside what else the master does in them. */
  readonly slices?: Slices
  readonly onAnswered: (face: string, method: string, status: number, seconds: number) => void
}

/**
 * Of one face. A master that cannot open a file any more, because strangers hold all that it may
 * open, would have to stop at the next segment of its journal.
 */
const connectionsMaxUsually = 2048

/** Requests that are under way when a master stops get this long. */
const drainMs = 1000

/** A line for each request would say little that metrics and the audit log do not; failures are told. */
class FailuresOnly extends LogController {
  override incomingRequest(): void {}
  override requestCompleted(): void {}
  override routeNotFound(): void {}
}

async function listen(app: FastifyInstance, o: FaceListenerOptions): Promise<void> {
  if (o.path === undefined) {
    await app.listen({ host: o.host, port: o.port })
    return
  }
  await clearSocket(o.path)
  await app.listen({ path: o.path })
  // The directory around it lets nobody else in; this holds if somebody opens that one.
  await chmod(o.path, 0o600)
}

/** A socket that was left by a master that was killed would be in the way of the next. */
async function clearSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found?.isSocket() === true) await rm(path, { force: true })
}

/** A client that ends its half goes on listening, as one does that asks for a stream. */
const tlsServerOptions = (tls: NonNullable<FaceListenerOptions['tls']>): object => ({
  ...tls,
  minVersion: 'TLSv1.2',
  requestCert: true,
  rejectUnauthorized: true,
  allowHalfOpen: true,
})

/** Node would answer with a status and no word, in no face's form. */
export const wordedByFaces = { requireHostHeader: false } as const

const isUnmet = Symbol('its expectation is unknown')

interface Expecting extends IncomingMessage {
  [isUnmet]?: true
}

function headersRefusalOf(request: Expecting): Unreadable | undefined {
  if (request[isUnmet] === true) return expectationUnknown
  const isHostWanted = request.httpVersion === '1.1' && request.headers.host === undefined
  return isHostWanted ? hostMissing : undefined
}

/** One face, listening. */
export class FaceListener {
  readonly #app: FastifyInstance
  readonly port: number

  private constructor(app: FastifyInstance, port: number) {
    this.#app = app
    this.port = port
  }

  /** @throws FaceListenFailed */
  static async start(o: FaceListenerOptions): Promise<FaceListener> {
    const app = Fastify({
      ...o.server,
      ...(o.tls
        ? { https: { ...tlsServerOptions(o.tls), ...wordedByFaces } }
        : { http: wordedByFaces }),
      loggerInstance: faceLog(o.log, { face: o.face }),
      logController: new FailuresOnly(),
      genReqId: () => randomUUID(),
      requestIdHeader: false,
      requestTimeout: o.requestSeconds * 1000,
      keepAliveTimeout: 60_000,
      forceCloseConnections: 'idle',
      routerOptions: { maxParamLength: 4096 },
    })
    app.server.headersTimeout = 15_000
    app.server.maxConnections = o.connectionsMax ?? connectionsMaxUsually
    app.server.maxRequestsPerSocket = o.requestsPerConnectionMax ?? 0
    // Node would answer each further one with 503, for as long as the other end likes.
    app.server.on('dropRequest', (_request, socket) => socket.destroy())
    app.server.on('checkExpectation', (request: Expecting, response) => {
      request[isUnmet] = true
      app.server.emit('request', request, response)
    })
    app.addHook('onRequest', ({ raw }: { raw: Expecting }, reply, done) => {
      const refusal = headersRefusalOf(raw)
      if (refusal === undefined) return done()
      // Nobody knows whether the body of this request will come.
      void reply.header('connection', 'close')
      done(new HeadersRefused(refusal))
    })
    app.addHook('onResponse', (request, reply, done) => {
      o.onAnswered(o.face, request.method, reply.statusCode, reply.elapsedTime / 1000)
      done()
    })
    const { slices } = o
    if (slices !== undefined) {
      app.addHook('preHandler', (_request, _reply, done) => slices.do(done))
    }
    await app.register(o.plugin)
    try {
      await listen(app, o)
    } catch (cause) {
      await app.close()
      throw new FaceListenFailed(o.face, o.path ?? `${o.host}:${o.port}`, cause)
    }
    const address = app.server.address() as AddressInfo | string
    return new FaceListener(app, typeof address === 'string' ? 0 : address.port)
  }

  /** Takes no more requests, and lets those under way end; streams are ended. */
  async close(): Promise<void> {
    const patience = setTimeout(() => this.#app.server.closeAllConnections(), drainMs)
    await this.#app.close()
    clearTimeout(patience)
  }

  /** As a crash would leave it. */
  async destroy(): Promise<void> {
    this.#app.server.closeAllConnections()
    await this.#app.close()
  }
}
