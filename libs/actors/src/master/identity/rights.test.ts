import { ManualClock, SeededRandom } from '@conclave/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { MemoryAgent } from '../../testing/memory-agent.ts'
import { MemoryCluster } from '../../testing/memory-cluster.ts'
import { MemoryFramework } from '../../testing/memory-framework.ts'
import { callerOf, firstPeople } from '../../testing/people.ts'
import { revokeAll } from '../../testing/rights.ts'
import { identityChangedKey } from './identity-records.ts'
import type { Caller } from '../master-api.ts'

/*
 * threats.md AZ-10 and AZ-03: what was opened or submitted while it was allowed, and is no longer.
 */

const operatorRight = 'dcos:adminrouter:ops:mesos'
const frameworkRight = 'dcos:mesos:master:framework'
const schedulingRight = 'dcos:conclave:scheduling'
const operator = callerOf('operator')
const dev = callerOf('dev')
const random = new SeededRandom(41)

let clock: ManualClock
let cluster: MemoryCluster

beforeEach(async () => {
  const people = await firstPeople(random)
  const isService = false
  clock = new ManualClock()
  cluster = new MemoryCluster({
    clock,
    random,
    identities: {
      users: [
        ...people.users,
        { uid: 'operator', description: '', isService },
        { uid: 'spark', description: '', isService },
      ],
      permissions: [
        ...people.permissions,
        { uid: 'operator', rid: operatorRight, actions: ['full'] },
        { uid: 'spark', rid: frameworkRight, actions: ['create'] },
        { uid: 'spark', rid: 'dcos:mesos:master:task', actions: ['create'] },
        { uid: 'spark', rid: 'dcos:secrets:default:/*', actions: ['read'] },
      ],
    },
  })
  await cluster.elected()
})

const needs = [
  { name: 'cpus', type: 'SCALAR', scalar: { value: 0.1 } },
  { name: 'mem', type: 'SCALAR', scalar: { value: 32 } },
]

const specReferringTo = (path: string): object => ({
  name: 'reader',
  resources: needs,
  command: {
    value: 'true',
    environment: {
      variables: [
        { name: 'DB', type: 'SECRET', secret: { type: 'REFERENCE', reference: { name: path } } },
      ],
    },
  },
})

function register(): MemoryAgent {
  const agent = new MemoryAgent(cluster.leader.actor, 'agent-1')
  const resources = [
    { name: 'cpus', type: 'SCALAR', scalar: { value: 4 } },
    { name: 'mem', type: 'SCALAR', scalar: { value: 1024 } },
  ]
  const info = { hostname: 'agent-1', resources }
  agent.say({ type: 'register', info, runtime: 'memory', tasks: [] })
  return agent
}

async function subscribed(uid = 'scheduler'): Promise<MemoryFramework> {
  const framework = new MemoryFramework(cluster.leader.actor, callerOf(uid))
  framework.subscribe()
  await cluster.until(() => framework.offers.length > 0)
  return framework
}

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  )

describe('when rights end', () => {
  test('MA5 threat:AZ-10: a stream of events tells nothing more', async () => {
    const { actor } = cluster.follower
    const stop = new AbortController()
    const events = actor.events.follow(operator, undefined, stop.signal)
    const next = failureOf(events[Symbol.asyncIterator]().next())

    await revokeAll(cluster, operatorRight)
    cluster.follower.events.append({ type: 'secret.deleted', path: 'ops/key', revision: 1 })

    expect(await cluster.settle(next)).toMatchObject({ code: 'access.denied' })
  })

  test('MA5 threat:AZ-10: a scheduler hears of no more runs', async () => {
    const { actor } = cluster.follower
    const stop = new AbortController()
    const pending = actor.runs.pending(callerOf('scheduler'), stop.signal)[Symbol.asyncIterator]()
    await cluster.settle(pending.next())
    const next = failureOf(pending.next())

    await revokeAll(cluster, schedulingRight)
    void actor.runs.submit(dev, specReferringTo('dev/db'))

    expect(await cluster.settle(next)).toMatchObject({ code: 'access.denied' })
  })

  test('MA5 threat:AZ-10: a framework is disconnected, and offered nothing', async () => {
    register()
    const framework = await subscribed()

    await revokeAll(cluster, frameworkRight)

    expect(framework.isClosed).toBe(true)
    const heard = framework.heard.length
    await cluster.round()
    expect(framework.heard).toHaveLength(heard)
    expect(framework.call({ type: 'REVIVE' })).toMatchObject({ status: 403 })
  })

  test('MA5 threat:AZ-10: whoever is in a container has to leave it, and others stay', async () => {
    const agent = register()
    const framework = await subscribed()
    framework.launch({
      name: 'a task',
      resources: needs,
      command: { value: 'sleep 60' },
      task_id: { value: 'task-1' },
    } as { task_id: { value: string } })
    await cluster.until(() => agent.heard('launch').length > 0)
    const { tasks } = cluster.leader.actor
    const argv = ['sh']
    const theirs = await cluster.settle(tasks.exec(operator, 'task-1', { argv }))
    await cluster.settle(tasks.exec(callerOf('root'), 'task-1', { argv }))

    await revokeAll(cluster, operatorRight)
    theirs.write(Buffer.from('cat secret'))

    const closed = agent.heard('session-close').map(({ sessionId }) => sessionId)
    expect(closed).toEqual([agent.heard('open-exec')[0]?.sessionId])
    expect(agent.heard('session-input')).toEqual([])
    for await (const output of theirs.output()) {
      expect(output).toMatchObject({ kind: 'end', error: 'this is no longer allowed' })
    }
  })

  test('MA5 threat:AZ-10: a run that waits ends, since its submitter may not have what it refers to', async () => {
    const { runId } = await cluster.settle(
      cluster.follower.actor.runs.submit(dev, specReferringTo('dev/db')),
    )

    await revokeAll(cluster, 'dcos:secrets:default:/dev/*')

    expect(await cluster.settle(cluster.leader.actor.runs.get(dev, runId))).toMatchObject({
      state: 'TASK_ERROR',
      reason: 'REASON_TASK_UNAUTHORIZED',
      isTerminal: true,
    })
  })
})

