import { describe, expect, test } from 'vitest'
import {
  command,
  DrivenCluster,
  launchesOf,
  openOffers,
  referring,
  scalar,
  terminalsOf,
  updatesOf,
} from './testing/driven-cluster.ts'

describe('a task from offer to end', () => {
  test('is offered room, launched, told of in order, and leaves the room to others', () => {
    const cluster = new DrivenCluster()
    const { link, agentId } = cluster.agent()
    const framework = cluster.framework()
    expect(framework.events.map(({ type }) => type)).toEqual(['SUBSCRIBED', 'HEARTBEAT', 'OFFERS'])
    expect(framework.frameworkId).toBe('M-0000')
    expect(agentId).toBe('M-S0')

    cluster.launch(framework, command('t-1'))
    expect(launchesOf(link)).toMatchObject([{ frameworkId: 'M-0000', task: { name: 't-1' } }])

    const task = { frameworkId: 'M-0000', taskId: 't-1' }
    cluster.report(link, task, 'TASK_RUNNING')
    cluster.report(link, task, 'TASK_FINISHED', { message: 'Command exited with status 0' })
    expect(updatesOf(framework).map(({ state }) => state)).toEqual(['TASK_RUNNING'])

    const accepted = { status: 202, body: '' }
    expect(cluster.acknowledge(framework, updatesOf(framework)[0])).toEqual(accepted)
    cluster.acknowledge(framework, updatesOf(framework)[1])
    expect(updatesOf(framework).map(({ state }) => state)).toEqual([
      'TASK_RUNNING',
      'TASK_FINISHED',
    ])
    expect(cluster.core.taskOf('M-0000', 't-1')).toMatchObject({
      state: 'TASK_FINISHED',
      pending: [],
      exitCode: 0,
    })
    expect(cluster.read('GET_AGENTS')).toMatchObject({ agents: [{ allocated_resources: [] }] })
  })

  test('may be one of several on one offer, each judged by itself', () => {
    const cluster = new DrivenCluster()
    const { link } = cluster.agent()
    const framework = cluster.framework()

    cluster.launch(framework, command('a'), command('b', { resources: [] }), command('c'))

    expect(launchesOf(link).map(({ task }) => task.name)).toEqual(['a', 'c'])
    expect(updatesOf(framework)).toMatchObject([
      { task_id: { value: 'b' }, state: 'TASK_ERROR', reason: 'REASON_TASK_INVALID' },
    ])
  })
})

const refused = (
  task: object,
  before: (cluster: DrivenCluster) => void = () => undefined,
): { cluster: DrivenCluster; framework: ReturnType<DrivenCluster['framework']> } => {
  const cluster = new DrivenCluster()
  before(cluster)
  cluster.agent()
  const framework = cluster.framework()
  cluster.launch(framework, task)
  return { cluster, framework }
}

