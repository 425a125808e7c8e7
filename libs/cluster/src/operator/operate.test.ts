import { parseOurs, SchedulerCall, toJson, TaskInfo } from '@conclave/model'
import { describe, expect, test } from 'vitest'
import { readTask } from '../records.ts'
import { command, DrivenCluster, openOffers, scalar, updatesOf } from '../testing/driven-cluster.ts'

const envelope = 'c2VhbGVkLWNhbmFyeS05MWMz'
const sealed = { type: 'VALUE', value: { sealed: { id: 'i-1', envelope } } }

/** A task with an inline secret in each place that state endpoints show, sealed as the master does. */
function withSealedTask(): { cluster: DrivenCluster; end: () => void } {
  const cluster = new DrivenCluster()
  const { link } = cluster.agent()
  const framework = cluster.framework('scheduler', { labels: { labels: [{ key: 'team' }] } })
  const task = {
    ...command('t'),
    agent_id: { value: 'M-S0' },
    command: {
      value: 'true',
      environment: { variables: [{ name: 'A', type: 'SECRET', secret: sealed }] },
    },
    container: {
      type: 'MESOS',
      volumes: [
        { mode: 'RO', container_path: 'k', source: { type: 'SECRET', secret: sealed } },
        {
          mode: 'RO',
          container_path: 'r',
          source: { type: 'SECRET', secret: { type: 'REFERENCE', reference: { name: 'dev/db' } } },
        },
      ],
      mesos: { image: { type: 'DOCKER', docker: { name: 'i', config: sealed } } },
    },
    labels: { labels: [{ key: 'a', value: 'b' }] },
  }
  const call = parseOurs(SchedulerCall, {
    type: 'ACCEPT',
    framework_id: { value: 'M-0000' },
    accept: {
      offer_ids: [openOffers(framework)[0]?.id],
      operations: [{ type: 'LAUNCH', launch: { task_infos: [task] } }],
    },
  })
  cluster.callAs('scheduler', framework.streamId, call)
  const end = (): void => {
    cluster.report(link, { frameworkId: 'M-0000', taskId: 't' }, 'TASK_FINISHED')
    cluster.acknowledge(framework, updatesOf(framework).at(-1))
  }
  return { cluster, end }
}

const reads = [
  'GET_HEALTH',
  'GET_VERSION',
  'GET_FLAGS',
  'GET_METRICS',
  'GET_LOGGING_LEVEL',
  'GET_WEIGHTS',
  'GET_QUOTA',
  'GET_MAINTENANCE_STATUS',
  'GET_MAINTENANCE_SCHEDULE',
  'GET_STATE',
  'GET_TASKS',
  'GET_AGENTS',
  'GET_FRAMEWORKS',
  'GET_EXECUTORS',
  'GET_OPERATIONS',
  'GET_ROLES',
  'GET_MASTER',
]

const callOf = (type: string): object =>
  type === 'GET_METRICS' ? { type, get_metrics: {} } : { type }

const inMesosForm = (name: string, value: number): object => ({
  name,
  type: 'SCALAR',
  scalar: { value },
  role: '*',
})

