import { signExecutorToken } from '@conclave/crypto'
import { Redacted, utf8 } from '@conclave/kernel'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { basic, Front } from './testing/front.ts'

let front: Front
beforeEach(() => {
  front = new Front()
})
afterEach(() => front.app.close())

const own = { fid: 'f1', eid: 'e1', cid: 'c-t1' }
const bearer = (claims: Readonly<Record<string, string>>, key = front.key) => ({
  authorization: `Bearer ${signExecutorToken(key, claims)}`,
})
const say = { framework_id: { value: 'f1' }, executor_id: { value: 'e1' } }
const message = { ...say, type: 'MESSAGE', message: { data: 'aGk=' } }
const nested = (name: string, parent?: string): object => ({
  value: name,
  ...(parent !== undefined && { parent: { value: parent } }),
})
const refusals = (): readonly object[] =>
  front.effects.flatMap((effect) =>
    effect.do === 'send' && effect.message.type === 'events'
      ? effect.message.events.filter(
          (event) => (event as { type: string }).type === 'executor.refused',
        )
      : [],
  ) as object[]

describe('FA1: what is checked before a call', () => {
  const state = { type: 'GET_STATE' }
  test.each<[string, unknown, Record<string, string>, number, string]>([
    ['no credentials', state, { authorization: '' }, 401, '401 Unauthorized.'],
    ['unknown ones', state, { authorization: basic('eve') }, 401, '401 Unauthorized.'],
    ['no type', state, { 'content-type': '' }, 400, "Expecting 'Content-Type' to be present"],
    [
      'another type',
      state,
      { 'content-type': 'text/plain' },
      415,
      "Expecting 'Content-Type' of application/json or application/x-protobuf or application/recordio",
    ],
    ['no JSON', '{', {}, 400, 'Failed to parse body into JSON: syntax error'],
    [
      'JSON of very many values',
      `[${'0,'.repeat(200_000)}0]`,
      {},
      400,
      'Failed to parse body into JSON: it has more than 200000 values',
    ],
    ['another JSON', '[]', {}, 400, 'Expecting a JSON object'],
    ['nothing', {}, {}, 400, "Failed to validate agent::Call: Expecting 'type' to be present"],
    [
      'an unknown call',
      { type: 'OBEY' },
      {},
      400,
      "Failed to validate agent::Call: Expecting 'type' to be present",
    ],
    [
      'no part',
      { type: 'READ_FILE' },
      {},
      400,
      "Failed to validate agent::Call: Expecting 'read_file' to be present",
    ],
    [
      'no field',
      { type: 'READ_FILE', read_file: { path: '/' } },
      {},
      400,
      'Missing required fields: read_file.offset',
    ],
    [
      'no parent',
      { type: 'LAUNCH_NESTED_CONTAINER', launch_nested_container: { container_id: nested('x') } },
      {},
      400,
      "Failed to validate agent::Call: Expecting 'launch_nested_container.container_id.parent' to be present",
    ],
    [
      'a bad variable',
      {
        type: 'LAUNCH_NESTED_CONTAINER',
        launch_nested_container: {
          container_id: nested('x', 'y'),
          command: { environment: { variables: [{ name: 'A', type: 'SECRET' }] } },
        },
      },
      {},
      400,
      "Failed to validate agent::Call: 'launch_nested_container.command' is invalid: Environment variable 'A' of type 'SECRET' must have a secret set",
    ],
    [
      'a bad volume',
      {
        type: 'LAUNCH_NESTED_CONTAINER_SESSION',
        launch_nested_container_session: {
          container_id: nested('x', 'y'),
          container: {
            type: 'MESOS',
            volumes: [{ mode: 'RO', container_path: 'x', source: { type: 'SECRET' } }],
          },
        },
      },
      {},
      400,
      "Failed to validate agent::Call: 'launch_nested_container_session.container' is invalid: Invalid volume: 'source.secret' is not set for SECRET volume",
    ],
    [
      'a dot in an id',
      { type: 'WAIT_CONTAINER', wait_container: { container_id: nested('a.b') } },
      {},
      400,
      "Failed to validate agent::Call: 'wait_container.container_id' is invalid: 'ContainerID.value' 'a.b' contains invalid characters",
    ],
    [
      'a header of streams',
      state,
      { 'message-content-type': 'application/json' },
      415,
      "Expecting 'Message-Content-Type' to be not set for non-streaming requests",
    ],
    [
      'the other one',
      state,
      { 'message-accept': 'application/json' },
      406,
      "Expecting 'Message-Accept' to be not set for non-streaming responses",
    ],
    [
      'no way to answer',
      state,
      { accept: 'text/html' },
      406,
      "Expecting 'Accept' to allow application/json or application/x-protobuf or application/recordio",
    ],
    [
      'a stream of what is none',
      state,
      { accept: 'application/recordio' },
      406,
      'Streaming response is not supported for GET_STATE call',
    ],
    [
      'records of a kind that nobody writes',
      state,
      { accept: 'application/recordio', 'message-accept': 'text/html' },
      406,
      "Expecting 'Message-Accept' to allow application/json or application/x-protobuf",
    ],
    [
      'input without a stream',
      {
        type: 'ATTACH_CONTAINER_INPUT',
        attach_container_input: { type: 'CONTAINER_ID', container_id: nested('a') },
      },
      {},
      415,
      "Expecting 'Content-Type' to be application/recordio for ATTACH_CONTAINER_INPUT call",
    ],
    ['what is not here', { type: 'PRUNE_IMAGES' }, {}, 501, '501 Not Implemented.'],
  ])('%s', async (_, body, headers, status, words) => {
    const answer = await front.ask('/api/v1', body, headers)
    expect([answer.status, answer.body]).toEqual([status, words])
  })

  test('a method, with the one that is taken', async () => {
    const answer = await front.ask('/slave(1)/api/v1', undefined, {}, 'GET')
    expect(answer.status).toBe(405)
    expect(answer.headers['allow']).toBe('POST')
  })
})

