import { parseCall } from '@conclave/model'
import { describe, expect, test } from 'vitest'
import {
  command,
  DrivenCluster,
  frameworkIdOf,
  launchesOf,
  openOffers,
  updatesOf,
} from './testing/driven-cluster.ts'

const typesOn = ({ events }: { events: readonly { type: string }[] }): readonly string[] =>
  events.map(({ type }) => type)
const id = { value: 'M-0000' }

describe('SUBSCRIBE (mesos.md §5.1)', () => {
  test('is answered with SUBSCRIBED and at once a HEARTBEAT, then one every 5 s', () => {
    const cluster = new DrivenCluster()
    const framework = cluster.framework()
    expect(framework.events[0]).toMatchObject({
      type: 'SUBSCRIBED',
      subscribed: {
        framework_id: { value: 'M-0000' },
        heartbeat_interval_seconds: 5,
        master_info: { id: 'm-1' },
      },
    })

    cluster.tick(4)
    expect(typesOn(framework)).toEqual(['SUBSCRIBED', 'HEARTBEAT'])
    cluster.tick(6)
    expect(typesOn(framework)).toEqual(['SUBSCRIBED', 'HEARTBEAT', 'HEARTBEAT', 'HEARTBEAT'])
  })

  test('numbers frameworks, also across terms', () => {
    const cluster = new DrivenCluster()
    cluster.framework('a')
    cluster.restart()

    expect(cluster.framework('b').frameworkId).toBe('M-0001')
  })

  test.each([
    [
      { role: '/test/test1' },
      "'FrameworkInfo.role' is not a valid role: Role '/test/test1' cannot start with a slash",
    ],
    [
      { roles: ['/test/test1'], capabilities: [{ type: 'MULTI_ROLE' }] },
      "'FrameworkInfo.roles' contains invalid role: Role '/test/test1' cannot start with a slash",
    ],
    [
      { roles: ['r', 'r'], capabilities: [{ type: 'MULTI_ROLE' }] },
      "'FrameworkInfo.roles' contains duplicate items: { r }",
    ],
    [
      { role: 'r', capabilities: [{ type: 'MULTI_ROLE' }] },
      "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable",
    ],
    [
      { roles: ['r'] },
      "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable",
    ],
    [{ failover_timeout: -1 }, 'The framework failover_timeout (-1) is invalid'],
    [{ failover_timeout: 'Infinity' }, 'The framework failover_timeout (Infinity) is invalid'],
    [{ id: { value: 'M-0042' } }, 'Framework has been removed'],
    [
      { labels: { labels: [{ key: 'x'.repeat(70_000) }] } },
      'FrameworkInfo is larger than 65536 bytes',
    ],
  ])('CL7: %j is refused on its own stream: %s', (info, message) => {
    const cluster = new DrivenCluster()
    const { stream, answer } = cluster.subscribe('scheduler', info)

    expect(answer).toBeUndefined()
    expect(stream.events).toEqual([{ type: 'ERROR', error: { message } }])
    expect(stream.isOpen).toBe(false)
    expect(cluster.records.size).toBe(0)
  })

  test('CL10: a principal speaks for itself', () => {
    const cluster = new DrivenCluster()

    expect(cluster.subscribe('alice', { principal: 'bob' }).answer).toEqual({
      status: 400,
      body: "Failed to validate scheduler::Call: Authenticated principal 'alice' does not match principal 'bob' set in `FrameworkInfo`",
    })
    expect(cluster.subscribe('alice', { id: { value: 'x' } }).answer).toBeUndefined()
    const framework = cluster.framework('alice')
    expect(cluster.core.frameworks()[0]).toMatchObject({
      uid: 'alice',
      info: { principal: 'alice' },
    })

    const { stream } = cluster.subscribe('bob', { id: { value: framework.frameworkId } })
    expect(stream.events).toEqual([
      { type: 'ERROR', error: { message: "Changing framework's principal is not allowed." } },
    ])
    expect(framework.isOpen).toBe(true)
  })

  test('a call of the wrong form is answered, and opens nothing', () => {
    const cluster = new DrivenCluster()

    expect(cluster.core.subscribe('a', { type: 'SUBSCRIBE' }, 's')).toEqual({
      status: 400,
      body: "Failed to validate scheduler::Call: Expecting 'subscribe' to be present",
    })
    const other = parseCall({ type: 'REVIVE', framework_id: { value: 'x' } })
    expect(cluster.core.subscribe('a', other, 's')?.status).toBe(400)
    expect(cluster.core.takeEffects()).toEqual([])
  })

  test('again, on a new stream, closes the old one and takes back what was offered there', () => {
    const cluster = new DrivenCluster()
    cluster.agent()
    const framework = cluster.framework()
    const { stream } = cluster.subscribe('scheduler', { id })

    expect(framework.events.at(-1)).toEqual({
      type: 'ERROR',
      error: { message: 'Framework failed over' },
    })
    expect(framework.isOpen).toBe(false)
    expect(frameworkIdOf(stream)).toBe('M-0000')
    expect(openOffers(stream)[0]?.id.value).toBe('M-O1')
    expect(cluster.call(framework, { type: 'REVIVE' })).toEqual({
      status: 400,
      body:
        "The stream ID 'stream-0' included in this request didn't match " +
        'the stream ID currently associated with framework ID M-0000',
    })
  })

  test('the end of a stream that was replaced ends nothing', () => {
    const cluster = new DrivenCluster()
    const framework = cluster.framework()
    const { stream } = cluster.subscribe('scheduler', { id })
    cluster.leave(framework)

    expect(cluster.core.frameworks()[0]?.state).toBe('active')
    expect(stream.isOpen).toBe(true)
  })
})