describe('CL7: a task that is refused leaves nothing behind', () => {
  test.each([
    [
      command('t', { resources: [scalar('cpus', 5)] }),
      'Total resources cpus(allocated: *):5 required by task and its executor is more than available ' +
        'cpus(allocated: *):4; mem(allocated: *):4096; ports(allocated: *):[31000-31009]',
    ],
    [
      command('t', { agent_id: { value: 'M-S7' } }),
      'Task uses invalid agent M-S7 while agent M-S0 is expected',
    ],
    [
      command('t', {
        resources: [{ ...scalar('cpus', 1), allocation_info: { role: 'web' } }],
      }),
      "Task uses invalid resources: allocated to another role than the offer's, *",
    ],
  ])('%j', (task, message) => {
    const { cluster, framework } = refused(task)

    const [status] = updatesOf(framework)
    expect(status).toMatchObject({
      state: 'TASK_ERROR',
      source: 'SOURCE_MASTER',
      reason: 'REASON_TASK_INVALID',
      message,
    })
    expect(status?.uuid).toBeUndefined()
    expect(cluster.keys('cluster/tasks/')).toEqual([])
    expect(cluster.keys('cluster/grants/')).toEqual([])
    expect(cluster.read('GET_TASKS')).toMatchObject({ tasks: [], completed_tasks: [] })
    expect(openOffers(framework)).toHaveLength(1)
  })

  test('also when its framework may not read what it refers to', () => {
    const { cluster, framework } = refused(command('t', referring('dev/open', 'prod/db')), (one) =>
      one.forbidden.add('prod/db'),
    )

    expect(updatesOf(framework)).toMatchObject([
      {
        state: 'TASK_ERROR',
        reason: 'REASON_TASK_UNAUTHORIZED',
        message: "Task is not authorized: principal 'scheduler' may not read secret 'prod/db'",
      },
    ])
    expect(cluster.keys('cluster/grants/')).toEqual([])
    expect(cluster.events).toContainEqual({
      type: 'task.refused',
      frameworkId: 'M-0000',
      taskId: 't',
      reason: 'REASON_TASK_UNAUTHORIZED',
      why: "Task is not authorized: principal 'scheduler' may not read secret 'prod/db'",
    })
  })

  test('also when its id is taken; once that task is over, the id is free again', () => {
    const cluster = new DrivenCluster()
    const { link } = cluster.agent()
    const framework = cluster.framework()
    cluster.launch(framework, command('t', referring('old')))
    cluster.launch(framework, command('t'))
    expect(updatesOf(framework).map(({ message }) => message)).toEqual(['Task has duplicate ID: t'])

    cluster.report(link, { frameworkId: 'M-0000', taskId: 't' }, 'TASK_FINISHED')
    cluster.acknowledge(framework, updatesOf(framework).at(-1))
    cluster.launch(framework, command('t', referring('new')))

    expect(launchesOf(link)).toHaveLength(2)
    expect(cluster.keys('cluster/grants/')).toEqual(['cluster/grants/M-0000/t/new'])
  })
})

const acceptOf = (offerIds: readonly string[]): object => ({
  type: 'ACCEPT',
  accept: {
    offer_ids: offerIds.map((value) => ({ value })),
    operations: [
      {
        type: 'LAUNCH',
        launch: { task_infos: [{ ...command('t'), agent_id: { value: 'M-S0' } }] },
      },
    ],
  },
})

describe('an ACCEPT of offers that cannot be used (mesos.md §5.3)', () => {
  test.each([
    [[], 'No offers specified'],
    [['M-O9'], 'Offer M-O9 is no longer valid'],
    [['M-O0', 'M-O0'], 'Duplicate offer M-O0 in offer list'],
    [
      ['M-O0', 'M-O1'],
      'Aggregated offers must belong to one single agent. Offer M-O1 uses agent M-S1 and agent M-S0',
    ],
  ])('%j: %s', (offerIds, why) => {
    const cluster = new DrivenCluster()
    cluster.agent('one')
    cluster.agent('two')
    const framework = cluster.framework()

    cluster.call(framework, acceptOf(offerIds))

    expect(updatesOf(framework)).toMatchObject([
      {
        state: 'TASK_LOST',
        source: 'SOURCE_MASTER',
        reason: 'REASON_INVALID_OFFERS',
        message: `Task launched with invalid offers: ${why}`,
      },
    ])
    expect(cluster.keys('cluster/tasks/')).toEqual([])
  })

  test("another framework's offer is not used up by it", () => {
    const cluster = new DrivenCluster()
    cluster.agent()
    const owner = cluster.framework('owner')
    const thief = cluster.framework('thief')

    cluster.call(thief, acceptOf(['M-O0']))
    expect(updatesOf(thief)[0]?.message).toBe(
      'Task launched with invalid offers: Offer M-O0 has invalid framework M-0000 while framework M-0001 is expected',
    )

    cluster.call(owner, acceptOf(['M-O0']))
    expect(cluster.keys('cluster/tasks/')).toEqual(['cluster/tasks/M-0000/t'])
  })

  test('a PARTITION_AWARE framework hears that its task was dropped', () => {
    const cluster = new DrivenCluster()
    const framework = cluster.framework('aware', { capabilities: [{ type: 'PARTITION_AWARE' }] })

    cluster.call(framework, acceptOf(['M-O0']))

    expect(updatesOf(framework)).toMatchObject([{ state: 'TASK_DROPPED' }])
  })
})

