import { randomUUID } from 'node:crypto'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { engineHeaders, jsonLine } from '../answers.ts'
import type { Asked } from '../engine.ts'
import { refusalOf, Refusal } from '../errors.ts'
import { speaks, splitVersion, type Versioned } from '../versions.ts'

/*
 * A request that becomes a connection of its own: what the client sends is input, what we send is output, and
 * either side ends by itself. Source: docker-swarm.md A7.
 */

/** The connection behind a request, once it is nobody else's. */
export interface Hijacked {
  readonly socket: Duplex
  /** What the client sent already, behind the body. */
  readonly early: Buffer
}

/** What is done with a hijacked request. Anything thrown before {@link HijackRequest.accept} is its answer. */
export interface HijackRequest {
  /** Who asks. */
  readonly asked: Asked
  readonly version: Versioned['version']
  readonly query: URLSearchParams
  readonly body: Buffer
  /** Answers 101 and hands over the connection. */
  readonly accept: (contentType: string) => Hijacked
}

export interface HijackRoute {
  /** Of the path without a version; the groups are handed to `handle`. */
  readonly path: RegExp
  handle(request: HijackRequest, ...groups: readonly string[]): Promise<void>
}

/** What the body of a request that is hijacked may have: a few settings. */
const bodyBytesMax = 64 * 1024
/** How long it may take to arrive. */
const bodyPatienceMs = 10_000
/** How long a client may take to hang up after the end. */
const lingerMs = 30_000

/** Connections that were given up, by the server whose they were. */
const heldBy = new WeakMap<object, Set<Duplex>>()

/** Makes the server give up connections to `routes`. Any other request with an `Upgrade` is an ordinary one. */
export function hijackRoutes(app: FastifyInstance, routes: readonly HijackRoute[]): void {
  const { server, log } = app
  const held = new Set<Duplex>()
  heldBy.set(server, held)
  // A server that closes does not count these among its own, and would wait for them for ever.
  app.addHook('preClose', async () => {
    for (const socket of held) socket.destroy()
  })
  const upgradable = server as Server & {
    shouldUpgradeCallback?: (request: IncomingMessage) => boolean
  }
  upgradable.shouldUpgradeCallback = (request) => routeOf(routes, request) !== undefined
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    hold(server, socket)
    hijack(routes, request, socket, head)
      .catch((error: unknown) => {
        const refused = refusalOf(error)
        if (refused === undefined) log.error({ err: error }, 'a hijacked request failed')
        answer(socket, refused ?? new Refusal(500, 'this is a fault of ours; the log has it'))
      })
      .finally(() => endInTime(socket))
  })
}

function hold(server: object, socket: Duplex): void {
  // Over TLS, a client that sends no more would else hear no more.
  ;(socket as Socket).allowHalfOpen = true
  const held = heldBy.get(server)
  held?.add(socket)
  socket.once('close', () => held?.delete(socket))
  socket.on('error', () => socket.destroy())
}

interface Routed {
  readonly route: HijackRoute
  readonly groups: readonly string[]
  readonly version: Versioned['version']
  readonly query: URLSearchParams
}

function routeOf(
  routes: readonly HijackRoute[],
  { method, url }: IncomingMessage,
): Routed | undefined {
  const split = splitVersion(url ?? '/')
  if (method !== 'POST' || 'refused' in split) return undefined
  const [path = '', query = ''] = split.url.split('?', 2)
  for (const route of routes) {
    const found = route.path.exec(path)
    if (found === null) continue
    const groups = found.slice(1).map((group) => decoded(group))
    return { route, groups, version: split.version, query: new URLSearchParams(query) }
  }
  return undefined
}

function decoded(group: string): string {
  try {
    return decodeURIComponent(group)
  } catch {
    return group
  }
}

async function hijack(
  routes: readonly HijackRoute[],
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  const routed = routeOf(routes, request)
  if (routed === undefined) throw new Refusal(404, 'page not found')
  // A page in a browser says where it comes from, and no client of Docker's does. Source: threats.md NT-04.
  if (request.headers.origin !== undefined) throw new Refusal(403, 'this is not for pages')
  const { body, early } = await readBody(request, socket, head)
  const { route, groups, version, query } = routed
  const accept = (contentType: string): Hijacked => {
    const headers = { 'Content-Type': contentType, Connection: 'Upgrade', Upgrade: 'tcp' }
    socket.write(headOf('101 UPGRADED', { ...engineHeaders, ...headers }))
    return { socket, early }
  }
  const asked = { id: randomUUID(), raw: request }
  await route.handle({ asked, version, query, body, accept }, ...groups)
}

