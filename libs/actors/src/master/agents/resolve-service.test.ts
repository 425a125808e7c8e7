import { boxContext, createBoxKeyPair, openBox, type BoxKeyPair } from '@conclave/crypto'
import { Redacted, utf8, utf8Text, uuidBytes } from '@conclave/kernel'
import type { FromAgent, Resolution, ToAgent } from '@conclave/model'
import type { DriverAnswer, DriverQuestion } from '@conclave/resolver'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { MemoryAgent } from '../../testing/memory-agent.ts'
import { MemoryCluster } from '../../testing/memory-cluster.ts'
import { MemoryFramework } from '../../testing/memory-framework.ts'
import { callerOf, firstPeople } from '../../testing/people.ts'

type Launch = Extract<ToAgent, { type: 'launch' }>
type Wanted = Extract<FromAgent, { type: 'resolve' }>['secrets'][number]

const root = callerOf('root')
const random = new SeededRandom(11)

let cluster: MemoryCluster
let agent: MemoryAgent
let framework: MemoryFramework
/** What a driver was asked, and what it says. */
let toDriver: DriverQuestion[] = []
let driven: (of: DriverQuestion) => DriverAnswer

const resources = [
  { name: 'cpus', type: 'SCALAR', scalar: { value: 4 } },
  { name: 'mem', type: 'SCALAR', scalar: { value: 1024 } },
]
const needs = [
  { name: 'cpus', type: 'SCALAR', scalar: { value: 0.1 } },
  { name: 'mem', type: 'SCALAR', scalar: { value: 32 } },
]

beforeEach(async () => {
  toDriver = []
  cluster = new MemoryCluster({
    clock: new ManualClock(),
    random,
    identities: await firstPeople(random),
    drivers: {
      has: async () => true,
      ask: async (of) => {
        toDriver.push(of)
        return driven(of)
      },
    },
  })
  await cluster.elected()
  await store('dev/db', 's3cr3t')
  await store('dev/json', '{"user": "app", "password": "p\\u00e4ss", "port": 5432}')
  agent = register('agent-1')
  framework = new MemoryFramework(cluster.leader.actor, callerOf('scheduler'))
  framework.subscribe()
  await cluster.until(() => framework.offers.length > 0)
})

const store = (path: string, value: string): Promise<unknown> =>
  cluster.settle(
    cluster.leader.actor.secrets.create(root, path, {
      kind: 'text',
      bytes: new Redacted(utf8(value)),
    }),
  )

function register(name: string): MemoryAgent {
  const one = new MemoryAgent(cluster.leader.actor, name)
  const info = { hostname: name, port: 5051, resources }
  one.say({ type: 'register', info, runtime: 'memory', tasks: [] })
  return one
}

const reference = (name: string, key?: string): object => ({
  type: 'REFERENCE',
  reference: { name, ...(key !== undefined && { key }) },
})

const environment = (secret: object): object => ({
  variables: [{ name: 'DB', type: 'SECRET', secret }],
})

async function launch(secret: object, taskId = 'task-1'): Promise<Launch> {
  const command = { value: 'true', environment: environment(secret) }
  framework.launch({
    name: 'task',
    task_id: { value: taskId },
    resources: needs,
    command,
  } as { task_id: { value: string } })
  const found = (): Launch | undefined =>
    agent.heard('launch').find(({ task }) => task.task_id.value === taskId)
  await cluster.until(() => found() !== undefined || framework.statesOf(taskId).length > 0)
  const launched = found()
  if (launched === undefined) throw new Error(JSON.stringify(framework.heard.at(-1)))
  return launched
}

/** As an agent asks, from what it was told to launch. */
function question(
  launched: Launch,
  keyPair: BoxKeyPair,
  secrets?: readonly Wanted[],
): Extract<FromAgent, { type: 'resolve' }> {
  const wanted = launched.task.command?.environment?.variables ?? []
  return {
    type: 'resolve',
    requestId: `q-${random.below(1e9)}`,
    frameworkId: launched.frameworkId,
    taskId: launched.task.task_id.value,
    containerId: launched.containerId,
    publicKey: Buffer.from(keyPair.publicKey).toString('base64'),
    secrets:
      secrets ??
      wanted.flatMap(({ name, secret }) =>
        secret === undefined ? [] : [{ secret, purpose: `env ${name}` }],
      ),
  }
}

