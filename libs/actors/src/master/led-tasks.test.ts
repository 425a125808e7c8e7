import { ManualClock, SeededRandom } from '@conclave/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { MemoryAgent } from '../testing/memory-agent.ts'
import { MemoryCluster, type MemoryMaster } from '../testing/memory-cluster.ts'
import { MemoryFramework } from '../testing/memory-framework.ts'
import { callerOf, firstPeople } from '../testing/people.ts'
import { NotLeader, PeerSilent } from './errors.ts'
import { LedTasks } from './led-tasks.ts'
import type { SessionOutput, TaskSession } from './master-api.ts'

const root = callerOf('root')
const nobody = callerOf('nobody')

const clock = new ManualClock()

const refuse = async (): Promise<never> => {
  throw new NotLeader()
}
const refusing = {
  kill: refuse,
  signal: refuse,
  usage: refuse,
  resize: refuse,
  logs: refuse,
  exec: refuse,
}

let cluster: MemoryCluster
let agent: MemoryAgent
let other: MemoryMaster

const scalars = (cpus: number, mem: number): readonly object[] => [
  { name: 'cpus', type: 'SCALAR', scalar: { value: cpus } },
  { name: 'mem', type: 'SCALAR', scalar: { value: mem } },
]

/** A task that runs on an agent of the leader. */
beforeEach(async () => {
  const random = new SeededRandom(41)
  const identities = await firstPeople(random)
  cluster = new MemoryCluster({ clock, random, identities })
  await cluster.elected()
  agent = new MemoryAgent(cluster.leader.actor, 'agent-1')
  const info = { hostname: 'agent-1.example', resources: scalars(4, 1024) }
  agent.say({ type: 'register', info, runtime: 'memory', tasks: [] })
  const framework = new MemoryFramework(cluster.leader.actor, callerOf('scheduler'))
  framework.subscribe()
  await cluster.until(() => framework.offers.length > 0)
  framework.launch({
    name: 'a task',
    resources: scalars(0.5, 32),
    command: { value: 'sleep 60' },
    task_id: { value: 'task-1' },
  } as { task_id: { value: string } })
  await cluster.until(() => agent.heard('launch').length > 0)
  other = cluster.follower
})

const inputBytes = (): number =>
  agent
    .heard('session-input')
    .reduce((sum, { data }) => sum + Buffer.from(data, 'base64').length, 0)

const print = (sessionId: string, text: string): void =>
  agent.say({
    type: 'session-output',
    sessionId,
    stream: 'stdout',
    data: Buffer.from(text).toString('base64'),
  })

async function opened(): Promise<{ session: TaskSession; sessionId: string }> {
  const archive = { do: 'pack', path: '/srv' } as const
  const wanted = { argv: ['cat'], env: { A: 'b' }, terminal: { rows: 24, columns: 80 }, archive }
  const session = await cluster.settle(other.actor.tasks.exec(root, 'task-1', wanted))
  const [open] = agent.heard('open-exec')
  expect(open).toMatchObject({ ...wanted, taskId: 'task-1' })
  return { session, sessionId: open?.sessionId ?? '' }
}

async function all(session: TaskSession): Promise<readonly SessionOutput[]> {
  const seen: SessionOutput[] = []
  for await (const output of session.output()) seen.push(output)
  return seen
}

