import { Redacted, utf8, uuidBytes } from '@conclave/kernel'
import type { ConclaveEvent, ToAgent } from '@conclave/model'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { MemoryAgent } from '../testing/memory-agent.ts'
import { MemoryCluster, type MemoryMaster } from '../testing/memory-cluster.ts'
import { MemoryFramework } from '../testing/memory-framework.ts'
import { callerOf, firstPeople, rootPassword } from '../testing/people.ts'
import { epochKey } from './master-records.ts'
import type { SecretInput, SessionOutput, TaskSession } from './master-api.ts'

type Launch = Extract<ToAgent, { type: 'launch' }>

const root = callerOf('root')
const nobody = callerOf('nobody')
const random = new SeededRandom(31)

let cluster: MemoryCluster

beforeEach(async () => {
  cluster = new MemoryCluster({
    clock: new ManualClock(),
    random,
    identities: await firstPeople(random),
  })
  await cluster.elected()
})

const text = (value: string): SecretInput => ({ kind: 'text', bytes: new Redacted(utf8(value)) })

const scalars = (cpus: number, mem: number): readonly object[] => [
  { name: 'cpus', type: 'SCALAR', scalar: { value: cpus } },
  { name: 'mem', type: 'SCALAR', scalar: { value: mem } },
]

function register(master: MemoryMaster, name: string, more: object = {}): MemoryAgent {
  const agent = new MemoryAgent(master.actor, name)
  agent.say({
    type: 'register',
    info: { hostname: `${name}.example`, resources: scalars(4, 1024) },
    runtime: 'memory',
    tasks: [],
    ...more,
  })
  return agent
}

async function runningTask(
  taskId = 'task-1',
): Promise<{ agent: MemoryAgent; framework: MemoryFramework; launch: Launch }> {
  const agent = register(cluster.leader, 'agent-1')
  const framework = new MemoryFramework(cluster.leader.actor, callerOf('scheduler'))
  framework.subscribe()
  await cluster.until(() => framework.offers.length > 0)
  framework.launch({
    name: 'a task',
    resources: scalars(0.5, 32),
    command: { value: 'sleep 60' },
    task_id: { value: taskId },
  } as { task_id: { value: string } })
  await cluster.until(() => agent.heard('launch').length > 0)
  const [launch] = agent.heard('launch')
  if (launch === undefined) throw new Error('nothing was launched')
  return { agent, framework, launch }
}

async function eventsAt(master: MemoryMaster): Promise<ConclaveEvent[]> {
  const { events } = master
  const boot = events.lastId.slice(0, events.lastId.lastIndexOf(':'))
  const seen: ConclaveEvent[] = []
  const stop = new AbortController()
  for await (const event of events.follow(`${boot}:0`, stop.signal)) {
    seen.push(event)
    if (event.id === events.lastId) stop.abort()
  }
  return seen
}