describe('operator reads (mesos.md §6)', () => {
  test.each(reads)('CL8: %s is named in its answer, and shows no value and no envelope', (type) => {
    const { cluster, end } = withSealedTask()
    const before = cluster.operator(callOf(type))
    end()
    const after = cluster.operator(callOf(type))

    for (const answer of [before, after]) {
      expect(answer).toMatchObject({ status: 200, json: { type } })
      expect(JSON.stringify(answer)).not.toContain(envelope)
    }
  })

  test('GET_TASKS shows where secrets are wanted, and no command (mesos.md §21)', () => {
    const { cluster } = withSealedTask()

    const { tasks } = cluster.read('GET_TASKS') as { tasks: readonly object[] }
    expect(tasks).toHaveLength(1)
    expect(tasks[0]).toMatchObject({
      name: 't',
      task_id: { value: 't' },
      framework_id: { value: 'M-0000' },
      agent_id: { value: 'M-S0' },
      state: 'TASK_STAGING',
      user: 'root',
      resources: [
        { name: 'cpus', scalar: { value: 0.5 }, allocation_info: { role: '*' } },
        { name: 'mem', scalar: { value: 64 } },
      ],
      container: {
        volumes: [
          { source: { type: 'SECRET', secret: { type: 'VALUE' } } },
          { source: { secret: { type: 'REFERENCE', reference: { name: 'dev/db' } } } },
        ],
        mesos: { image: { docker: { config: { type: 'VALUE' } } } },
      },
    })
    expect(tasks[0]).not.toHaveProperty('command')
  })

  test('GET_TASKS moves a task to the completed ones when its framework knows of its end', () => {
    const { cluster, end } = withSealedTask()
    end()

    expect(cluster.read('GET_TASKS')).toMatchObject({
      tasks: [],
      unreachable_tasks: [],
      completed_tasks: [{ state: 'TASK_FINISHED', statuses: [{ state: 'TASK_FINISHED' }] }],
    })
  })

  test('GET_AGENTS shows what is there, used and offered', () => {
    const { cluster } = withSealedTask()

    expect(cluster.read('GET_AGENTS')).toMatchObject({
      agents: [
        {
          agent_info: { hostname: 'agent-1.example', port: 5051, id: { value: 'M-S0' } },
          active: true,
          pid: 'slave(1)@agent-1.example:5051',
          registered_time: { nanoseconds: 1e12 },
          allocated_resources: [inMesosForm('cpus', 0.5), inMesosForm('mem', 64)],
          offered_resources: [],
        },
      ],
      recovered_agents: [],
    })
    cluster.restart()
    expect(cluster.read('GET_AGENTS')).toMatchObject({
      agents: [],
      recovered_agents: [{ id: { value: 'M-S0' } }],
    })
  })

  test('GET_FRAMEWORKS and GET_ROLES show who is there, and who was', () => {
    const { cluster } = withSealedTask()
    cluster.framework('other', { role: 'web' })
    expect(cluster.read('GET_FRAMEWORKS')).toMatchObject({
      frameworks: [
        {
          framework_info: { name: 'scheduler', principal: 'scheduler', failover_timeout: 0 },
          active: true,
          connected: true,
          allocated_resources: [{ name: 'cpus' }, { name: 'mem' }],
        },
        { framework_info: { role: 'web' }, offers: [{ id: { value: 'M-O1' } }] },
      ],
      completed_frameworks: [],
    })
    expect(cluster.read('GET_ROLES')).toMatchObject({
      roles: [
        { name: '*', frameworks: [{ value: 'M-0000' }] },
        { name: 'web', frameworks: [{ value: 'M-0001' }], resources: [] },
      ],
    })

    const teardown = (value: string): unknown =>
      cluster.operator({ type: 'TEARDOWN', teardown: { framework_id: { value } } })
    expect(teardown('M-0001')).toEqual({ status: 200, body: '' })
    expect(teardown('M-0001')).toEqual({
      status: 400,
      body: 'No framework found with specified ID',
    })
    expect(cluster.read('GET_FRAMEWORKS')).toMatchObject({
      completed_frameworks: [{ framework_info: { name: 'other' }, active: false }],
    })
  })

  test('MARK_AGENT_GONE ends its tasks, and its id', () => {
    const cluster = new DrivenCluster()
    const { link, agentId } = cluster.agent()
    const framework = cluster.framework('scheduler', {
      capabilities: [{ type: 'PARTITION_AWARE' }],
    })
    cluster.launch(framework, command('t'))
    const gone = (value: string): unknown =>
      cluster.operator({ type: 'MARK_AGENT_GONE', mark_agent_gone: { agent_id: { value } } })

    expect(gone('M-S9')).toEqual({ status: 404, body: "Agent 'M-S9' not found" })
    expect(gone(agentId)).toEqual({ status: 200, body: '' })

    expect(updatesOf(framework).at(-1)).toMatchObject({
      state: 'TASK_GONE_BY_OPERATOR',
      source: 'SOURCE_MASTER',
      reason: 'REASON_AGENT_REMOVED_BY_OPERATOR',
    })
    expect(link.messages.at(-1)).toMatchObject({ type: 'shutdown' })
    expect(link.isOpen).toBe(false)
    expect(cluster.read('GET_AGENTS')).toEqual({ agents: [], recovered_agents: [] })
    const again = cluster.link('agent-1')
    expect(cluster.register(again, { agentId })).toBeUndefined()
  })

  test('who is no operator sees what is theirs', () => {
    const { cluster } = withSealedTask()
    cluster.framework('other', { role: 'web' })
    const owner = { uid: 'scheduler', isOperator: false }
    const stranger = { uid: 'nobody', isOperator: false }

    expect(cluster.read('GET_STATE', owner)).toMatchObject({
      get_tasks: { tasks: [{ name: 't' }] },
      get_frameworks: { frameworks: [{ framework_info: { name: 'scheduler' } }] },
      get_agents: { agents: [] },
    })
    expect(cluster.read('GET_ROLES', owner)).toMatchObject({ roles: [{ name: '*' }] })
    expect(cluster.read('GET_STATE', stranger)).toEqual({
      get_tasks: { tasks: [], unreachable_tasks: [], completed_tasks: [] },
      get_executors: { executors: [] },
      get_frameworks: { frameworks: [], completed_frameworks: [] },
      get_agents: { agents: [], recovered_agents: [] },
    })
  })

  test('GET_METRICS counts what there is', () => {
    const { cluster } = withSealedTask()
    const { json } = cluster.operator(callOf('GET_METRICS')) as {
      json: { get_metrics: { metrics: { name: string; value: number }[] } }
    }
    const metrics = new Map(json.get_metrics.metrics.map(({ name, value }) => [name, value]))

    expect(metrics.get('master/tasks_staging')).toBe(1)
    expect(metrics.get('master/slaves_active')).toBe(1)
    expect(metrics.get('master/frameworks_active')).toBe(1)
    expect(metrics.get('master/cpus_total')).toBe(4)
    expect(metrics.get('master/cpus_used')).toBe(0.5)
  })

  test.each(['SUBSCRIBE', 'NO_SUCH', 'SET_LOGGING_LEVEL'])('%s is not for this room', (type) => {
    expect(new DrivenCluster().operator({ type })).toEqual({
      status: 501,
      body: '501 Not Implemented.',
    })
  })
})

