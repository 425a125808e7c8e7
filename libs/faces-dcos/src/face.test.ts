import { LoginThrottled } from '@conclave/actors'
import { AuditUnavailable } from '@conclave/runtime'
import { describe, expect, test } from 'vitest'
import { Front, secretUrl } from './testing/front.ts'

const denied = (status: number, title: string, code: string) => ({
  status,
  body: { title, code, description: expect.any(String) as string },
})

const shown = (answer: { statusCode: number; json: () => unknown }) => ({
  status: answer.statusCode,
  body: answer.json(),
})

describe('login', () => {
  test('DC1: gives a token for a password, and ignores the old token that the CLI sends along', async () => {
    const { app, master } = new Front()

    const answer = await app.inject({
      method: 'POST',
      url: '/acs/api/v1/auth/login',
      headers: { authorization: 'token=expired' },
      payload: { uid: 'admin', password: 'admin-password' },
    })

    expect(shown(answer)).toEqual({
      status: 200,
      body: { token: master.identity.tokenOf('admin') },
    })
    expect(answer.headers['cache-control']).toBe('no-store')
  })

  test('DC1: gives a token for the login token of a service', async () => {
    const { app, master } = new Front()
    master.identity.serviceTokens.set('edge-lb', 'signed.by.it')

    const answer = await app.inject({
      method: 'POST',
      url: '/acs/api/v1/auth/login',
      payload: { uid: 'edge-lb', token: 'signed.by.it' },
    })

    expect(answer.json()).toEqual({ token: master.identity.tokenOf('edge-lb') })
  })

  test.each([
    { uid: 'admin', password: 'wrong' },
    { uid: 'nobody', password: 'wrong' },
    { uid: 'admin' },
    { password: 'admin-password' },
    { uid: null, password: 'admin-password' },
    { uid: ['admin'], password: 'admin-password' },
    { uid: 'edge-lb', token: 'x' },
  ])('DC1: says the same to %j as to everybody without credentials', async (body) => {
    const answer = await new Front().app.inject({
      method: 'POST',
      url: '/acs/api/v1/auth/login',
      payload: body,
    })

    expect(answer.statusCode).toBe(401)
    expect(answer.headers['www-authenticate']).toBe('acsjwt')
    // The CLI prints the description, and dcos.md §1 has the whole of it.
    expect(answer.json()).toEqual({
      title: 'Unauthorized',
      description: 'Invalid credentials',
      code: 'ERR_INVALID_CREDENTIALS',
    })
  })

  test('DC1 threat:AU-08: says to whoever guesses when to come again', async () => {
    const { app, master } = new Front()
    master.identity.failNext(new LoginThrottled(12))

    const answer = await app.inject({
      method: 'POST',
      url: '/acs/api/v1/auth/login',
      payload: { uid: 'admin', password: 'admin-password' },
      remoteAddress: '10.6.6.6',
    })

    expect(shown(answer)).toEqual(denied(429, 'Too Many Requests', 'ERR_TOO_MANY_LOGINS'))
    expect(answer.headers['retry-after']).toBe('12')
    expect(master.identity.sources).toEqual(['10.6.6.6'])
  })

  test('DC10: is 503 while it cannot be put on record, and so is everything else', async () => {
    const front = new Front()
    const full = new AuditUnavailable(new Error('no space left'))
    front.master.identity.failNext(full)
    const payload = { uid: 'admin', password: 'admin-password' }
    const login = await front.app.inject({
      method: 'POST',
      url: '/acs/api/v1/auth/login',
      payload,
    })
    front.master.failNext(full)
    const read = await front.ask('GET', secretUrl('a'))

    for (const answer of [login, read]) {
      expect(shown(answer)).toEqual(denied(503, 'Service Unavailable', 'ERR_UNAVAILABLE'))
    }
  })

  test('DC1: shows the public key and the providers to everybody', async () => {
    const { app } = new Front()
    const ask = async (url: string) => (await app.inject(url)).json<unknown>()

    expect(await ask('/acs/api/v1/auth/jwks')).toMatchObject({
      keys: [{ kty: 'RSA', alg: 'RS256' }],
    })
    expect(await ask('/acs/api/v1/auth/providers')).toMatchObject({
      'dcos-users': { 'authentication-type': 'dcos-uid-password' },
      'dcos-services': { 'client-method': 'dcos-servicecredential-post-receive-authtoken' },
    })
  })
})