describe('a new cluster', () => {
  test('MA11: is founded once, with one keyring and one token key, whoever leads later', async () => {
    const first = cluster.leader
    first.crash()
    await cluster.elected()
    const second = cluster.leader
    expect(second).not.toBe(first)
    for (const key of ['masters/founding', 'keys/keyring', 'keys/token', 'identity/user/root']) {
      expect(second.store.get(key)?.version).toBe(1)
    }
    const created = (await eventsAt(first)).filter(({ type }) => type === 'keyring.created')
    expect(created).toHaveLength(1)
  })

  test('says of every master who it is, who leads and where', () => {
    const { leader } = cluster
    for (const { actor, masterId } of cluster.masters) {
      const status = actor.status()
      expect(status).toMatchObject({
        masterId,
        isReady: true,
        leader: { masterId: leader.masterId },
      })
      expect(status.members.map((member) => member.masterId)).toEqual([
        'master-1',
        'master-2',
        'master-3',
      ])
    }
  })

  test('tells everybody when a master listens elsewhere than was planned', async () => {
    const { follower } = cluster
    follower.actor.setListeners({ dcos: { host: '10.9.9.9', port: 4711 } })
    const told = (): unknown =>
      cluster.leader.actor.status().members.find(({ masterId }) => masterId === follower.masterId)
        ?.listeners['dcos']
    await cluster.until(() => told() !== undefined)
    expect(told()).toEqual({ host: '10.9.9.9', port: 4711 })
  })

  test('forgets old revisions, and keeps what is current', async () => {
    const clock = new ManualClock()
    const small = new MemoryCluster({
      clock,
      random,
      identities: await firstPeople(random),
      settings: { revisionsKept: 10 },
    })
    await small.elected()
    const { secrets } = small.leader.actor
    await small.settle(secrets.create(root, 'a', text('x')))
    for (let count = 0; count < 30; count++)
      await small.settle(secrets.update(root, 'a', text('x')))
    await small.until(() => small.leader.store.compactRevision > 0)
    expect((await small.settle(secrets.read(root, 'a'))).metadata.version).toBe(31)
  })
})

test('large values that were overwritten are forgotten, however few they are', async () => {
  const small = new MemoryCluster({
    clock: new ManualClock(),
    random,
    identities: await firstPeople(random),
    settings: { historyBytesMax: 200_000 },
  })
  await small.elected()
  const { secrets } = small.leader.actor
  await small.settle(secrets.create(root, 'a', text('x'.repeat(20_000))))
  // Ten versions are kept; the envelopes of the others are deleted, and stay in the history at first.
  for (let count = 0; count < 25; count++) {
    await small.settle(secrets.update(root, 'a', text('x'.repeat(20_000))))
  }
  await small.until(() => small.leader.store.compactRevision > 0)
  expect(small.leader.store.snapshot().length).toBeLessThan(18 * 20_000)
})

describe('a master that has stopped', () => {
  test('leads no more, and answers nobody', async () => {
    const { leader } = cluster
    const waiting = leader.actor.secrets.list(root, '')
    leader.actor.stop()
    await expect(waiting).rejects.toMatchObject({ code: 'cluster.unavailable' })
    await expect(leader.actor.secrets.list(root, '')).rejects.toMatchObject({
      code: 'cluster.unavailable',
    })
    await expect(leader.actor.secrets.create(root, 'a', text('x'))).rejects.toMatchObject({
      code: 'cluster.unavailable',
    })
    expect(leader.actor.status()).toMatchObject({
      role: 'follower',
      isReady: false,
      leader: undefined,
    })
  })
})