describe('FA2: an operator', () => {
  test.each([
    ['GET_HEALTH', 200],
    ['GET_VERSION', 200],
    ['GET_STATE', 403],
    ['GET_CONTAINERS', 403],
  ])('is whom %s needs, or not', async (type, status) => {
    const answer = await front.ask('/api/v1', { type }, { authorization: basic('dev') })
    expect(answer.status).toBe(status)
  })

  test('is asked about again for whatever is more than a look, by its name', async () => {
    await front.ask('/api/v1', { type: 'GET_STATE' })
    await front.ask('/api/v1', { type: 'LIST_FILES', list_files: { path: '/' } })
    expect(front.asked).toEqual(['GET_ANY', 'GET_ANY', 'LIST_FILES'])
  })

  test.each(['/state', '/slave(1)/state', '/flags', '/files/browse?path=/', '/files/read?path=/x'])(
    'is who sees %s',
    async (url) => {
      expect((await front.ask(url, undefined, { authorization: '' }, 'GET')).status).toBe(401)
      const dev = { authorization: basic('dev') }
      expect((await front.ask(url, undefined, dev, 'GET')).status).toBe(403)
    },
  )

  test('sees what runs', async () => {
    front.launch()
    const state = JSON.parse((await front.ask('/api/v1', { type: 'GET_STATE' })).body) as object
    expect(state).toMatchObject({
      get_state: {
        get_executors: {
          executors: [{ executor_info: { executor_id: { value: 'e1' }, command: { value: 'x' } } }],
        },
        get_tasks: { queued_tasks: [{ task_id: { value: 't1' }, state: 'TASK_STAGING' }] },
        get_frameworks: { frameworks: [{ framework_info: { name: 'fw' } }] },
      },
    })
    const legacy = JSON.parse((await front.ask('/state', undefined, {}, 'GET')).body) as object
    expect(legacy).toMatchObject({
      id: 'M-S0',
      frameworks: [{ id: 'f1', executors: [{ id: 'e1', queued_tasks: [{ id: 't1' }] }] }],
    })
  })
})

const launch = (id: object) => ({
  type: 'LAUNCH_NESTED_CONTAINER',
  launch_nested_container: { container_id: id, command: { value: 'x' } },
})

