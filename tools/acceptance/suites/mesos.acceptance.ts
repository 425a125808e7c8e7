import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, type TestContext } from 'vitest'
import {
  Conclave,
  Framework,
  inline,
  installClient,
  loginGateway,
  mustHavePeers,
  portOf,
  Program,
  reference,
  runProgram,
  subscription,
  taskSpec,
  until,
  untilTerm,
  variable,
  volume,
  type Master,
} from '../src/index.ts'

let cluster: Conclave
let framework: Framework

beforeAll(async () => {
  cluster = await Conclave.start()
  await put('mesos/env', 'in the environment')
  await put('mesos/file', 'in a file')
  await put('mesos/json', '{"password":"in a member"}')
  framework = await Framework.subscribe(cluster, {
    name: 'walk',
    failoverTimeoutSeconds: 3600,
  })
})
afterAll(async () => {
  framework?.close()
  await cluster?.stop()
})

async function put(path: string, value: string): Promise<void> {
  const { status } = await cluster.ask(
    await cluster.leader(),
    'dcos',
    `/secrets/v1/secret/default/${path}`,
    { method: 'PUT', body: { value } },
  )
  expect(status).toBe(201)
}

const task = (id: string, command: string, has: Parameters<typeof taskSpec>[2] = {}): object => ({
  ...taskSpec(id, command, has),
  task_id: { value: id },
})

const statesOf = (id: string): readonly string[] =>
  framework.statusesOf(id).map(({ state }) => state)

async function operator<T>(type: string, master?: Master): Promise<T> {
  const answer = await cluster.ask(master ?? (await cluster.leader()), 'mesos', '/api/v1', {
    body: { type },
  })
  expect(answer.status).toBe(200)
  return JSON.parse(Buffer.from(answer.body).toString()) as T
}

/** What a framework is told that comes back under a name that is gone. */
async function again(frameworkId: string): Promise<string | undefined> {
  const stream = await cluster.stream(await cluster.leader(), 'mesos', '/api/v1/scheduler', {
    method: 'POST',
    body: subscription({ name: 'walk', frameworkId }),
  })
  const chunks: Uint8Array[] = []
  for await (const chunk of stream.body) chunks.push(chunk)
  const record = Buffer.concat(chunks).toString()
  return (JSON.parse(record.slice(record.indexOf('\n') + 1)) as { error?: { message: string } })
    .error?.message
}

const heard = (uuid: string | undefined): number =>
  framework.events.filter(({ update }) => update?.status.uuid === uuid).length

