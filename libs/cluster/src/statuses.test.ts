import { exitCodeLabel } from '@conclave/model'
import { describe, expect, test } from 'vitest'
import { exitCodeOf } from './statuses.ts'
import {
  command,
  DrivenCluster,
  launchesOf,
  openOffers,
  updatesOf,
  type Link,
  type Stream,
} from './testing/driven-cluster.ts'

const task = { frameworkId: 'M-0000', taskId: 't' }

function running(info: object = {}): {
  cluster: DrivenCluster
  link: Link
  framework: Stream & { frameworkId: string }
} {
  const cluster = new DrivenCluster({ pendingStatusesMax: 4, completedTasksMax: 3 })
  const { link } = cluster.agent()
  const framework = cluster.framework('scheduler', { failover_timeout: 100, ...info })
  cluster.launch(framework, command('t'))
  return { cluster, link, framework }
}
const acknowledgedBy = ({ messages }: Link): readonly string[] =>
  messages.flatMap((message) => (message.type === 'status-acknowledged' ? [message.uuid] : []))
const statesOn = (stream: Stream): readonly string[] => updatesOf(stream).map(({ state }) => state)

describe('CL4: a status', () => {
  test('is written down before its agent may forget it and before its framework hears it', () => {
    const { cluster, link } = running()
    const from = cluster.effects.length
    const uuid = cluster.report(link, task, 'TASK_RUNNING')

    expect(cluster.effects.slice(from).map((effect) => effect.do)).toEqual([
      'commit',
      'emit',
      'send-framework',
      'send-agent',
    ])
    expect(acknowledgedBy(link)).toEqual([uuid])
  })

  test('waits for the one before it, however many come', () => {
    const { cluster, link, framework } = running()
    cluster.report(link, task, 'TASK_STARTING')
    cluster.report(link, task, 'TASK_RUNNING')
    cluster.report(link, task, 'TASK_FAILED', { message: 'Command exited with status 3' })
    expect(statesOn(framework)).toEqual(['TASK_STARTING'])

    cluster.acknowledge(framework, updatesOf(framework)[0])
    expect(statesOn(framework)).toEqual(['TASK_STARTING', 'TASK_RUNNING'])
    cluster.acknowledge(framework, updatesOf(framework)[1])
    expect(statesOn(framework)).toEqual(['TASK_STARTING', 'TASK_RUNNING', 'TASK_FAILED'])
    expect(cluster.core.taskOf('M-0000', 't')).toMatchObject({
      state: 'TASK_FAILED',
      message: 'Command exited with status 3',
      exitCode: 3,
    })
  })

  test('is sent again after 10 s, then 20, and no more once it is acknowledged', () => {
    const { cluster, link, framework } = running()
    cluster.report(link, task, 'TASK_RUNNING')
    cluster.tick(9)
    expect(statesOn(framework)).toHaveLength(1)
    cluster.tick()
    expect(statesOn(framework)).toHaveLength(2)
    cluster.tick(19)
    expect(statesOn(framework)).toHaveLength(2)
    cluster.tick()
    expect(statesOn(framework)).toHaveLength(3)

    cluster.acknowledge(framework, updatesOf(framework)[0])
    cluster.tick(100)
    expect(statesOn(framework)).toHaveLength(3)
  })

  test('is acknowledged only by its own uuid, of its own agent, while it is under way', () => {
    const { cluster, link, framework } = running()
    cluster.report(link, task, 'TASK_STARTING')
    cluster.report(link, task, 'TASK_RUNNING')
    const first = updatesOf(framework)[0]
    if (first === undefined) throw new Error('nothing was sent')
    cluster.acknowledge(framework, { ...first, uuid: cluster.uuid() })
    cluster.acknowledge(framework, { ...first, agent_id: { value: 'M-S9' } })
    cluster.acknowledge(framework, { ...first, task_id: { value: 'x' } })
    expect(statesOn(framework)).toEqual(['TASK_STARTING'])

    cluster.acknowledge(framework, first)
    cluster.acknowledge(framework, first)
    expect(statesOn(framework)).toEqual(['TASK_STARTING', 'TASK_RUNNING'])
    expect(cluster.core.taskOf('M-0000', 't')?.pending).toHaveLength(1)
  })

  test('that its agent repeats is acknowledged again, and changes nothing', () => {
    const { cluster, link, framework } = running()
    const uuid = cluster.report(link, task, 'TASK_RUNNING')
    const from = cluster.effects.length
    cluster.report(link, task, 'TASK_RUNNING', { uuid })

    expect(cluster.effects.slice(from).map((effect) => effect.do)).toEqual(['send-agent'])
    expect(acknowledgedBy(link)).toEqual([uuid, uuid])
    expect(statesOn(framework)).toHaveLength(1)
  })

  test('outlives the leader: the next one sends it, and knows what was said before', () => {
    const { cluster, link, framework } = running()
    const uuid = cluster.report(link, task, 'TASK_RUNNING')
    const containerId = launchesOf(link)[0]?.containerId ?? ''
    cluster.restart()
    const back = cluster.link('agent-1')
    cluster.register(back, { agentId: 'M-S0', tasks: [{ ...task, containerId }] })
    cluster.report(back, task, 'TASK_RUNNING', { uuid })
    const { stream } = cluster.subscribe('scheduler', { id: { value: framework.frameworkId } })

    expect(updatesOf(stream).map((status) => status.uuid)).toEqual([uuid])
    expect(cluster.core.taskOf('M-0000', 't')?.pending).toHaveLength(1)
  })

  test('CL12: of a framework that never acknowledges gives way to newer ones, not to none', () => {
    const { cluster, link } = running()
    for (let count = 0; count < 9; count++) cluster.report(link, task, 'TASK_RUNNING')
    cluster.report(link, task, 'TASK_FINISHED')

    const pending = cluster.core.taskOf('M-0000', 't')?.pending ?? []
    expect(pending).toHaveLength(4)
    expect(pending.at(-1)?.state).toBe('TASK_FINISHED')
  })
})

