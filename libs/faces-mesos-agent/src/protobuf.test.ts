import { signExecutorToken } from '@conclave/crypto'
import {
  AgentCall,
  AgentResponse,
  ExecutorCall,
  ExecutorEvent,
  fromProtobuf,
  parseOurs,
  ProcessIo,
  toJson,
  toProtobuf,
} from '@conclave/model'
import { canary, findCanaries } from '@conclave/testkit'
import { request, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { basic, Front } from './testing/front.ts'

let front: Front | undefined
afterEach(() => front?.app.close())

const name = 'application/x-protobuf'
const recordio = 'application/recordio'
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
})

const record = (payload: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from(`${payload.length}\n`), payload])

describe('FA10: an operator that speaks protobuf', () => {
  const call = (json: object): Buffer =>
    Buffer.from(toProtobuf(AgentCall, 'agent.Call', parseOurs(AgentCall, json), withHidden))
  const withHidden = { withHidden: true }
  const protobuf = { 'content-type': name, accept: name }
  test('is answered with the bytes that Mesos has for it', async () => {
    const one = started()
    // {type: GET_HEALTH}, and {type: GET_HEALTH, get_health: {healthy: true}}, by hand.
    const answer = await one.ask('/api/v1', Buffer.from('0801', 'hex'), protobuf)
    expect([answer.status, answer.headers['content-type']]).toEqual([200, name])
    expect(answer.bytes.toString('hex')).toBe('080112020801')
    // {type: GET_VERSION}: the text is field 1 of field 1 of field 4.
    const version = await one.ask('/api/v1', Buffer.from('0803', 'hex'), protobuf)
    expect(version.bytes.toString('hex')).toBe('0803220a0a080a06312e31312e30')
  })

  test.each([
    'GET_HEALTH',
    'GET_FLAGS',
    'GET_VERSION',
    'GET_METRICS',
    'GET_LOGGING_LEVEL',
    'GET_STATE',
    'GET_CONTAINERS',
    'GET_FRAMEWORKS',
    'GET_EXECUTORS',
    'GET_OPERATIONS',
    'GET_TASKS',
    'GET_AGENT',
    'GET_RESOURCE_PROVIDERS',
  ])('is told by %s what one is told that speaks JSON', async (type) => {
    const one = started()
    const asked = { type, ...(type === 'GET_METRICS' && { get_metrics: {} }) }
    const json = await one.ask('/api/v1', asked)
    const { bytes } = await one.ask('/api/v1', call(asked), protobuf)

    const read = fromProtobuf(AgentResponse, 'agent.Response', bytes)
    expect(toJson(AgentResponse, read)).toEqual(JSON.parse(json.body))
    expect(Object.keys(JSON.parse(json.body) as object)).toEqual(['type', type.toLowerCase()])
  })

  test('reads files, and waits for containers', async () => {
    const one = started()
    const path = '/frameworks/f1/executors/e1/runs/latest'
    const ask = async (json: object) => {
      const { bytes, status } = await one.ask('/api/v1', call(json), protobuf)
      return status === 200 ? fromProtobuf(AgentResponse, 'agent.Response', bytes) : { status }
    }
    expect(await ask({ type: 'LIST_FILES', list_files: { path } })).toMatchObject({
      list_files: { file_infos: [{ path: `${path}/stdout`, size: 19 }, { size: 0 }] },
    })
    const file = { path: `${path}/stdout`, offset: 5, length: 2 }
    expect(await ask({ type: 'READ_FILE', read_file: file })).toMatchObject({
      read_file: { size: 19, data: Buffer.from('by').toString('base64') },
    })
    const container_id = { value: 'alone' }
    const command = { value: 'x' }
    const launched = { type: 'LAUNCH_CONTAINER', launch_container: { container_id, command } }
    expect(await one.ask('/api/v1', call(launched), protobuf)).toMatchObject({ status: 200 })
    const ended = ask({ type: 'WAIT_CONTAINER', wait_container: { container_id } })
    await ask({ type: 'KILL_CONTAINER', kill_container: { container_id } })
    one.tell({ kind: 'exited', containerId: 'alone', exit: { exitCode: 3 } })
    expect(await ended).toMatchObject({
      type: 'WAIT_CONTAINER',
      wait_container: { exit_status: 768 },
    })
  })

  test('may be answered in the other form than it speaks', async () => {
    const one = started()
    const asJson = await one.ask('/api/v1', call({ type: 'GET_TASKS' }), { 'content-type': name })
    expect(asJson.headers['content-type']).toBe('application/json')
    const { bytes } = await one.ask('/api/v1', { type: 'GET_TASKS' }, { accept: name })
    expect(fromProtobuf(AgentResponse, 'agent.Response', bytes).type).toBe('GET_TASKS')
  })

  test.each([
    [Buffer.from([0xff]), /^Failed to parse body into a protobuf object: /],
    [Buffer.from('08117200', 'hex'), /Missing required fields: wait_container.container_id/],
    [Buffer.from('0817', 'hex'), /^Failed to validate agent::Call: Expecting 'wait_container'/],
  ])('is refused when it says %j', async (body, words) => {
    const answer = await started().ask('/api/v1', body, protobuf)
    expect(answer).toMatchObject({ status: 400, body: expect.stringMatching(words) })
  })

  test('a value in its call is wiped with the body, and leaks no more than one in JSON', async () => {
    const one = started()
    const value = canary('inline in protobuf')
    const data = Buffer.from(value.bytes).toString('base64')
    const secret = { type: 'VALUE', value: { data } }
    const environment = { variables: [{ name: 'A', type: 'SECRET', secret }] }
    const bodies: Buffer[] = []
    one.app.addHook('preHandler', async ({ body }) => void bodies.push(body as Buffer))
    const launched = call({
      type: 'LAUNCH_CONTAINER',
      launch_container: { container_id: { value: 'alone' }, command: { value: 'x', environment } },
    })
    expect(findCanaries(launched, [value])).not.toEqual([])

    const answer = await one.ask('/api/v1', launched, protobuf)

    expect(answer.status).toBe(200)
    expect(bodies[0]?.every((byte) => byte === 0)).toBe(true)
    const { bytes } = await one.ask('/api/v1', call({ type: 'GET_STATE' }), protobuf)
    expect(findCanaries(bytes, [value])).toEqual([])
  })

  test('follows output in records of protobuf, in a stream of either kind', async () => {
    const one = started()
    await one.app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = one.app.server.address() as AddressInfo
    const attach = {
      type: 'ATTACH_CONTAINER_OUTPUT',
      attach_container_output: { container_id: { value: 'c-t1' } },
    }
    for (const headers of [{ accept: name }, { accept: recordio, 'message-accept': name }]) {
      const all = { authorization: basic('ops'), 'content-type': name, ...headers }
      const sent = request({ port, path: '/api/v1', method: 'POST', headers: all })
      const answered = new Promise<IncomingMessage>((resolve) => sent.once('response', resolve))
      sent.end(call(attach))
      const response = await answered
      const found = await records(response, 2)
      const pieces = found.map((bytes) => fromProtobuf(ProcessIo, 'agent.ProcessIO', bytes))

      expect(response.headers['content-type']).toBe(headers.accept)
      expect(response.headers['message-content-type']).toBe(
        headers.accept === recordio ? name : undefined,
      )
      expect(pieces[0]).toMatchObject({ type: 'CONTROL', control: { type: 'HEARTBEAT' } })
      const data = Buffer.from('said by the program').toString('base64')
      expect(pieces[1]).toMatchObject({ type: 'DATA', data: { type: 'STDOUT', data } })
      sent.destroy()
    }
  })

  test('types into a session in records of protobuf', async () => {
    const one = started()
    const parent = { value: 'c-t1' }
    const container_id = { value: 'session', parent }
    await one.app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = one.app.server.address() as AddressInfo
    const headers = { authorization: basic('ops'), 'content-type': name, accept: name }
    const session = request({ port, path: '/api/v1', method: 'POST', headers })
    const opened = new Promise((resolve) => session.once('response', resolve))
    const command = { value: 'cat' }
    const part = { container_id, command }
    session.end(
      call({ type: 'LAUNCH_NESTED_CONTAINER_SESSION', launch_nested_container_session: part }),
    )
    await opened
    const type = 'ATTACH_CONTAINER_INPUT'
    const typed = {
      type: 'DATA',
      data: { type: 'STDIN', data: Buffer.from('hi').toString('base64') },
    }
    const input = [
      { type, attach_container_input: { type: 'CONTAINER_ID', container_id } },
      { type, attach_container_input: { type: 'PROCESS_IO', process_io: typed } },
    ]
    const body = Buffer.concat(input.map((each) => record(call(each))))
    const streaming = { 'content-type': recordio, 'message-content-type': name }

    const answer = await one.ask('/api/v1', body, streaming)

    expect(answer.status).toBe(200)
    const written = one.effects.filter((effect) => effect.do === 'write-session')
    expect(written.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(['hi'])
    expect(await one.ask('/api/v1', record(call({ type: 'GET_STATE' })), streaming)).toMatchObject({
      status: 415,
      body: "Streaming 'Content-Type' application/recordio is not supported for GET_STATE call",
    })
    expect(await one.ask('/api/v1', Buffer.alloc(0), streaming)).toMatchObject({
      status: 400,
      body: 'Received EOF while reading request body',
    })
    session.destroy()
  })
})
