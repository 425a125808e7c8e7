import { createHash } from 'node:crypto'
import { request, type IncomingMessage } from 'node:http'
import { fileURLToPath } from 'node:url'
import { canary, scanDirectory } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  Conclave,
  Framework,
  reference,
  resources,
  taskSpec,
  until,
  variable,
  volume,
} from '../src/index.ts'

const program = fileURLToPath(new URL('../programs/tiny-executor.mjs', import.meta.url))
const ofExecutor = canary('of the executor')
const secretOfExecutor = ofExecutor.text
const secretOfTask = 'for the task'

let cluster: Conclave
let framework: Framework

beforeAll(async () => {
  cluster = await Conclave.start(['--agents', '1', '--agent-setting', 'executors=process'])
  for (const [path, value] of Object.entries({
    'agent/executor': secretOfExecutor,
    'agent/task': secretOfTask,
    'agent/left': 'the left one',
    'agent/right': 'the right one',
  })) {
    const url = `/secrets/v1/secret/default/${path}`
    const wanted = { method: 'PUT', body: { value } } as const
    await cluster.ask(await cluster.leader(), 'dcos', url, wanted)
  }
  framework = await Framework.subscribe(cluster, { name: 'own', failoverTimeoutSeconds: 60 })
})
afterAll(async () => {
  framework?.close()
  await cluster?.stop()
})

const listener = (): string => cluster.ready.agents[0]?.listeners['mesos'] ?? ''

/** A call at the agent's own listener, in raw HTTP, as the cluster's superuser unless told otherwise. */
async function agent(
  path: string,
  body: object | undefined,
  headers: Readonly<Record<string, string>> = {},
): Promise<IncomingMessage> {
  const { uid, password } = cluster.ready.credentials
  const basic = Buffer.from(`${uid}:${password}`).toString('base64')
  const sent = request(new URL(path, listener()), {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'content-type': 'application/json', authorization: `Basic ${basic}`, ...headers },
  })
  sent.end(body === undefined ? undefined : JSON.stringify(body))
  return new Promise((resolve, reject) => {
    sent.once('response', resolve)
    sent.once('error', reject)
  })
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

async function call<T>(type: string, part: object = {}): Promise<T> {
  const answer = await agent('/api/v1', { type, ...part })
  const text = await textOf(answer)
  if (answer.statusCode !== 200) throw new Error(`${type}: ${answer.statusCode} ${text}`)
  return (text === '' ? {} : JSON.parse(text)) as T
}

const executorInfo = (id: string): object => ({
  type: 'CUSTOM',
  executor_id: { value: id },
  command: {
    value: `exec ${JSON.stringify(process.execPath)} ${JSON.stringify(program)}`,
    environment: { variables: [variable('DB_PASSWORD', reference('agent/executor'))] },
  },
  resources,
})

const forExecutor = (id: string, wish: string, more: object = {}): object => ({
  name: id,
  task_id: { value: id },
  resources,
  executor: executorInfo('own'),
  data: Buffer.from(wish).toString('base64'),
  ...more,
})

interface Said {
  readonly name: string
  readonly status: number
  readonly body: string
  readonly why: string
}

/** The newest word of the executor that has `key` in it. */
async function toldOf<T>(key: string): Promise<T> {
  return until(`the executor tells of ${key}`, () => {
    for (const { message } of framework.events.toReversed()) {
      if (message === undefined) continue
      const words = JSON.parse(Buffer.from(message.data, 'base64').toString()) as Record<string, T>
      if (words[key] !== undefined) return words[key]
    }
    return undefined
  })
}