describe('CL1: offers', () => {
  test('are of what is left, and come back when it is not wanted', () => {
    const cluster = new DrivenCluster()
    cluster.agent()
    const framework = cluster.framework()
    cluster.launch(framework, command('t', { resources: [scalar('cpus', 1.5)] }))

    expect(openOffers(framework)[0]?.resources[0]?.scalar?.value).toBe(2.5)
    cluster.call(framework, {
      type: 'DECLINE',
      decline: { offer_ids: [{ value: 'M-O1' }], filters: { refuse_seconds: 3 } },
    })
    cluster.tick(2)
    expect(openOffers(framework)).toEqual([])
    cluster.tick()
    expect(openOffers(framework)[0]?.id.value).toBe('M-O2')
  })

  test('go to another framework while one refuses', () => {
    const cluster = new DrivenCluster()
    cluster.agent()
    const first = cluster.framework('first')
    const second = cluster.framework('second')
    expect(openOffers(second)).toEqual([])

    cluster.call(first, { type: 'DECLINE', decline: { offer_ids: [{ value: 'M-O0' }] } })

    expect(openOffers(second)).toHaveLength(1)
  })

  test('are not made to one that suppressed them, until it revives', () => {
    const cluster = new DrivenCluster()
    const framework = cluster.framework()
    cluster.call(framework, { type: 'SUPPRESS' })
    cluster.agent()
    cluster.tick()
    expect(openOffers(framework)).toEqual([])

    cluster.call(framework, { type: 'REVIVE' })
    expect(openOffers(framework)).toHaveLength(1)
  })

  test('are rescinded when the agent goes, and when nobody answers for too long', () => {
    const cluster = new DrivenCluster({ offerTimeoutTicks: 20 })
    const { link } = cluster.agent()
    const framework = cluster.framework()
    cluster.tick(20)
    expect(framework.events.map(({ rescind }) => rescind?.offer_id.value)).toContain('M-O0')
    expect(openOffers(framework)).toEqual([])
    cluster.tick(5)
    expect(openOffers(framework)).toHaveLength(1)
    cluster.hangUp(link)

    expect(framework.events.map(({ rescind }) => rescind?.offer_id.value)).toContain('M-O1')
    expect(openOffers(framework)).toEqual([])
  })

  test('speak to MULTI_ROLE frameworks of roles, and to others not (mesos.md §3)', () => {
    const cluster = new DrivenCluster()
    cluster.agent()
    const roles = { roles: ['web'], capabilities: [{ type: 'MULTI_ROLE' }] }
    const multi = cluster.framework('multi', roles)
    const [offer] = openOffers(multi)
    expect(offer?.allocation_info).toEqual({ role: 'web' })
    expect(offer?.resources[0]).toMatchObject({ allocation_info: { role: 'web' } })
    expect(offer?.resources[0]?.role).toBeUndefined()

    const other = new DrivenCluster()
    other.agent()
    const [plain] = openOffers(other.framework())
    expect(plain?.allocation_info).toBeUndefined()
    expect(plain?.resources[0]).toMatchObject({ role: '*' })
    expect(plain?.url?.address.ip).toBe('127.0.0.1')
  })

  test('have a number that no other term used', () => {
    const cluster = new DrivenCluster()
    cluster.agent()
    const before = openOffers(cluster.framework())[0]?.id.value
    cluster.restart()
    cluster.agent()
    const after = openOffers(cluster.framework())[0]?.id.value

    expect([before, after]).toEqual(['M-O0', 'M-O1000'])
  })
})

