import { randomBytes } from 'node:crypto'
import { eventsOf as sseIn } from '@conclave/runtime'
import { canary, findCanaries, scanDirectory, type Canary } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  answersOf,
  Conclave,
  conclaveProgram,
  Framework,
  inline,
  processFacts,
  Program,
  reference,
  stranger,
  taskSpec,
  timesInMemory,
  until,
  untilTerm,
  variable,
  volume,
  type Asking,
  type Master,
  type Person,
  type Surface,
} from '../src/index.ts'

/** One for each way in, so that a report says which way was not closed. */
const planted = {
  text: canary('text'),
  updated: canary('updated'),
  binary: canary('binary'),
  deleted: canary('deleted'),
  member: canary('member'),
  inlineRun: canary('irun'),
  inlineMesos: canary('imes'),
  besideMissing: canary('beside'),
  denied: canary('denied'),
  intoExec: canary('exec'),
  underAgent: canary('agent'),
  underLeader: canary('leader'),
  password: canary('pass'),
} as const
const all = Object.values(planted)

/** Planted where it may be seen, in names: the search must find it, or it proves nothing. */
const control = canary('control')
const decoy = canary('decoy')

const user: Person = { ...stranger, password: planted.password.text }

let cluster: Conclave
let firstTerm: number
const runs: string[] = []
const tasks: string[] = []
/** Refusals and streams of the whole life, as they came. */
const surfaces: Surface[] = []

beforeAll(async () => {
  cluster = await Conclave.start([], { people: [user] })
  firstTerm = await termOf(await cluster.leader())
})
afterAll(() => cluster?.stop())

const urlOf = (path: string): string => `/secrets/v1/secret/default/${path}`

function keep(place: string, status: number, bytes: Uint8Array | string): void {
  surfaces.push({ place, status, bytes: Buffer.from(bytes) })
}

/** Stores bytes as they are, or a text as JSON. @returns the status */
async function send(
  method: 'PUT' | 'PATCH',
  path: string,
  value: string | Buffer,
  asking?: Asking,
): Promise<number> {
  const isText = typeof value === 'string'
  const answer = await cluster.ask(
    await cluster.leader(),
    'dcos',
    urlOf(path),
    {
      method,
      headers: { 'content-type': isText ? 'application/json' : 'application/octet-stream' },
      body: Buffer.from(isText ? JSON.stringify({ value }) : value),
    },
    asking,
  )
  keep(`${method} ${path}`, answer.status, answer.body)
  return answer.status
}

interface RunShown {
  readonly runId: string
  readonly taskId: string
  readonly agentId?: string
  readonly state: string
  readonly isTerminal: boolean
}

async function submit(spec: object): Promise<RunShown> {
  const { status, body } = await cluster.ask(
    await cluster.leader(),
    'conclave',
    '/conclave/v1/runs',
    { body: spec },
  )
  keep('POST /conclave/v1/runs', status, body)
  expect(status).toBe(201)
  const run = JSON.parse(Buffer.from(body).toString()) as RunShown
  runs.push(run.runId)
  tasks.push(run.taskId)
  return run
}

const reached = (
  { runId }: RunShown,
  what: string,
  is: (run: RunShown) => boolean,
): Promise<RunShown> =>
  until(`the run ${what}`, async () => {
    const leader = await cluster.leader()
    const { body } = await cluster.ask(leader, 'conclave', `/conclave/v1/runs/${runId}`)
    const run = JSON.parse(Buffer.from(body).toString()) as RunShown
    return is(run) && run
  })

const ended = (run: RunShown): Promise<RunShown> =>
  reached(run, 'has ended', ({ isTerminal }) => isTerminal)

const running = (run: RunShown): Promise<RunShown> =>
  reached(run, 'runs', ({ state }) => state === 'TASK_RUNNING')

/** The member on which a run is: an agent's host name is its name here. */
async function agentOf({ agentId }: RunShown): Promise<string> {
  const { body } = await cluster.ask(await cluster.leader(), 'conclave', '/conclave/v1/agents')
  const { agents } = JSON.parse(Buffer.from(body).toString()) as {
    agents: { agentId: string; hostname: string }[]
  }
  return agents.find((agent) => agent.agentId === agentId)?.hostname ?? ''
}

