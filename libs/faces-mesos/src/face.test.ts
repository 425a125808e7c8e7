import { LoginThrottled, NotLeader } from '@conclave/actors'
import { AuditUnavailable } from '@conclave/runtime'
import { describe, expect, test } from 'vitest'
import { call, Front, operatorUrl, schedulerUrl, subscribe } from './testing/front.ts'

const invalid = (reason: string) => `Failed to validate scheduler::Call: ${reason}`

describe('the order of checks', () => {
  const everywhere = [schedulerUrl, operatorUrl]

  /** From the last check to the first: each spoils the request for one check more. */
  const spoilt: readonly [
    string,
    (front: Front) => void,
    Record<string, string>,
    unknown,
    number,
  ][] = [
    ['Accept', () => undefined, { accept: 'text/html' }, subscribe(), 406],
    ['validation', () => undefined, {}, { type: null }, 400],
    ['conversion', () => undefined, {}, { type: [] }, 400],
    ['parsing', () => undefined, {}, '{', 400],
    ['content type', () => undefined, { 'content-type': 'text/plain' }, '', 415],
    ['recovery', ({ master }) => master.lead(false), {}, '', 503],
    ['leader', ({ master }) => master.follow(), {}, '', 503],
    ['authentication', () => undefined, { authorization: 'token=no' }, '', 401],
  ]

  test.each(everywhere)('MF1: %s meets the first mistake of many, in Mesos’ order', async (url) => {
    const front = new Front()
    const headers: Record<string, string> = {}
    for (const [, spoil, header, body, status] of spoilt) {
      spoil(front)
      Object.assign(headers, header)
      const asked = url === operatorUrl && status === 406 ? { type: 'GET_HEALTH' } : body

      expect((await front.ask(url, asked, headers)).status).toBe(status)
    }
    expect(front.master.frameworks.calls).toEqual([])
  })

  test('MF2 threat:AU-08: whoever guesses passwords is told when to come again', async () => {
    const front = new Front()
    const authorization = `Basic ${Buffer.from('admin:guess').toString('base64')}`
    front.master.identity.failNext(new LoginThrottled(12))
    const throttled = await front.ask(operatorUrl, { type: 'GET_HEALTH' }, { authorization })
    front.master.identity.failNext(new AuditUnavailable(new Error('no space left')))
    const unrecorded = await front.ask(operatorUrl, { type: 'GET_HEALTH' }, { authorization })

    expect(throttled).toMatchObject({ status: 429, body: '429 Too Many Requests.' })
    expect(throttled.headers['retry-after']).toBe('12')
    expect(unrecorded).toMatchObject({ status: 503, body: '503 Service Unavailable.' })
  })

  test.each([
    [
      'no Content-Type',
      { 'content-type': '' },
      '{}',
      400,
      "Expecting 'Content-Type' to be present",
    ],
    [
      'a Content-Type with parameters',
      { 'content-type': 'application/json; charset=utf-8' },
      '{}',
      415,
      "Expecting 'Content-Type' of application/json or application/x-protobuf",
    ],
    [
      'a Content-Type in capitals',
      { 'content-type': 'Application/JSON' },
      '{}',
      415,
      "Expecting 'Content-Type' of application/json or application/x-protobuf",
    ],
    ['no JSON', {}, '{"type"', 400, 'Failed to parse body into JSON: syntax error'],
    [
      'JSON of very many values',
      {},
      `[${'0,'.repeat(200_000)}0]`,
      400,
      'Failed to parse body into JSON: it has more than 200000 values',
    ],
    ['no body', {}, '', 400, 'Failed to parse body into JSON: syntax error'],
    [
      'no object',
      {},
      '[]',
      400,
      'Failed to convert JSON into Call protobuf: Expecting a JSON object',
    ],
    [
      'a missing field',
      {},
      { type: 'SUBSCRIBE', subscribe: { framework_info: { name: 'x' } } },
      400,
      'Failed to convert JSON into Call protobuf: Missing required fields: subscribe.framework_info.user',
    ],
    ['no type', {}, { string: 'x' }, 400, invalid("Expecting 'type' to be present")],
    [
      'an unusable Accept',
      { accept: 'text/plain' },
      subscribe(),
      406,
      "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'",
    ],
  ])('MF2: %s is answered as Mesos does', async (_name, headers, body, status, text) => {
    const answer = await new Front().ask(schedulerUrl, body, headers)

    expect([answer.status, answer.body]).toEqual([status, text])
    expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8')
  })

  test.each([
    [schedulerUrl, 'Basic realm="mesos-master-scheduler"'],
    [operatorUrl, 'Basic realm="mesos-master-readwrite"'],
  ])('MF2: %s asks strangers for credentials of its realm', async (url, realm) => {
    const answer = await new Front().ask(url, {}, { authorization: '' })

    expect([answer.status, answer.body]).toEqual([401, '401 Unauthorized.'])
    expect(answer.headers['www-authenticate']).toBe(realm)
  })

  test.each(['admin:admin-password', 'admin:wrong'])('MF2: takes HTTP Basic: %s', async (pair) => {
    const authorization = `Basic ${Buffer.from(pair).toString('base64')}`
    const { status } = await new Front().ask(operatorUrl, { type: 'GET_HEALTH' }, { authorization })

    expect(status).toBe(pair.endsWith('wrong') ? 401 : 200)
  })

  test.each(['GET', 'PUT', 'DELETE'] as const)('MF2: %s is not how one calls', async (method) => {
    const answer = await new Front().ask(schedulerUrl, '', {}, method)

    expect([answer.status, answer.headers['allow'], answer.body]).toEqual([
      405,
      'POST',
      `405 Method Not Allowed. Expecting one of { 'POST' }, but received '${method}'.`,
    ])
  })

  test('MF2: an address that Mesos has not is 404, also behind one that it has', async () => {
    const front = new Front()

    for (const url of ['/state.json', '/redirect/more', '/api/v2', '/%zz']) {
      const answer = await front.ask(url, '', {}, 'GET')
      expect(answer.body).toBe(url === '/%zz' ? '400 Bad Request.' : '404 Not Found.')
    }
  })

  test('MF2: two Authorization headers are refused, not chosen from', async () => {
    const { app, master } = new Front()
    const { authorization } = master.identity.headerOf('admin')

    const answer = await app.inject({
      method: 'POST',
      url: operatorUrl,
      headers: { authorization: [authorization, authorization] as unknown as string },
    })

    expect(answer.statusCode).toBe(400)
  })
})

