import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { request as requestTo } from 'node:http'
import { eventsOf } from '@conclave/runtime'
import { canary, expectNoLeak, findCanaries, scanDirectory } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  answerIn,
  Conclave,
  inline,
  isAlive,
  reference,
  sendRaw,
  sendThroughTls,
  taskSpec,
  until,
  variable,
  volume,
  type Master,
} from '../src/index.ts'

/** In every input that is refused: nothing of it may stay anywhere. */
const planted = canary('refused')
/** In parts of requests where a value has no place, which nobody may repeat. */
const misplaced = canary('misplaced')
const secretSizeBytesMax = 1_047_552

let cluster: Conclave
let leader: Master
/** Every refusal, as it came. */
const answers: string[] = []
/** What the leader told meanwhile. */
const events: string[] = []
let before: unknown

beforeAll(async () => {
  cluster = await Conclave.start()
  leader = await cluster.leader()
  void listen()
  await put('bad/text', '{"password":"x"}')
  await put('bad/binary', Buffer.from('a\0b'))
})
afterAll(() => cluster?.stop())

async function listen(): Promise<void> {
  try {
    const { body } = await cluster.stream(leader, 'conclave', '/events')
    for await (const { data } of eventsOf(body)) events.push(data)
  } catch {
    // The cluster has ended.
  }
}

