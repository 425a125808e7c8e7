import { beforeEach, describe, expect, test } from 'vitest'
import { base64, Front } from './testing/front.ts'

let front: Front

beforeEach(async () => {
  front = await new Front().withSwarm()
})

const created = async (name: string, more: object = {}): Promise<string> => {
  const answer = await front.ask('POST', '/v1.41/secrets/create', {
    Name: name,
    Labels: {},
    Data: base64('s3cr3t'),
    ...more,
  })
  expect(answer.statusCode).toBe(201)
  return answer.json<{ ID: string }>().ID
}

describe('DK5: a secret', () => {
  test('is created, listed, looked at and removed, and never shows its data', async () => {
    const id = await created('my_secret', { Labels: { env: 'prod' } })
    expect(id).toMatch(/^[0-9a-z]{25}$/)

    const object = {
      ID: id,
      Version: { Index: expect.any(Number) as number },
      CreatedAt: expect.stringMatching(/Z$/) as string,
      UpdatedAt: expect.stringMatching(/Z$/) as string,
      Spec: { Name: 'my_secret', Labels: { env: 'prod' } },
    }
    expect((await front.ask('GET', '/v1.41/secrets')).json()).toEqual([object])
    for (const name of [id, 'my_secret', 'MY_SECRET', id.slice(0, 5)]) {
      const answer = await front.ask('GET', `/v1.41/secrets/${name}`)
      expect(answer.json()).toEqual(object)
      expect(answer.headers['content-type']).toBe('application/json')
    }
    const removed = await front.ask('DELETE', '/v1.41/secrets/my_secret')
    expect([removed.statusCode, removed.body]).toEqual([204, ''])
    expect((await front.ask('GET', '/secrets')).body).toBe('[]\n')
    expect(front.log.text).not.toContain('s3cr3t')
    expect(front.log.text).not.toContain(base64('s3cr3t'))
  })

  test('is the same that the other faces know', async () => {
    await created('my_secret')
    const caller = { principal: { uid: 'admin' }, requestId: 'test' }
    const { bytes } = await front.master.secrets.read(caller, 'my_secret')
    expect(Buffer.from(bytes.reveal()).toString()).toBe('s3cr3t')
    expect(
      front.master.secrets.inputs.every(({ bytes: sent }) => sent.reveal().every((b) => b === 0)),
    ).toBe(true)
  })

  test('keeps its template driver apart from its labels', async () => {
    const id = await created('tmpl', { Labels: { env: 'prod' }, Templating: { Name: 'golang' } })
    const { Spec, Version } = (await front.ask('GET', `/secrets/${id}`)).json() as {
      Spec: object
      Version: { Index: number }
    }
    expect(Spec).toEqual({ Name: 'tmpl', Labels: { env: 'prod' }, Templating: { Name: 'golang' } })
    const update = { Name: 'tmpl', Labels: { env: 'dev', 'conclave.docker/templating': 'x' } }
    const updated = await front.ask(
      'POST',
      `/secrets/${id}/update?version=${Version.Index}`,
      update,
    )
    expect([updated.statusCode, updated.headers['content-length']]).toEqual([200, '0'])
    expect((await front.ask('GET', `/secrets/${id}`)).json()).toMatchObject({
      Spec: { Labels: { env: 'dev' }, Templating: { Name: 'golang' } },
    })
  })

  test('is updated only in its labels, and only as it was read', async () => {
    const id = await created('my_secret')
    const index = async (): Promise<number> =>
      (await front.ask('GET', `/secrets/${id}`)).json<{ Version: { Index: number } }>().Version
        .Index
    const update = async (version: number | string, spec: object): Promise<string> => {
      const answer = await front.ask('POST', `/secrets/${id}/update?version=${version}`, spec)
      return `${answer.statusCode} ${answer.body.trim()}`
    }
    const onlyLabels =
      '400 {"message":"rpc error: code = InvalidArgument desc = only updates to Labels are allowed"}'
    expect(await update(await index(), { Name: 'other' })).toBe(onlyLabels)
    expect(await update(await index(), { Name: 'my_secret', Data: base64('other') })).toBe(
      onlyLabels,
    )
    const same = { Name: 'my_secret', Labels: { a: 'b' }, Data: base64('s3cr3t') }
    expect(await update(await index(), same)).toBe('200 ')
    expect(await update(1, { Name: 'my_secret' })).toBe(
      '500 {"message":"rpc error: code = Unknown desc = update out of sequence"}',
    )
    expect(await update('x', { Name: 'my_secret' })).toBe(
      '400 {"message":"invalid secret version"}',
    )
  })

  test.each([
    [
      'a name that is taken',
      { Name: 'taken', Data: base64('x') },
      409,
      'rpc error: code = AlreadyExists desc = secret taken already exists',
    ],
    [
      'a name that is taken in another case',
      { Name: 'TAKEN', Data: base64('x') },
      409,
      'rpc error: code = AlreadyExists desc = secret TAKEN already exists',
    ],
    [
      'no name',
      { Data: base64('x') },
      400,
      'rpc error: code = InvalidArgument desc = name must be provided',
    ],
    [
      'a bad name',
      { Name: '../x', Data: base64('x') },
      400,
      'rpc error: code = InvalidArgument desc = invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]',
    ],
    [
      'no data',
      { Name: 'x' },
      400,
      'rpc error: code = InvalidArgument desc = secret data must be larger than 0 and less than 512000 bytes',
    ],
    [
      'too much data',
      { Name: 'x', Data: base64('x'.repeat(512_000)) },
      400,
      'rpc error: code = InvalidArgument desc = secret data must be larger than 0 and less than 512000 bytes',
    ],
    [
      'data that is no base64',
      { Name: 'x', Data: '!' },
      400,
      'illegal base64 data at input byte 0',
    ],
    [
      'a driver that nobody has',
      { Name: 'drv', Driver: { Name: 'nodrv' } },
      500,
      'rpc error: code = Unknown desc = plugin "nodrv" not found',
    ],
    ['half a body', '{"Name":', 400, 'unexpected EOF'],
    [
      'a body of very many values',
      `{"Labels":{${Array.from({ length: 20_001 }, (_, at) => `"${at}":""`).join(',')}}}`,
      400,
      'the body has more than 20000 values: send less at once',
    ],
    [
      'a body of very many values that is none then',
      `{"Labels":{${'"a":"",'.repeat(20_001)}`,
      400,
      'the body has more than 20000 values: send less at once',
    ],
    ['no body', '', 400, 'got EOF while reading request body'],
  ])('with %s is refused as the Engine refuses it', async (_what, body, status, message) => {
    await created('taken')
    const answer = await front.ask('POST', '/v1.41/secrets/create', body)
    expect(answer.json()).toEqual({ message })
    expect(answer.statusCode).toBe(status)
    expect(answer.headers['content-type']).toBe('application/json')
  })

  test('may have 511,999 bytes', async () => {
    const id = await created('big', { Data: base64('x'.repeat(511_999)) })
    expect((await front.ask('GET', `/secrets/${id}`)).statusCode).toBe(200)
  })

  test('DK3: that nobody knows is not found, and one that two could be is ambiguous', async () => {
    expect((await front.ask('GET', '/secrets/nosuch')).json()).toEqual({
      message: 'secret nosuch not found',
    })
    for (let at = 0; at < 40; at++) await created(`s${at}`)
    const answers = await Promise.all(
      '0123456789abcdef'.split('').map((first) => front.ask('GET', `/secrets/${first}`)),
    )
    const ambiguous = answers.find(({ statusCode }) => statusCode === 400)
    expect(ambiguous?.json<{ message: string }>().message).toMatch(
      /^secret . is ambiguous \(\d+ matches found\)$/,
    )
  })

  test('DK4: is listed by filters as the CLI sends them, and in the old form', async () => {
    const a = await created('app_a', { Labels: { env: 'prod', tier: '' } })
    await created('app_b', { Labels: { env: 'dev' } })
    await created('other')
    const names = async (filters: object): Promise<readonly string[]> => {
      const query = encodeURIComponent(JSON.stringify(filters))
      const list = (await front.ask('GET', `/secrets?filters=${query}`)).json() as {
        Spec: { Name: string }
      }[]
      return list.map(({ Spec }) => Spec.Name)
    }
    expect(await names({ name: { APP: true } })).toEqual(['app_a', 'app_b'])
    expect(await names({ name: ['app_b', 'oth'] })).toEqual(['app_b', 'other'])
    expect(await names({ names: { app: true, other: true } })).toEqual(['other'])
    expect(await names({ id: { [a]: true }, name: { other: true } })).toEqual(['app_a', 'other'])
    expect(await names({ label: { env: true } })).toEqual(['app_a', 'app_b'])
    expect(await names({ label: { 'env=prod': true, tier: true } })).toEqual(['app_a'])
    expect(await names({ label: { 'env=': true } })).toEqual(['app_a', 'app_b'])
    expect((await front.ask('GET', '/secrets?filters={"foo":{"a":true}}')).json()).toEqual({
      message: "Invalid filter 'foo'",
    })
    const broken = await front.ask('GET', '/secrets?filters=xyz')
    expect([broken.statusCode, broken.json()]).toEqual([
      500,
      { message: "invalid character 'x' looking for beginning of value" },
    ])
  })
})

