import { describe, expect, test } from 'vitest'
import { Front } from '../testing/front.ts'
import { sentSpec, Services } from '../testing/services.ts'
import { isEventWanted } from './event-filters.ts'
import { EngineEvents } from './event-log.ts'
import { eventLine, type EngineEvent } from './event.ts'

const secret = { type: 'secret', id: 'uo66o1ykx972', scope: 'swarm' } as const
const event = (action: string, name = 'evs'): Omit<EngineEvent, 'atNs'> => ({
  ...secret,
  action,
  attributes: { name },
})

async function all(events: AsyncIterable<EngineEvent>): Promise<readonly string[]> {
  const seen: string[] = []
  for await (const { action } of events) seen.push(action)
  return seen
}

const never = (): AbortSignal => new AbortController().signal

describe('DK43: an event', () => {
  test('is one line, with nanoseconds that no number of JavaScript holds', () => {
    const line = eventLine({ ...event('create'), atNs: 1_795_322_261_123_456_789n }).toString()

    expect(line).toBe(
      '{"Type":"secret","Action":"create","Actor":{"ID":"uo66o1ykx972","Attributes":{"name":"evs"}},"scope":"swarm","time":1795322261,"timeNano":1795322261123456789}\n',
    )
  })

  test('of a container has the fields of old clients, too', () => {
    const line = eventLine({
      type: 'container',
      action: 'start',
      id: 'abc',
      scope: 'local',
      attributes: { image: 'redis:7', name: 'x' },
      atNs: 1n,
    }).toString()
    expect(JSON.parse(line)).toMatchObject({ status: 'start', id: 'abc', from: 'redis:7' })
  })

  test.each([
    [{ type: ['secret'] }, true],
    [{ type: ['service', 'secret'] }, true],
    [{ scope: ['local'] }, false],
    [{ event: ['remove'] }, false],
    [{ secret: ['evs'] }, true],
    [{ secret: ['ev'] }, true],
    // As dockerd has it: each of them asks for an id or a name, of whatever type.
    [{ service: ['ev'] }, true],
    [{ service: ['other'] }, false],
    [{ foo: ['bar'] }, true],
    [{ label: ['name=evs'] }, true],
    [{ label: ['name='] }, false],
    [{ event: ['crea'] }, false],
  ])('is wanted by %j: %j', (filters, isWanted) => {
    const asked = new Map(Object.entries(filters))
    expect(isEventWanted({ ...event('create'), atNs: 1n }, asked)).toBe(isWanted)
  })
})

test.each([
  ['exec_start', 'exec_start: sh -c ls', true],
  ['exec_start: sh -c ls', 'exec_start: sh -c ls', true],
  ['exec_start: sh', 'exec_start: sh -c ls', false],
  ['health_status', 'health_status: healthy', true],
  ['die', 'die', true],
])('DK43: %s asks for %s: %j', (wanted, action, isWanted) => {
  const filters = new Map([['event', [wanted]]])
  expect(isEventWanted({ ...event(action), atNs: 1n }, filters)).toBe(isWanted)
})

test.each([
  ['since=garbage', 'strconv.ParseInt: parsing "garbage": invalid syntax'],
  ['since=5&until=1', '`since` time (5) cannot be after `until` time (1)'],
  ['filters=x', 'invalid filter'],
])('DK43: of %s nobody can tell', async (query, message) => {
  const answer = await (await new Front().withSwarm()).ask('GET', `/events?${query}`)
  expect([answer.statusCode, answer.json()]).toEqual([400, { message }])
})