describe('CL2: after a terminal state', () => {
  test.each(['TASK_FINISHED', 'TASK_RUNNING', 'TASK_LOST'] as const)(
    '%s changes nothing',
    (late) => {
      const { cluster, link, framework } = running()
      cluster.report(link, task, 'TASK_KILLED')
      const before = JSON.stringify(cluster.core.taskOf('M-0000', 't'))
      const uuid = cluster.report(link, task, late)

      expect(JSON.stringify(cluster.core.taskOf('M-0000', 't'))).toBe(before)
      expect(statesOn(framework)).toEqual(['TASK_KILLED'])
      expect(acknowledgedBy(link)).toContain(uuid)
    },
  )

  test('a container that is said to run is killed', () => {
    const { cluster, link } = running()
    cluster.report(link, task, 'TASK_FINISHED')
    cluster.report(link, task, 'TASK_RUNNING')

    expect(link.messages.at(-2)).toMatchObject({ type: 'kill', taskId: 't', graceMs: 0 })
  })

  test('the agent of the next task of that name cannot be taken for the old one', () => {
    const { cluster, link, framework } = running()
    const old = launchesOf(link)[0]?.containerId ?? ''
    cluster.report(link, task, 'TASK_FINISHED')
    cluster.acknowledge(framework, updatesOf(framework)[0])
    cluster.launch(framework, command('t'))
    const containerStatus = { container_id: { value: old }, network_infos: [] }
    cluster.report(link, task, 'TASK_FAILED', { container_status: containerStatus })

    expect(cluster.core.taskOf('M-0000', 't')?.state).toBe('TASK_STAGING')
  })

  test('CL12: only the newest completed tasks are kept, and their grants with them', () => {
    const { cluster, link, framework } = running()
    for (const name of ['a', 'b', 'c', 'd']) {
      cluster.launch(framework, command(name))
      cluster.report(link, { ...task, taskId: name }, 'TASK_FINISHED')
      cluster.acknowledge(framework, updatesOf(framework).at(-1))
    }

    expect(cluster.keys('cluster/tasks/')).toEqual(
      ['b', 'c', 'd', 't'].map((name) => `cluster/tasks/M-0000/${name}`),
    )
  })
})