describe('a framework over raw HTTP', () => {
  test('is subscribed, and hears a heartbeat more often than clients hang up', () => {
    const first = framework.events[0]?.subscribed

    expect(framework.id).toMatch(/^[0-9a-f-]{36}-\d{4}$/)
    expect(first?.heartbeat_interval_seconds).toBeLessThan(10)
  })

  test('is sent by a follower to the leader', async () => {
    const leader = await cluster.leader()
    const follower = cluster.ready.masters.find((one) => one !== leader)
    if (follower === undefined) throw new Error('every master leads')

    const answer = await cluster.ask(follower, 'mesos', '/api/v1/scheduler?x=1', {
      body: subscription({ name: 'astray' }),
    })

    const { host } = new URL(leader.listeners['mesos'] ?? '')
    expect(answer.status).toBe(307)
    expect(answer.headers.location).toBe(`//${host}/api/v1/scheduler?x=1`)
  })

  test('launches a task with secrets in its environment and in files, and sees it finish', async () => {
    const check = [
      'test "$WHOLE" = "in the environment"',
      'test "$MEMBER" = "in a member"',
      'test "$INLINE" = "in the spec"',
      'test "$(cat keys/file)" = "in a file"',
      'test "$(cat keys/inline)" = "in the spec, too"',
      'test "$(stat -c %a keys/file)" = 400',
    ].join(' && ')

    const { agent_id } = await framework.launch([
      task('secrets', check, {
        variables: [
          variable('WHOLE', reference('mesos/env')),
          variable('MEMBER', reference('/mesos/json', 'password')),
          variable('INLINE', inline('in the spec')),
        ],
        volumes: [
          volume('keys/file', reference('mesos/file')),
          volume('keys/inline', inline('in the spec, too')),
        ],
      }),
    ])

    const end = await framework.status('secrets', 'TASK_FINISHED')
    expect(end.agent_id).toEqual(agent_id)
    expect(statesOf('secrets')).toEqual(['TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED'])
  })

  test('sees a task whose secret is not there fail, and one that is malformed refused', async () => {
    await framework.launch([
      task('missing', 'true', { variables: [variable('X', reference('mesos/nothing'))] }),
      task('escaping', 'true', { volumes: [volume('../up', reference('mesos/file'))] }),
      task('twice', 'true', {
        volumes: [volume('a', reference('mesos/file')), volume('./a', reference('mesos/env'))],
      }),
    ])

    const missing = await framework.status('missing', 'TASK_FAILED')
    const escaping = await framework.status('escaping', 'TASK_ERROR')
    const twice = await framework.status('twice', 'TASK_ERROR')

    expect(missing.reason).toBe('REASON_CONTAINER_LAUNCH_FAILED')
    expect(missing.message).toMatch(/Collect failed: no secret mesos\/nothing$/)
    expect([escaping.reason, twice.reason]).toEqual(['REASON_TASK_INVALID', 'REASON_TASK_INVALID'])
    expect(escaping.message).toMatch(/'container_path' '\.\.\/up' .*must not contain '\.\.'/)
    expect(twice.message).toMatch(/'container_path' '\.\/a' is mounted twice/)
  })

  test('hears a status again until it acknowledges it, and then the next', async () => {
    framework.acknowledges = false
    await framework.launch([task('unheard', 'true')])
    const first = await framework.status('unheard', 'TASK_STARTING')
    await until('it is told again', () => heard(first.uuid) > 1)
    expect(statesOf('unheard')).toEqual(['TASK_STARTING'])

    framework.acknowledges = true
    expect((await framework.acknowledge(first)).status).toBe(202)

    await framework.status('unheard', 'TASK_FINISHED')
    expect(statesOf('unheard')).toEqual(['TASK_STARTING', 'TASK_RUNNING', 'TASK_FINISHED'])
  })

  test('reconciles, and is told of what nobody knows', async () => {
    await framework.launch([task('long', untilTerm)])
    await framework.status('long', 'TASK_RUNNING')
    const from = framework.events.length

    const { status } = await framework.call('RECONCILE', {
      reconcile: { tasks: [{ task_id: { value: 'long' } }, { task_id: { value: 'unknown' } }] },
    })

    expect(status).toBe(202)
    const answers = await until('both are answered', () => {
      const told = framework.events.slice(from).flatMap(({ update }) => update?.status ?? [])
      return told.length >= 2 && told
    })
    expect(answers).toContainEqual(
      expect.objectContaining({ state: 'TASK_RUNNING', reason: 'REASON_RECONCILIATION' }),
    )
    expect(answers).toContainEqual(
      expect.objectContaining({ task_id: { value: 'unknown' }, reason: 'REASON_RECONCILIATION' }),
    )
  })

  test('is known to operators, with its tasks', async () => {
    const { get_tasks: tasks } = await operator<{
      get_tasks: { tasks: { task_id: { value: string } }[] }
    }>('GET_TASKS')
    const { get_frameworks: frameworks } = await operator<{
      get_frameworks: { frameworks: { framework_info: { name: string } }[] }
    }>('GET_FRAMEWORKS')
    const { get_agents: agents } = await operator<{ get_agents: { agents: unknown[] } }>(
      'GET_AGENTS',
    )

    expect(tasks.tasks.map(({ task_id }) => task_id.value)).toContain('long')
    expect(frameworks.frameworks.map(({ framework_info }) => framework_info.name)).toContain('walk')
    expect(agents.agents).toHaveLength(2)
    expect(await operator('GET_HEALTH')).toEqual({
      type: 'GET_HEALTH',
      get_health: { healthy: true },
    })
    expect(await operator('GET_STATE')).toMatchObject({ get_state: {} })
  })

  test('kills a task, and one that is gone is reconciled', async () => {
    await framework.call('KILL', { kill: { task_id: { value: 'long' } } })
    const end = await until('it has ended', () => {
      const last = framework.statusesOf('long').at(-1)
      return last !== undefined && last.state !== 'TASK_RUNNING' && last
    })
    expect(end.state).toMatch(/^TASK_(KILLED|FINISHED)$/)

    const from = framework.events.length
    await framework.call('KILL', { kill: { task_id: { value: 'never-was' } } })
    const answer = await framework.event('UPDATE', from)
    expect(answer.update?.status).toMatchObject({ reason: 'REASON_RECONCILIATION' })
  })

  test('declines, suppresses and revives offers', async () => {
    const offer = await framework.offer()
    const declined = await framework.call('DECLINE', {
      decline: { offer_ids: [offer.id], filters: { refuse_seconds: 3600 } },
    })
    const suppressed = await framework.call('SUPPRESS')
    const from = framework.events.length

    const revived = await framework.call('REVIVE')

    expect([declined.status, suppressed.status, revived.status]).toEqual([202, 202, 202])
    const next = await until('the same agent is offered again', () =>
      framework.events
        .slice(from)
        .flatMap(({ offers }) => offers?.offers ?? [])
        .find(({ agent_id }) => agent_id.value === offer.agent_id.value),
    )
    expect(next.id).not.toEqual(offer.id)
  })

  test('fails over: its second self has its tasks, and its first is told so', async () => {
    await framework.launch([task('kept', untilTerm)])
    await framework.status('kept', 'TASK_RUNNING')
    const first = framework
    const before = first.events.length

    framework = await Framework.subscribe(cluster, {
      name: 'walk',
      frameworkId: first.id,
      failoverTimeoutSeconds: 3600,
    })

    const { error } = await first.event('ERROR', before)
    await until('the first is cut off', () => !first.isOpen)
    expect(framework.id).toBe(first.id)
    expect(error?.message).toBe('Framework failed over')
    expect((await first.call('REVIVE')).status).toBe(400)
    await framework.call('RECONCILE', { reconcile: { tasks: [] } })
    await framework.status('kept', 'TASK_RUNNING')
  })

  test('goes on when the leader is killed', async () => {
    const { masterId } = await cluster.leader()
    const first = framework

    await cluster.kill(masterId)
    framework = await Framework.subscribe(cluster, {
      name: 'walk',
      frameworkId: first.id,
      failoverTimeoutSeconds: 3600,
    })

    await until('its task is known to the next leader', async () => {
      await framework.call('RECONCILE', { reconcile: { tasks: [{ task_id: { value: 'kept' } }] } })
      return statesOf('kept').includes('TASK_RUNNING')
    })
    await framework.launch([task('after', 'true')])
    await framework.status('after', 'TASK_FINISHED')
    await cluster.restart(masterId)
    expect(framework.id).toBe(first.id)
  })

  test('is torn down: its tasks end, and it cannot come back', async () => {
    expect((await framework.call('TEARDOWN')).status).toBe(202)
    await until('it is cut off', () => !framework.isOpen)

    await until('its task is no longer running', async () => {
      const { get_tasks: tasks } = await operator<{
        get_tasks: { tasks: { task_id: { value: string } }[] }
      }>('GET_TASKS')
      return !tasks.tasks.some(({ task_id }) => task_id.value === 'kept')
    })
    await expect(again(framework.id)).resolves.toBe('Framework has been removed')
  })
})