/** Everything a master remembers to have told, up to what is done now. */
async function eventsOf(master: Master): Promise<void> {
  const stream = await cluster.stream(master, 'conclave', '/events?after=')
  const marker = `leaks/marker/${randomBytes(4).toString('hex')}`
  const told: string[] = []
  await cluster.ask(master, 'dcos', urlOf(marker), { method: 'PUT', body: { value: 'x' } })
  for await (const { data } of sseIn(stream.body)) {
    told.push(data)
    if (data.includes('"secret.stored"') && data.includes(marker)) break
  }
  keep(`events of ${master.masterId}`, 200, told.join('\n'))
}

const found = (where: readonly Surface[], wanted: readonly Canary[]): readonly string[] =>
  where.flatMap(({ place, bytes }) =>
    findCanaries(bytes, wanted).map(
      ({ canary: { label }, form }) => `${label} (${form}): ${place}`,
    ),
  )

/** What is left in the memory of each member that runs, where the system lets us look. */
function leftInMemory(): ReadonlyMap<string, readonly string[]> {
  if (process.platform !== 'linux') return new Map()
  const forms = all.flatMap(({ text }) => [text, Buffer.from(text).toString('base64')])
  const { masters, agents, clusterId } = cluster.ready
  const members = [...masters.map(({ masterId }) => masterId), ...agents.map(({ id }) => id)]
  return new Map(
    members.map((member) => {
      const [controls, ...counts] = timesInMemory(cluster.pidOf(member), [clusterId, ...forms])
      if (controls === 0) throw new Error(`the search of ${member} finds nothing at all`)
      const left = all.flatMap(({ label }, index) => {
        const [raw = 0, base64 = 0] = counts.slice(2 * index)
        return raw + base64 === 0 ? [] : [`${label} ${raw} raw, ${base64} base64`]
      })
      return [member, left]
    }),
  )
}

function report(when: string, left: ReadonlyMap<string, readonly string[]>): void {
  for (const [member, values] of left) {
    process.stdout.write(`${when}, in memory of ${member}: ${values.join('; ') || 'none'}\n`)
  }
}

async function termOf(master: Master): Promise<number> {
  const { body } = await cluster.ask(master, 'conclave', '/health')
  return (JSON.parse(Buffer.from(body).toString()) as { term: number }).term
}

const withBoth = (env: object, file: object): Parameters<typeof taskSpec>[2] => ({
  variables: [variable('SECRET', env)],
  volumes: [volume('keys/secret', file)],
})

