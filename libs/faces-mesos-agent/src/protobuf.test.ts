import { signExecutorToken } from '@conclave/crypto'
import { ExecutorCall, ExecutorEvent, fromProtobuf, parseOurs, toProtobuf } from '@conclave/model'
import { canary, findCanaries } from '@conclave/testkit'
import { request, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { Front } from './testing/front.ts'

let front: Front | undefined
afterEach(() => front?.app.close())

const name = 'application/x-protobuf'
const ids = { framework_id: { value: 'f1' }, executor_id: { value: 'e1' } }
const bytesOf = (call: object): Buffer =>
  Buffer.from(
    toProtobuf(ExecutorCall, 'executor.Call', parseOurs(ExecutorCall, { ...ids, ...call })),
  )

function started(options: ConstructorParameters<typeof Front>[0] = {}): Front {
  front = new Front(options)
  front.launch()
  front.tell({ kind: 'prepared', containerId: 'c-t1' })
  return front
}

const headersOf = ({ key }: Front): Record<string, string> => ({
  authorization: `Bearer ${signExecutorToken(key, { fid: 'f1', eid: 'e1', cid: 'c-t1' })}`,
  'content-type': name,
})

/** Its stream, over a real socket: what was answered, and events as they come. */
async function subscribed(one: Front, accept: string) {
  await one.app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = one.app.server.address() as AddressInfo
  const sent = request({
    port,
    path: '/api/v1/executor',
    method: 'POST',
    headers: { ...headersOf(one), accept },
  })
  const answer = new Promise<IncomingMessage>((resolve) => sent.once('response', resolve))
  sent.end(bytesOf({ type: 'SUBSCRIBE', subscribe: {} }))
  const response = await answer
  return { status: response.statusCode, type: response.headers['content-type'], response, sent }
}

/** So many records of a stream, without their lengths. */
async function records(response: IncomingMessage, count: number): Promise<readonly Buffer[]> {
  const found: Buffer[] = []
  let left = Buffer.alloc(0)
  for await (const chunk of response as AsyncIterable<Buffer>) {
    left = Buffer.concat([left, chunk])
    for (;;) {
      const newline = left.indexOf('\n')
      const end = newline + 1 + Number(left.subarray(0, Math.max(0, newline)).toString())
      if (newline < 0 || left.length < end) break
      found.push(left.subarray(newline + 1, end))
      left = left.subarray(end)
    }
    if (found.length >= count) break
  }
  return found
}

describe('FA10: an executor that speaks protobuf', () => {
  test('is understood, and refused in the words of Mesos', async () => {
    const one = started()
    const ask = (body: Buffer) => one.ask('/api/v1/executor', body, headersOf(one))
    await one.ask('/api/v1/executor', { ...ids, type: 'HEARTBEAT' }, { authorization: '' })
    const stream = await subscribed(one, name)

    // {executor_id: e1, framework_id: f1, type: MESSAGE, message: {data: hi}}, by hand.
    const message = Buffer.from('0a040a02653112040a0266311803320412026869', 'hex')
    expect(await ask(message)).toMatchObject({ status: 202, body: '' })
    const sent = one.effects.flatMap((effect) => (effect.do === 'send' ? [effect.message] : []))
    expect(sent).toContainEqual(expect.objectContaining({ type: 'executor-message', data: 'aGk=' }))
    expect(await ask(bytesOf({ type: 'UPDATE' }))).toMatchObject({
      status: 400,
      body: "Failed to validate Executor::Call: Expecting 'update' to be present",
    })
    expect(await ask(Buffer.from([0xff, 0xff]))).toMatchObject({
      status: 400,
      body: expect.stringMatching(/^Failed to parse body into Call protobuf: /),
    })
    expect(await ask(Buffer.from('1801', 'hex'))).toMatchObject({
      status: 400,
      body: expect.stringContaining('executor_id'),
    })
    stream.sent.destroy()
  })

  test.each([
    [name, name],
    [`${name}, application/json;q=0.5`, 'application/json'],
    ['*/*', 'application/json'],
  ])('that accepts %j is told in %s', async (accept, type) => {
    const stream = await subscribed(started(), accept)
    expect(stream).toMatchObject({ status: 200, type })
    stream.sent.destroy()
  })

  test.each([false, true])(
    'is told its tasks, with inline values only where they leak: %s',
    async (faithfulLeaks) => {
      const one = started({ faithfulLeaks })
      const value = canary('inline in protobuf')
      one.secretValue = value.text
      const sealed = { type: 'VALUE', value: { sealed: { id: 'i1', envelope: 'AAAA' } } }
      const volumes = [
        { mode: 'RO', container_path: 'v', source: { type: 'SECRET', secret: sealed } },
      ]
      one.launch('t2', 'e1', { container: { type: 'MESOS', volumes } })
      const stream = await subscribed(one, name)

      const all = await records(stream.response, 3)
      const events = all.map((bytes) => fromProtobuf(ExecutorEvent, 'executor.Event', bytes))

      expect(events.map(({ type }) => type)).toEqual(['SUBSCRIBED', 'LAUNCH', 'LAUNCH'])
      expect(events[0]?.subscribed?.container_id).toEqual({ value: 'c-t1' })
      expect(events[2]?.launch?.task.container?.volumes[0]?.container_path).toBe('v')
      expect(findCanaries(Buffer.concat(all), [value]).length > 0).toBe(faithfulLeaks)
      stream.sent.destroy()
    },
  )

  test('operators speak JSON', async () => {
    const one = started()
    const answer = await one.ask('/api/v1', Buffer.alloc(0), { 'content-type': name })
    expect(answer).toMatchObject({ status: 415, body: expect.stringContaining('JSON only') })
  })
})