async function ask(
  of: MemoryAgent,
  asked: Extract<FromAgent, { type: 'resolve' }>,
): Promise<readonly Resolution[]> {
  of.say(asked)
  const answer = (): Extract<ToAgent, { type: 'resolved' }> | undefined =>
    of.heard('resolved').find(({ requestId }) => requestId === asked.requestId)
  await cluster.until(() => answer() !== undefined)
  return answer()?.resolutions ?? []
}

function opened(resolution: Resolution | undefined, launched: Launch, keyPair: BoxKeyPair): string {
  if (resolution?.outcome !== 'value') throw new Error(JSON.stringify(resolution))
  const { path, version, box } = resolution
  const context = boxContext({
    taskId: launched.task.task_id.value,
    containerId: launched.containerId,
    path,
    version,
  })
  return utf8Text(openBox(keyPair, Buffer.from(box, 'base64'), context).reveal())
}

const eventsOf = async (types: readonly string[]): Promise<string[]> => {
  const { events } = cluster.leader
  const seen: string[] = []
  const stop = new AbortController()
  const boot = events.lastId.slice(0, events.lastId.lastIndexOf(':'))
  for await (const event of events.follow(`${boot}:0`, stop.signal)) {
    if (types.includes(event.type)) seen.push(event.type)
    if (event.id === events.lastId) stop.abort()
  }
  return seen
}

const end = (launched: Launch): void => {
  agent.say({
    type: 'status-update',
    frameworkId: launched.frameworkId,
    status: {
      task_id: launched.task.task_id,
      state: 'TASK_FINISHED',
      uuid: Buffer.from(uuidBytes(random)).toString('base64'),
    },
  })
}

describe('an agent that runs a task', () => {
  test('MA6: gets what the task was granted, in a box for its container', async () => {
    const keyPair = createBoxKeyPair(random)
    const launched = await launch(reference('dev/db'))

    const [answer] = await ask(agent, question(launched, keyPair))

    expect(opened(answer, launched, keyPair)).toBe('s3cr3t')
    expect(() => opened(answer, launched, createBoxKeyPair(random))).toThrow()
    expect(() => opened(answer, { ...launched, containerId: 'other' }, keyPair)).toThrow()
    expect(await eventsOf(['secret.requested', 'secret.released', 'secret.refused'])).toEqual([
      'secret.requested',
      'secret.released',
    ])
  })

  test('MA6: gets the one member of a JSON object that the reference names', async () => {
    const keyPair = createBoxKeyPair(random)
    const launched = await launch(reference('dev/json', 'password'))
    const [answer] = await ask(agent, question(launched, keyPair))
    expect(opened(answer, launched, keyPair)).toBe('päss')
  })

  test.each([
    ['dev/json', 'none', 'not-found'],
    ['dev/json', 'port', 'invalid'],
    ['dev/db', 'password', 'invalid'],
  ])('MA6: of %s with key %s it hears %s', async (path, key, outcome) => {
    const launched = await launch(reference(path, key))
    const [answer] = await ask(agent, question(launched, createBoxKeyPair(random)))
    expect(answer).toMatchObject({ outcome })
  })

  test('MA6: gets an inline value, which was sealed before anybody stored it', async () => {
    const keyPair = createBoxKeyPair(random)
    const data = Buffer.from('inline canary').toString('base64')
    const launched = await launch({ type: 'VALUE', value: { data } })

    const [answer] = await ask(agent, question(launched, keyPair))

    expect(opened(answer, launched, keyPair)).toBe('inline canary')
    expect(JSON.stringify(launched)).not.toContain(data)
  })

  test('MA6: gets the version that was current when the task was launched', async () => {
    const keyPair = createBoxKeyPair(random)
    const launched = await launch(reference('dev/db'))
    await cluster.settle(
      cluster.leader.actor.secrets.update(root, 'dev/db', {
        kind: 'text',
        bytes: new Redacted(utf8('newer')),
      }),
    )
    const [answer] = await ask(agent, question(launched, keyPair))
    expect(answer).toMatchObject({ version: 1 })
    expect(opened(answer, launched, keyPair)).toBe('s3cr3t')
  })

  test('MA6: hears not-found for a secret that is not there', async () => {
    const launched = await launch(reference('dev/none'))
    const [answer] = await ask(agent, question(launched, createBoxKeyPair(random)))
    expect(answer).toMatchObject({ outcome: 'not-found' })
  })
})

