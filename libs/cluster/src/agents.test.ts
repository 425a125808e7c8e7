import { describe, expect, test } from 'vitest'
import {
  command,
  DrivenCluster,
  launchesOf,
  openOffers,
  referring,
  scalar,
  updatesOf,
  type Link,
  type Stream,
} from './testing/driven-cluster.ts'

const aware = { failover_timeout: 1000, capabilities: [{ type: 'PARTITION_AWARE' }] }
const plain = { failover_timeout: 1000 }

function running(info: object = plain): {
  cluster: DrivenCluster
  link: Link
  framework: Stream & { frameworkId: string }
  task: { frameworkId: string; taskId: string; containerId: string }
} {
  const cluster = new DrivenCluster({ agentTimeoutTicks: 30 })
  const { link } = cluster.agent()
  const framework = cluster.framework('scheduler', info)
  cluster.launch(framework, command('t', referring('dev/db')))
  const containerId = launchesOf(link)[0]?.containerId ?? ''
  return { cluster, link, framework, task: { frameworkId: 'M-0000', taskId: 't', containerId } }
}

const typesTo = ({ messages }: Link): readonly string[] => messages.map(({ type }) => type)
const statesOn = (stream: Stream): readonly string[] => updatesOf(stream).map(({ state }) => state)

test('an agent that was removed from the cluster is given up at once, with its tasks', () => {
  const { cluster, framework, link } = running(aware)
  cluster.core.forgetAgents((name) => name !== 'agent-1')
  cluster.drain()
  expect(statesOn(framework)).not.toContain('TASK_GONE_BY_OPERATOR')

  cluster.core.forgetAgents((name) => name === 'agent-1')
  cluster.drain()
  expect(statesOn(framework)).toContain('TASK_GONE_BY_OPERATOR')
  expect(cluster.core.agentOf(link.connection)).toBeUndefined()
})