describe('an executor of a framework, a real program of its own', () => {
  test('is started with its secret, subscribes with its token, and runs a task', async () => {
    await framework.launch([forExecutor('first', 'secret')])
    await framework.status('first', 'TASK_FINISHED')

    const digest = createHash('sha256').update(secretOfExecutor).digest('hex')
    expect(await toldOf('digest')).toBe(digest)
    const states = framework.statusesOf('first').map(({ state, source }) => [state, source])
    expect(states).toEqual([
      ['TASK_RUNNING', 'SOURCE_EXECUTOR'],
      ['TASK_FINISHED', 'SOURCE_EXECUTOR'],
    ])
    expect(framework.statusesOf('first')).toMatchObject(
      states.map(() => ({ executor_id: { value: 'own' } })),
    )
  })

  test('is known to the offer that names its listener, and to its operator', async () => {
    const { get_executors: known } = await call<{
      get_executors: { executors: { executor_info: { executor_id: { value: string } } }[] }
    }>('GET_EXECUTORS')
    expect(known.executors.map(({ executor_info: info }) => info.executor_id.value)).toEqual([
      'own',
    ])

    const { offers } = await framework.event('OFFERS')
    const { port } = new URL(listener())
    const url = { address: { port: Number(port) }, path: '/slave(1)' }
    expect(offers?.offers[0]).toMatchObject({ url })
  })

  test('is nobody else, whatever it says', async () => {
    await framework.launch([forExecutor('spoof', 'spoof')])
    const answers = new Map((await toldOf<Said[]>('spoof')).map((one) => [one.name, one]))

    const statuses = [...answers].map(([name, { status }]) => [name, status])
    expect(Object.fromEntries(statuses)).toEqual({
      nobody: 401,
      'wrong key': 401,
      'other framework': 400,
      'other executor': 400,
      sibling: 400,
      state: 403,
      'foreign container': 403,
      'no executor': 200,
    })
    expect(answers.get('wrong key')?.why).toContain(
      'error_description="Invalid JWT: Token signature does not match"',
    )
    await framework.status('spoof', 'TASK_FINISHED')
  })

  test("may nest a container with a secret of its task's, and wait for its end", async () => {
    const labels = { labels: [{ key: 'secret', value: 'agent/task' }] }
    // The task names the secret, so it is granted; its executor makes the container.
    const container = { type: 'MESOS', volumes: [volume('keys/file', reference('agent/task'))] }
    await framework.launch([forExecutor('nest', 'nest', { labels, container })])

    const [launched, waited, removed] = await toldOf<Said[]>('nest')
    expect(launched).toMatchObject({ status: 200 })
    expect(JSON.parse(waited?.body ?? '')).toEqual({
      type: 'WAIT_NESTED_CONTAINER',
      wait_nested_container: { exit_status: 7 << 8, message: 'Command exited with status 7' },
    })
    expect(removed).toMatchObject({ status: 200 })
  })

  test('hears its framework, and when a task of it is to end', async () => {
    const { agent_id } = await framework.launch([forExecutor('long', 'wait')])
    await framework.status('long', 'TASK_RUNNING')
    const message = { agent_id, executor_id: { value: 'own' }, data: 'aGVsbG8=' }

    await framework.call('MESSAGE', { message })
    await framework.call('KILL', { kill: { task_id: { value: 'long' }, agent_id } })

    expect(await toldOf('echo')).toBe('aGVsbG8=')
    await framework.status('long', 'TASK_KILLED')
  })

  test('ends when it is told to, and its framework hears of it', async () => {
    const { agent_id } = await framework.launch([forExecutor('last', 'wait')])
    await framework.status('last', 'TASK_RUNNING')

    await framework.call('SHUTDOWN', { shutdown: { executor_id: { value: 'own' }, agent_id } })

    await framework.status('last', 'TASK_KILLED')
    await framework.event('FAILURE')
    const { get_executors: known } = await call<{ get_executors: { executors: object[] } }>(
      'GET_EXECUTORS',
    )
    expect(known.executors).toEqual([])
  })
})

const groupTask = (id: string, secret: string, command: string): object => ({
  ...taskSpec(id, command, { volumes: [volume('keys/file', reference(secret))] }),
  task_id: { value: id },
})

async function launchGroup(executorId: string, tasks: readonly object[]): Promise<void> {
  const { id, agent_id } = await framework.roomyOffer(1)
  const executor = {
    type: 'DEFAULT',
    executor_id: { value: executorId },
    resources: [...resources, { name: 'disk', type: 'SCALAR', scalar: { value: 16 } }],
  }
  const task_group = { tasks: tasks.map((task) => ({ ...task, agent_id })) }
  await framework.call('ACCEPT', {
    accept: {
      offer_ids: [id],
      operations: [{ type: 'LAUNCH_GROUP', launch_group: { executor, task_group } }],
      filters: { refuse_seconds: 0 },
    },
  })
}

const check = (value: string): string =>
  `test "$(cat keys/file)" = "${value}" && test -z "$MESOS_EXECUTOR_AUTHENTICATION_TOKEN"`