describe('FA4: who calls as an executor', () => {
  const url = '/api/v1/executor'

  test('without or with a wrong token is told why, and that is on record', async () => {
    front.launch()
    const nobody = await front.ask(url, message, { authorization: '' })
    const stranger = bearer(own, new Redacted(utf8('another key')))
    const wrong = await front.ask(url, message, stranger)
    const odd = await front.ask(url, message, { authorization: 'Bearer a b' })

    expect([nobody.status, wrong.status, odd.status]).toEqual([401, 401, 401])
    const realm = 'Basic realm="mesos-agent-executor",Bearer realm="mesos-agent-executor"'
    const because = (why: string): string =>
      `${realm}, error="invalid_token", error_description="${why}"`
    expect(nobody.headers['www-authenticate']).toBe(realm)
    expect(wrong.headers['www-authenticate']).toBe(
      because('Invalid JWT: Token signature does not match'),
    )
    expect(odd.headers['www-authenticate']).toBe(because("Malformed 'Authorization' header"))
    expect(nobody.body).toContain('"Basic" authenticator returned:\n401 Unauthorized.')
    front.tell({ kind: 'tick' })
    expect(refusals()).toHaveLength(3)
  })

  test('is refused with the claims of another, or as a person', async () => {
    front.launch()
    const old = await front.ask(url, message, bearer({ ...own, cid: 'c-old' }))
    const person = await front.ask(url, message)
    expect(old.status).toBe(403)
    expect(old.body).toContain("a 'cid' claim with the correct active ContainerID")
    expect(person.body).toBe(
      "Authenticated principal 'ops' does not contain an 'fid' claim with the framework ID f1, which is set in the call",
    )
  })

  test.each<[string, object, string]>([
    [
      'no ids',
      { type: 'SUBSCRIBE' },
      'Failed to convert JSON into Call protobuf: Missing required fields: framework_id, executor_id',
    ],
    [
      'no part',
      { ...say, type: 'SUBSCRIBE' },
      "Failed to validate Executor::Call: Expecting 'subscribe' to be present",
    ],
    ['no uuid', update({}), "Failed to validate Executor::Call: Expecting 'uuid' to be present"],
    [
      'no real uuid',
      update({ uuid: 'AAAA' }),
      'Failed to validate Executor::Call: Not a valid UUID',
    ],
    [
      'another executor',
      update({ uuid, executor_id: { value: 'e2' } }),
      'Failed to validate Executor::Call: ExecutorID in Call: e1 does not match ExecutorID in TaskStatus: e2',
    ],
    [
      'no source',
      update({ uuid }),
      "Failed to validate Executor::Call: Received Call from executor e1 of framework f1 with invalid source, expecting 'SOURCE_EXECUTOR'",
    ],
    [
      'a step back',
      update({ uuid, source: 'SOURCE_EXECUTOR', state: 'TASK_STAGING' }),
      'Failed to validate Executor::Call: Received TASK_STAGING from executor e1 of framework f1 which is not allowed',
    ],
  ])('with %s is told so', async (_, body, words) => {
    const answer = await front.ask(url, body, bearer(own))
    expect([answer.status, answer.body]).toEqual([400, words])
  })

  test('FA3: has the containers below its own, and nothing else', async () => {
    front.launch()
    const as = bearer(own)
    expect((await front.ask('/api/v1', launch(nested('x', 'c-t1')), as)).status).toBe(200)
    expect((await front.ask('/api/v1', launch(nested('x', 'c-t1')), as)).status).toBe(202)
    expect((await front.ask('/api/v1', launch(nested('x', 'other')), as)).status).toBe(403)
    const noCid = bearer({ fid: 'f1', eid: 'e1' })
    expect((await front.ask('/api/v1', launch(nested('y', 'c-t1')), noCid)).status).toBe(403)
    expect((await front.ask('/api/v1', { type: 'GET_STATE' }, as)).status).toBe(403)
    const kill = { type: 'KILL_CONTAINER', kill_container: { container_id: nested('c-t1') } }
    expect((await front.ask('/api/v1', kill, as)).status).toBe(403)
  })

  test('FA5: may be anybody where nobody has to prove anything', async () => {
    await front.app.close()
    front = new Front({ authenticateExecutors: false })
    front.launch()
    const beat = { ...say, type: 'HEARTBEAT' }
    expect((await front.ask(url, beat, { authorization: '' })).status).toBe(202)
    const answer = await front.ask(url, message, { authorization: 'Bearer a.b.c' })
    expect([answer.status, answer.body]).toEqual([403, 'Executor is not subscribed'])
  })
})

const uuid = 'EjRWeBI0QjSSNBI0VniQqw=='
function update(status: object): object {
  const usual = { task_id: { value: 't1' }, state: 'TASK_RUNNING' }
  return { ...say, type: 'UPDATE', update: { status: { ...usual, ...status } } }
}

const setTo = (level: number, nanoseconds: number) =>
  front.ask('/api/v1', {
    type: 'SET_LOGGING_LEVEL',
    set_logging_level: { level, duration: { nanoseconds } },
  })