describe('a registration', () => {
  test('gives a number, for good, before the agent hears it', () => {
    const cluster = new DrivenCluster()
    const { link, agentId } = cluster.agent()
    expect(link.messages).toEqual([{ type: 'registered', agentId: 'M-S0', heartbeatSeconds: 5 }])
    expect(cluster.core.agentOf(link.connection)).toMatchObject({
      agentId,
      certificateName: 'agent-1',
      runtime: 'memory',
      state: 'active',
      info: { hostname: 'agent-1.example', id: { value: 'M-S0' } },
    })
    expect(cluster.core.connectionOf(agentId)).toBe(link.connection)

    cluster.restart()
    expect(cluster.core.connectionOf(agentId)).toBeUndefined()
    expect(cluster.agent('agent-2').agentId).toBe('M-S1')
  })

  test('CL11: with the id of another certificate is turned away', () => {
    const cluster = new DrivenCluster()
    const { link, agentId } = cluster.agent()
    const thief = cluster.link('thief')
    cluster.register(thief, { agentId })

    expect(thief.messages).toEqual([
      { type: 'shutdown', why: 'agent M-S0 belongs to another certificate' },
    ])
    expect(thief.isOpen).toBe(false)
    expect(link.isOpen).toBe(true)
    expect(cluster.core.connectionOf(agentId)).toBe(link.connection)
  })

  test('with an id that nobody knows ends what runs there', () => {
    const cluster = new DrivenCluster()
    const link = cluster.link('agent-1')
    cluster.register(link, { agentId: 'M-S7' })

    expect(link.messages).toEqual([
      { type: 'shutdown', why: 'agent M-S7 is not known, or was removed' },
    ])
    expect(cluster.register(link)).toBe('M-S0')
  })

  test('over a second connection closes the first, and keeps the tasks', () => {
    const { cluster, link, framework, task } = running()
    const second = cluster.link('agent-1')
    cluster.register(second, { agentId: 'M-S0', tasks: [task] })
    expect(link.isOpen).toBe(false)
    cluster.hangUp(link)

    expect(cluster.core.connectionOf('M-S0')).toBe(second.connection)
    expect(cluster.core.agents()[0]?.state).toBe('active')
    expect(statesOn(framework)).toEqual([])
    expect(cluster.core.grantsFor(link.connection, task).outcome).toBe('denied')
    expect(cluster.core.grantsFor(second.connection, task).outcome).toBe('granted')
  })

  test('anew, without the id it had, ends what it had (its directory is gone)', () => {
    const { cluster, link, framework } = running()
    cluster.hangUp(link)
    const { agentId } = cluster.agent('agent-1')

    expect(agentId).toBe('M-S1')
    expect(updatesOf(framework)).toMatchObject([
      { state: 'TASK_LOST', reason: 'REASON_AGENT_RESTARTED', source: 'SOURCE_MASTER' },
    ])
    expect(cluster.core.agents().map((agent) => agent.agentId)).toEqual(['M-S1'])
    expect(cluster.keys('cluster/agents/')).toEqual(['cluster/agents/M-S1'])
  })

  test('with less than its tasks use ends them: nothing is promised twice', () => {
    const { cluster, link, framework } = running()
    cluster.hangUp(link)
    const back = cluster.link('agent-1')
    cluster.register(back, { agentId: 'M-S0', resources: [scalar('cpus', 0.1)] })

    expect(typesTo(back)).toEqual(['shutdown'])
    expect(statesOn(framework)).toEqual(['TASK_LOST'])
  })

  test.each([
    [[{ ...scalar('cpus', 1), role: 'web' }], 'reserved resources are not supported'],
    [[scalar('cpus', -1)], 'Invalid scalar resource'],
  ])('of %j is refused', (resources, why) => {
    const cluster = new DrivenCluster()
    const link = cluster.link('agent-1')
    cluster.register(link, { resources })

    expect(link.messages).toMatchObject([{ type: 'shutdown', why: expect.stringContaining(why) }])
    expect(cluster.core.agents()).toEqual([])
  })

  test('nobody is heard before it', () => {
    const { cluster, framework, task } = running()
    const stranger = cluster.link('agent-1')
    cluster.report(stranger, task, 'TASK_FAILED')

    expect(stranger.messages).toEqual([])
    expect(statesOn(framework)).toEqual([])
  })
})

const comesBack = (
  world: ReturnType<typeof running>,
  tasks: readonly { frameworkId: string; taskId: string; containerId: string }[],
): Link => {
  world.cluster.hangUp(world.link)
  const link = world.cluster.link('agent-1')
  world.cluster.register(link, { agentId: 'M-S0', tasks: [...tasks] })
  return link
}

describe('an agent that comes back', () => {
  test('goes on with what it still runs', () => {
    const world = running()
    const link = comesBack(world, [world.task])

    expect(typesTo(link)).toEqual(['registered'])
    expect(statesOn(world.framework)).toEqual([])
    world.cluster.report(link, world.task, 'TASK_RUNNING')
    expect(statesOn(world.framework)).toEqual(['TASK_RUNNING'])
  })

  test.each([
    [plain, 'TASK_LOST'],
    [aware, 'TASK_GONE'],
  ])('without a task that it had: %j hears %s', (info, state) => {
    const world = running(info)
    comesBack(world, [])

    expect(updatesOf(world.framework)).toMatchObject([
      { state, reason: 'REASON_AGENT_RESTARTED', message: 'Task is unknown to the agent' },
    ])
    expect(world.cluster.events.filter(({ type }) => type === 'grant.revoked')).toHaveLength(1)
  })

  test('with a task that nobody gave it, has to end that', () => {
    const world = running()
    const stray = { frameworkId: 'M-0000', taskId: 'stray', containerId: 'c' }
    const link = comesBack(world, [world.task, stray])

    expect(link.messages.slice(1)).toMatchObject([{ type: 'kill', taskId: 'stray', graceMs: 0 }])
  })

  test('with another container under a name we know, has lost ours and ends that one', () => {
    const world = running()
    const link = comesBack(world, [{ ...world.task, containerId: 'another' }])

    expect(statesOn(world.framework)).toEqual(['TASK_LOST'])
    expect(link.messages.slice(1)).toMatchObject([{ type: 'kill', taskId: 't' }])
  })

  test('hears of a kill that it missed', () => {
    const world = running()
    world.cluster.hangUp(world.link)
    world.cluster.call(world.framework, { type: 'KILL', kill: { task_id: { value: 't' } } })
    const link = comesBack(world, [world.task])

    expect(link.messages.slice(1)).toMatchObject([{ type: 'kill', taskId: 't', graceMs: 3000 }])
  })
})