describe('a term', () => {
  test('MA12: is over for whoever was deposed: what it decided can never be committed', async () => {
    const old = cluster.leader
    cluster.cut(old)
    // Decided by the old leader, who does not know yet that the others have another one.
    const agent = register(old, 'agent-1')
    await cluster.until(() =>
      cluster.masters.some((one) => one !== old && one.actor.status().role === 'leader'),
    )
    cluster.heal()
    await cluster.elected()
    for (let round = 0; round < 1000; round++) await cluster.round()

    expect(cluster.leader).not.toBe(old)
    expect(agent.heard('registered')).toEqual([])
    for (const { store } of cluster.masters) expect(store.list('cluster/agents/').kvs).toEqual([])
  })

  test('MA12: has an epoch that only its own commits continue', async () => {
    const { leader } = cluster
    const before = JSON.parse(Buffer.from(leader.store.get(epochKey)?.value ?? []).toString()) as {
      term: number
      sequence: number
    }
    register(leader, 'agent-1')
    await cluster.until(() => leader.store.list('cluster/agents/').kvs.length > 0)
    const after = JSON.parse(
      Buffer.from(leader.store.get(epochKey)?.value ?? []).toString(),
    ) as typeof before
    expect(after.term).toBe(leader.actor.status().term)
    expect(after.sequence).toBeGreaterThan(before.sequence)
  })

  test('MA13: that ends closes every stream, and agents hear who leads now', async () => {
    const { agent, framework } = await runningTask()
    const session = await cluster.settle(
      cluster.leader.actor.tasks.logs(root, 'task-1', { follow: true }),
    )
    const old = cluster.leader
    cluster.cut(old)
    await cluster.until(() => old.actor.status().role !== 'leader')
    expect(agent.isClosed).toBe(true)
    expect(agent.heard('not-leader')).toHaveLength(1)
    expect(framework.isClosed).toBe(true)
    expect(await lastOf(session)).toMatchObject({
      kind: 'end',
      error: expect.stringContaining('leads') as string,
    })

    cluster.heal()
    await cluster.elected()
    const again = new MemoryAgent(old.actor, 'agent-1')
    expect(again.heard('not-leader')).toEqual([
      { type: 'not-leader', leader: { host: '10.0.0.1', port: 100 + cluster.leader.nodeId } },
    ])
  })

  test('MA13: that begins takes the tasks over, once their agent is back', async () => {
    const { agent, launch, framework } = await runningTask()
    const { frameworkId } = framework
    cluster.leader.crash()
    agent.drop()
    await cluster.elected()
    const { leader } = cluster
    const [registered] = agent.heard('registered')
    const back = register(leader, 'agent-1', {
      agentId: registered?.agentId,
      tasks: [{ frameworkId, taskId: 'task-1', containerId: launch.containerId }],
    })
    await cluster.until(() => back.heard('registered').length > 0)
    expect(back.heard('registered')[0]?.agentId).toBe(registered?.agentId)
    const [task] = await cluster.settle(leader.actor.tasks.list(root))
    expect(task).toMatchObject({ taskId: 'task-1', isTerminal: false })
  })
})

async function lastOf(session: TaskSession): Promise<SessionOutput | undefined> {
  let last: SessionOutput | undefined
  for await (const output of session.output()) last = output
  return last
}