test('a framework that holds on to every offer keeps no run waiting', async () => {
  const holder = await Framework.subscribe(cluster, { name: 'holder' })
  try {
    await until('it was offered both machines', () => {
      const offers = holder.events.flatMap((event) => event.offers?.offers ?? [])
      return new Set(offers.map(({ agent_id: { value } }) => value)).size === 2
    })
    const file = cluster.home.file('run.json')
    writeFileSync(file, JSON.stringify(taskSpec('run', 'echo "it ran"')))

    const { code, stdout } = await cluster.cli(['run', file])

    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('it ran') })
    expect(holder.events.map(({ type }) => type)).toContain('RESCIND')
  } finally {
    holder.close()
  }
})

/** A call of an operator that changes something. */
const change = async (type: string, part: object): Promise<string> => {
  const body = { type, [type.toLowerCase()]: part }
  const answer = await cluster.ask(await cluster.leader(), 'mesos', '/api/v1', { body })
  expect({ status: answer.status, said: Buffer.from(answer.body).toString() }).toEqual({
    status: 200,
    said: '',
  })
  return type
}

describe('an operator', () => {
  interface AgentShown {
    readonly agent_info: { readonly id: { value: string }; readonly hostname: string }
    readonly deactivated?: boolean
    readonly drain_info?: { readonly state: string }
  }
  const agents = async (): Promise<readonly AgentShown[]> =>
    (await operator<{ get_agents: { agents: AgentShown[] } }>('GET_AGENTS')).get_agents.agents
  test('drains an agent, whose task ends, and takes it back', async () => {
    const drained = await Framework.subscribe(cluster, { name: 'drained' })
    try {
      const { agent_id } = await drained.launch([task('drained', untilTerm)])
      await drained.status('drained', 'TASK_RUNNING')

      await change('DRAIN_AGENT', { agent_id })

      const end = await drained.status('drained', 'TASK_KILLED')
      expect(end.reason).toBe('REASON_AGENT_DRAINING')
      const one = async (): Promise<AgentShown | undefined> =>
        (await agents()).find(({ agent_info: { id } }) => id.value === agent_id.value)
      await until('it is drained', async () => (await one())?.drain_info?.state === 'DRAINED')
      expect((await one())?.deactivated).toBe(true)
      await change('REACTIVATE_AGENT', { agent_id })
      expect((await one())?.deactivated).toBe(false)
    } finally {
      drained.close()
    }
  })

  test('takes a machine away for maintenance, and brings it back', async () => {
    const [away] = await agents()
    const machines = [{ hostname: away?.agent_info.hostname }]
    const window = { machine_ids: machines, unavailability: { start: { nanoseconds: 1e18 } } }
    const users = await Framework.subscribe(cluster, { name: 'users' })
    try {
      await change('UPDATE_MAINTENANCE_SCHEDULE', { schedule: { windows: [window] } })
      await change('START_MAINTENANCE', { machines })
      const there = async (): Promise<boolean> =>
        (await agents()).some(({ agent_info: { hostname } }) => hostname === machines[0]?.hostname)
      expect(await there()).toBe(false)

      const { masterId } = await cluster.leader()
      await cluster.kill(masterId)
      const status = await until('the next leader knows of it', async () =>
        operator<object>('GET_MAINTENANCE_STATUS').catch(() => undefined),
      )
      expect(status).toMatchObject({
        get_maintenance_status: { status: { down_machines: machines } },
      })
      expect(await there()).toBe(false)
      await cluster.restart(masterId)

      await change('STOP_MAINTENANCE', { machines })
      await until('it is there again', there)
    } finally {
      users.close()
    }
  })

  test('weighs roles, and turns the log of the leader up', async () => {
    await change('UPDATE_WEIGHTS', { weight_infos: [{ role: 'heavy', weight: 2.5 }] })
    expect(await operator('GET_WEIGHTS')).toMatchObject({
      get_weights: { weight_infos: [{ role: 'heavy', weight: 2.5 }] },
    })
    await change('SET_LOGGING_LEVEL', { level: 1, duration: { nanoseconds: 600e9 } })
    expect(await operator('GET_LOGGING_LEVEL')).toMatchObject({ get_logging_level: { level: 1 } })
  })
})

