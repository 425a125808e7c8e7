import { canary, expectNoLeak } from '@conclave/testkit'
import { eventsOf, linesOf, type HttpStream } from '@conclave/runtime'
import { Redacted, utf8 } from '@conclave/kernel'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { Front } from './testing/front.ts'

const fronts: Front[] = []

function newFront(): Front {
  const front = new Front()
  fronts.push(front)
  return front
}

afterEach(async () => {
  await Promise.all(fronts.splice(0).map((front) => front.close()))
})

const started = { type: 'master.started', masterId: 'master-1', recoveredEntries: 0 } as const

/** The next `count` of them; the stream stays open. */
async function take<T>(items: AsyncIterator<T>, count: number): Promise<T[]> {
  const taken: T[] = []
  while (taken.length < count) {
    const next = await items.next()
    if (next.done === true) break
    taken.push(next.value)
  }
  return taken
}

describe('events', () => {
  test('CF6: are typed, numbered and told as they happen', async () => {
    const front = newFront()
    const { log } = front.master.events

    const stream = await front.stream('/events')
    const events = eventsOf(stream.body)
    log.append(started)
    log.append({ type: 'keyring.created', dekId: 1 })
    const [first, second] = await take(events, 2)

    expect(stream.status).toBe(200)
    expect(stream.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
    })
    expect(first).toMatchObject({ id: 'master-1:boot:1', event: 'master.started' })
    expect(JSON.parse(first?.data ?? '')).toMatchObject({ ...started, id: 'master-1:boot:1' })
    expect(second).toMatchObject({ id: 'master-1:boot:2', event: 'keyring.created' })
  })

  test('CF6: come in the same words to all who follow', async () => {
    const front = newFront()
    const { log } = front.master.events
    const streams = await Promise.all([front.stream('/events'), front.stream('/events')])

    for (let count = 0; count < 5; count++) log.append({ ...started, recoveredEntries: count })
    const [one, other] = await Promise.all(streams.map(({ body }) => take(eventsOf(body), 5)))

    expect(one?.map(({ data }) => JSON.parse(data))).toMatchObject(
      Array.from({ length: 5 }, (_, recoveredEntries) => ({ ...started, recoveredEntries })),
    )
    expect(other).toEqual(one)
  })

  test('CF6: that are more than a connection takes at once all come, in order', async () => {
    const front = newFront()
    const { log } = front.master.events
    const { body } = await front.stream('/events')

    for (let count = 0; count < 60; count++) log.append({ ...started, masterId: 'x'.repeat(5000) })
    const events = await take(eventsOf(body), 60)

    expect(events.map(({ id }) => id)).toEqual(
      Array.from({ length: 60 }, (_, at) => `master-1:boot:${at + 1}`),
    )
  })

  test.each([
    ['the header', { headers: { 'last-event-id': 'master-1:boot:1' } }, ''],
    ['the query', {}, '?after=master-1:boot:1'],
  ])('CF6: go on after the id in %s', async (_name, wanted, query) => {
    const front = newFront()
    for (let count = 0; count < 3; count++) front.master.events.log.append(started)

    const { body } = await front.stream(`/events${query}`, wanted)
    const events = await take(eventsOf(body), 2)

    expect(events.map(({ id }) => id)).toEqual(['master-1:boot:2', 'master-1:boot:3'])
  })

  test('CF6: that are no longer remembered are said to be missing', async () => {
    const front = newFront()
    for (let count = 0; count < 100; count++) front.master.events.log.append(started)

    const { body } = await front.stream('/events?after=master-1:boot:1')
    const [gap, next] = await take(eventsOf(body), 2)

    expect(gap?.event).toBe('events.gap')
    expect(next).toMatchObject({ id: 'master-1:boot:37', event: 'master.started' })
  })

  test('CF6: of a secret that was stored hold no value', async () => {
    const front = newFront()
    const value = canary('event')
    const caller = { principal: { uid: 'admin' }, requestId: '1' }
    const bytes = new Redacted(Buffer.from(value.text))
    const { body } = await front.stream('/events')
    await front.master.secrets.create(caller, 'a', { kind: 'text', bytes })

    const [event] = await take(eventsOf(body), 1)

    expect(event?.event).toBe('secret.stored')
    expectNoLeak({ event, log: front.log.text }, [value])
  })
})

