import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Server } from 'node:http'
import { conclaveServerOptions } from '@conclave/faces-conclave'
import { dcosServerOptions } from '@conclave/faces-dcos'
import { dockerServerOptions } from '@conclave/faces-docker'
import { mesosServerOptions } from '@conclave/faces-mesos'
import { mesosAgentServerOptions } from '@conclave/faces-mesos-agent'
import { createLogger, silentLog } from '@conclave/runtime'
import { LogLines } from '@conclave/testkit'
import type { FastifyError, FastifyPluginAsync } from 'fastify'
import { afterEach, describe, expect, test } from 'vitest'
import { joinServerOptions } from '../join/join-routes.ts'
import { FaceListener, type FaceListenerOptions } from './face-listener.ts'

test('AS5 threat:NT-02: strangers cannot use up all that a master may open', async () => {
  const listener = await FaceListener.start({
    face: 'dcos',
    plugin: async () => undefined,
    server: dcosServerOptions,
    host: '127.0.0.1',
    port: 0,
    requestSeconds: 120,
    connectionsMax: 2,
    log: silentLog,
    onAnswered: () => undefined,
  })
  const opened = async (): Promise<Socket> => {
    const socket = connect(listener.port, '127.0.0.1')
    await once(socket, 'connect')
    return socket
  }

  const kept = [await opened(), await opened()]
  const third = await opened()
  await once(third.resume(), 'close')

  expect(kept.every(({ destroyed }) => !destroyed)).toBe(true)
  for (const socket of kept) socket.destroy()
  await listener.close()
})

interface Form {
  readonly server: FaceListenerOptions['server']
  readonly type: 'application/json' | 'text/plain; charset=utf-8'
  /** The message of a refusal that has the form of this face. */
  readonly messageIn: (body: string) => unknown
}

const json = 'application/json'

const forms: Readonly<Record<string, Form>> = {
  conclave: {
    server: conclaveServerOptions,
    type: json,
    messageIn: (body) => {
      const { error } = JSON.parse(body) as { error: { code: string; message: string } }
      expect(error).toEqual({ code: 'request.invalid', message: error.message })
      return error.message
    },
  },
  join: {
    server: joinServerOptions,
    type: json,
    messageIn: (body) => {
      const { error } = JSON.parse(body) as { error: { code: string; message: string } }
      expect(error).toEqual({ code: 'join.request-invalid', message: error.message })
      return error.message
    },
  },
  dcos: {
    server: dcosServerOptions,
    type: json,
    messageIn: (body) => {
      const { title, description, code, ...more } = JSON.parse(body) as Record<string, unknown>
      expect(title).toMatch(
        /^(Bad Request|Request (Timeout|Header Fields Too Large)|Expectation Failed)$/,
      )
      expect([code, more]).toEqual(['ERR_INVALID_DATA', {}])
      return description
    },
  },
  docker: {
    server: dockerServerOptions,
    type: json,
    messageIn: (body) => {
      expect(body).toMatch(/\n$/)
      const { message, ...more } = JSON.parse(body) as Record<string, unknown>
      expect(more).toEqual({})
      return message
    },
  },
  mesos: {
    server: mesosServerOptions,
    type: 'text/plain; charset=utf-8',
    messageIn: (body) => body,
  },
  'mesos-agent': {
    server: mesosAgentServerOptions,
    type: 'text/plain; charset=utf-8',
    messageIn: (body) => body,
  },
}

const broken = {
  400: ['canary\r\n\r\n', 'does not begin with a method'],
  431: [`GET / HTTP/1.1\r\nA: ${'canary'.repeat(4000)}\r\n\r\n`, 'have more than 16384 bytes'],
  408: ['GET /canary HTTP/1.1\r\n', 'took too long to arrive'],
} as const