const acknowledge = (bytes: string) =>
  call('ACKNOWLEDGE', {
    acknowledge: { agent_id: { value: 'a' }, task_id: { value: 't' }, uuid: bytes },
  })

describe('a call that no framework could make', () => {
  const uuid = Buffer.from('0123456789abcdef').toString('base64')
  test.each([
    [{ type: 'KILL' }, "Expecting 'framework_id' to be present"],
    [{ type: 'NONSENSE' }, "Expecting 'type' to be present"],
    [call('SUBSCRIBE'), "Expecting 'subscribe' to be present"],
    [call('ACCEPT'), "Expecting 'accept' to be present"],
    [call('DECLINE', { decline: null }), "Expecting 'decline' to be present"],
    [call('KILL'), "Expecting 'kill' to be present"],
    [call('SHUTDOWN'), "Expecting 'shutdown' to be present"],
    [call('ACKNOWLEDGE'), "Expecting 'acknowledge' to be present"],
    [call('RECONCILE'), "Expecting 'reconcile' to be present"],
    [call('MESSAGE'), "Expecting 'message' to be present"],
    [call('REQUEST'), "Expecting 'request' to be present"],
    [call('UPDATE_FRAMEWORK'), "Expecting 'update_framework' to be present"],
    [call('ACCEPT_INVERSE_OFFERS'), "Expecting 'accept_inverse_offers' to be present"],
    [acknowledge('AAAA'), 'Not a valid UUID'],
    [acknowledge(Buffer.alloc(16).toString('base64')), 'Not a valid UUID'],
    [
      { ...subscribe(), framework_id: { value: 'x' } },
      "'framework_id' differs from 'subscribe.framework_info.id'",
    ],
    [
      subscribe({ id: { value: 'x' } }),
      "'framework_id' differs from 'subscribe.framework_info.id'",
    ],
    [
      subscribe({ principal: 'somebody' }),
      "Authenticated principal 'admin' does not match principal 'somebody' set in `FrameworkInfo`",
    ],
    [
      call('UPDATE_FRAMEWORK', {
        update_framework: { framework_info: { user: 'root', name: 'x', id: { value: 'y' } } },
      }),
      "'framework_id' differs from 'update_framework.framework_info.id'",
    ],
  ])('MF3: %j', async (body, reason) => {
    const front = new Front()

    const answer = await front.ask(schedulerUrl, body)

    expect([answer.status, answer.body]).toEqual([400, invalid(reason)])
    expect(front.master.frameworks.calls).toEqual([])
  })

  test.each([
    call('TEARDOWN'),
    call('REVIVE'),
    call('SUPPRESS'),
    acknowledge(Buffer.from(uuid, 'base64').fill(0x40, 6, 7).toString('base64')),
  ])('MF3: %j needs no more', async (body) => {
    expect((await new Front().ask(schedulerUrl, body)).status).toBe(202)
  })

  test('MF3: of the type UNKNOWN is not implemented', async () => {
    const answer = await new Front().ask(schedulerUrl, call('UNKNOWN'))

    expect([answer.status, answer.body]).toEqual([501, '501 Not Implemented.'])
  })
})