describe('a run that is watched', () => {
  test('CF7: is told now, after each change, and to its end', async () => {
    const front = newFront()
    await front.ask('POST', '/conclave/v1/runs', { body: { name: 'x' } })
    const { body } = await front.stream('/conclave/v1/runs/run-1/watch')
    const states: string[] = []
    const next: Record<string, () => unknown> = {
      PENDING: () => front.master.runs.change('run-1', { state: 'TASK_RUNNING' }),
      TASK_RUNNING: () =>
        front.master.runs.change('run-1', { state: 'TASK_FINISHED', isTerminal: true }),
    }

    for await (const { data } of eventsOf(body)) {
      const { state } = JSON.parse(data) as { state: string }
      states.push(state)
      next[state]?.()
    }

    expect(states).toEqual(['PENDING', 'TASK_RUNNING', 'TASK_FINISHED'])
  })

  test('CF7: waits where a scheduler sees it', async () => {
    const front = newFront()
    const { body } = await front.stream('/conclave/v1/pending')
    const pending = eventsOf(body)
    const [before] = await take(pending, 1)
    await front.ask('POST', '/conclave/v1/runs', { body: { name: 'x' } })
    const [after] = await take(pending, 1)

    expect(JSON.parse(before?.data ?? '')).toEqual({ launch: [], kill: [] })
    expect(JSON.parse(after?.data ?? '')).toEqual({
      launch: [{ runId: 'run-1', taskId: 'task-1', spec: { name: 'x' } }],
      kill: [],
    })
  })

  test('CF7: a stream that breaks is cut, and does not end as if it were whole', async () => {
    const front = newFront()
    await front.ask('POST', '/conclave/v1/runs', { body: { name: 'x' } })
    const { body } = await front.stream('/conclave/v1/runs/run-1/watch')
    const views = eventsOf(body)
    await take(views, 1)

    front.master.failNext(new Error('a bug'))
    front.master.runs.change('run-1', { state: 'TASK_RUNNING' })

    await expect(views.next()).rejects.toThrow('cut')
    expect(front.log.text).toContain('a stream broke off')
  })
})

const output = async (stream: HttpStream): Promise<unknown[]> => {
  const lines: unknown[] = []
  for await (const line of linesOf(stream.body)) lines.push(JSON.parse(line))
  return lines
}
const printed = (text: string, stream = 'stdout') => ({
  stream,
  data: Buffer.from(text).toString('base64'),
})

function running(front: Front): void {
  front.master.tasks.add('task-1')
}