describe('what is no HTTP', () => {
  let listener: FaceListener
  afterEach(() => listener.destroy())

  test.each(
    Object.entries(forms).flatMap(([face, form]) =>
      ([400, 431, 408] as const).map((status) => ({ face, status, ...form })),
    ),
  )(
    'AS17: is answered by the $face face in its own form: $status',
    async ({ face, status, server, type, messageIn }) => {
      const log = new LogLines()
      let http: Server | undefined
      listener = await FaceListener.start({
        face,
        plugin: async (app) => void (http = app.server),
        server,
        host: '127.0.0.1',
        port: 0,
        requestSeconds: 120,
        log: createLogger({ level: 'debug', to: log }),
        onAnswered: () => undefined,
      })
      const before = log.text
      const socket = connect(listener.port, '127.0.0.1')
      const [theirs] = (await once(http as Server, 'connection')) as [Socket]
      const [bytes, word] = broken[status]
      socket.write(bytes)
      // As Node's server says it after its patience.
      if (status === 408) {
        const late = Object.assign(new Error(), { code: 'ERR_HTTP_REQUEST_TIMEOUT' })
        http?.emit('clientError', late, theirs)
      }
      let said = ''
      socket.on('data', (piece: Buffer) => (said += piece.toString('latin1')))
      await once(socket, 'close')

      const [head = '', body = ''] = said.split('\r\n\r\n')
      expect(head).toMatch(new RegExp(String.raw`^HTTP/1\.1 ${status} `))
      expect(head.split('\r\n')).toEqual(
        expect.arrayContaining([`Content-Type: ${type}`, 'Connection: close']),
      )
      expect(messageIn(body)).toContain(word)
      expect(said).not.toContain('canary')
      expect(log.text).toBe(before)
    },
  )
})

const headers = {
  'no host': [400, ['A: canary'], 'there is no Host header'],
  'an expectation that nobody knows': [417, ['Host: h', 'Expect: canary'], 'only "Expect: 100-'],
} as const

describe('headers that Node would answer without a word', () => {
  let listener: FaceListener
  afterEach(() => listener.destroy())

  async function listen(server: Form['server']): Promise<void> {
    const worded: FastifyPluginAsync = async (app) => {
      app.setErrorHandler((error, request, reply) =>
        server.frameworkErrors?.(error as FastifyError, request, reply),
      )
      app.all('/', async (request) => ({ said: request.body }))
    }
    listener = await FaceListener.start({
      face: 'any',
      plugin: worded,
      server,
      host: '127.0.0.1',
      port: 0,
      requestSeconds: 120,
      log: silentLog,
      onAnswered: () => undefined,
    })
  }

  async function answerTo(...lines: readonly string[]): Promise<string> {
    const socket = connect(listener.port, '127.0.0.1')
    socket.write([...lines, '', ''].join('\r\n'))
    let said = ''
    socket.on('data', (piece: Buffer) => (said += piece.toString('latin1')))
    await once(socket, 'close')
    return said
  }

  test.each(
    Object.entries(forms).flatMap(([face, form]) =>
      Object.entries(headers).map(([what, refused]) => ({ face, what, refused, ...form })),
    ),
  )(
    'AS17: $what is told by the $face face in its own form',
    async ({ refused: [status, lines, word], server, type, messageIn }) => {
      await listen(server)

      const said = await answerTo('GET / HTTP/1.1', ...lines)

      const [head = '', body = ''] = said.split('\r\n\r\n')
      expect(head).toMatch(new RegExp(String.raw`^HTTP/1\.1 ${status} `))
      expect(head.toLowerCase().split('\r\n')).toContain('connection: close')
      expect(head.toLowerCase()).toContain(`content-type: ${type}`)
      expect(messageIn(body)).toContain(word)
      expect(said).not.toContain('canary')
    },
  )

  test('AS17: HTTP/1.0 needs no host, and 100-continue is met', async () => {
    await listen(mesosServerOptions)

    expect(await answerTo('GET / HTTP/1.0')).toMatch(/^HTTP\/1\.1 200 /)
    const met = ['Host: h', 'Connection: close', 'Content-Type: text/plain', 'Content-Length: 2']
    const said = await answerTo('POST / HTTP/1.1', ...met, 'Expect: 100-continue', '', 'ok')
    expect(said).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /)
    expect(said).toContain('{"said":"ok')
  })
})