describe('a call that is passed on', () => {
  test('MF4: reaches the master with who called and on which stream, and gets its answer', async () => {
    const front = new Front()
    const headers = { 'Mesos-Stream-Id': 'stream-1' }

    const accepted = await front.ask(schedulerUrl, call('REVIVE'), headers)
    front.master.frameworks.answer = { status: 403, body: 'Framework is not subscribed' }
    const refused = await front.ask(schedulerUrl, call('SUPPRESS'))

    expect(accepted).toMatchObject({ status: 202, body: '' })
    expect(accepted.headers['content-type']).toBeUndefined()
    expect(refused).toMatchObject({ status: 403, body: 'Framework is not subscribed' })
    expect(front.master.frameworks.calls).toMatchObject([
      { uid: 'admin', streamId: 'stream-1', call: { type: 'REVIVE' } },
      { uid: 'admin', call: { type: 'SUPPRESS', framework_id: { value: 'framework-1' } } },
    ])
  })

  test('MF4: may be full of nulls and come in pieces, as the npm client sends it', async () => {
    // mesos.md §23, observed.
    const body = `{"framework_id":{"value":"framework-1"},"type":"DECLINE","decline":{"offer_ids":[{"value":"O0"}],"filters":null},"subscribe":null,"accept":null,"kill":null,"shutdown":null,"acknowledge":null,"reconcile":null,"message":null,"request":null}`

    const answer = await new Front().ask(schedulerUrl, body, { 'mesos-stream-id': 'stream-1' })

    expect(answer).toMatchObject({ status: 202, body: '' })
  })

  test.each(['/master', '/mesos', '/mesos/master'])(
    'MF4: is heard below %s, too',
    async (prefix) => {
      const front = new Front()

      expect((await front.ask(`${prefix}/api/v1/scheduler`, call('REVIVE'))).status).toBe(202)
      expect((await front.ask(`${prefix}/api/v1`, { type: 'GET_HEALTH' })).status).toBe(200)
      expect((await front.ask(`${prefix}/health`, '', {}, 'GET')).status).toBe(200)
    },
  )

  test('MF4: an operator reads JSON', async () => {
    const answer = await new Front().ask(operatorUrl, { type: 'GET_HEALTH' })

    expect([answer.status, answer.body]).toEqual([
      200,
      '{"type":"GET_HEALTH","get_health":{"healthy":true}}',
    ])
    expect(answer.headers['content-type']).toBe('application/json')
  })

  test.each([
    [{ type: 'GET_STATE' }, 501, '501 Not Implemented.'],
    [
      { type: 'FROBNICATE' },
      400,
      "Failed to validate master::Call: Expecting 'type' to be present",
    ],
    [
      { type: 'GET_METRICS' },
      400,
      "Failed to validate master::Call: Expecting 'get_metrics' to be present",
    ],
  ])('MF4: an operator is refused %j in plain text', async (body, status, text) => {
    const answer = await new Front().ask(operatorUrl, body)

    expect([answer.status, answer.body]).toEqual([status, text])
  })
})

describe('a master that does not lead', () => {
  const leader = { masterId: 'master-2', listeners: { mesos: { host: '10.0.0.2', port: 5050 } } }

  test.each([schedulerUrl, '/master/api/v1', '/api/v1?a=b'])(
    'MF5: sends %s to the leader, path and query and all',
    async (url) => {
      const front = new Front()
      front.master.follow(leader)

      const answer = await front.ask(url, subscribe())

      expect([answer.status, answer.body]).toEqual([307, ''])
      expect(answer.headers['location']).toBe(`//10.0.0.2:5050${url}`)
    },
  )

  test('MF5: writes an IPv6 address so that a port can follow it', async () => {
    const front = new Front()
    front.master.follow({ ...leader, listeners: { mesos: { host: '::1', port: 5050 } } })

    expect((await front.ask(operatorUrl, {})).headers['location']).toBe('//[::1]:5050/api/v1')
  })

  test.each(['/redirect', '/master/redirect'])('MF5: %s names the leader alone', async (url) => {
    const front = new Front()
    front.master.follow(leader)

    const answer = await front.app.inject(url)

    expect([answer.statusCode, answer.headers['location']]).toEqual([307, '//10.0.0.2:5050'])
  })

  test('MF5: says so while nobody leads, or not yet', async () => {
    const front = new Front()
    front.master.follow()
    const nobody = await front.ask(schedulerUrl, subscribe())
    front.master.lead(false)
    const early = await front.ask(schedulerUrl, subscribe())

    expect([nobody.status, nobody.body]).toEqual([503, 'No leader elected'])
    expect([early.status, early.body]).toEqual([503, 'Master has not finished recovery'])
  })

  test('MF5: that lost its lead within the call answers 503', async () => {
    const front = new Front()
    front.master.failNext(new NotLeader())

    const answer = await front.ask(schedulerUrl, call('REVIVE'))

    expect([answer.status, answer.body]).toEqual([503, '503 Service Unavailable.'])
  })
})
