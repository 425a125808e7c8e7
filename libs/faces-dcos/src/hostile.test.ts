import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import { secretSizeBytesMax } from '@conclave/model'
import { afterEach, describe, expect, test } from 'vitest'
import { bodyBytesMax } from './face.ts'
import { Front, secretUrl } from './testing/front.ts'

const fronts: Front[] = []

function newFront(): Front {
  const front = new Front()
  fronts.push(front)
  return front
}

afterEach(async () => {
  await Promise.all(fronts.splice(0).map(({ app }) => app.close()))
})

/** The status that a request line gets which no client library would write as it stands. */
async function raw(front: Front, method: string, target: string): Promise<number> {
  if (front.app.server.address() === null) await front.app.listen({ port: 0, host: '127.0.0.1' })
  const socket = connect((front.app.server.address() as AddressInfo).port, '127.0.0.1')
  const { authorization } = front.master.identity.headerOf('admin')
  const head = `host: a\r\nconnection: close\r\nauthorization: ${authorization}`
  socket.write(`${method} ${target} HTTP/1.1\r\n${head}\r\ncontent-length: 13\r\n\r\n{"value":"x"}`)
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
  await once(socket, 'close')
  return Number(text.split(' ')[1])
}

describe('a path that was written to mislead', () => {
  test.each([
    'a/../b',
    '../default/b',
    'a/./b',
    'a//b',
    'a/',
    'a/.',
    'a/..',
    '..',
    '%2e%2e/b',
    'a/%2E%2E/b',
    'a%2F..%2Fb',
    '%252e%252e/b',
    'a%252Fb',
    'a%00b',
    'a%0Ab',
    'a%5Cb',
    'a%3Fb',
    'a%23b',
    'a*',
    'a%25',
    '%ff',
    '%c0%ae%c0%ae/b',
    'a%E2%80%AEb',
    'x'.repeat(1025),
    '',
    '/',
    '%2F',
  ])('DC7: default/%s is refused before anything is asked of the master', async (path) => {
    const front = newFront()

    for (const method of ['GET', 'PUT', 'PATCH', 'DELETE']) {
      expect(await raw(front, method, secretUrl(path))).toBe(400)
    }
    expect(front.master.secrets.audit).toEqual([])
    // What was handed over has not been kept.
    expect(front.master.secrets.inputs).toEqual([])
  })

  test.each(['a/b', '/a/b', '//a/b', '%2Fa%2Fb', '%2f/a/b', '%61/b', 'a%2fb'])(
    'DC7: default/%s is the secret a/b',
    async (path) => {
      const front = newFront()
      await front.ask('PUT', secretUrl('a/b'), { body: { value: 'one' } })

      expect((await front.ask('GET', secretUrl(path))).json()).toEqual({ value: 'one' })
      expect(front.master.secrets.audit.at(-1)).toBe('admin read a/b')
    },
  )

  test('DC7: letters of other alphabets, spaces and dots within a name are no trick', async () => {
    const front = newFront()
    const path = 'fön/..a/b c/.d'

    const url = secretUrl(encodeURI(path))
    await front.ask('PUT', url, { body: { value: 'one' } })

    expect((await front.ask('GET', secretUrl('?list=true'))).json()).toEqual({ array: [path] })
    expect((await front.ask('GET', url)).json()).toEqual({ value: 'one' })
  })

  test.each([
    '/secrets/v1/s%65cret/default/a',
    '/s%65crets/v1/secret/default/a',
    'http://a/secrets/v1/secret/default/a',
    '/secrets/v1/secret/default/%',
    '/secrets/v1/secret/default/%zz',
    '/%zz',
  ])('DC7: %s finds nothing by another way', async (target) => {
    const front = newFront()
    await front.ask('PUT', secretUrl('a'), { body: { value: 'x' } })

    expect(await raw(front, 'GET', target)).toBe(400)
    expect(front.master.secrets.audit).toEqual(['admin create a'])
  })

  test('DC7: the router, too, refuses in the form of DC/OS', async () => {
    const answer = await newFront().ask('GET', '/secrets/v1/secret/default/%zz')

    expect(answer.json()).toMatchObject({ title: 'Bad Request', code: 'ERR_INVALID_PATH' })
    expect((await newFront().ask('GET', '/nowhere')).json()).toMatchObject({ title: 'Not Found' })
  })
})

describe('a value that is too large', () => {
  const tooLarge = {
    title: 'Request Entity Too Large',
    code: 'ERR_SECRET_TOO_LARGE',
    description: expect.stringContaining('1047552') as string,
  }

  test.each([
    ['bytes', (size: number) => Buffer.alloc(size, 'x')],
    ['text', (size: number) => ({ value: 'x'.repeat(size) })],
    ['text that is all escapes', (size: number) => ({ value: '\u0001'.repeat(size) })],
  ])('DC8: %s are kept up to the limit and not a byte more', async (_name, make) => {
    const front = newFront()

    const fits = await front.ask('PUT', secretUrl('a'), { body: make(secretSizeBytesMax) })
    const exceeds = await front.ask('PATCH', secretUrl('a'), { body: make(secretSizeBytesMax + 1) })

    expect(fits.statusCode).toBe(201)
    expect([exceeds.statusCode, exceeds.json<unknown>()]).toEqual([413, tooLarge])
  })

  test('DC8: what no secret could need is not read to its end', async () => {
    const answer = await newFront().ask('PUT', secretUrl('a'), {
      body: Buffer.alloc(bodyBytesMax + 1),
    })

    expect([answer.statusCode, answer.json<unknown>()]).toEqual([413, tooLarge])
    expect(answer.headers.connection).toBe('close')
  })

  test('DC8: a login is told how much of it is read, and nothing of secrets', async () => {
    const body = { uid: 'x'.repeat(65 * 1024), password: 'x' }

    const answer = await newFront().ask('POST', '/acs/api/v1/auth/login', { body })

    expect(answer.statusCode).toBe(413)
    expect(answer.json()).toEqual({
      title: 'Request Entity Too Large',
      code: 'ERR_INVALID_DATA',
      description:
        'the body has more than 65536 bytes, the most that is read of a login or of whoever has not logged in',
    })
  })
})

test('DC8: what is no Content-Type is told what it looks like, and which are read', async () => {
  const headers = { 'content-type': 'canary 12' }

  const answer = await newFront().ask('PUT', secretUrl('a'), { body: 'x', headers })

  expect(answer.statusCode).toBe(415)
  expect(answer.json()).toMatchObject({
    description: expect.stringContaining('"aaaaaa 00", which is no type/subtype') as string,
  })
})