describe('what an agent may say', () => {
  test('is of its own tasks only', () => {
    const { cluster, framework } = running()
    const { link: other } = cluster.agent('another')
    cluster.report(other, task, 'TASK_FAILED')

    expect(statesOn(framework)).toEqual([])
    expect(cluster.core.taskOf('M-0000', 't')?.state).toBe('TASK_STAGING')
  })

  test.each(['TASK_STAGING', 'TASK_UNREACHABLE', 'TASK_GONE_BY_OPERATOR', 'TASK_UNKNOWN'] as const)(
    'is not %s',
    (state) => {
      const { cluster, link, framework } = running()
      const uuid = cluster.report(link, task, state)

      expect(statesOn(framework)).toEqual([])
      expect(acknowledgedBy(link)).toEqual([uuid])
    },
  )

  test('is not in the name of the master, nor under a uuid that is none', () => {
    const { cluster, link, framework } = running()
    cluster.report(link, task, 'TASK_RUNNING', { uuid: 'aGk=' })
    cluster.report(link, task, 'TASK_RUNNING', { source: 'SOURCE_MASTER' })

    expect(updatesOf(framework)).toMatchObject([
      {
        source: 'SOURCE_AGENT',
        agent_id: { value: 'M-S0' },
        executor_id: { value: 't' },
        timestamp: cluster.nowMs / 1000,
      },
    ])
  })

  test('TASK_KILLING is for frameworks that know it; kinds of loss for PARTITION_AWARE ones', () => {
    const plain = running()
    plain.cluster.report(plain.link, task, 'TASK_KILLING')
    plain.cluster.report(plain.link, task, 'TASK_DROPPED')
    const capable = running({
      capabilities: [{ type: 'TASK_KILLING_STATE' }, { type: 'PARTITION_AWARE' }],
    })
    capable.cluster.report(capable.link, task, 'TASK_KILLING')
    capable.cluster.acknowledge(capable.framework, updatesOf(capable.framework)[0])
    capable.cluster.report(capable.link, task, 'TASK_DROPPED')

    expect(statesOn(plain.framework)).toEqual(['TASK_LOST'])
    expect(statesOn(capable.framework)).toEqual(['TASK_KILLING', 'TASK_DROPPED'])
  })

  test('is bounded: what does not fit is left out, the state is not', () => {
    const { cluster, link, framework } = running()
    cluster.report(link, task, 'TASK_RUNNING', {
      message: 'x'.repeat(5000),
      data: 'A'.repeat(20_000),
      labels: {
        labels: [
          { key: 'a', value: 'x' },
          { key: exitCodeLabel, value: '7' },
        ],
      },
    })

    const [status] = updatesOf(framework)
    expect(status?.state).toBe('TASK_RUNNING')
    expect(status?.message).toHaveLength(1024)
    expect(status?.data).toBeUndefined()
    expect(cluster.core.taskOf('M-0000', 't')?.exitCode).toBe(7)
  })
})

describe('reconciliation (mesos.md §5.5)', () => {
  test('without a list tells of every task, without a uuid, beside the line', () => {
    const { cluster, link, framework } = running()
    cluster.launch(framework, command('u'))
    cluster.report(link, task, 'TASK_RUNNING')
    cluster.call(framework, { type: 'RECONCILE', reconcile: {} })

    const answers = updatesOf(framework).slice(1)
    expect(answers).toMatchObject([
      {
        task_id: { value: 't' },
        state: 'TASK_RUNNING',
        source: 'SOURCE_MASTER',
        reason: 'REASON_RECONCILIATION',
        message: 'Reconciliation: Latest task state',
      },
      { task_id: { value: 'u' }, state: 'TASK_STAGING' },
    ])
    for (const { uuid } of answers) expect(uuid).toBeUndefined()
  })

  test('does not run ahead of what waits to be acknowledged', () => {
    const { cluster, link, framework } = running()
    cluster.report(link, task, 'TASK_RUNNING')
    cluster.report(link, task, 'TASK_FINISHED')
    cluster.call(framework, {
      type: 'RECONCILE',
      reconcile: { tasks: [{ task_id: { value: 't' } }] },
    })

    expect(statesOn(framework)).toEqual(['TASK_RUNNING', 'TASK_RUNNING'])
  })

  test.each([
    [{ agent_id: { value: 'M-S0' } }, 'TASK_GONE', 'TASK_LOST'],
    [{ agent_id: { value: 'M-S9' } }, 'TASK_UNKNOWN', 'TASK_LOST'],
    [{}, 'TASK_UNKNOWN', 'TASK_LOST'],
  ])('of an unknown task on %j: %s, or %s to those who know no better', (where, aware, plain) => {
    const told = [[{ type: 'PARTITION_AWARE' }], []].map((capabilities) => {
      const { cluster, framework } = running({ capabilities })
      const asked = { task_id: { value: 'x' }, ...where }
      cluster.call(framework, { type: 'RECONCILE', reconcile: { tasks: [asked] } })
      return statesOn(framework)
    })

    expect(told).toEqual([[aware], [plain]])
  })
})

const code = (
  state: 'TASK_FINISHED' | 'TASK_FAILED',
  message?: string,
  value?: string,
): number | undefined =>
  exitCodeOf({
    task_id: { value: 't' },
    state,
    message,
    labels: { labels: [{ key: exitCodeLabel, value }] },
  })

test('the exit code is in a label, or in the words of the command executor', () => {
  expect(code('TASK_FAILED', 'Command exited with status 3')).toBe(3)
  expect(code('TASK_FAILED', 'Command terminated with signal Killed', '137')).toBe(137)
  expect(code('TASK_FAILED', 'Command exited with status 3', 'none')).toBe(3)
  expect(code('TASK_FINISHED')).toBe(0)
  expect(code('TASK_FAILED', 'Failed to launch container: no')).toBeUndefined()
})

test('a task that has ended makes room at once', () => {
  const { cluster, link, framework } = running()
  cluster.report(link, task, 'TASK_FINISHED')

  expect(openOffers(framework)[1]?.resources[0]?.scalar?.value).toBe(0.5)
})