/** What a person writes who uses the client of npm, after its README. */
const clientProgram = `
const { Scheduler, Mesos } = require('mesos-framework')
const M = Mesos.getMesos()
const ids = Array.from({ length: 50 }, (_, n) => 'job' + n)
const command = new M.CommandInfo(null, new M.Environment([]), true,
  'test "$DB_PASS" = "in a member" && test "$(cat creds/db)" = "in a member"', null, null)
const secret = { type: 'REFERENCE', reference: { name: '/mesos/json', key: 'password' } }
command.environment.variables.push({ name: 'DB_PASS', type: 'SECRET', secret })
const container = new M.ContainerInfo(M.ContainerInfo.Type.MESOS, [], null, null,
  new M.ContainerInfo.MesosInfo(null))
container.volumes.push({ mode: 'RO', container_path: 'creds/db', source: { type: 'SECRET', secret } })
const tasks = Object.fromEntries(ids.map((id) => [id, {
  priority: 1, instances: 1, commandInfo: command, containerInfo: container,
  resources: { cpus: 0.1, mem: 32, ports: 0, disk: 0 },
}]))
const scheduler = new Scheduler({
  masterUrl: '127.0.0.1', port: process.argv[2], frameworkName: 'from npm',
  logging: { path: process.cwd() + '/', fileName: 'client.log', level: 'debug' },
  restartStates: [], tasks,
})
const ended = new Map()
scheduler.on('update', ({ status }) => {
  if (!/FINISHED|FAILED|ERROR|LOST|KILLED/.test(status.state)) return
  ended.set(status.task_id.value, status.state + ' ' + (status.message || ''))
  if (ended.size < ids.length) return
  console.log('ENDED ' + JSON.stringify([...ended.values()]))
  scheduler.teardown()
  setTimeout(() => process.exit(0), 500)
})
scheduler.on('error', (error) => console.log('ERROR ' + (error.message || JSON.stringify(error))))
scheduler.on('ready', () => scheduler.subscribe())
`

