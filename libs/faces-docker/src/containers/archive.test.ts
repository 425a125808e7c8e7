import type { FakeSession } from '@conclave/actors/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { containerIdOf } from '../container-id.ts'
import { Front } from '../testing/front.ts'
import { sentSpec, Services } from '../testing/services.ts'

const admin = { principal: { uid: 'admin' }, requestId: 'test' }

let front: Front
let id: string

/** The container of a service whose program runs as `User`. */
async function begin(User: string): Promise<void> {
  front = await new Front().withSwarm()
  front.master.scene.addNode('agent-1')
  await new Services(front).create(sentSpec('my_app', {}, { User }))
  await front.master.scene.settle()
  const [task] = await front.master.workloads.tasks(admin, 'my_app')
  if (task === undefined) throw new Error('no task runs')
  id = containerIdOf(task)
  front.master.tasks.add(task.taskId)
}

beforeEach(() => begin('app'))
afterEach(() => front.app.close())

const facts = {
  name: 'etc',
  kind: 'directory',
  mode: 0o1755,
  sizeBytes: 4096,
  modifiedAtMs: 1_700_000_000_500,
  linkTarget: '',
}

const tell = (more: object) => (session: FakeSession) => {
  session.print(`${JSON.stringify({ ...facts, ...more })}\n`)
  session.end(0)
}

type Method = 'HEAD' | 'GET' | 'PUT'

/** Asks, and lets the agent act. */
async function ask(
  method: Method,
  query: string,
  act: (session: FakeSession) => void,
  body?: string,
) {
  const { sessions } = front.master.tasks
  const count = sessions.length
  const asked = front.ask(method, `/containers/${id}/archive?${query}`, body)
  while (sessions.length === count) await new Promise((resolve) => setImmediate(resolve))
  const session = sessions.at(-1)
  if (session !== undefined) act(session)
  const { statusCode, headers, body: text } = await asked
  const stat = headers['x-docker-container-path-stat']
  const told: unknown =
    typeof stat === 'string' ? JSON.parse(Buffer.from(stat, 'base64').toString()) : undefined
  return { statusCode, headers, text, told, session }
}

const asked = () => front.master.tasks.execsWanted.at(-1)?.archive

const refused =
  (exitCode: number | undefined, said: string, error?: string) => (session: FakeSession) => {
    session.print(said, 'stderr')
    session.end(exitCode, error)
  }

