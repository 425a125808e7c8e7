import type { FakeSession } from '@conclave/actors/testing'
import { eventually } from '@conclave/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { StdcopyReader } from '../containers/stdcopy.ts'
import { Front } from '../testing/front.ts'
import { sentSpec, Services } from '../testing/services.ts'

let front: Front
let services: Services

beforeEach(async () => {
  front = await new Front().withSwarm()
  front.master.scene.addNode('agent-1')
  services = new Services(front)
})

/** A service whose tasks run, and of which there is output to read. */
async function running(name: string, replicas: number, container: object = {}): Promise<string> {
  const mode = { Mode: { Replicated: { Replicas: replicas } } }
  const id = await services.create(sentSpec(name, mode, container))
  await front.master.scene.settle()
  for (const { ID, Slot } of await services.tasks({ service: [id] })) {
    front.master.tasks.add(`${name}.${Slot}.${ID}`)
  }
  return id
}

/** The how-many-th session of logs, once it is opened. */
async function session(at: number): Promise<FakeSession> {
  const { sessions } = front.master.tasks
  await eventually(() => sessions.length > at)
  const found = sessions[at]
  if (found === undefined) throw new Error('it was there')
  return found
}

/** The tasks say something as soon as somebody listens, and end. */
async function say(
  sessions: number,
  texts: Readonly<Record<'stdout' | 'stderr', string>>,
): Promise<void> {
  for (let at = 0; at < sessions; at++) {
    const opened = await session(at)
    opened.print(texts.stdout, 'stdout', 1_700_000_000_123)
    opened.print(texts.stderr, 'stderr', 1_700_000_000_123)
    opened.end(0)
  }
}

const frames = (body: Buffer): readonly string[] =>
  new StdcopyReader().push(body).map(({ stream, payload }) => `${stream} ${payload.toString()}`)

const both = 'stdout=1&stderr=1'

describe('DK10: what tasks say', () => {
  test('comes line by line, each with the task that it is of', async () => {
    const id = await running('app', 2)
    const [one, two] = await services.tasks()
    const asked = front.ask('GET', `/v1.41/services/app/logs?${both}&details=1&timestamps=1`)
    await say(2, { stdout: 'hello\nworld\n', stderr: 'oh\n' })
    const answer = await asked
    expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, undefined])
    const details = (task: typeof one): string =>
      `2023-11-14T22:13:20.123000000Z com.docker.swarm.node.id=${task?.NodeID},com.docker.swarm.service.id=${id},com.docker.swarm.task.id=${task?.ID}`
    expect(frames(answer.rawPayload)).toEqual(
      [one, two].flatMap((task) => [
        `stdout ${details(task)} hello\n`,
        `stdout ${details(task)} world\n`,
        `stderr ${details(task)} oh\n`,
      ]),
    )
  })

  test('is what was asked for: streams, how many lines, since when', async () => {
    await running('app', 1)
    const asked = front.ask('GET', '/services/app/logs?stderr=1&tail=5&since=1700000000')
    await say(1, { stdout: 'out\n', stderr: 'err\n' })
    const answer = await asked
    expect(answer.headers['content-type']).toBe('application/vnd.docker.multiplexed-stream')
    expect(frames(answer.rawPayload)).toEqual(['stderr err\n'])
    expect(front.master.tasks.logsWanted).toEqual([
      { follow: false, tail: 5, sinceMs: 1_700_000_000_000 },
    ])
    const none = await front.ask('GET', '/services/app/logs')
    expect([none.statusCode, none.json()]).toEqual([
      400,
      { message: 'Bad parameters: you must choose at least one stream' },
    ])
  })

  test('has no frames where the container has a terminal', async () => {
    await running('app', 1, { TTY: true })
    const asked = front.ask('GET', `/services/app/logs?${both}`)
    await say(1, { stdout: 'out\r\n', stderr: '' })
    expect((await asked).body).toBe('out\r\n')
  })

  test('of one task ends with it, followed or not', async () => {
    await running('app', 1)
    const [task] = await services.tasks()
    const asked = front.ask('GET', `/tasks/${task?.ID}/logs?${both}&follow=1`)
    await say(1, { stdout: 'out\n', stderr: '' })
    expect(frames((await asked).rawPayload)).toEqual(['stdout out\n'])
  })

  test('is empty where no task has begun, and not found where there is nothing', async () => {
    await services.create(sentSpec('app'))
    await front.master.scene.settle(() => 'TASK_ERROR')
    const answer = await front.ask('GET', `/services/app/logs?${both}`)
    expect([answer.statusCode, answer.body]).toEqual([200, ''])
    const nothing = await front.ask('GET', `/tasks/nosuch/logs?${both}`)
    expect([nothing.statusCode, nothing.json()]).toEqual([
      404,
      { message: 'task nosuch not found' },
    ])
  })
})

test('DK10: followed, tasks that come later are heard, until the client goes', async () => {
  const id = await running('app', 1)
  const base = await front.app.listen({ port: 0, host: '127.0.0.1' })
  const gone = new AbortController()
  const response = await fetch(`${base}/services/app/logs?${both}&follow=1`, {
    signal: gone.signal,
  })
  const reader = response.body?.getReader()
  const next = async (): Promise<readonly string[]> =>
    frames(Buffer.from((await reader?.read())?.value ?? []))

  const one = await session(0)
  one.print('first\n')
  expect(await next()).toEqual(['stdout first\n'])

  const { Spec } = await services.get(id)
  await services.update(id, { ...Spec, Mode: { Replicated: { Replicas: 2 } } })
  await front.master.scene.settle()
  const later = (await services.tasks()).find(({ Slot }) => Slot === 2)
  front.master.tasks.add(`app.2.${later?.ID}`)
  front.master.scene.putTask(id, { slot: '3' })
  front.master.scene.tick()
  const two = await session(1)
  two.print('second\n')
  expect(await next()).toEqual(['stdout second\n'])

  gone.abort()
  await eventually(() => front.master.tasks.sessions.every(({ isClosed }) => isClosed))
  await front.app.close()
})