/**
 * Node leaves the body where it is: its bytes come first in `head`, or as data. Source: docker-swarm.md A7.
 *
 * @throws Refusal
 */
async function readBody(
  { headers }: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<{ readonly body: Buffer; readonly early: Buffer }> {
  const sizeBytes = Number(headers['content-length'] ?? 0)
  if (headers['transfer-encoding'] !== undefined) {
    throw new Refusal(400, 'a request that is hijacked says how long its body is')
  }
  if (!(sizeBytes <= bodyBytesMax)) throw new Refusal(400, 'http: request body too large')
  let bytes = head
  const patience = setTimeout(() => socket.destroy(), bodyPatienceMs)
  try {
    while (bytes.length < sizeBytes) {
      const piece = await nextPiece(socket)
      if (piece === undefined) throw new Refusal(400, 'unexpected EOF')
      bytes = Buffer.concat([bytes, piece])
    }
  } finally {
    clearTimeout(patience)
  }
  return { body: bytes.subarray(0, sizeBytes), early: bytes.subarray(sizeBytes) }
}

async function nextPiece(socket: Duplex): Promise<Buffer | undefined> {
  for (;;) {
    const piece = socket.read() as Buffer | null
    if (piece !== null) return piece
    if (socket.readableEnded || socket.destroyed) return undefined
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        for (const event of ['readable', 'end', 'close']) socket.off(event, wake)
        resolve()
      }
      for (const event of ['readable', 'end', 'close']) socket.once(event, wake)
    })
  }
}

/** Both sides have said their last; a client that does not hang up is hung up on. */
function endInTime(socket: Duplex): void {
  const patience = setTimeout(() => socket.destroy(), lingerMs)
  patience.unref()
  socket.once('close', () => clearTimeout(patience))
}

function answer(socket: Duplex, { status, message }: Refusal): void {
  if (socket.destroyed) return
  const body = jsonLine({ message })
  const headers = {
    ...engineHeaders,
    'Content-Type': 'application/json',
    'Content-Length': String(body.length),
    Connection: 'close',
  }
  socket.end(Buffer.concat([headOf(`${status} Refused`, headers), body]))
}

const headOf = (status: string, headers: Readonly<Record<string, string>>): Buffer =>
  Buffer.from(
    [
      `HTTP/1.1 ${status}`,
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      '',
      '',
    ].join('\r\n'),
  )

/**
 * For clients that ask without an `Upgrade`: 200, then the connection is theirs as after one, input and all. How the
 * stream is called is what dockerd says then, whatever is in it. Source: moby, `httputils.HijackConnection`.
 */
export function hijackPlain(reply: FastifyReply): Hijacked {
  reply.hijack()
  const response: ServerResponse = reply.raw
  const { socket } = response
  if (socket === null) throw new Refusal(400, 'the client is gone')
  response.detachSocket(socket)
  takeFromParser(socket)
  hold(reply.server.server, socket)
  socket.once('finish', () => endInTime(socket))
  socket.write(headOf('200 OK', { ...engineHeaders, 'Content-Type': rawStream }))
  return { socket, early: Buffer.alloc(0) }
}

/**
 * What comes now is no request: Node's parser is to look at none of it, nor end the connection with the input. Who
 * listens for data next has it, and has to at once: the connection flows.
 */
function takeFromParser(socket: Socket): void {
  socket.setTimeout(0)
  for (const event of ['data', 'end', 'error', 'timeout']) socket.removeAllListeners(event)
}

const rawStream = 'application/vnd.docker.raw-stream'

/** How a stream of a container is called. Source: docker-swarm.md A2. */
export const streamType = (version: Versioned['version'], isRaw: boolean): string =>
  !isRaw && speaks(version, '1.42') ? 'application/vnd.docker.multiplexed-stream' : rawStream