async function put(path: string, value: string | Uint8Array): Promise<number> {
  const { status } = await cluster.ask(leader, 'dcos', `/secrets/v1/secret/default/${path}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/octet-stream' },
    body: Buffer.from(value),
  })
  return status
}

async function json<T>(face: string, path: string): Promise<T> {
  const { body } = await cluster.ask(leader, face, path)
  return JSON.parse(Buffer.from(body).toString()) as T
}

/** What is there, without the times at which somebody looked at it. */
const lists = async (): Promise<unknown> => ({
  secrets: await json('conclave', '/conclave/v1/secrets'),
  runs: await json('conclave', '/conclave/v1/runs'),
  tasks: await json('conclave', '/conclave/v1/tasks'),
  agents: await json('conclave', '/conclave/v1/agents'),
})

async function submit(body: string | Uint8Array): Promise<{ status: number; text: string }> {
  const answer = await cluster.ask(leader, 'conclave', '/conclave/v1/runs', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  const text = Buffer.from(answer.body).toString()
  answers.push(text)
  return { status: answer.status, text }
}

interface RunShown {
  readonly runId: string
  readonly state: string
  readonly isTerminal: boolean
  readonly message?: string
}

/** Runs a spec that is well-formed, to the end. */
async function run(spec: object): Promise<RunShown> {
  const { text } = await submit(JSON.stringify(spec))
  const { runId } = JSON.parse(text) as RunShown
  return until('the run has ended', async () => {
    const seen = await json<RunShown>('conclave', `/conclave/v1/runs/${runId}`)
    return seen.isTerminal && seen
  })
}

const plain = (name: string, value: string): object => ({ name, value })
const withVariable = (one: object): object =>
  taskSpec('bad', 'true', { variables: [one, variable('C', inline(planted.text))] })
const withVolumes = (...volumes: object[]): object =>
  taskSpec('bad', 'true', { volumes, variables: [variable('C', inline(planted.text))] })
const file = inline(planted.text)
const whole = (): Record<string, unknown> => ({ ...withVolumes() })

const big = (sizeBytes: number): Buffer =>
  Buffer.alloc(sizeBytes, `${planted.text}${randomBytes(8).toString('hex')}`)

const variables = 'command.environment.variables'
const volumes = 'container.volumes'

/** What is wrong, the spec, and the field that must be named first. */
const specs: readonly (readonly [what: string, spec: unknown, field: string, why: RegExp])[] = [
  ['a list', [planted.text], 'the spec', /expected a JSON object/],
  ['a text', planted.text, 'the spec', /expected a JSON object/],
  ['null', null, 'the spec', /expected a JSON object/],
  ['no name', { ...whole(), name: undefined }, 'name', /./],
  ['a name that is a number', { ...whole(), name: 7 }, 'name', /./],
  ['an empty name', { ...whole(), name: '' }, 'name', /is empty; give the task a name/],
  ['a blank name', { ...whole(), name: ' \t' }, 'name', /is empty/],
  ['a name that is too long', { ...whole(), name: 'n'.repeat(256) }, 'name', /is longer than 255/],
  ['a task id with a slash', { ...whole(), task_id: { value: 'a/b' } }, 'task_id.value', /./],
  ['a task id ..', { ...whole(), task_id: { value: '..' } }, 'task_id.value', /./],
  ['no command', { ...whole(), command: undefined }, 'command', /is missing/],
  ['an empty command', { ...whole(), command: { value: '' } }, 'command.value', /is empty/],
  ['no resources', { ...whole(), resources: [] }, 'resources', /is empty/],
  [
    'less than nothing',
    { ...whole(), resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: -1 } }] },
    'resources[0].scalar.value',
    /above 0/,
  ],
  ['a variable without a name', withVariable(plain('', 'x')), `${variables}[0].name`, /is empty/],
  ['a name with =', withVariable(plain('A=B', 'x')), `${variables}[0].name`, /has a '='/],
  [
    'NUL in a value',
    withVariable(plain('A', `${planted.text}\0`)),
    `${variables}[0].value`,
    /has a NUL byte/,
  ],
  [
    'NUL in a secret for a variable',
    withVariable(variable('A', inline(`${planted.text}\0`))),
    `${variables}[0].secret.value.data`,
    /null bytes/,
  ],
  [
    'a secret that is no secret',
    withVariable({ name: 'A', type: 'SECRET', secret: {} }),
    `${variables}[0].secret.type`,
    /expected REFERENCE or VALUE/,
  ],
  [
    'a secret and a value',
    withVariable({ ...variable('A', reference('bad/text')), value: planted.text }),
    `${variables}[0].value`,
    /must not have a value set/,
  ],
  [
    'a reference to nothing',
    withVariable(variable('A', reference(''))),
    `${variables}[0].secret.reference.name`,
    /is empty/,
  ],
  [
    'a reference out of the store',
    withVariable(variable('A', reference('bad/../../etc'))),
    `${variables}[0].secret.reference.name`,
    /has the segment "\.\."/,
  ],
  [
    'an empty key',
    withVariable(variable('A', reference('bad/text', ''))),
    `${variables}[0].secret.reference.key`,
    /is empty/,
  ],
  ...['../up', 'a/../../up', '/run/../etc/x', 'a/..'].map(
    (path) =>
      [
        `the path ${path}`,
        withVolumes(volume(path, file)),
        `${volumes}[0].container_path`,
        /has a "\.\." segment/,
      ] as const,
  ),
  ['an empty path', withVolumes(volume('', file)), `${volumes}[0].container_path`, /is empty/],
  ['the path .', withVolumes(volume('./', file)), `${volumes}[0].container_path`, /no place/],
  [
    'NUL in a path',
    withVolumes(volume('a\0b', file)),
    `${volumes}[0].container_path`,
    /has a NUL byte/,
  ],
  [
    'two volumes at one place',
    withVolumes(volume('keys/a', file), volume('./keys//a', file)),
    `${volumes}[1].container_path`,
    /is the same place as container\.volumes\[0\]/,
  ],
  [
    'a volume inside another',
    withVolumes(volume('keys/a', file), volume('keys', file)),
    `${volumes}[1].container_path`,
    /is inside, or around, container\.volumes\[0\]/,
  ],
  [
    'a value that is too large',
    withVolumes(volume('a', inline(big(secretSizeBytesMax + 1)))),
    `${volumes}[0].source.secret.value.data`,
    /has 1047553 bytes; at most 1047552 are allowed/,
  ],
  [
    'values that are too large together',
    withVolumes(volume('a', inline(big(300_000))), volume('b', inline(big(300_000)))),
    'the spec',
    /create large values as secrets and refer to them/,
  ],
]

describe('a spec', () => {
  test('whose secret, key or bytes are not there fails before it starts, and says why', async () => {
    const failing: readonly (readonly [object, RegExp])[] = [
      [variable('A', reference('bad/unknown')), /no secret bad\/unknown$/],
      [variable('A', reference('bad/text', 'user')), /the secret has no key user$/],
      [variable('A', reference('bad/binary')), /variable 'A' .*null bytes/],
    ]
    for (const [one, why] of failing) {
      const { state, message } = await run(
        taskSpec('failing', 'echo started', { variables: [one] }),
      )
      expect({ state, message }).toEqual({
        state: 'TASK_FAILED',
        message: expect.stringMatching(why),
      })
    }
    before = await lists()
  })

  test.each(specs)('with %s is refused, and the field is named', async (_, spec, field, why) => {
    const { status, text } = await submit(JSON.stringify(spec))

    const { error } = JSON.parse(text) as { error: { code: string; message: string } }
    expect({ status, code: error.code }).toEqual({ status: 422, code: 'spec.invalid' })
    expect(error.message.slice(0, field.length + 1)).toBe(`${field}:`)
    expect(error.message).toMatch(why)
  })

  test('that is no JSON, too deep or too long is refused without being repeated', async () => {
    const bodies: readonly (readonly [string | Uint8Array, number])[] = [
      ['', 400],
      [`{"name":"${planted.text}`, 400],
      [`{"name":${planted.text}}`, 400],
      [Buffer.from(`{"name":"\xff${planted.text}"}`, 'latin1'), 422],
      [`${'['.repeat(500_000)}${']'.repeat(500_000)}`, 400],
      [`{"a":${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}}`, 400],
    ]
    for (const [body, expected] of bodies) {
      const { status, text } = await submit(body)
      expect({ status, text }).toEqual({
        status: expected,
        text: expect.stringMatching(/^\{"error":\{"code":"[a-z.-]+","message":".+"\}\}$/),
      })
    }
    const announced = await raw('conclave', 'POST /conclave/v1/runs', [
      `Content-Length: ${17 * 1024 * 1024}`,
    ])
    expect(announced).toEqual({ status: 413, body: expect.stringContaining('"message":') })
  })
})