/** The same, for a program that comes back: it says what it hears, and asks again where nobody leads yet. */
const returningProgram = `
const { Scheduler, Mesos } = require('mesos-framework')
const M = Mesos.getMesos()
const [port, id, name, line] = process.argv.slice(2)
const command = new M.CommandInfo(null, new M.Environment([]), true, line, null, null)
const secret = { type: 'REFERENCE', reference: { name: '/mesos/json', key: 'password' } }
command.environment.variables.push({ name: 'DB_PASS', type: 'SECRET', secret })
const scheduler = new Scheduler({
  masterUrl: '127.0.0.1', port, frameworkName: 'back from npm',
  logging: { path: process.cwd() + '/', fileName: 'returning.log', level: 'debug' },
  restartStates: [],
  tasks: { [name]: { priority: 1, instances: 1, commandInfo: command,
    resources: { cpus: 0.1, mem: 32, ports: 0, disk: 0 } } },
})
if (id !== 'new') scheduler.frameworkId = id
scheduler.on('subscribed', ({ frameworkId }) => {
  console.log('SUBSCRIBED ' + frameworkId)
  scheduler.reconcile()
})
scheduler.on('update', ({ status }) =>
  console.log('UPDATE ' + status.task_id.value + ' ' + status.state + ' ' + (status.reason || '')))
scheduler.on('error', (error) => {
  const why = error.message || JSON.stringify(error)
  console.log('ERROR ' + why)
  if (/code: 503|problem with the request/.test(why)) setTimeout(() => scheduler.subscribe(), 300)
})
scheduler.on('ready', () => scheduler.subscribe())
`