describe('a task', () => {
  test('is found by any unambiguous beginning of its id', async () => {
    await runningTask('web-1.abc')
    const { tasks } = cluster.follower.actor
    expect(await cluster.settle(tasks.find(root, 'web'))).toMatchObject({ taskId: 'web-1.abc' })
    await expect(cluster.settle(tasks.find(root, 'x'))).rejects.toMatchObject({
      code: 'task.not-found',
    })
    await expect(cluster.settle(tasks.find(root, ''))).rejects.toMatchObject({
      code: 'task.not-found',
    })
  })

  test('MA14: is entered through the leader, and what it prints comes in order', async () => {
    const { agent, launch } = await runningTask()
    const session = await cluster.settle(
      cluster.leader.actor.tasks.exec(root, 'task-1', {
        argv: ['sh', '-c', 'cat'],
        env: { A: 'b' },
      }),
    )
    const [open] = agent.heard('open-exec')
    expect(open).toMatchObject({ argv: ['sh', '-c', 'cat'], env: { A: 'b' }, taskId: 'task-1' })
    expect(open?.frameworkId).toBe(launch.frameworkId)
    const sessionId = open?.sessionId ?? ''
    session.write(Buffer.from('typed'))
    session.signal('SIGINT')
    session.endInput()
    expect(agent.received.slice(-3).map(({ type }) => type)).toEqual([
      'session-input',
      'session-signal',
      'session-input-end',
    ])
    for (const printed of ['one', 'two']) {
      agent.say({
        type: 'session-output',
        sessionId,
        stream: 'stdout',
        data: Buffer.from(printed).toString('base64'),
      })
    }
    agent.say({ type: 'session-end', sessionId, exitCode: 3 })
    const seen: string[] = []
    for await (const output of session.output()) {
      seen.push(
        output.kind === 'data' ? Buffer.from(output.bytes).toString() : `exit ${output.exitCode}`,
      )
    }
    expect(seen).toEqual(['one', 'two', 'exit 3'])
  })

  test('MA14: is not heard through the connection of another agent', async () => {
    const { agent } = await runningTask()
    const session = await cluster.settle(
      cluster.leader.actor.tasks.logs(root, 'task-1', { follow: false }),
    )
    const sessionId = agent.heard('open-logs')[0]?.sessionId ?? ''
    const other = register(cluster.leader, 'agent-2')
    other.say({
      type: 'session-output',
      sessionId,
      stream: 'stdout',
      data: Buffer.from('lie').toString('base64'),
    })
    agent.say({ type: 'session-end', sessionId })
    const heard: SessionOutput[] = []
    for await (const output of session.output()) heard.push(output)
    expect(heard).toEqual([{ kind: 'end', exitCode: undefined, error: undefined }])
  })

  test('MA14: is left when its agent goes, and when its reader does', async () => {
    const { agent } = await runningTask()
    const { tasks } = cluster.leader.actor
    const left = await cluster.settle(tasks.logs(root, 'task-1', { follow: true }))
    left.close()
    expect(agent.heard('session-close')).toHaveLength(1)
    const lost = await cluster.settle(tasks.logs(root, 'task-1', { follow: true }))
    agent.drop()
    expect(await lastOf(lost)).toMatchObject({
      kind: 'end',
      error: expect.stringContaining('lost') as string,
    })
  })

  test('MA14: whose reader does not read is cut off before the master runs out of memory', async () => {
    const { agent } = await runningTask()
    const session = await cluster.settle(
      cluster.leader.actor.tasks.logs(root, 'task-1', { follow: true }),
    )
    const sessionId = agent.heard('open-logs')[0]?.sessionId ?? ''
    const data = Buffer.alloc(64 * 1024).toString('base64')
    while (agent.heard('session-close').length === 0) {
      agent.say({ type: 'session-output', sessionId, stream: 'stdout', data })
    }
    expect(await lastOf(session)).toMatchObject({
      error: expect.stringContaining('unread') as string,
    })
  })

  test('MA14: takes input no faster than its agent reads', async () => {
    const { agent } = await runningTask()
    const session = await cluster.settle(
      cluster.leader.actor.tasks.exec(root, 'task-1', { argv: ['cat'] }),
    )
    agent.waitingBytes = 64 * 1024 * 1024
    session.write(Buffer.from('later'))
    session.endInput()
    expect(agent.heard('session-input')).toEqual([])
    agent.waitingBytes = 0
    await cluster.until(() => agent.heard('session-input-end').length > 0)
    expect(agent.heard('session-input')).toHaveLength(1)
  })

  test('MA54: is held back while its reader is slow, and goes on when that has caught up', async () => {
    const { agent } = await runningTask()
    const { tasks } = cluster.leader.actor
    const session = await cluster.settle(tasks.exec(root, 'task-1', { argv: ['yes'] }))
    const sessionId = agent.heard('open-exec')[0]?.sessionId ?? ''
    const data = Buffer.alloc(64 * 1024).toString('base64')
    const say = (): void => {
      agent.say({ type: 'session-output', sessionId, stream: 'stdout', data })
    }

    while (agent.heard('session-hold').length === 0) say()
    say()
    expect(agent.heard('session-hold')).toHaveLength(1)
    expect(agent.heard('session-go')).toEqual([])
    agent.say({ type: 'session-end', sessionId, exitCode: 0 })

    expect(await lastOf(session)).toMatchObject({ exitCode: 0 })
  })

  test('MA54: is sent no more input than its program reads', async () => {
    const { agent } = await runningTask()
    const { tasks } = cluster.leader.actor
    const session = await cluster.settle(tasks.exec(root, 'task-1', { argv: ['cat'] }))
    const sessionId = agent.heard('open-exec')[0]?.sessionId ?? ''
    const sizes = (): number =>
      agent
        .heard('session-input')
        .reduce((sum, { data }) => sum + Buffer.from(data, 'base64').length, 0)
    let hasRoom = false

    session.write(Buffer.alloc(1024 * 1024))
    const waited = session.room().then(() => (hasRoom = true))
    const untaken = sizes()
    expect(untaken).toBeLessThan(512 * 1024)
    await Promise.resolve()
    expect(hasRoom).toBe(false)
    for (let count = 0; count < 5; count++) {
      agent.say({ type: 'session-taken', sessionId, sizeBytes: 256 * 1024 })
    }
    await waited

    expect(sizes()).toBe(1024 * 1024)
  })

  test('MA63: can be signalled', async () => {
    const { agent } = await runningTask()
    const { tasks } = cluster.leader.actor
    await cluster.settle(tasks.signal(root, 'task-1', 'HUP'))

    expect(agent.heard('signal-task')).toMatchObject([{ taskId: 'task-1', signal: 'HUP' }])
  })

  test('is killed on its agent', async () => {
    const { agent } = await runningTask()
    await cluster.settle(cluster.leader.actor.tasks.kill(root, 'task-1'))
    await cluster.until(() => agent.heard('kill').length > 0)
    expect(agent.heard('kill')).toMatchObject([{ taskId: 'task-1' }])
  })

  test('MA5: is nothing for people without a permission', async () => {
    await runningTask()
    const { actor } = cluster.leader
    expect(await cluster.settle(actor.tasks.list(nobody))).toEqual([])
    const calls: readonly (() => Promise<unknown>)[] = [
      () => actor.tasks.find(nobody, 'task-1'),
      () => actor.tasks.kill(nobody, 'task-1'),
      () => actor.tasks.logs(nobody, 'task-1', { follow: false }),
      () => actor.tasks.exec(nobody, 'task-1', { argv: ['sh'] }),
      () => actor.agents(nobody),
    ]
    for (const call of calls) {
      await expect(cluster.settle(call())).rejects.toMatchObject({ code: 'access.denied' })
    }
  })
})