/** A request byte by byte. */
async function raw(
  face: 'conclave' | 'dcos',
  requestLine: string,
  headers: readonly string[] = [],
  body: string | Uint8Array = '',
): Promise<{ status: number; body: string }> {
  const bytes = Buffer.from(body)
  const head = [
    `${requestLine} HTTP/1.1`,
    'Host: localhost',
    `Authorization: token=${await cluster.token()}`,
    'Connection: close',
    ...headers,
    ...(headers.some((one) => /^content-length|^transfer/i.test(one))
      ? []
      : [`Content-Length: ${bytes.length}`]),
  ]
  const sent = Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), bytes])
  const answer = answerIn(await sendRaw(leader.listeners[face] ?? '', sent, 'an answer'))
  answers.push(answer.body)
  return answer
}

const base = '/secrets/v1/secret/default'
const text = 'Content-Type: application/json'
const octets = 'Content-Type: application/octet-stream'

describe('the Secrets API', () => {
  test.each([
    `${base}/../../../etc/passwd`,
    `${base}/a/../b`,
    `${base}/a/%2e%2e/b`,
    `${base}/a/%2E./b`,
    `${base}/a%2f..%2fb`,
    `${base}/a/./b`,
    `${base}/a//b`,
    `${base}/`,
    `${base}/a%00b`,
    `${base}/%00`,
    `${base}/a%0d%0aX-Injected:%20yes`,
    `${base}/%252e%252e/x`,
    `${base}/a%ff`,
    `${base}/a%`,
    `${base}/%E2%80%AEtxt`,
    `${base}/a%5cb`,
    `${base}/a*`,
    `${base}/${'a'.repeat(1025)}`,
    `/s%65crets/v1/secret/default/x`,
    `/secrets/v1/secret/d%65fault/x`,
    `/secrets/v1/secret/%2e%2e/default/x`,
  ])('stores nothing at %s', async (path) => {
    const { status, body } = await raw('dcos', `PUT ${path}`, [text], `{"value":"${planted.text}"}`)

    expect([400, 404]).toContain(status)
    const { code, description } = JSON.parse(body) as { code: string; description: string }
    expect(code).toMatch(/^ERR_(INVALID_PATH|UNKNOWN_STORE)$/)
    expect(description).toMatch(/path|store|URL/)
  })

  test.each<[what: string, header: string, body: string | Buffer, status: number, why: RegExp]>([
    ['nothing', text, '', 400, /the body is/],
    ['half a JSON', text, `{"value":"${planted.text}`, 400, /the body is .* byte/],
    ['no value', text, `{"other":"${planted.text}"}`, 422, /the field "value" must be a string/],
    ['a number', text, '{"value":7}', 422, /the field "value" must be a string/],
    ['a list', text, `{"value":["${planted.text}"]}`, 422, /the field "value"/],
    ['a lone surrogate', text, `{"value":"\\ud800${planted.text}"}`, 400, /the body is/],
    [
      'broken UTF-8',
      text,
      Buffer.from(`{"value":"\xff${planted.text}"}`, 'latin1'),
      400,
      /the body is/,
    ],
    ['a byte too many', octets, big(secretSizeBytesMax + 1), 413, /at most 1047552 are kept/],
    ['far too much', octets, big(8 * 1024 * 1024), 413, /./],
  ])('refuses a body with %s', async (_, header, body, status, why) => {
    const answer = await cluster.ask(leader, 'dcos', `${base}/bad/body`, {
      method: 'PUT',
      headers: { 'content-type': header.slice('Content-Type: '.length) },
      body: Buffer.from(body),
    })
    const said = Buffer.from(answer.body).toString()
    answers.push(said)

    const { code, description } = JSON.parse(said) as { code: string; description: string }
    expect(answer.status).toBe(status)
    expect(code).toMatch(/^ERR_/)
    expect(description).toMatch(why)
  })

  test('refuses a version that is none, and requests of two minds', async () => {
    expect((await raw('dcos', `GET ${base}/bad/text?version=0`)).status).toBe(400)
    expect((await raw('dcos', `GET ${base}/bad/text?version=${planted.text}`)).status).toBe(400)
    expect(
      (await raw('dcos', `PATCH ${base}/bad/text`, [text, 'If-Match: x'], '{"value":"x"}')).status,
    ).toBe(400)
    const twice = await raw('dcos', `GET ${base}/bad/text`, ['Authorization: token=other'])
    expect(twice.status).toBe(400)
    const smuggled = await raw(
      'dcos',
      `PUT ${base}/bad/smuggled`,
      ['Content-Length: 4', 'Transfer-Encoding: chunked'],
      `0\r\n\r\nPUT ${base}/bad/smuggled HTTP/1.1\r\n\r\n`,
    )
    expect(smuggled.status).toBe(400)
    const long = await raw('dcos', `GET ${base}/bad/text`, [`X-Long: ${planted.text.repeat(4000)}`])
    expect(long.status).toBe(431)
  })
})