describe('a request without a token that holds', () => {
  const attempts: [string, Record<string, string>][] = [
    ['none', {}],
    ['a broken one', { authorization: 'token=nonsense' }],
    ['one of somebody who is gone', { authorization: 'token=fake.bm9ib2R5.token' }],
    ['a word', { authorization: 'admin' }],
  ]

  test.each(attempts)('DC2: %s is sent to log in', async (_name, headers) => {
    const { app } = new Front()

    for (const url of [secretUrl('a'), secretUrl('?list=true'), '/secrets/v1/store']) {
      const answer = await app.inject({ url, headers })

      expect(shown(answer)).toEqual(denied(401, 'Unauthorized', 'ERR_UNAUTHORIZED'))
      expect(answer.headers['www-authenticate']).toBe('acsjwt')
    }
  })

  test('DC2: with two of them, nobody picks one', async () => {
    const { app, master } = new Front()
    const { authorization } = master.identity.headerOf('admin')

    const answer = await app.inject({
      url: secretUrl('a'),
      headers: { authorization: [authorization, authorization] as unknown as string },
    })

    expect(answer.statusCode).toBe(400)
  })

  test('DC2: only ping answers', async () => {
    const { app } = new Front()

    expect((await app.inject('/secrets/v1/ping')).body).toBe('pong')
    expect((await app.inject('/secrets/v1/ping/backends/default')).body).toBe('pong')
    expect((await app.inject('/secrets/v1/ping/backends/other')).statusCode).toBe(404)
  })
})