describe('agents', () => {
  test('are listed by any master, with what their tasks use', async () => {
    await runningTask()
    expect(await cluster.settle(cluster.follower.actor.agents(root))).toMatchObject([
      {
        hostname: 'agent-1.example',
        isActive: true,
        runtime: 'memory',
        tasks: 1,
        resources: { cpus: { total: 4, used: 0.5 }, mem: { total: 1024, used: 32 } },
      },
    ])
  })

  test('MA15: tell of their own containers, and of nothing else', async () => {
    const agent = register(cluster.leader, 'agent-1')
    await cluster.until(() => agent.heard('registered').length > 0)
    const agentId = agent.heard('registered')[0]?.agentId
    const of = { frameworkId: 'f', taskId: 't', containerId: 'c', atMs: 5 }
    agent.say({
      type: 'events',
      events: [
        { type: 'container.started', ...of, agentId },
        { type: 'container.ended', ...of, agentId: 'another' },
        { type: 'secret.released', ...of, agentId, path: 'a', version: 1 },
        { type: 'secret.placed', ...of, agentId, path: 'a', where: 'memory', at: 'x' },
        { type: 'executor.refused', agentId, call: 'UPDATE', status: 403, why: 'x', atMs: 6 },
        { type: 'executor.refused', agentId: 'another', call: 'UPDATE', status: 403, why: 'x' },
        'noise',
      ],
    })
    const reported = (await eventsAt(cluster.leader)).filter(({ source }) => source === 'agent-1')
    expect(reported).toMatchObject([
      { type: 'container.started', agentId, atMs: 5 },
      { type: 'executor.refused', agentId, atMs: 6 },
    ])
  })

  test('MA15: tell nothing of a task that runs on another', async () => {
    const { launch } = await runningTask()
    const other = register(cluster.leader, 'agent-2')
    await cluster.until(() => other.heard('registered').length > 0)
    const agentId = other.heard('registered')[0]?.agentId
    const { frameworkId, containerId } = launch
    const of = { frameworkId, taskId: 'task-1', containerId, agentId, atMs: 5 }
    other.say({ type: 'events', events: [{ type: 'secret.forgotten', ...of, files: 1 }] })
    const told = (await eventsAt(cluster.leader)).map(({ type }) => type)
    expect(told).not.toContain('secret.forgotten')
  })
})

