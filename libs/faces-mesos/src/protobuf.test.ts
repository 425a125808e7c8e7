import { HttpClient, recordsOf } from '@conclave/runtime'
import {
  fromProtobuf,
  MasterCall,
  MasterResponse,
  parseCall,
  parseMasterCall,
  SchedulerCall,
  SchedulerEvent,
  toProtobuf,
} from '@conclave/model'
import { afterEach, describe, expect, test } from 'vitest'
import { call, Front, launchWith, operatorUrl, schedulerUrl, subscribe } from './testing/front.ts'

const media = 'application/x-protobuf'
const sent = { 'content-type': media }
const withHidden = { withHidden: true }
const schedulerBytes = (json: object): Buffer =>
  Buffer.from(toProtobuf(SchedulerCall, 'scheduler.Call', parseCall(json), withHidden))
const masterBytes = (json: object): Buffer =>
  Buffer.from(toProtobuf(MasterCall, 'master.Call', parseMasterCall(json)))

const cleanUp: (() => unknown)[] = []
afterEach(async () => {
  for (const undo of cleanUp.splice(0)) await undo()
})

describe('protobuf (mesos.md §4)', () => {
  test('MF12: a call in it is the call in JSON', async () => {
    const front = new Front()
    const json = launchWith('c2VjcmV0')

    expect((await front.ask(schedulerUrl, schedulerBytes(json), sent)).status).toBe(202)
    expect((await front.ask(schedulerUrl, json)).status).toBe(202)

    const [first, second] = front.master.frameworks.calls
    expect(first).toEqual(second)
  })

  test('MF12: it is validated as JSON is', async () => {
    const front = new Front()
    const untyped = Buffer.from(
      toProtobuf(SchedulerCall, 'scheduler.Call', { framework_id: { value: 'f' } }),
    )

    expect(await front.ask(schedulerUrl, untyped, sent)).toMatchObject({
      status: 400,
      body: "Failed to validate scheduler::Call: Expecting 'type' to be present",
    })
    const bad = { acknowledge: { agent_id: { value: 'a' }, task_id: { value: 't' }, uuid: 'AAAA' } }
    expect(
      await front.ask(schedulerUrl, schedulerBytes(call('ACKNOWLEDGE', bad)), sent),
    ).toMatchObject({ status: 400, body: 'Failed to validate scheduler::Call: Not a valid UUID' })
  })

  test('MF12: bytes that are no call are refused, and wiped', async () => {
    const front = new Front()
    const bodies: Buffer[] = []
    front.app.addHook('preHandler', async ({ body }) => void bodies.push(body as Buffer))

    expect(await front.ask(schedulerUrl, Buffer.from([0x82]), sent)).toMatchObject({
      status: 400,
      body: 'Failed to parse body into Call protobuf: it is no such protobuf message',
    })
    expect(await front.ask(operatorUrl, Buffer.from('081f820100', 'hex'), sent)).toMatchObject({
      status: 400,
      body: 'Failed to parse body into Call protobuf: Missing required fields: teardown.framework_id',
    })
    expect(bodies.every((body) => body.every((byte) => byte === 0))).toBe(true)
  })

  test('MF12: the answer is in what the client accepts, JSON first', async () => {
    const front = new Front()
    const ask = (accept: string) =>
      front.app.inject({
        method: 'POST',
        url: operatorUrl,
        headers: { ...front.master.identity.headerOf('admin'), ...sent, accept },
        payload: masterBytes({ type: 'GET_HEALTH' }),
      })

    const answer = await ask(media)
    expect(answer.headers['content-type']).toBe(media)
    expect(fromProtobuf(MasterResponse, 'master.Response', answer.rawPayload)).toMatchObject({
      type: 'GET_HEALTH',
      get_health: { healthy: true },
    })
    expect((await ask('*/*')).headers['content-type']).toBe('application/json')
    expect((await ask(`${media}, application/json`)).headers['content-type']).toBe(
      'application/json',
    )
    expect((await ask('text/plain')).statusCode).toBe(406)
  })

  test('MF12: a subscription is records of protobuf, however the call was written', async () => {
    const front = new Front()
    const client = new HttpClient()
    cleanUp.push(
      () => client.close(),
      () => front.app.close(),
    )
    const stream = await client.stream({
      method: 'POST',
      url: `http://${await front.listen()}${schedulerUrl}`,
      headers: { ...front.master.identity.headerOf('admin'), accept: media },
      body: subscribe(),
    })
    const [connection] = front.master.frameworks.connections
    connection?.send({ type: 'RESCIND', rescind: { offer_id: { value: 'Grüße' } } })
    connection?.close()
    const events: SchedulerEvent[] = []
    for await (const record of recordsOf(stream.body)) {
      events.push(fromProtobuf(SchedulerEvent, 'scheduler.Event', record))
    }

    expect(stream.headers['content-type']).toBe(media)
    expect(events.map(({ type }) => type)).toEqual(['SUBSCRIBED', 'HEARTBEAT', 'RESCIND'])
    expect(events[2]?.rescind?.offer_id.value).toBe('Grüße')
  })
})
