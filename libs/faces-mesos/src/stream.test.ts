import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { HttpClient, recordsOf } from '@conclave/runtime'
import { utf8Text } from '@conclave/kernel'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { Front, schedulerUrl, subscribe } from './testing/front.ts'

const cleanUp: (() => unknown)[] = []

afterEach(async () => {
  for (const undo of cleanUp.splice(0)) await undo()
})

function newFront(): Front {
  const front = new Front()
  cleanUp.push(() => front.app.close())
  return front
}

async function subscribed(front: Front, headers: Record<string, string> = {}) {
  const client = new HttpClient()
  cleanUp.push(() => client.close())
  return client.stream({
    method: 'POST',
    url: `http://${await front.listen()}${schedulerUrl}`,
    headers: { ...front.master.identity.headerOf('admin'), ...headers },
    body: subscribe(),
  })
}

describe('a subscription', () => {
  test('MF6: is a stream of records with an id of its own, and begins with what came before it', async () => {
    const front = newFront()

    const stream = await subscribed(front)
    const records = recordsOf(stream.body)
    const first = (await records.next()).value as Uint8Array
    const second = (await records.next()).value as Uint8Array

    expect(stream.status).toBe(200)
    expect(stream.headers).toMatchObject({
      'content-type': 'application/json',
      'transfer-encoding': 'chunked',
      'mesos-stream-id': front.master.frameworks.connections[0]?.streamId,
    })
    expect(stream.headers['content-length']).toBeUndefined()
    expect(JSON.parse(utf8Text(first))).toMatchObject({ type: 'SUBSCRIBED' })
    expect(utf8Text(second)).toBe('{"type":"HEARTBEAT"}')
  })

  test('MF6: ends when the master closes it, after all it was told', async () => {
    const front = newFront()
    const stream = await subscribed(front)
    const [connection] = front.master.frameworks.connections

    connection?.send({ type: 'ERROR', error: { message: 'Framework failed over' } })
    connection?.close()
    const texts: string[] = []
    for await (const record of recordsOf(stream.body)) texts.push(utf8Text(record))

    expect(texts.at(-1)).toContain('Framework failed over')
    // Whatever comes later is for nobody.
    expect(() => connection?.send({ type: 'HEARTBEAT' })).not.toThrow()
  })

  test('MF6: that is refused by its first event ends at once', async () => {
    const front = newFront()
    front.master.frameworks.subscribe = (_caller, _call, connection) => {
      connection.send({ type: 'ERROR', error: { message: 'Framework has been removed' } })
      connection.close()
      return undefined
    }

    const stream = await subscribed(front)
    const texts: string[] = []
    for await (const record of recordsOf(stream.body)) texts.push(utf8Text(record))

    expect(stream.status).toBe(200)
    expect(texts).toEqual(['{"type":"ERROR","error":{"message":"Framework has been removed"}}'])
  })

  test('MF6: the master hears that its client is gone', async () => {
    const front = newFront()
    const stream = await subscribed(front)
    expect(front.master.frameworks.connections).toHaveLength(1)

    stream.close()

    await vi.waitFor(() => {
      expect(front.master.frameworks.connections).toEqual([])
    })
  })

  test('MF6: with a stream id is refused, and so is one that the master refuses', async () => {
    const front = newFront()
    const withId = await front.ask(schedulerUrl, subscribe(), { 'mesos-stream-id': 'x' })
    front.master.frameworks.refusal = { status: 400, body: 'no' }
    const refused = await front.ask(schedulerUrl, subscribe())

    expect([withId.status, withId.body]).toEqual([
      400,
      "Subscribe calls should not include the 'Mesos-Stream-Id' header",
    ])
    expect([refused.status, refused.body]).toEqual([400, 'no'])
  })

  test('MF7: one record is one chunk: length, newline and payload together, and no more', async () => {
    const front = newFront()
    const [host = '', port = ''] = (await front.listen()).split(':')
    const socket = connect(Number(port), host)
    cleanUp.push(() => socket.destroy())
    const body = JSON.stringify(subscribe())
    socket.write(
      `POST ${schedulerUrl} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n` +
        `authorization: ${front.master.identity.headerOf('admin').authorization}\r\n` +
        `content-length: ${body.length}\r\n\r\n${body}`,
    )
    const text = await textUntil(socket, '0\r\n\r\n', () => {
      const [connection] = front.master.frameworks.connections
      for (let count = 0; count < 20; count++) {
        connection?.send({ type: 'RESCIND', rescind: { offer_id: { value: `é${count}` } } })
      }
      connection?.close()
    })

    const chunks = chunksOf(text.slice(text.indexOf('\r\n\r\n') + 4))
    expect(chunks).toHaveLength(2 + 20)
    for (const chunk of chunks) {
      const [length = '', ...payload] = chunk.split('\n')
      expect(payload).toHaveLength(1)
      expect(Number(length)).toBe(payload[0]?.length)
    }
  })
})

/** All that arrives until `end`; `begun` is called with the first of it. */
async function textUntil(socket: Socket, end: string, begun: () => void): Promise<string> {
  let text = ''
  while (!text.endsWith(end)) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    if (text === '') begun()
    text += chunk.toString('latin1')
  }
  return text
}

/** The chunks of a chunked body. RFC 9112 §7.1. */
function chunksOf(body: string): string[] {
  const chunks: string[] = []
  for (let at = 0; ;) {
    const end = body.indexOf('\r\n', at)
    const size = Number.parseInt(body.slice(at, end), 16)
    if (size === 0) return chunks
    chunks.push(body.slice(end + 2, end + 2 + size))
    at = end + 2 + size + 2
  }
}