const basic = (uid: string, password: string): string =>
  `Basic ${Buffer.from(`${uid}:${password}`).toString('base64')}`

async function askAboutCaller(authorization: string, call = 'GET_STATE') {
  const agent = register(cluster.leader, 'agent-1')
  await cluster.until(() => agent.heard('registered').length > 0)
  agent.say({ type: 'ask-caller', requestId: 'q', authorization, source: '10.0.0.9', call })
  await cluster.until(() => agent.heard('caller-known').length > 0)
  return agent.heard('caller-known')[0]
}

describe('who calls at an agent', () => {
  test('MA41: is looked up by the leader, which tells a name and one right, and no more', async () => {
    expect(await askAboutCaller(basic('root', rootPassword))).toEqual({
      type: 'caller-known',
      requestId: 'q',
      outcome: 'known',
      uid: 'root',
      isOperator: true,
    })
    expect(await askAboutCaller(basic('dev', rootPassword))).toMatchObject({
      uid: 'dev',
      isOperator: false,
    })
    expect(await askAboutCaller(basic('dev', 'wrong'))).toMatchObject({ outcome: 'unknown' })
    expect(await askAboutCaller('Bearer a.b.c')).toMatchObject({ outcome: 'unknown' })
  })

  test('MA41 S3: what changes something is on record before the agent hears of it', async () => {
    await askAboutCaller(basic('root', rootPassword), 'LAUNCH_CONTAINER')
    await askAboutCaller(basic('dev', rootPassword), 'READ_FILE')

    const records = cluster.leader.audit.records.filter(({ path }) => path.startsWith('agent/'))
    expect(records).toMatchObject([
      { principal: 'root', action: 'administer', path: 'agent/agent-1/LAUNCH_CONTAINER' },
      { principal: 'dev', path: 'agent/agent-1/READ_FILE', outcome: 'denied' },
    ])
  })

  test('MA41 MA18: guesses through an agent are bounded like any other', async () => {
    let last = await askAboutCaller(basic('root', 'guess 0'))
    for (let guess = 1; guess < 8; guess++)
      last = await askAboutCaller(basic('root', `guess ${guess}`))
    expect(last).toMatchObject({ outcome: 'throttled' })
  })
})

describe('a framework', () => {
  test('MA5: needs a permission to subscribe, and another to launch', async () => {
    const { actor } = cluster.leader
    expect(new MemoryFramework(actor, nobody).subscribe()).toMatchObject({ status: 403 })
    const operator = await actor.operators.call(nobody, { type: 'GET_STATE' })
    expect(operator).toMatchObject({ status: 403 })
    expect(actor.operators.legacy(nobody, 'state', {})).toMatchObject({ status: 403 })
  })

  test('hears from a master that does not lead that it is not ready', () => {
    const { actor } = cluster.follower
    expect(new MemoryFramework(actor, callerOf('scheduler')).subscribe()).toMatchObject({
      status: 503,
    })
  })
})

describe('events', () => {
  test('MA5: are for operators', () => {
    const { signal } = new AbortController()
    const { events } = cluster.leader.actor
    expect(() => events.follow(nobody, undefined, signal)).toThrow('may not')
  })
})