describe('MA63: a task, at a master that does not lead', () => {
  test('is entered through the leader: what is said goes there, what it says comes back', async () => {
    const { session, sessionId } = await opened()
    session.write(Buffer.from('typed'))
    session.resize({ rows: 5, columns: 6 })
    session.signal('SIGINT')
    session.endInput()
    await cluster.until(() => agent.heard('session-input-end').length > 0)
    expect(agent.received.slice(-4).map(({ type }) => type)).toEqual([
      'session-input',
      'session-resize',
      'session-signal',
      'session-input-end',
    ])

    print(sessionId, 'one')
    print(sessionId, 'two')
    agent.say({ type: 'session-end', sessionId, exitCode: 3 })
    const seen = await cluster.settle(all(session))

    expect(
      seen.map((one) => (one.kind === 'data' ? Buffer.from(one.bytes).toString() : one)),
    ).toEqual(['one', 'two', { kind: 'end', exitCode: 3, error: undefined }])
  })

  test('gives its logs, and is signalled and killed', async () => {
    const { tasks } = other.actor
    const logs = await cluster.settle(tasks.logs(root, 'task-1', { follow: true, tail: 3 }))
    expect(agent.heard('open-logs')).toMatchObject([{ follow: true, tail: 3 }])
    logs.close()
    await cluster.until(() => agent.heard('session-close').length > 0)

    await cluster.settle(tasks.signal(root, 'task-1', 'HUP'))
    expect(agent.heard('signal-task')).toMatchObject([{ taskId: 'task-1', signal: 'HUP' }])

    await cluster.settle(tasks.signal(root, 'task-1', undefined))
    expect(agent.heard('signal-task').at(-1)?.signal).toBeUndefined()

    await cluster.settle(tasks.resize(root, 'task-1', { rows: 40, columns: 100 }))
    expect(agent.heard('resize-task')).toMatchObject([{ rows: 40, columns: 100 }])
    const attached = await cluster.settle(
      tasks.logs(root, 'task-1', { follow: true, tail: 0, isAttached: true }),
    )
    expect(agent.heard('open-logs').at(-1)).toMatchObject({ isAttached: true })
    attached.write(Buffer.from('typed'))
    await cluster.until(() => agent.heard('session-input').length > 0)
    attached.close()

    expect(await cluster.settle(tasks.kill(root, 'task-1'))).toMatchObject({ taskId: 'task-1' })
    await cluster.until(() => agent.heard('kill').length > 0)
  })

  test('says what it has used, which is what its agent says, if that is such a thing', async () => {
    const { tasks } = other.actor
    const usage = {
      cpuMs: 12.5,
      memoryBytes: 4096,
      memoryBytesMax: 8192,
      processes: 2,
      processesMax: 64,
      readBytes: 1,
      writtenBytes: 2,
      atMs: 1000,
      processors: 2,
    }
    const asked = async (said: object): Promise<unknown> => {
      const count = agent.heard('open-usage').length
      const answer = tasks.usage(root, 'task-1')
      await cluster.until(() => agent.heard('open-usage').length > count)
      const { sessionId = '' } = agent.heard('open-usage').at(-1) ?? {}
      print(sessionId, JSON.stringify(said))
      agent.say({ type: 'session-end', sessionId, exitCode: 0 })
      return cluster.settle(answer)
    }
    expect(await asked(usage)).toEqual(usage)
    await expect(asked({ ...usage, cpuMs: -1 })).rejects.toMatchObject({ code: 'task.not-running' })
    await expect(cluster.settle(tasks.usage(nobody, 'task-1'))).rejects.toMatchObject({
      code: 'access.denied',
    })
  })

  test('is for those who may: who may not is on record where they asked, what is done is on record at the leader', async () => {
    const { tasks } = other.actor
    const wanted = { argv: ['cat'] }
    const denied = { code: 'access.denied' }
    await expect(cluster.settle(tasks.exec(nobody, 'task-1', wanted))).rejects.toMatchObject(denied)
    await expect(cluster.settle(tasks.kill(nobody, 'task-1'))).rejects.toMatchObject(denied)
    expect(agent.heard('open-exec')).toEqual([])
    expect(other.audit.records.map(({ outcome }) => outcome)).toEqual(['denied', 'denied'])

    await opened()
    const { audit } = cluster.leader
    const record = { principal: 'root', path: 'task/task-1', outcome: 'allowed' }
    expect(audit.records).toContainEqual(expect.objectContaining(record))
  })

  test('that cannot be entered says so as at the leader', async () => {
    const { tasks } = other.actor
    agent.drop()
    const refused = cluster.settle(tasks.exec(root, 'task-1', { argv: ['cat'] }))
    await expect(refused).rejects.toMatchObject({ code: 'task.not-running' })
    const killed = cluster.settle(tasks.kill(root, 'task-1'))
    await expect(killed).rejects.toMatchObject({ code: 'task.not-running' })
  })

  test('cannot be entered, killed or signalled where the leader cannot be asked', async () => {
    const nowhere = { host: '10.0.0.1', port: 1 }
    const tasks = new LedTasks({
      own: {
        ...refusing,
        list: (caller) => other.actor.tasks.list(caller),
        find: (caller, taskId) => other.actor.tasks.find(caller, taskId),
      },
      isLeader: () => false,
      leader: () => ({ nodeId: 1, masterId: 'master-1', addresses: [nowhere] }),
      peers: {
        ask: async (at, masterId) => {
          throw new PeerSilent(masterId, at)
        },
        open: () => ({
          say: () => undefined,
          room: async () => undefined,
          heard: async function* () {},
          hangUp: () => undefined,
        }),
      },
    })
    const calls: readonly (() => Promise<unknown>)[] = [
      () => tasks.logs(root, 'task-1', { follow: false }),
      () => tasks.exec(root, 'task-1', { argv: ['sh'] }),
      () => tasks.signal(root, 'task-1', 'HUP'),
      () => tasks.usage(root, 'task-1'),
      () => tasks.resize(root, 'task-1', { rows: 1, columns: 1 }),
      () => tasks.kill(root, 'task-1'),
    ]
    for (const call of calls) {
      await expect(call()).rejects.toMatchObject({
        code: 'cluster.not-leader',
        message: 'this master does not lead, and cannot ask master-1, which does',
      })
    }
    expect(await cluster.settle(tasks.list(root))).toHaveLength(1)
  })

  test('is not entered for a master that is no member', async () => {
    const stranger = cluster.start(9)
    const line = await cluster.settle(
      (async () => {
        const by = { uid: 'root', requestId: 'x' }
        const leader = cluster.leader
        const opening = { open: 'logs', taskId: 'task-1', by, wanted: { follow: true } } as const
        const at = { host: '10.0.0.1', port: 200 + leader.nodeId }
        const heard: unknown[] = []
        for await (const message of cluster.open(stranger, at, leader.masterId, opening).heard()) {
          heard.push(message)
        }
        return heard
      })(),
    )
    expect(line).toEqual([])
    expect(agent.heard('open-logs')).toEqual([])
  })

  test('is sent no more input than its program reads, and signals pass that', async () => {
    const { session, sessionId } = await opened()
    const bytes = 1024 * 1024
    session.write(new Uint8Array(bytes))
    let hasRoom = false
    const room = session.room().then(() => (hasRoom = true))
    for (let rounds = 0; rounds < 20; rounds++) await cluster.round()
    expect(inputBytes()).toBeLessThan(512 * 1024)
    expect(hasRoom).toBe(false)
    session.signal('SIGINT')
    await cluster.until(() => agent.heard('session-signal').length > 0)

    for (let takenBytes = 0; takenBytes < bytes;) {
      const sizeBytes = inputBytes() - takenBytes
      takenBytes += sizeBytes
      if (sizeBytes > 0) agent.say({ type: 'session-taken', sessionId, sizeBytes })
      await cluster.round()
    }
    // What the leader says of it comes with the output, which somebody has to read.
    const seen = all(session)
    await cluster.settle(room)
    agent.say({ type: 'session-end', sessionId, exitCode: 0 })
    await cluster.settle(seen)
  })

  test('is left with its client, and a client with its leader', async () => {
    const { session } = await opened()
    session.close()
    await cluster.until(() => agent.heard('session-close').length > 0)

    const again = await cluster.settle(other.actor.tasks.exec(root, 'task-1', { argv: ['cat'] }))
    cluster.leader.crash()
    expect(await cluster.settle(all(again))).toMatchObject([{ kind: 'end', exitCode: undefined }])
  })

  test('is left by who may no longer be there', async () => {
    const expiresAtMs = clock.nowMs() + 1000
    const { tasks } = other.actor
    const session = await cluster.settle(
      tasks.exec({ ...root, expiresAtMs }, 'task-1', { argv: ['cat'] }),
    )
    expect(await cluster.settle(all(session))).toMatchObject([
      { kind: 'end', error: expect.stringContaining('no longer allowed') as string },
    ])
  })
})