describe('CL10: calls are checked in this order (mesos.md §5.2)', () => {
  const call = (more: object): never => ({ type: 'REVIVE', framework_id: id, ...more }) as never
  test.each([
    [
      'no type',
      'a',
      's',
      { type: undefined },
      400,
      "Failed to validate scheduler::Call: Expecting 'type' to be present",
    ],
    [
      'no id',
      'a',
      's',
      { framework_id: undefined },
      400,
      "Failed to validate scheduler::Call: Expecting 'framework_id' to be present",
    ],
    ['UNKNOWN', 'a', 's', { type: 'UNKNOWN' }, 501, '501 Not Implemented.'],
    [
      'an unknown framework',
      'scheduler',
      'stream-0',
      { framework_id: { value: 'x' } },
      400,
      'Framework cannot be found',
    ],
    [
      'another principal',
      'mallory',
      undefined,
      {},
      400,
      "Authenticated principal 'mallory' does not match principal 'scheduler' set in `FrameworkInfo`",
    ],
    [
      'no stream id',
      'scheduler',
      undefined,
      {},
      400,
      "All non-subscribe calls should include the 'Mesos-Stream-Id' header",
    ],
    [
      'another stream id',
      'scheduler',
      'x',
      {},
      400,
      "The stream ID 'x' included in this request didn't match the stream ID currently associated with framework ID M-0000",
    ],
    ['all as it should be', 'scheduler', 'stream-0', {}, 202, ''],
  ] as const)('%s', (_, uid, streamId, more, status, body) => {
    const cluster = new DrivenCluster()
    cluster.framework()

    expect(cluster.callAs(uid, streamId, call(more))).toEqual({ status, body })
  })

  test('a disconnected framework is not subscribed', () => {
    const cluster = new DrivenCluster()
    const framework = cluster.framework('scheduler', { failover_timeout: 60 })
    cluster.leave(framework)

    expect(cluster.call(framework, { type: 'REVIVE' })).toEqual({
      status: 403,
      body: 'Framework is not subscribed',
    })
  })

  test.each([
    { type: 'MESSAGE', message: { agent_id: id, executor_id: id, data: 'aGk=' } },
    { type: 'REQUEST', request: {} },
    { type: 'ACCEPT_INVERSE_OFFERS', accept_inverse_offers: {} },
    { type: 'RECONCILE_OPERATIONS', reconcile_operations: {} },
    {
      type: 'ACKNOWLEDGE_OPERATION_STATUS',
      acknowledge_operation_status: {
        agent_id: id,
        operation_id: id,
        uuid: 'AAAAAAAAQACAAAAAAAAAAA==',
      },
    },
  ])('$type is taken and changes nothing', (json) => {
    const cluster = new DrivenCluster()
    const framework = cluster.framework()
    const before = cluster.effects.length

    expect(cluster.call(framework, json)).toEqual({ status: 202, body: '' })
    expect(cluster.effects).toHaveLength(before)
  })
})

const update = (info: object, more: object = {}): object => ({
  type: 'UPDATE_FRAMEWORK',
  update_framework: { framework_info: { user: 'root', name: 'x', id, ...info }, ...more },
})