describe('a session', () => {
  test.each([
    ['', 'logs'],
    ['?follow=false', 'logs'],
    ['?follow=true', 'logs, followed'],
  ])('CF8: logs%s are lines of what was printed where, to the end', async (query, asked) => {
    const front = newFront()
    running(front)
    const stream = await front.stream(`/conclave/v1/tasks/task-1/logs${query}`)
    const [session] = front.master.tasks.sessions

    session?.print('hello\n')
    session?.print('oops', 'stderr')
    session?.end(3)

    expect(session?.asked).toBe(asked)
    expect(stream.headers['content-type']).toBe('application/x-ndjson')
    expect(await output(stream)).toEqual([
      printed('hello\n'),
      printed('oops', 'stderr'),
      { end: { exitCode: 3, error: null } },
    ])
  })

  test('CF8: an exec passes input on while output comes', async () => {
    const front = newFront()
    running(front)
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
    async function* input(): AsyncGenerator<Uint8Array> {
      yield utf8('{"argv":["cat","-n"],"env":{"A":"b"}}\n{"data":"aGVsbG8=')
      yield utf8('"}\n')
      await answered
      yield utf8('{"signal":"SIGINT"}\n')
    }

    const stream = await front.stream('/conclave/v1/tasks/task-1/exec', {
      method: 'POST',
      body: input(),
    })
    const [session] = front.master.tasks.sessions
    session?.print('hello')
    const lines = linesOf(stream.body)
    const [first] = await take(lines, 1)
    answer()
    await vi.waitFor(() => {
      expect(session?.input).toEqual(['hello', '<signal SIGINT>', '<end>'])
    })
    session?.end(130)

    expect(session?.asked).toBe('A=b cat -n')
    expect(JSON.parse(first ?? '')).toEqual(printed('hello'))
    expect(await take(lines, 2)).toEqual(['{"end":{"exitCode":130,"error":null}}'])
  })

  test('CF8: the answer goes on after the input has ended, and when more of the body comes', async () => {
    const front = newFront()
    running(front)
    const { promise: ended, resolve: end } = Promise.withResolvers<void>()
    async function* input(): AsyncGenerator<Uint8Array> {
      yield utf8('{"argv":["sort"]}\n{"eof":true}\n')
      await ended
      yield Buffer.alloc(300_000, 'x')
    }

    const stream = await front.stream('/conclave/v1/tasks/task-1/exec', {
      method: 'POST',
      body: input(),
    })
    const [session] = front.master.tasks.sessions
    await vi.waitFor(() => {
      expect(session?.input).toEqual(['<end>'])
    })
    end()
    session?.print('sorted')
    session?.end(0)

    expect(await output(stream)).toEqual([printed('sorted'), { end: { exitCode: 0, error: null } }])
  })

  test.each(['{"argv":[]}\n', '{"argv":"ls"}\n', 'ls\n', '', '[1]'])(
    'CF8: an exec that begins with %j is refused',
    async (body) => {
      const front = newFront()
      running(front)

      const { status, json } = await front.ask('POST', '/conclave/v1/tasks/task-1/exec', { body })

      expect(status).toBe(400)
      expect(json).toMatchObject({ error: { code: 'request.invalid' } })
      expect(front.master.tasks.sessions).toEqual([])
    },
  )

  test('CF8: a refused exec leaves its connection fit for the next request', async () => {
    const front = newFront()
    const ask = () =>
      front.stream('/conclave/v1/tasks/none/exec', {
        method: 'POST',
        body: `{"argv":["ls"]}\n${'x'.repeat(500_000)}`,
      })

    for (let count = 0; count < 3; count++) {
      const { status, body } = await ask()
      let text = ''
      for await (const chunk of body) text += Buffer.from(chunk).toString()

      expect([status, text]).toEqual([404, expect.stringContaining('task.not-found')])
    }
  })

  test.each(['{"data":"***"}', '{"signal":7}', 'nonsense', `{"data":"${'A'.repeat(2_000_000)}"}`])(
    'CF8: input that is off ends the input: %#',
    async (line) => {
      const front = newFront()
      running(front)
      const stream = await front.stream('/conclave/v1/tasks/task-1/exec', {
        method: 'POST',
        body: `{"argv":["cat"]}\n${line}\n{"data":"aGVsbG8="}\n`,
      })
      const [session] = front.master.tasks.sessions
      await vi.waitFor(() => {
        expect(session?.input).toEqual(['<end>'])
      })
      session?.end(0)

      expect(await output(stream)).toEqual([{ end: { exitCode: 0, error: null } }])
    },
  )

  test('CF8: ends when its client goes away', async () => {
    const front = newFront()
    running(front)
    const stream = await front.stream('/conclave/v1/tasks/task-1/logs?follow=true')
    const [session] = front.master.tasks.sessions

    stream.close()

    await vi.waitFor(() => {
      expect(session?.isClosed).toBe(true)
    })
  })
})