describe('random bytes', () => {
  test('on every listener of every master are answered with a refusal, or hung up on', async () => {
    const noise: readonly Buffer[] = [
      randomBytes(4096),
      Buffer.from(planted.text.repeat(40)),
      Buffer.alloc(4096),
      Buffer.from('ffffffff7f', 'hex'),
      Buffer.concat([Buffer.from('1603010200010001fc0303', 'hex'), randomBytes(506)]),
      Buffer.concat([Buffer.from('POST /api/v1/scheduler HTTP/1.1\r\n'), randomBytes(2000)]),
      Buffer.from(`GET / HTTP/1.1\r\nHost: x\r\n${'a'.repeat(70_000)}`),
    ]
    for (const { listeners } of cluster.ready.masters) {
      for (const [name, url] of Object.entries(listeners)) {
        const sent = noise.map((bytes) => sendRaw(url, bytes))
        const behindTls = url.startsWith('tls:')
          ? noise.map((bytes) => sendThroughTls(url, bytes))
          : []
        for (const answer of await Promise.all([...sent, ...behindTls])) {
          answers.push(answer.toString('latin1'))
          const said = answerIn(answer).status
          const isRefusal = url.startsWith('tls:') ? said === 0 : said === 0 || said >= 400
          expect({ name, said, isRefusal }).toMatchObject({ isRefusal: true })
        }
      }
    }
  })
})

describe('a client that goes away in the middle of a body', () => {
  test('is answered by nobody, and is no failure of a master', async () => {
    const requests: readonly (readonly [face: 'conclave' | 'dcos' | 'mesos', request: string])[] = [
      ['conclave', 'POST /conclave/v1/runs'],
      ['dcos', `PUT ${base}/bad/half`],
      ['mesos', 'POST /api/v1'],
    ]
    const token = await cluster.token()
    const failuresLogged = (): boolean =>
      readFileSync(`${cluster.directory}/logs/${leader.masterId}.log`, 'utf8').includes(
        'a request failed',
      )
    for (const [face, request] of requests) {
      const head = `${request} HTTP/1.1\r\nHost: x\r\nAuthorization: token=${token}\r\nContent-Type: application/json\r\n`
      for (const body of [
        `Content-Length: 99\r\n\r\n{"type":`,
        'Transfer-Encoding: chunked\r\n\r\nff\r\n{"a":',
      ]) {
        await sendRaw(leader.listeners[face] ?? '', Buffer.from(`${head}${body}`))
      }
    }
    expect(failuresLogged()).toBe(false)
  })
})