describe('S3: a value is not released', () => {
  test('for a secret that the task does not refer to', async () => {
    const launched = await launch(reference('dev/db'))
    const wanted = [
      { secret: { type: 'REFERENCE' as const, reference: { name: 'dev/json' } }, purpose: 'env X' },
    ]
    const [answer] = await ask(agent, question(launched, createBoxKeyPair(random), wanted))
    expect(answer).toMatchObject({ outcome: 'denied' })
  })

  test('for an inline value of another task', async () => {
    const data = Buffer.from('of the first').toString('base64')
    const first = await launch({ type: 'VALUE', value: { data } })
    await cluster.until(() => framework.offers.length > 1)
    const second = await launch(reference('dev/db'), 'task-2')
    const stolen = question(first, createBoxKeyPair(random)).secrets

    const [answer] = await ask(agent, question(second, createBoxKeyPair(random), stolen))

    expect(answer).toMatchObject({ outcome: 'denied' })
  })

  test('to an agent that does not run the task', async () => {
    const launched = await launch(reference('dev/db'))
    const other = register('agent-2')
    await cluster.until(() => other.heard('registered').length > 0)
    const [answer] = await ask(other, question(launched, createBoxKeyPair(random)))
    expect(answer).toMatchObject({ outcome: 'denied' })
  })

  test('for another container than the one the task was launched as', async () => {
    const launched = await launch(reference('dev/db'))
    const asked = { ...question(launched, createBoxKeyPair(random)), containerId: 'elsewhere' }
    expect((await ask(agent, asked))[0]).toMatchObject({ outcome: 'denied' })
  })

  test('once the task has ended', async () => {
    const launched = await launch(reference('dev/db'))
    end(launched)
    await cluster.until(() => framework.statesOf('task-1').includes('TASK_FINISHED'))
    const [answer] = await ask(agent, question(launched, createBoxKeyPair(random)))
    expect(answer).toMatchObject({ outcome: 'denied' })
  })

  test('when the grant is revoked while the record is being written', async () => {
    const launched = await launch(reference('dev/db'))
    cluster.leader.audit.onAppend = () => end(launched)
    const [answer] = await ask(agent, question(launched, createBoxKeyPair(random)))
    expect(answer).toMatchObject({ outcome: 'denied' })
  })

  test('while it cannot be put on record', async () => {
    const launched = await launch(reference('dev/db'))
    cluster.leader.audit.isBroken = true
    const [answer] = await ask(agent, question(launched, createBoxKeyPair(random)))
    expect(answer).toMatchObject({ outcome: 'unavailable' })
  })

  test('by a leader that others have deposed without its knowledge', async () => {
    const launched = await launch(reference('dev/db'))
    const old = cluster.leader
    cluster.cut(old)
    expect(old.actor.status().role).toBe('leader')

    agent.say(question(launched, createBoxKeyPair(random)))
    await cluster.until(() => old.actor.status().role !== 'leader')
    for (let round = 0; round < 500; round++) await cluster.round()

    expect(agent.heard('resolved')).toEqual([])
    expect(agent.isClosed).toBe(true)
  })

  test('to a public key that is none', async () => {
    const launched = await launch(reference('dev/db'))
    const asked = {
      ...question(launched, createBoxKeyPair(random)),
      publicKey: Buffer.alloc(32).toString('base64'),
    }
    expect((await ask(agent, asked))[0]).toMatchObject({ outcome: 'invalid' })
  })

  test('without a line that says to whom, and which version', async () => {
    const launched = await launch(reference('dev/db'))
    await ask(agent, question(launched, createBoxKeyPair(random)))
    expect(cluster.leader.audit.records.at(-1)).toMatchObject({
      action: 'resolve',
      path: 'dev/db',
      version: 1,
      outcome: 'allowed',
      taskId: 'task-1',
      frameworkId: launched.frameworkId,
      principal: expect.stringMatching(/^agent\/.+-S0$/) as string,
    })
  })
})