describe('a secret', () => {
  test('DC3: is created once, replaced, read and deleted', async () => {
    const front = new Front()
    const url = secretUrl('dev/db/password')

    const created = await front.ask('PUT', url, { body: { value: 'one', author: 'me' } })
    const again = await front.ask('PUT', url, { body: { value: 'two' } })
    const replaced = await front.ask('PATCH', url, { body: { value: 'three' } })
    const read = await front.ask('GET', url)
    const deleted = await front.ask('DELETE', url)
    const gone = await front.ask('GET', url)

    expect([created.statusCode, created.body]).toEqual([201, ''])
    expect(shown(again)).toEqual(denied(409, 'Conflict', 'ERR_SECRET_EXISTS'))
    expect([replaced.statusCode, replaced.body]).toEqual([204, ''])
    expect([read.statusCode, read.body]).toEqual([200, '{"value":"three"}'])
    expect(read.headers['cache-control']).toBe('no-store')
    expect([deleted.statusCode, deleted.body]).toEqual([204, ''])
    expect(shown(gone)).toEqual(denied(404, 'Not Found', 'ERR_SECRET_NOT_FOUND'))
  })

  test('DC11: is read as it was, and replaced only where it is what was expected', async () => {
    const front = new Front()
    const url = secretUrl('dev/db')
    await front.ask('PUT', url, { body: { value: 'one' } })
    const replace = (value: string, version: string) =>
      front.ask('PATCH', url, { body: { value }, headers: { 'if-match': version } })

    expect((await replace('two', '"1"')).statusCode).toBe(204)
    expect(shown(await replace('lost', '"1"'))).toEqual(
      denied(409, 'Conflict', 'ERR_SECRET_VERSION'),
    )
    expect((await front.ask('GET', `${url}?version=1`)).json()).toEqual({ value: 'one' })
    expect((await front.ask('GET', url)).json()).toEqual({ value: 'two' })
    expect((await front.ask('GET', `${url}?version=9`)).statusCode).toBe(404)
    expect((await front.ask('GET', `${url}?version=-1`)).statusCode).toBe(400)
    expect((await replace('lost', 'W/"1"')).statusCode).toBe(400)
  })

  test.each(['version=1&version=2', 'list=true&list=false'])(
    'DC2 threat:AU-14: %s is refused, not chosen from',
    async (query) => {
      const front = new Front()
      await front.ask('PUT', secretUrl('dev/db'), { body: { value: 'one' } })

      const answer = await front.ask('GET', `${secretUrl('dev/db')}?${query}`)

      expect(shown(answer)).toEqual(denied(400, 'Bad Request', 'ERR_INVALID_DATA'))
    },
  )

  test.each(['PATCH', 'DELETE', 'GET'] as const)('DC3: %s of none is 404', async (method) => {
    const body = method === 'PATCH' ? { value: 'x' } : undefined
    const answer = await new Front().ask(method, secretUrl('a'), { body })

    expect(shown(answer)).toEqual(denied(404, 'Not Found', 'ERR_SECRET_NOT_FOUND'))
  })

  test('DC3: is refused to whoever lacks the right for just that', async () => {
    const front = new Front()
    await front.ask('PUT', secretUrl('dev/db'), { body: { value: 'x' } })
    front.master.identity.allow('guest', 'read', 'dcos:secrets:default:/dev/*')
    const ask = async (method: 'GET' | 'PUT' | 'PATCH' | 'DELETE', path: string) => {
      const body = method === 'PUT' || method === 'PATCH' ? { value: 'y' } : undefined
      return (await front.ask(method, secretUrl(path), { as: 'guest', body })).statusCode
    }

    expect(await ask('GET', 'dev/db')).toBe(200)
    expect(await ask('GET', 'dev2/db')).toBe(403)
    expect(await ask('PATCH', 'dev/db')).toBe(403)
    expect(await ask('DELETE', 'dev/db')).toBe(403)
    expect(await ask('PUT', 'dev/new')).toBe(403)
    expect(shown(await front.ask('GET', secretUrl('x'), { as: 'guest' }))).toEqual(
      denied(403, 'Forbidden', 'ERR_FORBIDDEN'),
    )
  })

  test('DC3: text comes back as it was written, whatever is in it', async () => {
    const front = new Front()
    const value = '"\\\n\t\u0001é𝄞\u2028</script>'

    await front.ask('PUT', secretUrl('a'), { body: { value } })

    expect((await front.ask('GET', secretUrl('a'))).json()).toEqual({ value })
  })

  test.each<[string, unknown, number, string]>([
    ['no body', undefined, 400, 'ERR_INVALID_DATA'],
    ['no JSON', '{"value":', 400, 'ERR_INVALID_DATA'],
    ['a list', [], 400, 'ERR_INVALID_DATA'],
    ['very many values', `{${'"a":0,'.repeat(20_001)}"value":"v"}`, 400, 'ERR_INVALID_DATA'],
    ['no value', {}, 422, 'ERR_INVALID_DATA'],
    ['a value that is null', { value: null }, 422, 'ERR_INVALID_DATA'],
    ['a value that is no text', { value: 7 }, 422, 'ERR_INVALID_DATA'],
  ])('DC3: cannot be made of %s', async (_name, body, status, code) => {
    const answer = await new Front().ask('PUT', secretUrl('a'), { body })

    expect(answer.statusCode).toBe(status)
    expect(answer.json()).toMatchObject({ code })
  })
})