describe('SET_LOGGING_LEVEL', () => {
  test('turns the log up for a while, after a master has had it on record', async () => {
    await front.app.close()
    const set: unknown[] = []
    const logging = { level: 2, set: (...of: number[]) => void set.push(of) }
    front = new Front({ logging })

    expect(await setTo(1, 60e9)).toMatchObject({ status: 200, body: '' })
    expect(await setTo(4, 60e9)).toMatchObject({ status: 400 })
    expect(await setTo(1, -1)).toMatchObject({ status: 400 })
    const { body } = await front.ask('/api/v1', { type: 'GET_LOGGING_LEVEL' })
    expect(JSON.parse(body)).toMatchObject({ get_logging_level: { level: 2 } })
    expect(set).toEqual([[1, 60_000]])
    expect(front.asked).toContain('SET_LOGGING_LEVEL')
  })
})

const file = (path: string, text: string) => ({ path, bytes: Buffer.from(text) })

describe('FA7: files', () => {
  const sandbox = '/frameworks/f1/executors/e1/runs/latest'
  test('are the output of containers', async () => {
    front.launch()
    const browse = await front.ask(`/files/browse?path=${sandbox}`, undefined, {}, 'GET')
    expect(JSON.parse(browse.body)).toMatchObject([
      { path: `${sandbox}/stdout`, size: 19 },
      { path: `${sandbox}/stderr`, size: 0 },
    ])
    const read = await front.ask(
      `/files/read?path=${sandbox}/stdout&offset=8&length=2`,
      undefined,
      {},
      'GET',
    )
    expect(JSON.parse(read.body)).toEqual({ data: 'th', offset: 8 })
    const v1 = await front.ask('/api/v1', {
      type: 'READ_FILE',
      read_file: { path: `${sandbox}/stdout`, offset: 0 },
    })
    const data = Buffer.from('said by the program').toString('base64')
    expect(JSON.parse(v1.body)).toEqual({ type: 'READ_FILE', read_file: { size: 19, data } })
  })

  test('of a container that has ended are its output, below its own name and the latest', async () => {
    front.launch('t1', 't1', { executor: undefined, command: { value: 'x' } })
    front.tell({ kind: 'exited', containerId: 'c-t1', exit: { exitCode: 0 } })
    front.tell({ kind: 'destroyed', containerId: 'c-t1' })
    for (const run of ['latest', 'c-t1']) {
      const path = `/slaves/M-S0/frameworks/f1/executors/t1/runs/${run}/stdout`
      const read = await front.ask('/api/v1', { type: 'READ_FILE', read_file: { path, offset: 0 } })
      expect(JSON.parse(read.body)).toMatchObject({ read_file: { size: 19 } })
    }
  })

  test('that were fetched are there, in their directories, where they are kept', async () => {
    await front.app.close()
    const all = [file('model/a/weights', '0.1'), file('model/b', '22'), file('.dockercfg', 'x')]
    front = new Front({ fetchedInto: (id) => (id === 'c-t1' ? all : []) })
    front.launch()
    const list = async (path: string): Promise<unknown> => {
      const { body } = await front.ask('/api/v1', { type: 'LIST_FILES', list_files: { path } })
      const { list_files: files } = JSON.parse(body) as {
        list_files: { file_infos: { path: string; size: number; mode: number }[] }
      }
      return files.file_infos.map((one) => [one.path, one.size, one.mode.toString(8)])
    }
    expect(await list(sandbox)).toEqual([
      [`${sandbox}/model`, 0, '40755'],
      [`${sandbox}/.dockercfg`, 1, '100644'],
      [`${sandbox}/stdout`, 19, '100644'],
      [`${sandbox}/stderr`, 0, '100644'],
    ])
    expect(await list(`${sandbox}/model`)).toEqual([
      [`${sandbox}/model/a`, 0, '40755'],
      [`${sandbox}/model/b`, 2, '100644'],
    ])
    const get = (endpoint: string, path: string) =>
      front.ask(`/files/${endpoint}?path=${sandbox}/${path}`, undefined, {}, 'GET')
    expect((await get('download', 'model/a/weights')).body).toBe('0.1')
    expect((await get('browse', 'model/')).status).toBe(200)
    expect((await get('browse', 'mod')).status).toBe(404)
    for (const path of ['model', 'model/a', 'model/..', 'model/../.dockercfg', 'other']) {
      expect((await get('download', path)).status).toBe(404)
    }
  })

  test.each([
    '/etc/passwd',
    `${sandbox}/../../../../../etc/passwd`,
    `${sandbox}/stdout/../../stdout`,
    `${sandbox}/.secret`,
    `${sandbox}/..`,
    '..',
    '\0',
  ])('are nothing else: %j', async (path) => {
    front.launch()
    for (const endpoint of ['browse', 'read', 'download']) {
      const url = `/files/${endpoint}?path=${encodeURIComponent(path)}&offset=0`
      expect((await front.ask(url, undefined, {}, 'GET')).status).toBe(404)
    }
  })
})