const launched = (): {
  cluster: DrivenCluster
  framework: ReturnType<DrivenCluster['framework']>
  link: ReturnType<DrivenCluster['link']>
  ask: { frameworkId: string; taskId: string; containerId: string }
} => {
  const cluster = new DrivenCluster()
  cluster.versions.set('dev/db', 3)
  const { link } = cluster.agent()
  const framework = cluster.framework()
  cluster.launch(framework, command('t', referring('/dev/db', 'dev/db', 'dev/none')))
  const containerId = launchesOf(link)[0]?.containerId ?? ''
  return { cluster, framework, link, ask: { frameworkId: 'M-0000', taskId: 't', containerId } }
}

describe('CL9: grants', () => {
  test('are issued with the task, in one commit before the launch is sent: one for each path', () => {
    const { cluster } = launched()

    const at = cluster.effects.findIndex(
      (effect) => effect.do === 'send-agent' && effect.message.type === 'launch',
    )
    const commits = cluster.effects.slice(0, at).filter((effect) => effect.do === 'commit')
    expect(commits.at(-1)?.changes.map(({ key }) => key)).toEqual([
      'cluster/tasks/M-0000/t',
      'cluster/grants/M-0000/t/dev/db',
      'cluster/grants/M-0000/t/dev/none',
    ])
    expect(cluster.events).toContainEqual({
      type: 'grant.issued',
      frameworkId: 'M-0000',
      taskId: 't',
      agentId: 'M-S0',
      path: 'dev/db',
      version: 3,
    })
  })

  test('CL3: are for the agent and the container of the task, and for nobody else', () => {
    const { cluster, link, ask } = launched()
    const other = cluster.agent('another').link

    expect(cluster.core.grantsFor(link.connection, ask)).toMatchObject({
      outcome: 'granted',
      agentId: 'M-S0',
      task: { name: 't' },
      grants: [
        { path: 'dev/db', version: 3 },
        { path: 'dev/none', version: null },
      ],
    })
    for (const answer of [
      cluster.core.grantsFor(other.connection, ask),
      cluster.core.grantsFor(999, ask),
      cluster.core.grantsFor(link.connection, { ...ask, containerId: 'another' }),
      cluster.core.grantsFor(link.connection, { ...ask, taskId: 'another' }),
      cluster.core.grantsFor(link.connection, { ...ask, frameworkId: 'M-0001' }),
    ]) {
      expect(answer.outcome).toBe('denied')
    }
  })

  test.each(['TASK_FINISHED', 'TASK_FAILED', 'TASK_KILLED'] as const)(
    'are revoked by %s, in the commit that writes it down',
    (state) => {
      const { cluster, link, ask } = launched()
      const from = cluster.effects.length
      cluster.report(link, ask, state)

      const [first] = cluster.effects.slice(from)
      expect(first).toMatchObject({
        do: 'commit',
        changes: [
          { key: 'cluster/tasks/M-0000/t' },
          { key: 'cluster/grants/M-0000/t/dev/db' },
          { key: 'cluster/grants/M-0000/t/dev/none' },
        ],
      })
      expect(cluster.core.grantsFor(link.connection, ask)).toEqual({
        outcome: 'denied',
        why: 'the task has ended',
      })
      expect(cluster.events.filter(({ type }) => type === 'grant.revoked')).toHaveLength(2)
    },
  )

  test('are revoked when the framework is removed, before its task has ended', () => {
    const { cluster, framework, link, ask } = launched()
    cluster.call(framework, { type: 'TEARDOWN' })

    expect(cluster.core.grantsFor(link.connection, ask).outcome).toBe('denied')
    expect(cluster.core.taskOf('M-0000', 't')?.state).toBe('TASK_STAGING')
    expect(cluster.events.filter(({ type }) => type === 'grant.revoked')).toHaveLength(2)
  })

  test('are not lost with a leader', () => {
    const { cluster, link, ask } = launched()
    cluster.restart()
    const back = cluster.link(link.name)
    cluster.register(back, { agentId: 'M-S0', tasks: [ask] })

    expect(cluster.core.grantsFor(back.connection, ask)).toMatchObject({
      outcome: 'granted',
      grants: [{ path: 'dev/db', version: 3 }, { path: 'dev/none' }],
    })
  })
})