describe('DK43: events', () => {
  test('are remembered for a while, and each has a time of its own', async () => {
    const events = new EngineEvents()
    for (let count = 0; count < 300; count++) events.add(event(`a${count}`), 1000)

    const past = await all(events.read(new Map(), 0n, 2000, never()))

    expect([past.length, past[0], past.at(-1)]).toEqual([256, 'a44', 'a299'])
    expect(await all(events.read(new Map(), 1_000_000_290n, 2000, never()))).toHaveLength(10)
  })

  test('come to readers as they come about, and end with them', async () => {
    const events = new EngineEvents()
    const gone = new AbortController()
    events.add(event('before'), 1)
    const read = all(events.read(new Map(), undefined, undefined, gone.signal))
    events.add(event('one'), 2)
    events.add(event('two'), 3)
    await new Promise((resolve) => setImmediate(resolve))
    gone.abort()

    expect(await read).toEqual(['one', 'two'])
  })

  test('tell of services, their containers, secrets, configs and networks', async () => {
    const front = await new Front().withSwarm()
    await front.app.ready()
    const { scene, news } = front.master
    scene.addNode('agent-1')
    await new Promise((resolve) => setImmediate(resolve))
    news.tell({ kind: 'secret', change: 'created', id: 's1', path: 'my_secret' })
    news.tell({ kind: 'secret', change: 'created', id: 's2', path: 'dev/of-another-face' })
    news.tell({ kind: 'secret', change: 'removed', id: 'c1', path: 'docker-configs/conf' })
    news.tell({ kind: 'document', change: 'created', of: 'docker-network', id: 'n1', name: 'net' })
    await new Services(front).create(sentSpec('evsvc'))
    await scene.settle()

    const seen = await eventsOf(front)
    expect(seen).toEqual(
      expect.arrayContaining([
        'secret create my_secret',
        'config remove conf',
        'network create net',
        'service create evsvc',
        expect.stringMatching(/^container create evsvc\.1\./),
        expect.stringMatching(/^container start evsvc\.1\./),
      ]),
    )
    expect(seen.join('\n')).not.toContain('of-another-face')
    await front.app.close()
  })
})

test('DK43: of nodes tell what turned into what, under the id that node ls shows', async () => {
  const front = await new Front().withSwarm()
  const { scene, news } = front.master
  scene.addNode('agent-1')
  await front.app.ready()
  await new Promise((resolve) => setImmediate(resolve))
  const nodes = (await front.ask('GET', '/nodes')).json<
    { ID: string; Description: { Hostname: string } }[]
  >()
  const idOf = (name: string): string | undefined =>
    nodes.find(({ Description }) => Description.Hostname === name)?.ID
  const still = { before: 'worker', after: 'worker' } as const
  const agent = { kind: 'agent', agentId: 'agent-1-S0', hostname: 'agent-1' } as const
  const master = { kind: 'master', masterId: 'master-1', change: 'updated' } as const

  news.tell({ ...agent, change: 'created', state: { before: undefined, after: 'ready' } })
  news.tell({ ...agent, change: 'updated', state: { before: 'ready', after: 'down' } })
  news.tell({
    kind: 'node',
    change: 'created',
    name: 'agent-1',
    availability: { before: undefined, after: 'drain' },
    role: { before: undefined, after: 'worker' },
  })
  news.tell({
    kind: 'node',
    change: 'updated',
    name: 'agent-1',
    availability: { before: 'drain', after: 'active' },
    role: still,
  })
  news.tell({ ...master, role: { before: 'voter', after: 'voter' } })
  news.tell({ ...master, role: { before: 'learner', after: 'voter' } })
  news.tell({
    ...agent,
    agentId: 'gone-S0',
    change: 'removed',
    state: { before: 'down', after: undefined },
  })
  await new Services(front).create(sentSpec('last'))
  await scene.settle()
  await eventsOf(front)

  const seen = (await shownBy(front)).filter(({ Type }) => Type === 'node')
  expect(seen.map(({ Action, Actor }) => [Action, Actor.ID, Actor.Attributes])).toEqual([
    ['create', idOf('agent-1'), { name: 'agent-1' }],
    ['update', idOf('agent-1'), { name: 'agent-1', 'state.old': 'ready', 'state.new': 'down' }],
    [
      'update',
      idOf('agent-1'),
      { name: 'agent-1', 'availability.old': 'active', 'availability.new': 'drain' },
    ],
    [
      'update',
      idOf('agent-1'),
      { name: 'agent-1', 'availability.old': 'drain', 'availability.new': 'active' },
    ],
    ['update', idOf('master-1'), { name: 'master-1', 'role.old': 'worker', 'role.new': 'manager' }],
    ['remove', expect.stringMatching(/^[0-9a-z]{25}$/), { name: 'agent-1' }],
  ])
  await front.app.close()
})

/** Those of the past, once the container has started. */
async function eventsOf(front: Front): Promise<readonly string[]> {
  for (;;) {
    const seen = (await shownBy(front)).map(
      ({ Type, Action, Actor }) => `${Type} ${Action} ${Actor.Attributes['name'] ?? ''}`,
    )
    if (seen.some((line) => line.startsWith('container start'))) return seen
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function shownBy(front: Front): Promise<readonly Shown[]> {
  const until = Math.floor(Date.now() / 1000) + 1
  const answer = await front.ask('GET', `/events?since=1&until=${until - 1}.999999999`)
  return answer.body
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Shown)
}

interface Shown {
  readonly Type: string
  readonly Action: string
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> }
}