/** A request that any listener takes; a value may have come into any part of it by mistake. */
interface Asked {
  readonly listener: string
  readonly url: string | undefined
  readonly authorization: string
  readonly method: string
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

const headersMisused = (
  'accept content-type cookie user-agent if-match if-none-match range referer origin host forwarded ' +
  'x-forwarded-for mesos-stream-id message-accept message-content-type x-registry-auth upgrade ' +
  'last-event-id expect'
).split(' ')
const parametersMisused = (
  'version list path folder secret follow after force replicas filters signal limit size tail since ' +
  'until details fromImage tag condition t h w ps_args term task_id framework_id order offset ' +
  'jsonp name level duration status'
).split(' ')
const fieldsMisused = (
  'type Name name Mode mode Driver Image Target Availability Role kind state value framework_id ' +
  'task_id user role reference secret command template uid Signal Cmd Tty UnlockKey RemoteAddrs'
).split(' ')

/** @returns whether the answer says it again */
async function ask({ url = '', authorization, ...o }: Asked): Promise<boolean> {
  const { pathname, port, protocol } = new URL(url)
  const path =
    o.query === undefined ? o.path : `${o.path}?${new URLSearchParams(o.query).toString()}`
  const payload = o.body === undefined ? undefined : Buffer.from(JSON.stringify(o.body))
  const type = payload === undefined ? {} : { 'content-type': 'application/json' }
  const request = requestTo({
    ...(protocol === 'unix:' ? { socketPath: pathname } : { host: '127.0.0.1', port }),
    method: o.method,
    path,
    headers: { authorization, connection: 'close', ...type, ...o.headers },
    timeout: 5000,
  })
  const answer = new Promise<string>((resolve) => {
    const pieces: Buffer[] = []
    const heard = (): void => resolve(Buffer.concat(pieces).toString('latin1'))
    request.once('response', (response) => {
      pieces.push(Buffer.from(JSON.stringify(response.headers)))
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.once('close', heard)
    })
    request.once('timeout', () => request.destroy())
    request.once('error', heard)
  })
  request.end(payload)
  return findCanaries(Buffer.from(await answer), [misplaced]).length > 0
}

/** The parts in which it is no name that whoever asks has to be told again. */
function* partsOf(asked: Asked): Generator<Asked> {
  for (const name of headersMisused) {
    for (const value of [misplaced.text, `${misplaced.text}/x; a="${misplaced.text}"`]) {
      yield { ...asked, headers: { [name]: value } }
    }
  }
  for (const scheme of ['Basic ', 'Bearer ', 'token=', '']) {
    yield { ...asked, authorization: scheme + misplaced.text }
  }
  yield { ...asked, headers: { [`x-${misplaced.text}`]: 'x' } }
  yield { ...asked, path: `/nowhere/${misplaced.text}` }
  yield { ...asked, query: { [misplaced.text]: '1' } }
}

/** Those in which it may be one. */
function* namesIn(asked: Asked): Generator<Asked> {
  for (const name of parametersMisused) yield { ...asked, query: { [name]: misplaced.text } }
  if (asked.method === 'GET') return
  for (const name of fieldsMisused) {
    for (const value of [misplaced.text, [misplaced.text], { [misplaced.text]: misplaced.text }]) {
      yield { ...asked, body: { type: 'ACCEPT', name: 'x', Name: 'x', [name]: value } }
    }
  }
  yield { ...asked, path: `${asked.path}/${misplaced.text}` }
  yield { ...asked, path: `/v1.${misplaced.text}/info` }
}

describe('a value in a part of a request where none belongs', () => {
  const routes: Readonly<Record<string, readonly string[]>> = {
    conclave: ['GET /conclave/v1/tasks', 'POST /conclave/v1/runs', 'POST /conclave/v1/workloads'],
    dcos: [`GET ${base}/bad/text`, `PATCH ${base}/bad/none`, 'POST /acs/api/v1/auth/login'],
    mesos: ['POST /api/v1', 'POST /api/v1/scheduler', 'GET /tasks'],
    docker: ['GET /v1.41/services', 'POST /v1.41/secrets/create', 'POST /v1.41/containers/x/kill'],
    agent: ['POST /api/v1', 'POST /api/v1/executor', 'GET /files/read'],
  }

  test('would be found: a name that is not known is said again', async () => {
    const path = `/v1.41/containers/${misplaced.text}/json`
    const url = leader.listeners['docker']
    const asked = { listener: 'docker', url, authorization: '', method: 'GET', path }

    expect(await ask(asked)).toBe(true)
  })

  test.each(Object.keys(routes))('is not said again, nor logged: %s', async (listener) => {
    const { uid, password } = cluster.ready.credentials
    const ofAgent = cluster.ready.agents[0]?.listeners['mesos']
    const authorization =
      listener === 'agent'
        ? `Basic ${Buffer.from(`${uid}:${password}`).toString('base64')}`
        : `token=${await cluster.token()}`
    const url = listener === 'agent' ? ofAgent : leader.listeners[listener]
    const repeated: string[] = []
    for (const route of routes[listener] ?? []) {
      const [method = '', path = ''] = route.split(' ')
      const asked = { listener, url, authorization, method, path }
      for (const part of partsOf(asked)) {
        if (await ask(part)) repeated.push(JSON.stringify({ ...part, authorization: '' }))
      }
      for (const part of namesIn(asked)) await ask(part)
    }
    expect(repeated.map((one) => one.replaceAll(misplaced.text, 'VALUE'))).toEqual([])
  })
})

describe('afterwards', () => {
  test('nothing was stored, nobody has died, and the cluster works', async () => {
    expect(await lists()).toEqual(before)
    expect(cluster.pids.filter((pid) => !isAlive(pid))).toEqual([])
    expect(cluster.complaints).toBe('')

    expect(await put('bad/after', 'fine')).toBe(201)
    const spec = taskSpec('after', 'test "$A" = fine', {
      variables: [variable('A', reference('bad/after'))],
    })
    expect(await run(spec)).toMatchObject({ state: 'TASK_FINISHED' })
  })

  test('nothing of what was refused is in any answer, log or file', async () => {
    expectNoLeak({ answers: answers.join('\n') }, [planted])
    expectNoLeak({ events: JSON.stringify(events) }, [planted, misplaced])
    expect(events.length).toBeGreaterThan(0)
    const [control, decoy] = [canary('control'), canary('decoy')]
    writeFileSync(`${cluster.directory}/logs/control.txt`, `planted: ${control.text}\n`)
    const { hits, files } = await scanDirectory(cluster.directory, [
      planted,
      misplaced,
      control,
      decoy,
    ])
    expect(files).toBeGreaterThan(20)
    expect(hits.map(({ place, canary: { label } }) => [place, label])).toEqual([
      ['logs/control.txt', 'control'],
    ])
  })
})

describe('markup in what people write', () => {
  test('threat:NT-05: is text wherever it is shown: no answer can be taken for a page', async () => {
    const markup = '<img src=x onerror=alert(1)>'
    const label = '<script>alert(2)</script>'
    const path = 'bad/markup'
    expect(await put(path, markup)).toBe(201)
    const labelled = { ...taskSpec('markup', `echo '${label}'`), name: markup }
    const { runId } = await run({
      ...labelled,
      labels: { labels: [{ key: markup, value: label }] },
    })
    const { taskId } = await json<{ taskId: string }>('conclave', `/conclave/v1/runs/${runId}`)
    const shown: [face: string, path: string][] = [
      ['conclave', '/conclave/v1/secrets'],
      ['conclave', '/conclave/v1/runs'],
      ['conclave', '/conclave/v1/tasks'],
      ['conclave', `/conclave/v1/tasks/${taskId}/logs`],
      ['conclave', `/conclave/v1/tasks/${encodeURIComponent(markup)}`],
      ['conclave', `/${markup}`],
      ['conclave', '/metrics'],
      ['dcos', `/secrets/v1/secret/default/${path}`],
      ['dcos', `/secrets/v1/secret/default/${encodeURIComponent(markup)}`],
      ['mesos', '/state'],
      ['mesos', '/tasks'],
      ['mesos', `/${encodeURIComponent(label)}`],
    ]
    let timesSeen = 0
    for (const [face, at] of shown) {
      const { headers, body } = await cluster.ask(leader, face, at, {
        headers: { accept: 'text/html,application/json;q=0.9,*/*;q=0.8' },
      })
      const type = headers['content-type'] ?? ''
      expect({ at, type }).toEqual({
        at,
        type: expect.stringMatching(
          /^(?:application\/(?:json|x-ndjson|octet-stream)|text\/plain)\b/,
        ),
      })
      if (Buffer.from(body).includes(markup)) timesSeen++
    }
    expect(timesSeen).toBeGreaterThan(3)
  })
})