describe('DK1: any answer', () => {
  test('says which Engine it is, but for a page that there is not', async () => {
    const ping = await front.ask('HEAD', '/_ping')
    expect([ping.statusCode, ping.body]).toEqual([200, ''])
    expect(ping.headers).toMatchObject({
      'api-version': '1.47',
      ostype: 'linux',
      'docker-experimental': 'false',
      'cache-control': 'no-cache, no-store, must-revalidate',
    })
    expect((await front.ask('GET', '/_ping')).body).toBe('OK')
    const nothing = await front.ask('GET', '/unknown')
    expect([nothing.statusCode, nothing.body]).toEqual([404, '{"message":"page not found"}\n'])
    expect(nothing.headers['api-version']).toBeUndefined()
    expect((await front.ask('PUT', '/secrets')).statusCode).toBe(404)
  })

  test('is in a version that both know', async () => {
    const tooNew = await front.ask('GET', '/v1.99/secrets')
    expect([tooNew.statusCode, tooNew.headers['content-type'], tooNew.json()]).toEqual([
      400,
      'application/json',
      { message: 'client version 1.99 is too new. Maximum supported API version is 1.47' },
    ])
    const tooOld = await front.ask('GET', '/v1.11/secrets')
    expect([tooOld.statusCode, tooOld.headers['content-type']]).toEqual([
      400,
      'text/plain; charset=utf-8',
    ])
  })

  test('waits for a swarm', async () => {
    const answer = await new Front().ask('GET', '/secrets')
    expect([answer.statusCode, answer.json()]).toEqual([
      503,
      {
        message:
          'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
      },
    ])
  })
})