describe('an agent that stays away', () => {
  test('is not offered meanwhile', () => {
    const { cluster, link, framework } = running()
    cluster.hangUp(link)

    expect(openOffers(framework)).toEqual([])
    expect(cluster.core.agents()[0]?.state).toBe('disconnected')
    expect(statesOn(framework)).toEqual([])
  })

  test.each([
    [plain, 'TASK_LOST'],
    [aware, 'TASK_UNREACHABLE'],
  ])('is given up in the end: %j hears %s, and the grants are revoked', (info, state) => {
    const { cluster, link, framework } = running(info)
    cluster.hangUp(link)
    cluster.tick(29)
    expect(statesOn(framework)).toEqual([])
    cluster.tick()

    expect(updatesOf(framework)).toMatchObject([{ state, reason: 'REASON_AGENT_REMOVED' }])
    expect(cluster.events.filter(({ type }) => type === 'grant.revoked')).toHaveLength(1)
    expect(cluster.core.agents()[0]?.state).toBe('unreachable')
  })

  test('is shut down when it is back after all, and what was unreachable is gone', () => {
    const { cluster, link, framework, task } = running(aware)
    cluster.hangUp(link)
    cluster.tick(30)
    expect(cluster.read('GET_TASKS')).toMatchObject({
      tasks: [],
      unreachable_tasks: [{ state: 'TASK_UNREACHABLE' }],
    })
    const back = cluster.link('agent-1')
    cluster.register(back, { agentId: 'M-S0', tasks: [task] })

    expect(back.messages).toEqual([{ type: 'shutdown', why: 'agent M-S0 was away for too long' }])
    expect(statesOn(framework)).toEqual(['TASK_UNREACHABLE', 'TASK_GONE'])
    expect(cluster.register(back)).toBe('M-S1')
    expect(openOffers(framework)).toHaveLength(1)
  })

  test('is given up by the next leader too, counted from the start of its term', () => {
    const { cluster, framework } = running()
    cluster.restart()
    const { stream } = cluster.subscribe('scheduler', { id: { value: framework.frameworkId } })
    cluster.tick(30)

    expect(statesOn(stream)).toEqual(['TASK_LOST'])
  })

  test('CL4: what was said of its tasks meanwhile is heard once the framework is back', () => {
    const { cluster, link, framework } = running()
    cluster.report(link, { frameworkId: 'M-0000', taskId: 't' }, 'TASK_RUNNING')
    cluster.leave(framework)
    cluster.hangUp(link)
    cluster.tick(30)
    const { stream } = cluster.subscribe('scheduler', { id: { value: 'M-0000' } })
    expect(statesOn(stream)).toEqual(['TASK_RUNNING'])

    const back = Object.assign(stream, { frameworkId: 'M-0000' })
    cluster.acknowledge(back, updatesOf(stream)[0])
    expect(statesOn(stream)).toEqual(['TASK_RUNNING', 'TASK_LOST'])
  })

  test('CL12: only so many are remembered', () => {
    const cluster = new DrivenCluster({ agentTimeoutTicks: 1, unreachableAgentsMax: 2 })
    for (const name of ['a', 'b', 'c']) {
      cluster.hangUp(cluster.agent(name).link)
      cluster.tick()
    }

    expect(cluster.core.agents().map(({ agentId }) => agentId)).toEqual(['M-S1', 'M-S2'])
  })
})
