import { connect, type AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import type { IdentityApi } from '@conclave/actors'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { describe, expect, test } from 'vitest'
import {
  BodyBrokeOff,
  BodyTooLarge,
  Callers,
  gatherBody,
  takeBodiesAsBytes,
  wipeAtTheEnd,
} from './front-door.ts'

const arriving = (pieces: readonly Buffer[], failure?: Error): Readable =>
  Readable.from(
    (async function* () {
      yield* pieces
      if (failure !== undefined) throw failure
    })(),
  )

const isWiped = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0)

const sizeBytesMax = 16

const sizeOf = ({ body }: FastifyRequest): string => String((body as Buffer).length)

/** A server with a door for everybody and one for those who are known. */
async function opened(patienceMs?: number): Promise<{ app: FastifyInstance; port: number }> {
  const app = Fastify({ requestTimeout: 0 })
  const identity = {
    authenticate: async (token: string) =>
      token === 'a.b.c' ? { uid: 'dev', expiresAtMs: 4711 } : undefined,
    remembered: (token: string) => (token === 'd.e.f' ? { uid: 'ops' } : undefined),
  } as unknown as IdentityApi
  const callers = new Callers(identity)
  takeBodiesAsBytes(app, 1024 * 1024, patienceMs)
  app.setErrorHandler<BodyTooLarge>((error, _request, reply) =>
    reply.header('connection', 'close').code(413).send({ code: error.code }),
  )
  app.post('/login', async (request) => sizeOf(request))
  await app.register(async (guarded) => {
    guarded.addHook(
      'onRequest',
      callers.guard((reply, why) => void reply.code(why === 'stranger' ? 401 : 400).send()),
    )
    guarded.post('/store', async (request) => sizeOf(request))
    guarded.get('/caller', async (request) => callers.of(request))
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, port: (app.server.address() as AddressInfo).port }
}

describe('a stranger', () => {
  test.each(['/login', '/nowhere'])(
    'RT15 threat:AU-12: is not listened to at %s for longer than a login takes',
    async (url) => {
      const { app } = await opened()
      const payload = Buffer.alloc(65 * 1024, ' ')

      const asked = { method: 'POST', url, payload } as const
      const [declared, streamed] = await Promise.all([
        app.inject(asked),
        app.inject({
          ...asked,
          headers: { 'transfer-encoding': 'chunked' },
          payload: Readable.from([payload]),
        }),
      ])

      expect([declared.statusCode, streamed.statusCode]).toEqual([413, 413])
      expect(declared.json()).toMatchObject({ code: 'body.too-large' })
      await app.close()
    },
  )

  test('RT15: who is known is known with the end of their token', async () => {
    const { app } = await opened()
    const headers = { authorization: 'token=a.b.c' }

    const answer = await app.inject({ method: 'GET', url: '/caller', headers })

    expect(answer.json()).toMatchObject({ principal: { uid: 'dev' }, expiresAtMs: 4711 })
    await app.close()
  })

  test('RT15: who is remembered is known at once, and who is neither is refused', async () => {
    const { app } = await opened()
    const asked = (authorization: string | string[]) =>
      app.inject({ method: 'GET', url: '/caller', headers: { authorization } as never })

    expect((await asked('token=d.e.f')).json()).toMatchObject({ principal: { uid: 'ops' } })
    expect((await asked('token=x.y.z')).statusCode).toBe(401)
    expect((await asked(['token=d.e.f', 'token=d.e.f'])).statusCode).toBe(400)
    await app.close()
  })

  test('RT15: who is known may send as much as the face takes', async () => {
    const { app } = await opened()
    const headers = { authorization: 'token=a.b.c' }
    const payload = Buffer.alloc(1024 * 1024, ' ')

    const answer = await app.inject({ method: 'POST', url: '/store', headers, payload })

    expect(answer.body).toBe(String(1024 * 1024))
    await app.close()
  })

  test('RT15: who sends too much in one go hears why, instead of a broken connection', async () => {
    const { app, port } = await opened()
    const socket = connect(port, '127.0.0.1')
    let heard = ''
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString()
    })
    const ended = new Promise((resolve, reject) => {
      socket.once('end', resolve).once('error', reject)
    })

    const size = 8 * 1024 * 1024
    socket.write(`POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: ${size}\r\n\r\n`)
    for (let sent = 0; sent < size; sent += 65_536) socket.write(Buffer.alloc(65_536, ' '))
    await ended

    expect(heard).toContain('body.too-large')
    socket.destroy()
    await app.close()
  })

  test('RT15 threat:NT-02: who was refused and goes on sending loses the connection', async () => {
    const { app, port } = await opened(20)
    const socket = connect(port, '127.0.0.1')
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.on('error', () => undefined)
    let heard = ''
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString()
    })

    socket.write('POST /store HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n')
    const drip = setInterval(() => socket.write('x'), 1)
    await closed
    clearInterval(drip)

    expect(heard).toContain('401')
    await app.close()
  })
})

describe('a body', () => {
  test('RT15: is gathered, and wiped in the pieces it came in', async () => {
    const pieces = [Buffer.from('{"value":'), Buffer.from('"x"}')]

    expect((await gatherBody(arriving(pieces), sizeBytesMax)).toString()).toBe('{"value":"x"}')
    expect(pieces.every(isWiped)).toBe(true)
  })

  test('RT15: in one piece is handed on as it is, and nobody wipes it meanwhile', async () => {
    const piece = Buffer.from('one piece')
    const payload = arriving([piece])
    const closed = new Promise((resolve) => payload.once('close', resolve))

    const body = await gatherBody(payload, sizeBytesMax)
    await closed

    expect(body.toString()).toBe('one piece')
    expect(body.buffer).toBe(piece.buffer)
  })

  test('RT15: of a client that went away is no body', async () => {
    const payload = new Readable({ read: () => undefined })
    const gathered = gatherBody(payload, sizeBytesMax)
    payload.push('half')
    setImmediate(() => payload.destroy())

    await expect(gathered).rejects.toThrow(BodyBrokeOff)
  })

  test('RT15: that breaks off, or is too large, is wiped as well', async () => {
    const half = [Buffer.from('half')]
    const large = [Buffer.alloc(sizeBytesMax, 'x'), Buffer.from('x')]

    await expect(gatherBody(arriving(half, new Error('hung up')), sizeBytesMax)).rejects.toThrow(
      BodyBrokeOff,
    )
    await expect(gatherBody(arriving(large), sizeBytesMax)).rejects.toThrow(BodyTooLarge)

    expect([...half, ...large].every(isWiped)).toBe(true)
  })
})

test('RT15: an answer is wiped when it was sent, and when its client has gone before it was there', async () => {
  const app = Fastify()
  const sent = Buffer.from('sent')
  const late = Buffer.from('too late')
  const gone = Promise.withResolvers<void>()
  const wiped = Promise.withResolvers<void>()
  app.get('/sent', async (_request, reply) => {
    wipeAtTheEnd(reply.raw, sent)
    return reply.send(sent)
  })
  app.get('/late', async (_request, reply) => {
    reply.raw.on('close', gone.resolve)
    await gone.promise
    wipeAtTheEnd(reply.raw, late)
    wiped.resolve()
    return reply.send(late)
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo

  const text = await (await fetch(`http://127.0.0.1:${port}/sent`)).text()
  const socket = connect(port, '127.0.0.1', () => {
    socket.write('GET /late HTTP/1.1\r\nhost: a\r\n\r\n', () => socket.destroy())
  })
  await wiped.promise
  await app.close()

  expect(text).toBe('sent')
  expect([sent, late].every(isWiped)).toBe(true)
})