const expiring = (uid: string): Caller => ({
  ...callerOf(uid),
  expiresAtMs: clock.nowMs() + 60_000,
})

async function expire(): Promise<void> {
  clock.advance(60_000)
  for (let rounds = 0; rounds < 20; rounds++) await cluster.round()
}

const ended = async (items: AsyncIterable<unknown>): Promise<string> => {
  for await (const item of items) void item
  return 'ended'
}

describe('when a token ends', () => {
  test('MA19 threat:AU-10: the streams that it has opened end, though nothing happens on them', async () => {
    const { actor } = cluster.follower
    const { runId } = await cluster.settle(actor.runs.submit(dev, specReferringTo('dev/db')))
    const { signal } = new AbortController()
    const streams = [
      actor.events.follow(expiring('operator'), undefined, signal),
      actor.runs.pending(expiring('scheduler'), signal),
      actor.runs.watch(expiring('dev'), runId, signal),
    ].map(ended)
    let isOver = false
    void Promise.all(streams).then(() => (isOver = true))
    for (let rounds = 0; rounds < 20; rounds++) await cluster.round()
    expect(isOver).toBe(false)

    await expire()

    expect(await cluster.settle(Promise.all(streams))).toEqual(['ended', 'ended', 'ended'])
  })

  test('MA19 threat:AU-10: its framework is disconnected', async () => {
    register()
    const framework = new MemoryFramework(cluster.leader.actor, expiring('scheduler'))
    framework.subscribe()
    await cluster.until(() => framework.offers.length > 0)

    await expire()

    expect(framework.isClosed).toBe(true)
  })

  test('MA19 threat:AU-10: its sessions in containers end, also in those of its own runs', async () => {
    const agent = register()
    const framework = await subscribed()
    const { runs, tasks } = cluster.leader.actor
    const { taskId } = await cluster.settle(runs.submit(dev, specReferringTo('dev/db')))
    const task = { name: 'reader', resources: needs, command: { value: 'true' } }
    framework.launch({ ...task, task_id: { value: taskId } })
    await cluster.until(() => agent.heard('launch').length > 0)
    const session = await cluster.settle(tasks.exec(expiring('dev'), taskId, { argv: ['sh'] }))

    await expire()

    for await (const output of session.output()) {
      expect(output).toMatchObject({ kind: 'end', error: 'this is no longer allowed' })
    }
    expect(agent.heard('session-close')).toHaveLength(1)
  })
})

test('MA5 threat:AZ-03: a framework neither hears of runs of others, nor launches one', async () => {
  const agent = register()
  const framework = await subscribed('spark')
  const { runs } = cluster.leader.actor
  const { runId, taskId } = await cluster.settle(runs.submit(dev, specReferringTo('dev/db')))
  const task = { name: 'reader', resources: needs, command: { value: 'true' } }

  const answer = framework.launch({ ...task, task_id: { value: taskId } })

  expect(answer).toMatchObject({ status: 403 })
  const { signal } = new AbortController()
  expect(() => runs.pending(callerOf('spark'), signal)).toThrow('may not')
  await cluster.round()
  expect(agent.heard('launch')).toEqual([])
  expect(await cluster.settle(runs.get(dev, runId))).toMatchObject({ state: 'PENDING' })
})

test('MA5: a framework launches the runs of its own user', async () => {
  const agent = register()
  const framework = await subscribed('spark')
  const { runs } = cluster.leader.actor
  const { taskId } = await cluster.settle(runs.submit(callerOf('spark'), specReferringTo('dev/db')))
  const task = { name: 'reader', resources: needs, command: { value: 'true' } }

  framework.launch({ ...task, task_id: { value: taskId } })

  await cluster.until(() => agent.heard('launch').length > 0)
  expect(agent.heard('launch')[0]?.task.task_id.value).toBe(taskId)
})

test('MA5 threat:AZ-03: a scheduler gives a run nothing that its submitter may not read', async () => {
  register()
  const framework = await subscribed()
  const { taskId } = await cluster.settle(
    cluster.leader.actor.runs.submit(dev, specReferringTo('dev/db')),
  )

  const task = { name: 'reader', resources: needs, command: { value: 'true' } }
  const launch = { ...task, task_id: { value: taskId } } as { task_id: { value: string } }
  // In the same moment as the right ends, before anybody has seen to the run.
  cluster.leader.store.onBatch(({ events }) => {
    if (events.some(({ key }) => key === identityChangedKey)) framework.launch(launch)
  })
  await revokeAll(cluster, 'dcos:secrets:default:/dev/*')

  await cluster.until(() => framework.statesOf(taskId).length > 0)
  expect(framework.statesOf(taskId)).toEqual(['TASK_ERROR'])
})