describe('a group of two tasks under the default executor', () => {
  test('have a secret each, and not the other one, and no token', async () => {
    await launchGroup('pair', [
      groupTask('left', 'agent/left', check('the left one')),
      groupTask('right', 'agent/right', check('the right one')),
    ])

    for (const id of ['left', 'right']) {
      await framework.status(id, 'TASK_FINISHED')
      const states = framework.statusesOf(id).map(({ state }) => state)
      expect(states).toEqual(['TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED'])
    }
  })

  test('end together when one of them fails', async () => {
    await launchGroup('frail', [
      groupTask('stays', 'agent/left', 'sleep 3600'),
      groupTask('fails', 'agent/right', 'sleep 1; exit 3'),
    ])

    expect(await framework.status('fails', 'TASK_FAILED')).toMatchObject({
      message: 'Command exited with status 3',
    })
    expect(await framework.status('stays', 'TASK_KILLED')).toMatchObject({
      source: 'SOURCE_EXECUTOR',
    })
    await untilNothingRuns()
  })

  test('FA6: can be looked into: a session reads the file, and gets its input', async () => {
    await launchGroup('open', [groupTask('sleeps', 'agent/left', 'sleep 3600')])
    await framework.status('sleeps', 'TASK_RUNNING')
    const { get_containers: all } = await call<{
      get_containers: { containers: { container_id: { parent?: object } }[] }
    }>('GET_CONTAINERS')
    const parent = all.containers.find(({ container_id: id }) => id.parent !== undefined)
    const container_id = { value: 'look', parent: parent?.container_id }

    const session = await agent(
      '/api/v1',
      {
        type: 'LAUNCH_NESTED_CONTAINER_SESSION',
        launch_nested_container_session: {
          container_id,
          command: { value: 'cat keys/file; echo; cat' },
        },
      },
      { accept: 'application/recordio', 'message-accept': 'application/json' },
    )
    expect(session.headers['content-type']).toBe('application/recordio')
    const output = textOf(session)
    const records = [
      {
        type: 'ATTACH_CONTAINER_INPUT',
        attach_container_input: { type: 'CONTAINER_ID', container_id },
      },
      ...['typed', ''].map((typed) => ({
        type: 'ATTACH_CONTAINER_INPUT',
        attach_container_input: {
          type: 'PROCESS_IO',
          process_io: {
            type: 'DATA',
            data: { type: 'STDIN', data: Buffer.from(typed).toString('base64') },
          },
        },
      })),
    ].map((record) => {
      const text = JSON.stringify(record)
      return `${text.length}\n${text}`
    })
    expect(await attach(records)).toBe(200)

    const said = (await output)
      .split(/\d+\n(?=\{)/)
      .filter((record) => record !== '')
      .map((record) => JSON.parse(record) as { data?: { data: string } })
      .map(({ data }) => Buffer.from(data?.data ?? '', 'base64').toString())
    expect(said.join('')).toBe('the left one\ntyped')
    await framework.call('KILL', { kill: { task_id: { value: 'sleeps' } } })
    await framework.status('sleeps', 'TASK_KILLED')
    await untilNothingRuns()
  })

  test('a secret that cannot be had ends its task in the words of the agent, and the others', async () => {
    await launchGroup('poor', [
      groupTask('has', 'agent/left', 'sleep 3600'),
      groupTask('lacks', 'agent/none', 'true'),
    ])

    const { message = '', reason, source } = await framework.status('lacks', 'TASK_FAILED')
    expect(message).toMatch(/^Collect failed: /)
    expect([reason, source]).toEqual([undefined, 'SOURCE_EXECUTOR'])
    await framework.status('has', 'TASK_KILLED')
    await untilNothingRuns()
  })
})

async function untilNothingRuns(): Promise<void> {
  await until('no container is left', async () => {
    const { get_containers: left } = await call<{ get_containers: { containers: object[] } }>(
      'GET_CONTAINERS',
    )
    return left.containers.length === 0
  })
}

async function attach(records: readonly string[]): Promise<number> {
  const { uid, password } = cluster.ready.credentials
  const basic = Buffer.from(`${uid}:${password}`).toString('base64')
  const sent = request(new URL('/api/v1', listener()), {
    method: 'POST',
    headers: {
      'content-type': 'application/recordio',
      'message-content-type': 'application/json',
      authorization: `Basic ${basic}`,
    },
  })
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    sent.once('response', resolve)
    sent.once('error', reject)
  })
  for (const record of records) sent.write(record)
  sent.end()
  const { statusCode = 0 } = await answer
  return statusCode
}

describe("the agent's own surfaces", () => {
  test('show no value, in state, files, log or data directory', async () => {
    const texts = await Promise.all(
      ['/state', '/slave(1)/state', '/flags'].map(async (path) =>
        textOf(await agent(path, undefined)),
      ),
    )
    for (const type of ['GET_STATE', 'GET_TASKS', 'GET_EXECUTORS', 'GET_CONTAINERS', 'GET_FLAGS']) {
      texts.push(await textOf(await agent('/api/v1', { type })))
    }
    texts.push(cluster.logOf('agent-1'))

    for (const value of [secretOfExecutor, secretOfTask, 'the left one', 'the right one']) {
      const all = texts.join('\n')
      expect(all).not.toContain(value)
      expect(all).not.toContain(Buffer.from(value).toString('base64'))
    }
    const { hits } = await scanDirectory(cluster.directory, [ofExecutor])
    expect(hits).toEqual([])
  })

  test.each(['/etc/passwd', '/frameworks/../../etc/passwd', '/frameworks/%2e%2e/x', '/\0'])(
    'have no file at %j',
    async (path) => {
      const answer = await agent(`/files/read?path=${encodeURIComponent(path)}`, undefined)
      expect(answer.statusCode).toBe(404)
      answer.resume()
    },
  )

  test('want to know who asks', async () => {
    const answer = await agent('/api/v1', { type: 'GET_STATE' }, { authorization: 'Basic eDp5' })
    expect(answer.statusCode).toBe(401)
    expect(answer.headers['www-authenticate']).toContain('Basic realm="mesos-agent-readonly"')
    answer.resume()
  })
})