describe('an agent that asks faster than it is answered', () => {
  test('MA21 threat:RF-08: is not listened to until it has been, and others are', async () => {
    const other = register('agent-2')
    const launched = await launch(reference('dev/db'))
    const disk = Promise.withResolvers<void>()
    cluster.leader.audit.onAppend = () => disk.promise
    const keyPair = createBoxKeyPair(random)

    for (let count = 0; count < 255; count++) agent.say(question(launched, keyPair))
    expect(agent.isPaused).toBe(false)
    agent.say(question(launched, keyPair))
    await cluster.round()
    expect(agent.isPaused).toBe(true)
    expect(other.isPaused).toBe(false)

    disk.resolve()
    await cluster.until(() => agent.heard('resolved').length === 256)
    expect(agent.isPaused).toBe(false)
  })

  test('MA21 threat:RF-08: nor while what it reports is not agreed on', async () => {
    const launched = await launch(reference('dev/db'))
    const running = (): void =>
      agent.say({
        type: 'status-update',
        frameworkId: launched.frameworkId,
        status: {
          task_id: launched.task.task_id,
          state: 'TASK_RUNNING',
          uuid: Buffer.from(uuidBytes(random)).toString('base64'),
        },
      })

    for (let count = 0; count < 256; count++) running()
    expect(agent.isPaused).toBe(true)

    await cluster.until(() => !agent.isPaused)
  })
})

describe('MA59: a secret that a driver has', () => {
  const labels = { 'conclave.docker/driver': 'vault', path: 'x' }

  const drive = async (): Promise<void> => {
    const input = { kind: 'binary' as const, bytes: new Redacted(new Uint8Array(0)), labels }
    await cluster.settle(cluster.leader.actor.secrets.create(root, 'dev/drv', input))
  }

  test('is what the driver says for this task, boxed, and wiped here', async () => {
    const bytes = new Redacted(utf8('driven'))
    driven = () => ({ outcome: 'value', bytes })
    await drive()
    const keyPair = createBoxKeyPair(random)
    const launched = await launch(reference('dev/drv'))

    const [answer] = await ask(agent, question(launched, keyPair))

    expect(opened(answer, launched, keyPair)).toBe('driven')
    expect(toDriver).toMatchObject([
      { driver: 'vault', secretName: 'dev/drv', secretLabels: { path: 'x' }, taskId: 'task-1' },
    ])
    expect(bytes.reveal().every((byte) => byte === 0)).toBe(true)
  })

  test('is not had when the driver has a reason, which the agent is told', async () => {
    driven = () => ({ outcome: 'unavailable', why: 'plugin vault: backend says no' })
    await drive()
    const launched = await launch(reference('dev/drv'))
    const answers = await ask(agent, question(launched, createBoxKeyPair(random)))
    expect(answers).toEqual([{ outcome: 'unavailable', why: 'plugin vault: backend says no' }])
  })

  test('S3: is not asked for before it is on record, nor given once the task has ended', async () => {
    const bytes = new Redacted(utf8('driven'))
    await drive()
    const launched = await launch(reference('dev/drv'))
    driven = () => {
      const resolved = cluster.leader.audit.records.filter(({ action }) => action === 'resolve')
      expect(resolved).toMatchObject([{ path: 'dev/drv', outcome: 'allowed' }])
      end(launched)
      return { outcome: 'value', bytes }
    }
    const answers = await ask(agent, question(launched, createBoxKeyPair(random)))
    expect(answers).toMatchObject([{ outcome: 'denied' }])
    expect(bytes.reveal().every((byte) => byte === 0)).toBe(true)
  })

  test('that nobody was granted is not asked for', async () => {
    driven = () => ({ outcome: 'value', bytes: new Redacted(utf8('driven')) })
    await drive()
    const launched = await launch(reference('dev/db'))
    const secret = { secret: reference('dev/drv') as Wanted['secret'], purpose: 'env DB' }
    const answers = await ask(agent, question(launched, createBoxKeyPair(random), [secret]))
    expect(answers).toMatchObject([{ outcome: 'denied' }])
    expect(toDriver).toEqual([])
  })
})