describe('the two kinds of a value', () => {
  const bytes = Buffer.from([0, 255, 10, 34, 128])

  test.each([
    ['text', 'application/json', 200, '{"value":"abc"}', 'application/json'],
    ['text', 'application/octet-stream', 200, 'abc', 'application/octet-stream'],
    ['text', '*/*', 200, '{"value":"abc"}', 'application/json'],
    ['text', undefined, 200, '{"value":"abc"}', 'application/json'],
    ['text', 'text/html', 200, '{"value":"abc"}', 'application/json'],
    ['binary', undefined, 200, bytes, 'application/octet-stream'],
    ['binary', '*/*', 200, bytes, 'application/octet-stream'],
    ['binary', 'APPLICATION/octet-stream;q=0.5', 200, bytes, 'application/octet-stream'],
    [
      'binary',
      'application/json, application/octet-stream',
      200,
      bytes,
      'application/octet-stream',
    ],
  ])('DC4: %s, asked for as %s', async (kind, accept, status, body, type) => {
    const front = new Front()
    await front.ask('PUT', secretUrl('a'), { body: kind === 'text' ? { value: 'abc' } : bytes })

    const answer = await front.ask('GET', secretUrl('a'), { headers: accept ? { accept } : {} })

    expect(answer.statusCode).toBe(status)
    // Without parameters: the backup tool compares the header for equality.
    expect(answer.headers['content-type']).toBe(type)
    expect(answer.rawPayload).toEqual(Buffer.from(body))
  })

  test('DC4: bytes cannot be had as JSON', async () => {
    const front = new Front()
    await front.ask('PUT', secretUrl('a'), { body: bytes })

    const answer = await front.ask('GET', secretUrl('a'), {
      headers: { accept: 'application/json' },
    })

    expect(shown(answer)).toEqual(denied(406, 'Not Acceptable', 'ERR_NOT_ACCEPTABLE'))
  })

  test('DC4: an update replaces the kind, too', async () => {
    const front = new Front()
    await front.ask('PUT', secretUrl('a'), { body: bytes })
    await front.ask('PATCH', secretUrl('a'), { body: { value: '' } })

    expect((await front.ask('GET', secretUrl('a'))).body).toBe('{"value":""}')
  })
})

async function filled(): Promise<Front> {
  const front = new Front()
  for (const path of ['dev', 'dev/test', 'dev/db/password', 'top']) {
    await front.ask('PUT', secretUrl(path), { body: { value: 'x' } })
  }
  return front
}

describe('a list', () => {
  test.each([
    ['/secrets/v1/secret/default?list=true', ['dev', 'dev/db/password', 'dev/test', 'top']],
    ['/secrets/v1/secret/default/?list=true', ['dev', 'dev/db/password', 'dev/test', 'top']],
    [secretUrl('dev?list=true'), ['db/password', 'test']],
    [secretUrl('/dev/?list=true'), ['db/password', 'test']],
  ])('DC5: %s', async (url, array) => {
    const answer = await (await filled()).ask('GET', url)

    expect(answer.json()).toEqual({ array })
  })

  test('DC5: of what is not there is 404, but the root is always there', async () => {
    const front = new Front()

    const root = await front.ask('GET', secretUrl('?list=true'))
    const folder = await front.ask('GET', secretUrl('no/folder?list=true'))

    expect(shown(root)).toEqual({ status: 200, body: { array: [] } })
    expect(folder.statusCode).toBe(404)
  })

  test('DC5: holds what the caller may read, and so no name that it could not ask for', async () => {
    const front = await filled()
    front.master.identity.allow('guest', 'read', 'dcos:secrets:default:/dev/db/*')

    const { array } = (await front.ask('GET', secretUrl('?list=true'), { as: 'guest' })).json<{
      array: string[]
    }>()

    expect(array).toEqual(['dev/db/password'])
  })
})

describe('stores', () => {
  test('DC6: there is one', async () => {
    const front = new Front()

    const all = (await front.ask('GET', '/secrets/v1/store')).json<{ array: unknown[] }>()
    const one = (await front.ask('GET', '/secrets/v1/store/default')).json<unknown>()

    expect(all.array).toEqual([one])
    expect(one).toMatchObject({ name: 'default', initialized: true, sealed: false })
  })

  test.each([
    '/secrets/v1/store/other',
    '/secrets/v1/secret/other/a',
    '/secrets/v1/secret/',
    secretUrl('').replace('default', 'd%65fault'),
  ])('DC6: %s is of none', async (url) => {
    expect((await new Front().ask('GET', url)).statusCode).toBe(404)
  })

  test('DC6: whether it is sealed is for superusers', async () => {
    const front = new Front()
    const url = '/secrets/v1/seal-status/default'

    expect((await front.ask('GET', url)).json()).toEqual({
      sealed: false,
      threshold: 1,
      shares: 1,
      progress: 0,
    })
    expect((await front.ask('GET', url, { as: 'guest' })).statusCode).toBe(403)
  })
})