describe('S2: a value', () => {
  const canary = 'canary-7c1e-do-not-leak'
  const forms = [
    canary,
    ...[0, 1, 2].map((shift) =>
      Buffer.from(`${'x'.repeat(shift)}${canary}`)
        .toString('base64')
        .slice(shift === 0 ? 0 : 4, -4),
    ),
    Buffer.from(canary).toString('hex'),
    Buffer.from(canary).toString('base64url'),
  ]
  const leaksIn = (bytes: Uint8Array | string): readonly string[] => {
    const haystack = Buffer.from(bytes).toString('latin1')
    return forms.filter((form) => haystack.includes(form))
  }

  test('is in no journal, snapshot, event, audit line, error, list or state', async () => {
    const { leader } = cluster
    const { secrets, runs } = leader.actor
    const errors: unknown[] = []
    const tried = async (act: Promise<unknown>): Promise<unknown> =>
      cluster.settle(act).catch((error: unknown) => errors.push(error))
    await tried(secrets.create(root, 'dev/db', text(canary)))
    await tried(secrets.create(root, 'dev/db', text(canary)))
    await tried(secrets.update(root, 'dev/db', text(canary), 7))
    await tried(secrets.create(nobody, 'dev/x', text(canary)))
    await tried(leader.actor.identity.login('root', new Redacted(utf8(canary)), '127.0.0.1'))
    await tried(leader.actor.identity.login(canary, new Redacted(utf8(rootPassword)), '127.0.0.1'))
    const data = Buffer.from(canary).toString('base64')
    const secret = { type: 'VALUE', value: { data } }
    const spec = (name: string): object => ({
      name: 'x',
      resources: scalars(0.1, 32),
      command: { value: 'true', environment: { variables: [{ name, type: 'SECRET', secret }] } },
    })
    await tried(runs.submit(root, spec('DB')))
    await tried(runs.submit(root, spec('')))
    const { agent, framework } = await runningTask()
    framework.call({
      type: 'ACCEPT',
      accept: {
        offer_ids: [framework.offers.at(-1)?.id],
        operations: [
          {
            type: 'LAUNCH',
            launch: {
              task_infos: [
                {
                  ...spec('DB'),
                  task_id: { value: 'inline' },
                  agent_id: framework.offers.at(-1)?.agent_id,
                },
              ],
            },
          },
        ],
      },
    })
    await cluster.until(() => framework.offers.length > 1)
    agent.say({
      type: 'status-update',
      frameworkId: framework.frameworkId,
      status: {
        task_id: { value: 'task-1' },
        state: 'TASK_RUNNING',
        uuid: Buffer.from(uuidBytes(random)).toString('base64'),
      },
    })
    await cluster.until(() => framework.statesOf('task-1').includes('TASK_RUNNING'))

    const state = await cluster.settle(leader.actor.operators.call(root, { type: 'GET_STATE' }))
    const shown = [
      await cluster.settle(secrets.list(root, '')),
      await cluster.settle(secrets.listMetadata(root, '')),
      await cluster.settle(secrets.versions(root, 'dev/db')),
      await cluster.settle(runs.list(root)),
      await cluster.settle(leader.actor.tasks.list(root)),
      await cluster.settle(leader.actor.agents(root)),
      state,
      leader.actor.status(),
      framework.heard,
      agent.received,
      errors.map((error) => [String(error), (error as Error).stack, JSON.stringify(error)]),
    ]
    expect(errors.length).toBeGreaterThanOrEqual(4)
    expect(leaksIn(JSON.stringify(shown))).toEqual([])
    for (const master of cluster.masters) {
      expect(leaksIn(JSON.stringify(await eventsAt(master)))).toEqual([])
      expect(leaksIn(JSON.stringify(master.audit.records))).toEqual([])
      expect(leaksIn(JSON.stringify(master.problems.map(String)))).toEqual([])
      expect(master.journal.length).toBeGreaterThan(5)
      for (const written of [...master.journal, master.store.snapshot()]) {
        expect(leaksIn(written)).toEqual([])
      }
    }
    // The search finds what is there: the same value, unsealed.
    expect(leaksIn(JSON.stringify({ data }))).not.toEqual([])
  })
})