describe('DK48: an archive', () => {
  test('is told of as the Engine tells of it, in the modes of Go', async () => {
    const { statusCode, told, session } = await ask('HEAD', 'path=%2Fetc', tell({}))
    expect([statusCode, told]).toEqual([
      200,
      {
        name: 'etc',
        size: 4096,
        mode: 2 ** 31 + 2 ** 20 + 0o755,
        mtime: '2023-11-14T22:13:20.5Z',
        linkTarget: '',
      },
    ])
    expect(asked()).toEqual({ do: 'stat', path: '/etc' })
    expect(session?.isClosed).toBe(true)
    const link = { kind: 'symlink', mode: 0o777, linkTarget: '/etc' }
    expect((await ask('HEAD', 'path=%2Fl', tell(link))).told).toMatchObject({
      mode: 2 ** 27 + 0o777,
      linkTarget: '/etc',
    })
    const special = await ask('HEAD', 'path=%2Ff', tell({ kind: 'file', mode: 0o6711 }))
    expect(special.told).toMatchObject({ mode: 2 ** 23 + 2 ** 22 + 0o711 })
  })

  test('goes out behind what is told, however it is cut', async () => {
    const { statusCode, headers, text, told } = await ask('GET', 'path=etc', (session) => {
      const line = `${JSON.stringify(facts)}\nthe `
      session.print(line.slice(0, 7))
      session.print(line.slice(7))
      session.print('archive')
      session.end(0)
    })
    expect([statusCode, headers['content-type'], text]).toEqual([
      200,
      'application/x-tar',
      'the archive',
    ])
    expect(told).toMatchObject({ name: 'etc' })
    expect(asked()).toEqual({ do: 'pack', path: 'etc' })
    const events = await front.ask('GET', `/events?since=0&until=${Date.now() / 1000 + 1}`)
    expect(events.body).toContain('"Action":"archive-path"')
  })

  test('that breaks off does not look whole', async () => {
    const broken = ask('GET', 'path=etc', (session) => {
      session.print(`${JSON.stringify(facts)}\nhalf of it`)
      session.end(undefined, 'the agent is gone')
    })
    await expect(broken).rejects.toThrow()
  })

  test('goes in as it came, and how it is to be laid down is said', async () => {
    const query = 'path=%2Ftmp&noOverwriteDirNonDir=true&copyUIDGID=true'
    const { statusCode, text, session } = await ask(
      'PUT',
      query,
      (own) => own.end(0),
      'the archive',
    )
    expect([statusCode, text]).toEqual([200, ''])
    expect(session?.input).toEqual(['the archive', '<end>'])
    expect(asked()).toEqual({ do: 'unpack', path: '/tmp', keepsKinds: true, isForUser: true })
    await ask('PUT', 'path=%2Ftmp&noOverwriteDirNonDir=0', (own) => own.end(0), 'x')
    expect(asked()).toEqual({ do: 'unpack', path: '/tmp', keepsKinds: false, isForUser: false })
    const events = await front.ask('GET', `/events?since=0&until=${Date.now() / 1000 + 1}`)
    expect(events.body).toContain('"Action":"extract-to-dir"')
  })

  test('belongs to whom it says where the service names no user', async () => {
    await front.app.close()
    await begin('')
    await ask('PUT', 'path=%2Ftmp&copyUIDGID=true', (session) => session.end(0), 'x')
    expect(asked()).toMatchObject({ isForUser: false })
  })

  test.each([
    [
      'what is not there',
      refused(1, '/x: No such file'),
      404,
      (): string => `Could not find the file /x in container ${id}`,
    ],
    [
      'what is no directory',
      refused(2, 'extraction point is not a directory'),
      400,
      (): string => 'extraction point is not a directory',
    ],
    [
      'what the container refuses',
      refused(3, 'invalid entry name "../x"'),
      500,
      (): string => 'invalid entry name "../x"',
    ],
    [
      'an agent that copies nothing',
      refused(undefined, '', 'this machine copies no files'),
      500,
      (): string => 'this machine copies no files',
    ],
    [
      'an earlier build',
      refused(127, '', 'exec: "conclave-archive": executable file not found in $PATH'),
      501,
      (): string =>
        `container ${id} is where an earlier build copies no files: start all agents and masters with this one`,
    ],
    ['a container that ended', refused(137, ''), 500, (): string => 'the copy was given up'],
  ] as const)('is refused: %s', async (_, act, status, message) => {
    for (const method of ['GET', 'PUT'] as const) {
      const { statusCode, text } = await ask(
        method,
        'path=%2Fx',
        act,
        method === 'PUT' ? 'x' : undefined,
      )
      expect([statusCode, JSON.parse(text)]).toEqual([status, { message: message() }])
    }
    expect((await ask('HEAD', 'path=%2Fx', act)).statusCode).toBe(status)
  })

  test.each(['nothing', '{}', JSON.stringify({ ...facts, mode: -1 })])(
    'is refused where an agent says what is no answer: %s',
    async (said) => {
      const { statusCode, session } = await ask('GET', 'path=%2Fx', (own) => {
        own.print(`${said}\n`)
        own.end(0)
      })
      expect([statusCode, session?.isClosed]).toEqual([500, true])
    },
  )

  test('is refused without a path, and of no container, before anybody is asked', async () => {
    const answers = []
    for (const url of [
      `/containers/${id}/archive`,
      `/containers/nosuch/archive?path=`,
      `/containers/nosuch/archive?path=x`,
      `/containers/${id}/archive?path=${'x'.repeat(5000)}`,
      `/containers/${id}/archive?path=a%00b`,
    ]) {
      const { statusCode, body } = await front.ask('GET', url)
      answers.push([statusCode, (JSON.parse(body) as { message: string }).message])
    }
    const none = 'bad parameter: path is none: at most 4096 characters, without NUL'
    expect(answers).toEqual([
      [400, 'bad parameter: path cannot be empty'],
      [400, 'bad parameter: path cannot be empty'],
      [404, 'No such container: nosuch'],
      [400, none],
      [400, none],
    ])
    expect(front.master.tasks.execsWanted).toEqual([])
  })
})