describe('UPDATE_FRAMEWORK', () => {
  test('answers 200, and the framework is what it says from then on', () => {
    const cluster = new DrivenCluster()
    const framework = cluster.framework()
    const roles = { roles: ['a', 'b'], capabilities: [{ type: 'MULTI_ROLE' }] }
    expect(cluster.call(framework, update(roles, { suppressed_roles: ['a'] }))).toEqual({
      status: 200,
      body: '',
    })
    cluster.agent()

    expect(openOffers(framework)[0]?.allocation_info?.role).toBe('b')
    cluster.restart()
    expect(cluster.core.frameworks()[0]?.info).toMatchObject({ name: 'x', roles: ['a', 'b'] })
  })

  test.each([
    [
      { role: '/x' },
      "Supplied FrameworkInfo is not valid: 'FrameworkInfo.role' is not a valid role: Role '/x' cannot start with a slash",
    ],
    [
      { user: 'other' },
      "FrameworkInfo update is not valid: Updating 'FrameworkInfo.user' is unsupported; attempted to update from 'root' to 'other'",
    ],
    [
      { checkpoint: true },
      "FrameworkInfo update is not valid: Updating 'FrameworkInfo.checkpoint' is unsupported; attempted to update from 'false' to 'true'",
    ],
    [
      { principal: 'other' },
      "FrameworkInfo update is not valid: Changing framework's principal is not allowed.",
    ],
  ])('%j is refused', (info, why) => {
    const cluster = new DrivenCluster()
    const answer = cluster.call(cluster.framework(), update(info))

    expect(answer).toEqual({ status: 400, body: why })
  })

  test('refuses to suppress roles that the framework does not have', () => {
    const cluster = new DrivenCluster()
    const answer = cluster.call(cluster.framework(), update({}, { suppressed_roles: ['b', 'a'] }))

    expect(answer).toEqual({
      status: 400,
      body: "'UpdateFramework' call is not valid: Suppressed roles { a, b } are not contained in the set of roles",
    })
  })

  test('takes back what was offered in a role that it leaves', () => {
    const cluster = new DrivenCluster()
    const capabilities = [{ type: 'MULTI_ROLE' }]
    const framework = cluster.framework('scheduler', { roles: ['a'], capabilities })
    cluster.agent()
    const offered = openOffers(framework)[0]?.id

    cluster.call(framework, update({ roles: ['b'], capabilities }))

    expect(framework.events).toContainEqual({ type: 'RESCIND', rescind: { offer_id: offered } })
    expect(openOffers(framework)[0]?.allocation_info?.role).toBe('b')
  })
})

describe('a framework that is away', () => {
  test('comes back in time to what it left', () => {
    const cluster = new DrivenCluster()
    const { link } = cluster.agent()
    const framework = cluster.framework('scheduler', { failover_timeout: 30 })
    cluster.launch(framework, command('t'))
    cluster.leave(framework)
    cluster.report(link, { frameworkId: 'M-0000', taskId: 't' }, 'TASK_RUNNING')
    cluster.tick(29)
    const { stream } = cluster.subscribe('scheduler', { id, failover_timeout: 30 })

    expect(updatesOf(stream).map(({ state }) => state)).toEqual(['TASK_RUNNING'])
    expect(cluster.core.taskOf('M-0000', 't')?.kill).toBeUndefined()
  })

  test.each([
    ['at once, without failover_timeout', 0, 0],
    ['after its failover_timeout', 30, 30],
  ])('is removed %s, and its tasks are killed', (_, timeout, ticks) => {
    const cluster = new DrivenCluster()
    const { link } = cluster.agent()
    const framework = cluster.framework('scheduler', { failover_timeout: timeout })
    cluster.launch(framework, command('t'))
    cluster.leave(framework)
    cluster.tick(ticks)

    expect(cluster.core.frameworks()[0]?.state).toBe('completed')
    expect(link.messages.at(-1)).toMatchObject({ type: 'kill', taskId: 't', graceMs: 3000 })
    const { stream } = cluster.subscribe('scheduler', { id })
    expect(stream.events).toEqual([
      { type: 'ERROR', error: { message: 'Framework has been removed' } },
    ])

    cluster.report(link, { frameworkId: 'M-0000', taskId: 't' }, 'TASK_KILLED')
    expect(cluster.read('GET_TASKS')).toMatchObject({
      tasks: [],
      completed_tasks: [{ state: 'TASK_KILLED' }],
    })
  })

  test('has a minute after a change of leader, whatever its failover_timeout', () => {
    const cluster = new DrivenCluster()
    cluster.framework()
    cluster.restart()
    cluster.tick(59)
    expect(cluster.core.frameworks()[0]?.state).toBe('active')
    cluster.tick()

    expect(cluster.core.frameworks()[0]?.state).toBe('completed')
  })
})