describe('in the life of a cluster secrets', () => {
  test('are stored, replaced, deleted and refused', async () => {
    const binary = Buffer.from(randomBytes(64 * 1024))
    for (let at = 0; at + 4096 <= binary.length; at += 4096) binary.write(planted.binary.text, at)

    expect(await send('PUT', 'leaks/text', planted.text.text)).toBe(201)
    expect(await send('PATCH', 'leaks/text', planted.updated.text)).toBe(204)
    expect(await send('PUT', 'leaks/text', planted.text.text)).toBe(409)
    expect(await send('PUT', 'leaks/binary', binary)).toBe(201)
    expect(await send('PUT', 'leaks/json', `{"password":"${planted.member.text}"}`)).toBe(201)
    expect(await send('PUT', `leaks/named/${control.text}`, 'x')).toBe(201)
    expect(await send('PUT', 'leaks/deleted', planted.deleted.text)).toBe(201)
    const leader = await cluster.leader()
    const gone = await cluster.ask(leader, 'dcos', urlOf('leaks/deleted'), { method: 'DELETE' })
    expect(gone.status).toBe(204)
    expect(await send('PUT', 'leaks/theirs', planted.denied.text, user)).toBe(403)
    expect(await send('PUT', 'leaks/theirs', planted.denied.text, 'nobody')).toBe(401)
    expect(await send('PUT', 'leaks//theirs', planted.denied.text)).toBe(400)
  })

  test('are used by tasks, out of the store and out of the spec', async () => {
    const check = 'test -n "$SECRET" && test -s keys/secret'
    const stored = withBoth(reference('leaks/text'), reference('leaks/binary'))
    const member = withBoth(reference('leaks/json', 'password'), reference('leaks/json'))
    const own = withBoth(inline(planted.inlineRun.text), inline(planted.inlineRun.text))
    for (const has of [stored, member, own]) {
      const run = await ended(await submit(taskSpec(`run-${control.text}`, check, has)))
      expect(run.state).toBe('TASK_FINISHED')
    }
  })

  test('are sent by a framework in its TaskInfo', async () => {
    const framework = await Framework.subscribe(cluster, { name: `fw-${control.text}` })
    const secret = inline(planted.inlineMesos.text)
    const check = 'test -n "$SECRET" && test -s keys/secret'
    const bad = { ...withBoth(secret, secret), volumes: [volume('../up', secret)] }
    await framework.launch([
      { ...taskSpec('inline', check, withBoth(secret, secret)), task_id: { value: 'inline' } },
      { ...taskSpec('refused', check, bad), task_id: { value: 'refused' } },
    ])
    const end = await framework.status('inline', 'TASK_FINISHED')
    const refusal = await framework.status('refused', 'TASK_ERROR')
    expect([end.message, refusal.reason]).toEqual([
      'Command exited with status 0',
      'REASON_TASK_INVALID',
    ])
    keep('events of the framework', 200, JSON.stringify(framework.events))
    await framework.call('TEARDOWN')
    framework.close()
    tasks.push('inline')
  })

  test('are not given to a task that cannot have all of them, or whose owner may not', async () => {
    expect(await send('PUT', 'leaks/beside', planted.besideMissing.text)).toBe(201)
    const has = withBoth(reference('leaks/beside'), reference('leaks/no-such-secret'))
    const run = await ended(await submit(taskSpec('beside-missing', 'true', has)))
    expect(run.state).toBe('TASK_FAILED')

    const denied = await cluster.ask(
      await cluster.leader(),
      'conclave',
      '/conclave/v1/runs',
      {
        body: taskSpec(
          'denied',
          'true',
          withBoth(inline(planted.denied.text), reference('leaks/text')),
        ),
      },
      user,
    )
    keep('POST runs of a stranger', denied.status, denied.body)
    expect(denied.status).toBe(403)
  })

  test('are looked at by a program that is run inside', async () => {
    const run = await submit(
      taskSpec('entered', untilTerm, withBoth(reference('leaks/text'), reference('leaks/binary'))),
    )
    await running(run)
    const { code, stdout } = await cluster.cli(
      ['task', 'exec', '-i', run.taskId, '--', 'sh', '-c', 'cat > typed; echo "$SECRET"'],
      planted.intoExec.text,
    )
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${planted.updated.text}\n` })
    await cluster.cli(['task', 'kill', run.taskId])
    await ended(run)
  })

  test('are in a container whose agent is killed: its directory holds nothing of them', async () => {
    expect(await send('PUT', 'leaks/agent', planted.underAgent.text)).toBe(201)
    const has = withBoth(reference('leaks/agent'), reference('leaks/agent'))
    const run = await running(await submit(taskSpec('under-agent', untilTerm, has)))
    const agent = await agentOf(run)

    await cluster.kill(agent)

    const directory = cluster.ready.agents.find(({ id }) => id === agent)?.directory ?? ''
    const { files, hits } = await scanDirectory(directory, all)
    expect(files).toBeGreaterThan(0)
    expect(hits).toEqual([])
    await cluster.restart(agent)
    expect((await ended(run)).state).toBe('TASK_LOST')
  })

  // That they are wiped is promised, and not that V8 and the kernel made no copy, so these are counted.
  test('are never plain in a master that does not lead, not even in its memory', async () => {
    const leader = await cluster.leader()
    const left = leftInMemory()
    report('at work', left)

    const hasAlwaysLed = (await termOf(leader)) === firstTerm
    const others = cluster.ready.masters.filter((one) => hasAlwaysLed && one !== leader)
    // Whoever logs in may do so at any of them.
    const stays = others.flatMap(({ masterId }) => left.get(masterId) ?? [])
    expect(stays.filter((value) => !value.startsWith(planted.password.label))).toEqual([])
  })

  test('are written while the leader is killed', async () => {
    for (const master of cluster.ready.masters) await eventsOf(master)
    const { masterId } = await cluster.leader()
    let writes = 0
    const end = new AbortController()
    const writing = (async () => {
      while (!end.signal.aborted) {
        const path = `leaks/leader/${writes}`
        await send('PUT', path, planted.underLeader.text).catch(() => undefined)
        writes++
      }
    })()
    await until('some are written', () => writes > 10)
    await cluster.kill(masterId)
    const before = writes
    await until('some more are', () => writes > before + 10)
    end.abort()
    await writing
    await cluster.restart(masterId)
    expect((await cluster.leader()).masterId).not.toBe(masterId)
  })
})

describe('afterwards a search', () => {
  test('finds nothing of them in any file of the cluster', async () => {
    const { files, hits } = await scanDirectory(cluster.directory, [...all, control, decoy])

    const labels = (wanted: Canary): string[] =>
      hits.filter(({ canary: one }) => one === wanted).map(({ place }) => place)
    expect(files).toBeGreaterThan(20)
    expect(labels(control).some((place) => place.endsWith('audit.log'))).toBe(true)
    expect(hits.filter(({ canary: one }) => one !== control)).toEqual([])
  })

  test('finds nothing of them in any answer, to whomever it is given', async () => {
    const subjects = { secrets: ['leaks/text', 'leaks/binary', 'leaks/deleted'], runs, tasks }
    const askers = [cluster.ready.credentials, user, 'nobody'] as const
    const leader = await cluster.leader()
    for (const asking of askers) {
      const seen = await Promise.all(
        cluster.ready.masters.map((master) => answersOf(cluster, master, asking, subjects)),
      )
      const answers = seen.flat()
      expect(answers.length).toBeGreaterThan(100)
      expect(found(answers, [...all, decoy])).toEqual([])
      const maySee = asking === cluster.ready.credentials
      expect(found(answers, [control]).length > 5).toBe(maySee)
      expect(found(answers, [control]).length > 0).toBe(maySee)
    }
    for (const path of ['leaks/text', 'leaks/binary', 'leaks/json']) {
      for (const [asking, status] of [
        [user, 403],
        ['nobody', 401],
      ] as const) {
        const answer = await cluster.ask(leader, 'dcos', urlOf(path), {}, asking)
        expect(answer.status).toBe(status)
        keep(`GET ${path}`, answer.status, answer.body)
      }
    }
  })

  test('finds nothing of them in events, refusals, streams and what the system tells', async () => {
    for (const master of cluster.ready.masters) await eventsOf(master)
    const known = surfaces.filter(({ place }) => place.startsWith('events of master'))
    expect(known.length).toBe(6)
    expect(found(known, [control]).length).toBeGreaterThan(0)
    expect(found(surfaces, [...all, decoy])).toEqual([])
    expect(found(processFacts(cluster), all)).toEqual([])
  })

  test('finds nothing of them in what the commands print', async () => {
    const commands = [
      ['secret', 'ls'],
      ['secret', 'versions', 'leaks/text'],
      ['task', 'ls', '--json'],
      ['agent', 'ls', '--json'],
      ['master', 'ls'],
      ['state'],
    ]
    const printed = await Promise.all(
      commands.map(async (args) => {
        const { stdout, stderr } = await new Program(process.execPath, [conclaveProgram, ...args], {
          env: cluster.home.environment,
        }).outcome()
        return { place: args.join(' '), status: 0, bytes: Buffer.from(stdout + stderr) }
      }),
    )
    expect(found(printed, [...all, decoy])).toEqual([])
    expect(found(printed, [control]).length).toBeGreaterThan(0)
  })
})
