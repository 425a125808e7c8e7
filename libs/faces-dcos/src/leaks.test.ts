import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import { NotLeader, Unavailable } from '@conclave/actors'
import { Redacted, utf8 } from '@conclave/kernel'
import { canary, expectNoLeak } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import { Front, secretUrl } from './testing/front.ts'

describe('a value that passes through', () => {
  test('DC9: appears in no log line, refusal, list or event', async () => {
    const front = new Front()
    const [text, binary, password] = [canary('text'), canary('binary'), canary('password')]
    const url = secretUrl('tour/text')
    const refusals: string[] = []
    const refused = async (answer: ReturnType<Front['ask']>): Promise<void> => {
      const { statusCode, body } = await answer
      expect(statusCode).toBeGreaterThanOrEqual(400)
      refusals.push(body)
    }

    await front.ask('PUT', url, { body: { value: text.text } })
    await front.ask('PUT', secretUrl('tour/binary'), { body: Buffer.from(binary.bytes) })
    await refused(front.ask('PUT', url, { body: { value: text.text } }))
    await refused(front.ask('PUT', secretUrl('b'), { as: 'guest', body: { value: text.text } }))
    await refused(front.ask('PUT', secretUrl('../b'), { body: { value: text.text } }))
    await refused(front.ask('PUT', secretUrl('b'), { body: `{"value":"${text.text}` }))
    await refused(front.ask('PUT', secretUrl('b'), { body: `{"${text.text}":1,}` }))
    await refused(front.ask('PUT', secretUrl('b'), { body: { value: [text.text] } }))
    await refused(front.ask('PUT', secretUrl('b'), { body: Buffer.from(text.text.repeat(40_000)) }))
    const login = { uid: 'admin', password: password.text }
    await refused(front.ask('POST', '/acs/api/v1/auth/login', { body: login }))
    await refused(
      front.ask('GET', '/secrets/v1/store', { headers: { authorization: password.text } }),
    )
    for (const failure of [new Unavailable('no quorum'), new NotLeader(), new Error('a bug')]) {
      front.master.failNext(failure)
      await refused(front.ask('PATCH', url, { body: { value: text.text } }))
    }
    const read = await front.ask('GET', url)
    const lists = [
      (await front.ask('GET', secretUrl('?list=true'))).body,
      (await front.ask('GET', '/secrets/v1/store')).body,
    ]
    const events: unknown[] = []
    const newest = front.master.events.log.lastId
    const admin = { principal: { uid: 'admin' }, requestId: '1' }
    const following = front.master.events.follow(
      admin,
      'master-1:boot:0',
      new AbortController().signal,
    )
    for await (const event of following) {
      events.push(event)
      if (event.id === newest) break
    }

    expect(read.json()).toEqual({ value: text.text })
    expect(events.length).toBeGreaterThanOrEqual(2)
    expect(front.log.text).toContain('a request failed')
    expectNoLeak({ log: front.log.text, refusals, lists, events }, [text, binary, password])
  })

  test('DC9: is wiped in every buffer that was handed over or handed out', async () => {
    const front = new Front()
    await front.ask('PUT', secretUrl('a'), { body: { value: 'value' } })
    await front.ask('PUT', secretUrl('a'), { body: { value: 'value' } })
    front.master.failNext(new Unavailable('no quorum'))
    await front.ask('PATCH', secretUrl('a'), { body: Buffer.from('value') })
    await front.ask('GET', secretUrl('a'))
    await front.ask('GET', secretUrl('a'), { headers: { accept: 'application/octet-stream' } })
    await front.ask('PUT', secretUrl('binary'), { body: Buffer.from('value') })
    const notAsJson = await front.ask('GET', secretUrl('binary'), {
      headers: { accept: 'application/json' },
    })
    const { inputs, values } = front.master.secrets

    const bytes = [...inputs.map((input) => input.bytes), ...values].map((held) => held.reveal())

    expect(notAsJson.statusCode).toBe(406)
    expect(bytes).toHaveLength(7)
    for (const held of bytes) expect(held).toEqual(new Uint8Array(held.length))
  })

  test('DC9: is not kept when its client hangs up within the body', async () => {
    const front = new Front()
    await front.app.listen({ port: 0, host: '127.0.0.1' })
    const half = canary('half')
    const socket = connect((front.app.server.address() as AddressInfo).port, '127.0.0.1')
    const { authorization } = front.master.identity.headerOf('admin')
    const closed = new Promise<void>((resolve) => {
      front.app.server.on('connection', (server) => server.on('close', () => resolve()))
    })

    socket.write(
      `PUT ${secretUrl('a')} HTTP/1.1\r\nhost: a\r\nauthorization: ${authorization}\r\ncontent-length: 9999\r\n\r\n${half.text}`,
    )
    await once(socket, 'connect')
    socket.destroy()
    await closed
    await front.app.close()

    expect(front.master.secrets.inputs).toEqual([])
    expectNoLeak({ log: front.log.text }, [half])
  })

  test.each(['application/octet-stream', 'application/json'])(
    'DC9: is wiped when its client has gone before it was read, as %s',
    async (accept) => {
      const front = new Front()
      const sent: Buffer[] = []
      front.app.addHook('onSend', (_request, _reply, body, done) => {
        if (Buffer.isBuffer(body)) sent.push(body)
        done(null, body)
      })
      await front.app.listen({ port: 0, host: '127.0.0.1' })
      await front.ask('PUT', secretUrl('a'), { body: { value: 'value' } })
      const caller = { principal: { uid: 'admin' }, requestId: '1' }
      const found = await front.master.secrets.read(caller, 'a')
      const value = utf8('a value that nobody waits for')
      const asked = Promise.withResolvers<void>()
      const gone = Promise.withResolvers<void>()
      const answered = Promise.withResolvers<void>()
      front.master.secrets.read = async () => {
        asked.resolve()
        await gone.promise
        setImmediate(answered.resolve)
        return { ...found, bytes: new Redacted(value) }
      }
      front.app.server.on('request', (_request, response) => response.on('close', gone.resolve))
      const socket = connect((front.app.server.address() as AddressInfo).port, '127.0.0.1')
      const { authorization } = front.master.identity.headerOf('admin')

      socket.write(
        `GET ${secretUrl('a')} HTTP/1.1\r\nhost: a\r\nauthorization: ${authorization}\r\naccept: ${accept}\r\n\r\n`,
      )
      await asked.promise
      socket.destroy()
      await answered.promise

      expect(sent).toHaveLength(1)
      for (const held of [value, ...sent]) expect(held.every((byte) => byte === 0)).toBe(true)
      await front.app.close()
    },
  )

  test('DC10: a failure of ours says where to look, and nothing of itself', async () => {
    const front = new Front()
    front.master.failNext(new TypeError('cannot read properties of a certain thing'))

    const answer = await front.ask('GET', secretUrl('a'))

    expect(answer.statusCode).toBe(500)
    expect(answer.json()).toMatchObject({ title: 'Internal Server Error', code: 'ERR_INTERNAL' })
    expect(answer.body).not.toContain('certain')
  })

  test.each([new Unavailable('no quorum'), new NotLeader()])(
    'DC10: %s is a reason to try again',
    async (failure) => {
      const front = new Front()
      front.master.failNext(failure)

      const answer = await front.ask('GET', secretUrl('a'))

      expect([answer.statusCode, answer.json<{ code: string }>().code]).toEqual([
        503,
        'ERR_UNAVAILABLE',
      ])
    },
  )
})
