import { beforeEach, describe, expect, test } from 'vitest'
import { base64, Front } from '../testing/front.ts'
import { sentSpec, Services } from '../testing/services.ts'

let front: Front

beforeEach(async () => {
  front = await new Front().withSwarm()
})

const caller = { principal: { uid: 'admin' }, requestId: 'test' }

const created = async (name: string, more: object = {}): Promise<string> => {
  const answer = await front.ask('POST', '/v1.41/configs/create', {
    Name: name,
    Labels: {},
    Data: base64('cfg=1\n'),
    ...more,
  })
  expect([answer.statusCode, answer.body.length > 0]).toEqual([201, true])
  return answer.json<{ ID: string }>().ID
}

describe('DK15: a config', () => {
  test('is created, listed, looked at and removed, and its data is shown', async () => {
    const id = await created('my_config', { Labels: { a: 'b' } })
    const object = {
      ID: id,
      Version: { Index: expect.any(Number) as number },
      CreatedAt: expect.stringMatching(/Z$/) as string,
      UpdatedAt: expect.stringMatching(/Z$/) as string,
      Spec: { Name: 'my_config', Labels: { a: 'b' }, Data: base64('cfg=1\n') },
    }
    const list = await front.ask('GET', '/v1.41/configs')
    expect(list.json()).toEqual([object])
    expect(list.body).toMatch(/"Spec":{"Name":"my_config","Labels":{"a":"b"},"Data":/)
    for (const name of [id, 'my_config', 'MY_CONFIG', id.slice(0, 6)]) {
      expect((await front.ask('GET', `/configs/${name}`)).json()).toEqual(object)
    }
    const removed = await front.ask('DELETE', '/configs/my_config')
    expect([removed.statusCode, removed.body]).toEqual([204, ''])
    expect((await front.ask('GET', '/configs')).body).toBe('[]\n')
    expect(front.log.text).not.toContain(base64('cfg=1\n'))
  })

  test('is sealed as a secret is, in a folder that is no secret of Docker’s', async () => {
    await created('shared')
    await front.ask('POST', '/secrets/create', { Name: 'shared', Data: base64('s3cr3t') })

    const secrets = (await front.ask('GET', '/secrets')).json<{ Spec: { Name: string } }[]>()
    expect(secrets.map(({ Spec }) => Spec.Name)).toEqual(['shared'])
    const { bytes } = await front.master.secrets.read(caller, 'docker-configs/shared')
    expect(Buffer.from(bytes.reveal()).toString()).toBe('cfg=1\n')
    expect((await front.ask('GET', '/configs/shared')).body).not.toContain(base64('s3cr3t'))
  })

  test('is updated only in its labels', async () => {
    const id = await created('my_config', { Templating: { Name: 'golang' } })
    const { Version } = (await front.ask('GET', `/configs/${id}`)).json<{
      Version: { Index: number }
    }>()
    const update = async (spec: object, version: number | string = Version.Index) => {
      const answer = await front.ask('POST', `/configs/${id}/update?version=${version}`, spec)
      return `${answer.statusCode} ${answer.body.trim()}`
    }
    expect(await update({ Name: 'my_config', Data: base64('other') })).toBe(
      '400 {"message":"rpc error: code = InvalidArgument desc = only updates to Labels are allowed"}',
    )
    expect(await update({ Name: 'my_config' }, 'x')).toBe(
      '400 {"message":"invalid config version"}',
    )
    const same = { Name: 'my_config', Labels: { c: 'd' }, Data: base64('cfg=1\n') }
    expect(await update(same)).toBe('200 ')
    expect((await front.ask('GET', `/configs/${id}`)).json()).toMatchObject({
      Spec: { Labels: { c: 'd' }, Templating: { Name: 'golang' } },
    })
    expect(await update(same)).toBe(
      '500 {"message":"rpc error: code = Unknown desc = update out of sequence"}',
    )
  })

  test.each([
    [
      'a name that is taken',
      { Name: 'TAKEN', Data: base64('x') },
      409,
      'rpc error: code = AlreadyExists desc = config TAKEN already exists',
    ],
    [
      'no data',
      { Name: 'x' },
      400,
      'rpc error: code = InvalidArgument desc = config data must be larger than 0 and less than 1024000 bytes',
    ],
    [
      'too much data',
      { Name: 'x', Data: base64('x'.repeat(1_024_000)) },
      400,
      'rpc error: code = InvalidArgument desc = config data must be larger than 0 and less than 1024000 bytes',
    ],
    [
      'a bad name',
      { Name: 'a b', Data: base64('x') },
      400,
      'rpc error: code = InvalidArgument desc = invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]',
    ],
  ])('with %s is refused as the Engine refuses it', async (_what, body, status, message) => {
    await created('taken')
    const answer = await front.ask('POST', '/configs/create', body)
    expect([answer.statusCode, answer.json()]).toEqual([status, { message }])
  })

  test('may have 1,023,999 bytes', async () => {
    const id = await created('big', { Data: base64('x'.repeat(1_023_999)) })
    expect((await front.ask('GET', `/configs/${id}`)).statusCode).toBe(200)
  })

  test('that nobody knows is not found, and lists know their filters', async () => {
    const message = 'config nosuch not found'
    expect((await front.ask('GET', '/configs/nosuch')).json()).toEqual({ message })
    expect((await front.ask('DELETE', '/configs/nosuch')).statusCode).toBe(404)
    await created('app_a', { Labels: { env: 'prod' } })
    await created('other')
    const names = async (filters: object): Promise<unknown> => {
      const query = encodeURIComponent(JSON.stringify(filters))
      const list = (await front.ask('GET', `/configs?filters=${query}`)).json<
        { Spec: { Name: string } }[]
      >()
      return list.map(({ Spec }) => Spec.Name)
    }
    expect(await names({ name: { APP: true } })).toEqual(['app_a'])
    expect(await names({ label: { 'env=prod': true } })).toEqual(['app_a'])
    expect((await front.ask('GET', '/configs?filters={"names":{"a":true}}')).json()).toEqual({
      message: "Invalid filter 'names'",
    })
  })

  test('that a service uses is not removed', async () => {
    const File = { Name: 'app.conf', UID: '0', GID: '0', Mode: 0o444 }
    const Configs = [{ File, ConfigID: await created('my_config'), ConfigName: 'my_config' }]
    await new Services(front).create(sentSpec('web', {}, { Configs }))
    expect((await front.ask('DELETE', '/configs/my_config')).json()).toEqual({
      message:
        "rpc error: code = InvalidArgument desc = config 'my_config' is in use by the following service: web",
    })
  })
})

test('DK16: a secret of a driver that this machine has is created, without data', async () => {
  front = await new Front({
    secretDrivers: { has: async (name) => name === 'vault' },
  }).withSwarm()
  const spec = { Name: 'drv1', Labels: { vault_path: 'db' }, Driver: { Name: 'vault' } }

  const answer = await front.ask('POST', '/secrets/create', spec)

  expect(answer.statusCode).toBe(201)
  expect((await front.ask('GET', '/secrets/drv1')).json()).toMatchObject({
    Spec: { Name: 'drv1', Labels: { vault_path: 'db' }, Driver: { Name: 'vault' } },
  })
  expect(
    (await front.ask('POST', '/secrets/create', { ...spec, Driver: { Name: 'no' } })).json(),
  ).toEqual({ message: 'rpc error: code = Unknown desc = plugin "no" not found' })
})
