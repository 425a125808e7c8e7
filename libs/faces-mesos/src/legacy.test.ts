import { legacyEndpoints } from '@conclave/actors'
import { recordsOf, HttpClient } from '@conclave/runtime'
import { utf8Text } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'
import { Front, operatorUrl } from './testing/front.ts'

describe('the endpoints of before (mesos.md §9)', () => {
  test.each(legacyEndpoints.flatMap((path) => [`/${path}`, `/master/${path}`, `/mesos/${path}`]))(
    'MF10: GET %s is answered in JSON',
    async (url) => {
      const front = new Front()
      front.master.operators.json = { hostname: 'Grüße' }

      const answer = await front.ask(`${url}?_ts=1`, '', {}, 'GET')

      expect(answer).toMatchObject({ status: 200, body: '{"hostname":"Gr\\u00fc\\u00dfe"}' })
      expect(answer.headers['content-type']).toBe('application/json')
    },
  )

  test('MF10: their queries reach the master, and nothing else of them', async () => {
    const front = new Front()

    await front.ask('/tasks?limit=5&offset=2&order=asc&framework_id=f&x=y', '', {}, 'GET')

    expect(front.master.operators.asked).toEqual([
      {
        endpoint: 'tasks',
        query: expect.objectContaining({
          limit: '5',
          offset: '2',
          order: 'asc',
          framework_id: 'f',
          task_id: undefined,
        }),
      },
    ])
    expect(front.master.operators.asked[0]?.query).not.toHaveProperty('x')
  })

  test('MF10: are for those who may see something', async () => {
    const front = new Front()
    const stranger = await front.ask('/state', '', { authorization: '' }, 'GET')
    front.master.operators.refusal = { status: 403, body: '403 Forbidden.' }

    expect(stranger.status).toBe(401)
    expect(stranger.headers['www-authenticate']).toBe('Basic realm="mesos-master-readonly"')
    expect(await front.ask('/state', '', {}, 'GET')).toMatchObject({ status: 403 })
  })

  test('MF10: who does not lead sends them on, with their path and query', async () => {
    const front = new Front()
    front.master.follow({ masterId: 'm-2', listeners: { mesos: { host: 'h', port: 5050 } } })

    const answer = await front.ask('/master/state?x=1', '', {}, 'GET')

    expect([answer.status, answer.headers['location']]).toEqual([307, '//h:5050/master/state?x=1'])
  })

  test('MF10: another method is refused, and /state.json is no more', async () => {
    const front = new Front()

    expect(await front.ask('/state', '{}')).toMatchObject({
      status: 405,
      headers: { allow: 'GET' },
      body: "405 Method Not Allowed. Expecting one of { 'GET' }, but received 'POST'.",
    })
    expect(await front.ask('/state.json', '', {}, 'GET')).toMatchObject({ status: 404 })
  })
})

describe('POST /teardown', () => {
  test('MF10: takes a form', async () => {
    const front = new Front()
    front.master.operators.answer = { status: 200, body: '' }

    const answer = await front.ask('/master/teardown', 'frameworkId=f-1', {
      'content-type': 'application/x-www-form-urlencoded',
    })

    expect(answer).toMatchObject({ status: 200, body: '' })
    expect(front.master.operators.calls).toEqual([
      { uid: 'admin', call: { type: 'TEARDOWN', teardown: { framework_id: { value: 'f-1' } } } },
    ])
  })

  test('MF10: without the id says so', async () => {
    expect(await new Front().ask('/teardown', '')).toMatchObject({
      status: 400,
      body: "Missing 'frameworkId' query parameter in the request body",
    })
  })
})

test("MF11: an operator's subscription is a stream of records", async () => {
  const front = new Front()
  const client = new HttpClient()
  try {
    const stream = await client.stream({
      method: 'POST',
      url: `http://${await front.listen()}${operatorUrl}`,
      headers: front.master.identity.headerOf('admin'),
      body: { type: 'SUBSCRIBE' },
    })
    const [connection] = front.master.operators.connections
    connection?.send({ message: { type: 'HEARTBEAT' }, writing: { withHidden: false } })
    connection?.close()
    const texts: string[] = []
    for await (const record of recordsOf(stream.body)) texts.push(utf8Text(record))

    expect(stream.headers['content-type']).toBe('application/json')
    expect(stream.headers['mesos-stream-id']).toBeUndefined()
    expect(texts).toEqual([
      '{"type":"SUBSCRIBED","subscribed":{"heartbeat_interval_seconds":15}}',
      '{"type":"HEARTBEAT"}',
      '{"type":"HEARTBEAT"}',
    ])
  } finally {
    client.close()
    await front.app.close()
  }
})