describe('CL8: an inline secret', () => {
  test('is kept sealed while its task runs, and not at all when it has ended', () => {
    const { cluster, end } = withSealedTask()
    const record = (): string =>
      Buffer.from(cluster.records.get('cluster/tasks/M-0000/t')!).toString()
    expect(record().split(envelope)).toHaveLength(4)
    const held = readTask('k', cluster.records.get('cluster/tasks/M-0000/t')!).info
    expect(held).toEqual(cluster.core.taskOf('M-0000', 't')?.info)
    expect(JSON.stringify(toJson(TaskInfo, held))).not.toContain(envelope)

    end()
    expect(record()).not.toContain(envelope)
    expect(JSON.stringify(cluster.core.taskOf('M-0000', 't'))).not.toContain(envelope)
  })

  test('is in no event and in nothing that a framework hears', () => {
    const { cluster, end } = withSealedTask()
    end()

    expect(JSON.stringify(cluster.events)).not.toContain(envelope)
    expect(JSON.stringify([...cluster.streams.values()])).not.toContain(envelope)
  })

  test('in plain text is our own bug: the master stops rather than write it', () => {
    const cluster = new DrivenCluster()
    cluster.agent()
    const framework = cluster.framework()
    const secret = { type: 'VALUE', value: { data: 'aGk=' } }
    const unsealed = {
      command: { environment: { variables: [{ name: 'A', type: 'SECRET', secret }] } },
    }

    expect(() => {
      cluster.launch(framework, command('t', { ...unsealed, resources: [scalar('cpus', 1)] }))
    }).toThrow('inline secrets sealed')
    expect(cluster.keys('cluster/tasks/')).toEqual([])
  })
})