const group = (...tasks: readonly object[]): object => ({
  type: 'LAUNCH_GROUP',
  launch_group: {
    executor: {
      type: 'DEFAULT',
      executor_id: { value: 'e' },
      resources: [scalar('cpus', 0.1), scalar('mem', 32), scalar('disk', 1)],
    },
    task_group: {
      tasks: tasks.map((task) => ({ ...task, agent_id: { value: 'M-S0' } })),
    },
  },
})

const accept = (operation: object): object => ({
  type: 'ACCEPT',
  accept: { offer_ids: [{ value: 'M-O0' }], operations: [operation] },
})

describe('a task group', () => {
  const withDisk = [scalar('cpus', 4), scalar('mem', 4096), scalar('disk', 100)]

  test('is launched whole, in one commit, and its tasks name their executor', () => {
    const cluster = new DrivenCluster()
    const { link } = cluster.agent('one', withDisk)
    const framework = cluster.framework()
    cluster.call(framework, accept(group(command('a'), command('b', referring('x')))))
    cluster.report(link, { frameworkId: 'M-0000', taskId: 'a' }, 'TASK_RUNNING')

    expect(launchesOf(link).map(({ task }) => task.name)).toEqual(['a', 'b'])
    expect(updatesOf(framework)).toMatchObject([{ executor_id: { value: 'e' } }])
    const keys = cluster.effects.flatMap((effect) =>
      effect.do === 'commit' ? [effect.changes.map(({ key }) => key)] : [],
    )
    expect(keys).toContainEqual([
      'cluster/tasks/M-0000/a',
      'cluster/tasks/M-0000/b',
      'cluster/grants/M-0000/b/x',
    ])
  })

  test('CL7: is refused whole, with one reason for all', () => {
    const cluster = new DrivenCluster()
    const { link } = cluster.agent('one', withDisk)
    const framework = cluster.framework()
    const bad = { command: { environment: { variables: [{ name: 'A' }] } } }
    cluster.call(framework, accept(group(command('a'), command('b', bad))))

    const message =
      "Task 'b' is invalid: Task's `CommandInfo` is invalid: " +
      "Environment variable 'A' of type 'VALUE' must have a value set"
    const status = { state: 'TASK_ERROR', reason: 'REASON_TASK_GROUP_INVALID', message }
    expect(updatesOf(framework)).toMatchObject([status, status])
    expect(launchesOf(link)).toEqual([])
    expect(cluster.keys('cluster/tasks/')).toEqual([])
  })

  test('ends as one when a task of it fails', () => {
    const cluster = new DrivenCluster()
    const { link } = cluster.agent('one', withDisk)
    const framework = cluster.framework()
    cluster.call(framework, accept(group(command('a'), command('b'), command('c'))))
    const kills = (): readonly string[] =>
      link.messages.flatMap((message) => (message.type === 'kill' ? [message.taskId] : []))

    cluster.report(link, { frameworkId: 'M-0000', taskId: 'c' }, 'TASK_FINISHED')
    expect(kills()).toEqual([])
    cluster.report(link, { frameworkId: 'M-0000', taskId: 'a' }, 'TASK_FAILED')
    expect(kills()).toEqual(['b'])
    expect(terminalsOf(framework)).toHaveLength(2)
  })

  test.each([
    [
      'LAUNCH',
      {
        type: 'LAUNCH',
        id: { value: 'x' },
        launch: { task_infos: [{ ...command('t'), agent_id: { value: 'M-S0' } }] },
      },
    ],
    ['LAUNCH_GROUP', { ...group(command('t')), id: { value: 'x' } }],
  ])('%s operations have no id', (type, operation) => {
    const cluster = new DrivenCluster()
    cluster.agent('one', withDisk)
    const framework = cluster.framework()
    cluster.call(framework, accept(operation))

    expect(updatesOf(framework)).toMatchObject([
      { state: 'TASK_ERROR', message: `The \`id\` field cannot be set on ${type} operations` },
    ])
  })
})