describe('TEARDOWN', () => {
  test('kills the tasks, closes the stream, and keeps the resources until the agent agrees', () => {
    const cluster = new DrivenCluster()
    const { link } = cluster.agent()
    const framework = cluster.framework()
    cluster.launch(framework, command('t'))
    expect(cluster.call(framework, { type: 'TEARDOWN' })).toEqual({ status: 202, body: '' })

    expect(framework.isOpen).toBe(false)
    expect(link.messages.at(-1)?.type).toBe('kill')
    expect(cluster.call(framework, { type: 'REVIVE' })).toEqual({
      status: 400,
      body: 'Framework cannot be found',
    })
    const heir = cluster.framework('heir')
    expect(openOffers(heir)[0]?.resources[0]?.scalar?.value).toBe(3.5)
    cluster.report(link, { frameworkId: 'M-0000', taskId: 't' }, 'TASK_KILLED')
    expect(openOffers(heir)[1]?.resources[0]?.scalar?.value).toBe(0.5)
  })

  test('reaches an agent that was away when it is back, even under another leader', () => {
    const cluster = new DrivenCluster()
    const { link, agentId } = cluster.agent()
    const framework = cluster.framework()
    cluster.launch(framework, command('t'))
    const containerId = launchesOf(link)[0]?.containerId ?? ''
    cluster.hangUp(link)
    cluster.call(framework, { type: 'TEARDOWN' })
    cluster.restart()
    const back = cluster.link('agent-1')
    cluster.register(back, {
      agentId,
      tasks: [{ frameworkId: 'M-0000', taskId: 't', containerId }],
    })

    expect(back.messages.map(({ type }) => type)).toEqual(['registered', 'kill'])
  })

  test('CL12: only the newest completed frameworks are kept', () => {
    const cluster = new DrivenCluster({ completedFrameworksMax: 2 })
    for (const uid of ['a', 'b', 'c']) {
      cluster.call(cluster.framework(uid), { type: 'TEARDOWN' })
      cluster.tick()
    }

    expect(cluster.keys('cluster/frameworks/')).toEqual([
      'cluster/frameworks/M-0001',
      'cluster/frameworks/M-0002',
    ])
  })
})

const kill = (taskId: string, more: object = {}): object => ({
  type: 'KILL',
  kill: { task_id: { value: taskId }, ...more },
})

describe('KILL', () => {
  test('goes to the agent, with the patience of call, task or cluster, in this order', () => {
    const cluster = new DrivenCluster()
    const { link } = cluster.agent()
    const framework = cluster.framework('scheduler', {
      capabilities: [{ type: 'TASK_KILLING_STATE' }],
    })
    const patient = { kill_policy: { grace_period: { nanoseconds: 7e9 } } }
    cluster.launch(framework, command('a', patient), command('b'))
    cluster.call(framework, kill('a'))
    cluster.call(framework, kill('a', { kill_policy: { grace_period: { nanoseconds: 1e9 } } }))
    cluster.call(framework, kill('b'))

    expect(link.messages.filter(({ type }) => type === 'kill')).toMatchObject([
      { taskId: 'a', graceMs: 7000, tellKilling: true },
      { taskId: 'a', graceMs: 1000 },
      { taskId: 'b', graceMs: 3000 },
    ])
  })

  test('of an unknown task is answered as a reconciliation; on a wrong agent it is ignored', () => {
    const cluster = new DrivenCluster()
    const { link } = cluster.agent()
    const framework = cluster.framework()
    cluster.launch(framework, command('t'))
    cluster.call(framework, {
      type: 'KILL',
      kill: { task_id: { value: 'x' }, agent_id: { value: 'M-S0' } },
    })
    cluster.call(framework, {
      type: 'KILL',
      kill: { task_id: { value: 't' }, agent_id: { value: 'M-S9' } },
    })

    expect(updatesOf(framework)).toMatchObject([
      { task_id: { value: 'x' }, state: 'TASK_LOST', reason: 'REASON_RECONCILIATION' },
    ])
    expect(link.messages.some(({ type }) => type === 'kill')).toBe(false)
  })

  test('SHUTDOWN of a command task is its kill; an operator may kill, too', () => {
    const cluster = new DrivenCluster()
    const { link } = cluster.agent()
    const framework = cluster.framework()
    cluster.launch(framework, command('a'), command('b'))
    cluster.call(framework, {
      type: 'SHUTDOWN',
      shutdown: { executor_id: { value: 'a' }, agent_id: { value: 'M-S0' } },
    })

    expect(cluster.core.kill('M-0000', 'b', 0)).toBe(true)
    expect(cluster.core.kill('M-0000', 'c')).toBe(false)
    cluster.drain()
    expect(link.messages.filter(({ type }) => type === 'kill')).toMatchObject([
      { taskId: 'a' },
      { taskId: 'b', graceMs: 0 },
    ])
  })
})