/** What a program has said for the `times`th time, now or later. */
const says = (program: Program, what: RegExp, times = 1): Promise<string> =>
  until(`the client says ${what.source}`, () => {
    if (program.hasEnded) throw new Error(`it has ended: ${program.stdout}${program.stderr}`)
    return program.stdout.match(new RegExp(what.source, 'gm'))?.[times - 1]
  })

describe('npm mesos-framework 0.5.3, unmodified', () => {
  let client: Awaited<ReturnType<typeof installClient>>
  let gateway: Awaited<ReturnType<typeof loginGateway>> | undefined
  const programs: Program[] = []

  beforeAll(async () => {
    client = await installClient(cluster.home, 'mesos-framework', '0.5.3')
    if ('why' in client && mustHavePeers) throw new Error(client.why)
    gateway = await loginGateway(cluster)
  })
  afterAll(async () => {
    for (const program of programs) await program.end()
    gateway?.closeAllConnections()
    gateway?.close()
  })

  /** Where it is installed, and where it finds the leader; or why this test cannot be had. */
  function installed(context: TestContext): { directory: string; port: string } {
    if ('why' in client) return context.skip(client.why)
    if (gateway === undefined) throw new Error('there is no gateway')
    return { directory: client.directory, port: String(portOf(gateway)) }
  }

  test('launches fifty tasks with secrets and sees all of them finish', async (context) => {
    const { directory, port } = installed(context)
    writeFileSync(join(directory, 'client.js'), clientProgram)

    const { code, stdout, stderr } = await runProgram(process.execPath, ['client.js', port], {
      cwd: directory,
      env: cluster.home.environment,
    })

    const ended = /^ENDED (.+)$/m.exec(stdout)?.[1] ?? '[]'
    const said = (stdout + stderr).slice(-3000)
    expect({ code, said, ended: JSON.parse(ended) as unknown }).toEqual({
      code: 0,
      said,
      ended: Array.from({ length: 50 }, () => expect.stringMatching(/^TASK_FINISHED/)),
    })
  })

  test('fails over when it is restarted, also when its leader was killed', async (context) => {
    const { directory, port } = installed(context)
    writeFileSync(join(directory, 'returning.js'), returningProgram)
    const run = (id: string, name: string, line: string): Program => {
      const args = ['returning.js', port, id, name, line]
      const program = new Program(process.execPath, args, {
        cwd: directory,
        env: cluster.home.environment,
      })
      programs.push(program)
      return program
    }
    const first = run('new', 'stay', untilTerm)
    const id = (await says(first, /^SUBSCRIBED \S+/)).split(' ')[1] ?? ''
    await says(first, /^UPDATE \S+stay\S* TASK_RUNNING/)
    first.child.kill('SIGKILL')
    await until('the first has ended', () => first.hasEnded)

    const second = run(id, 'second', 'test "$DB_PASS" = "in a member"')
    expect(await says(second, /^SUBSCRIBED \S+/)).toBe(`SUBSCRIBED ${id}`)
    await says(second, /^UPDATE \S+stay\S* TASK_RUNNING REASON_RECONCILIATION/)
    await says(second, /^UPDATE \S+second\S* TASK_FINISHED/)

    const { masterId } = await cluster.leader()
    await cluster.kill(masterId)
    // It knows an orderly end of its stream and no other: then it ends, and its supervisor starts it again.
    await until(
      'the second has ended, or is back',
      () => second.hasEnded || (second.stdout.match(/^SUBSCRIBED/gm) ?? []).length > 1,
    )
    second.child.kill('SIGKILL')
    await until('the second has ended', () => second.hasEnded)
    const third = run(id, 'third', 'test "$DB_PASS" = "in a member"')
    expect(await says(third, /^SUBSCRIBED \S+/)).toBe(`SUBSCRIBED ${id}`)
    await says(third, /^UPDATE \S+stay\S* TASK_RUNNING REASON_RECONCILIATION/)
    await says(third, /^UPDATE \S+third\S* TASK_FINISHED/)
    await cluster.restart(masterId)
  })
})
