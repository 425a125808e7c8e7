import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import { Unavailable } from '@conclave/actors'
import { Redacted, utf8 } from '@conclave/kernel'
import { putLane } from '@conclave/runtime'
import { describe, expect, test } from 'vitest'
import { readLane } from './read-lane.ts'
import { Front, secretUrl } from './testing/front.ts'

/** One face on a port, with the lane before it or not. */
async function listening(hasLane: boolean) {
  const front = new Front()
  const taken: string[] = []
  const told: string[] = []
  const lane = readLane(front.master)({
    run: (work) => work(),
    onAnswered: (method, status) => told.push(`${method} ${status}`),
    log: { error: (fields, message) => front.app.log.error(fields, message) },
  })
  const close = putLane(front.app.server, (request, response) => {
    const isTaken = hasLane && lane(request, response)
    if (isTaken) taken.push(request.url ?? '')
    return isTaken
  })
  await front.app.listen({ port: 0, host: '127.0.0.1' })
  await front.ask('PUT', secretUrl('a/text'), { body: { value: 'a "value"' } })
  await front.ask('PUT', secretUrl('a/binary'), { body: Buffer.from([0, 1, 2, 0xff]) })
  const { port } = front.app.server.address() as AddressInfo
  const { authorization } = front.master.identity.headerOf('admin')
  /** The whole answer, but for its date and the request's number. */
  const ask = async (head: string): Promise<string> => {
    const socket = connect(port, '127.0.0.1')
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.write(`${head}\r\nconnection: close\r\n\r\n`)
    await once(socket, 'close')
    return Buffer.concat(chunks)
      .toString('latin1')
      .replace(/\r\nDate: [^\r]+/, '')
      .replace(/as request [\w-]+/, 'as request N')
      .replace(/content-length: 1\d\d\r\n(?=[^]*as request N)/, '')
  }
  return { front, taken, told, ask, close, authorization }
}

type Listening = Awaited<ReturnType<typeof listening>>

const get = (url: string, ...headers: readonly string[]): string =>
  [`GET ${url} HTTP/1.1`, 'host: a', ...headers].join('\r\n')

describe('the short way of a read', () => {
  test.each<[string, (o: Listening) => string]>([
    ['text', ({ authorization: a }) => get(secretUrl('a/text'), `authorization: ${a}`)],
    ['bytes', ({ authorization: a }) => get(secretUrl('a/binary'), `Authorization: ${a}`)],
    [
      'text as bytes',
      ({ authorization: a }) =>
        get(secretUrl('a/text'), `authorization: ${a}`, 'Accept: application/octet-stream'),
    ],
    [
      'bytes as JSON',
      ({ authorization: a }) =>
        get(secretUrl('a/binary'), `authorization: ${a}`, 'accept: application/json'),
    ],
    ['nothing', ({ authorization: a }) => get(secretUrl('a/none'), `authorization: ${a}`)],
    ['no path', ({ authorization: a }) => get(secretUrl('a/../b'), `authorization: ${a}`)],
    [
      'what is not granted',
      ({ front }) =>
        get(
          secretUrl('a/text'),
          `authorization: ${front.master.identity.headerOf('guest').authorization}`,
        ),
    ],
    [
      'while nobody leads',
      ({ front, authorization: a }) => {
        front.master.failNext(new Unavailable('no quorum'))
        return get(secretUrl('a/text'), `authorization: ${a}`)
      },
    ],
    [
      'a failure of ours',
      ({ front, authorization: a }) => {
        front.master.failNext(new TypeError('cannot read properties of a certain thing'))
        return get(secretUrl('a/text'), `authorization: ${a}`)
      },
    ],
  ])('DC12: answers %s as the route does, to the byte', async (_what, asked) => {
    const [short, long] = [await listening(true), await listening(false)]
    for (const { front } of [short, long]) {
      for (const as of ['admin', 'guest']) await front.ask('GET', '/secrets/v1/store', { as })
    }

    const answers = [await short.ask(asked(short)), await long.ask(asked(long))]

    expect(answers[0]).toBe(answers[1])
    expect([short.taken.length, long.taken.length]).toEqual([1, 0])
    expect(short.told).toEqual([`GET ${answers[0]?.slice(9, 12)}`])
    expect(short.front.log.text.includes('a request failed')).toBe(
      long.front.log.text.includes('a request failed'),
    )
    for (const { front } of [short, long]) await front.app.close()
  })

  test.each<[string, (authorization: string) => string]>([
    ['a token that nobody knows', () => get(secretUrl('a/text'), 'authorization: token=x.y.z')],
    ['no token', () => get(secretUrl('a/text'))],
    ['two', (a) => get(secretUrl('a/text'), `authorization: ${a}`, `Authorization: ${a}`)],
    ['an older version', (a) => get(secretUrl('a/text?version=1'), `authorization: ${a}`)],
    ['a list', (a) => get(secretUrl('?list=true'), `authorization: ${a}`)],
    ['what is to be decoded', (a) => get(secretUrl('a%2ftext'), `authorization: ${a}`)],
    ['another store', (a) => get('/secrets/v1/secret/other/a', `authorization: ${a}`)],
    ['a disguise', (a) => get('/secrets/v1/s%65cret/default/a', `authorization: ${a}`)],
    ['a body', (a) => get(secretUrl('a/text'), `authorization: ${a}`, 'content-length: 0')],
    ['HEAD', (a) => get(secretUrl('a/text'), `authorization: ${a}`).replace('GET', 'HEAD')],
    [
      'two kinds',
      (a) =>
        get(
          secretUrl('a/text'),
          `authorization: ${a}`,
          'accept: application/json',
          'accept: application/octet-stream',
        ),
    ],
  ])('DC12: leaves %s to the routes', async (_what, asked) => {
    const { front, taken, ask, authorization } = await listening(true)
    await front.ask('GET', '/secrets/v1/store')

    const answer = await ask(asked(authorization))

    expect(answer).toMatch(/^HTTP\/1\.1 [2-4]\d\d /)
    expect(taken).toEqual([])
    await front.app.close()
  })

  test('DC12: takes nothing once it is closed', async () => {
    const { front, taken, ask, close, authorization } = await listening(true)
    await front.ask('GET', '/secrets/v1/store')
    close()

    const answer = await ask(get(secretUrl('a/text'), `authorization: ${authorization}`))

    expect(answer).toContain('{"value":"a \\"value\\""}')
    expect(taken).toEqual([])
    await front.app.close()
  })

  test.each([true, false])(
    'DC9: what is read for a client that has gone is wiped (the short way: %s)',
    async (hasLane) => {
      const { front, authorization } = await listening(hasLane)
      await front.ask('GET', '/secrets/v1/store')
      const value = utf8('a value that nobody waits for')
      const asked = Promise.withResolvers<void>()
      const gone = Promise.withResolvers<void>()
      const found = await front.master.secrets.read(
        { principal: { uid: 'admin' }, requestId: '1' },
        'a/binary',
      )
      front.master.secrets.read = async () => {
        asked.resolve()
        await gone.promise
        return { ...found, bytes: new Redacted(value) }
      }
      front.app.server.on('connection', (socket) => socket.on('close', () => gone.resolve()))
      const socket = connect((front.app.server.address() as AddressInfo).port, '127.0.0.1')
      socket.write(`${get(secretUrl('a/binary'), `authorization: ${authorization}`)}\r\n\r\n`)
      await asked.promise
      socket.destroy()
      await gone.promise
      await front.app.close()

      expect(value).toEqual(new Uint8Array(value.length))
    },
  )
})
