import { ExecutorInfo, parseOurs } from '@conclave/model'
import { describe, expect, test } from 'vitest'
import {
  command,
  DrivenCluster,
  openOffers,
  scalar,
  type Stream,
} from './testing/driven-cluster.ts'

const setUp = () => {
  const cluster = new DrivenCluster()
  const { link, agentId } = cluster.agent()
  const framework = cluster.framework()
  cluster.launch(framework, command('t-1'))
  const { frameworkId } = framework
  return { cluster, link, agentId, framework, frameworkId }
}

describe('CL30: a framework and its executor', () => {
  test('are carried what they say to each other', () => {
    const { cluster, link, agentId, framework, frameworkId } = setUp()
    const words = {
      agent_id: { value: agentId },
      executor_id: { value: 'e' },
      data: 'aGVsbG8=',
    }

    const answer = cluster.call(framework, { type: 'MESSAGE', message: words })
    const data = 'aGk='
    cluster.tell(link, { type: 'executor-message', frameworkId, executorId: 'e', data })

    expect(answer).toEqual({ status: 202, body: '' })
    expect(link.messages.at(-1)).toEqual({
      type: 'executor-message',
      frameworkId,
      executorId: 'e',
      data: 'aGVsbG8=',
    })
    expect(framework.events.at(-1)).toEqual({ type: 'MESSAGE', message: { ...words, data } })
  })

  test('hear of its end', () => {
    const { cluster, link, agentId, framework, frameworkId } = setUp()

    cluster.tell(link, {
      type: 'executor-ended',
      frameworkId,
      executorId: 'e',
      containerId: 'c',
      status: 9,
    })

    expect(framework.events.at(-1)).toEqual({
      type: 'FAILURE',
      failure: { agent_id: { value: agentId }, executor_id: { value: 'e' }, status: 9 },
    })
  })

  test('hear nothing from an agent that runs no task of the framework', () => {
    const { cluster, framework, frameworkId } = setUp()
    const { link: other } = cluster.agent('agent-2')
    const told = framework.events.length

    const data = 'aGk='
    cluster.tell(other, { type: 'executor-message', frameworkId, executorId: 'e', data })
    cluster.tell(other, {
      type: 'executor-ended',
      frameworkId,
      executorId: 'e',
      containerId: 'c',
      status: 9,
    })

    const since = framework.events.slice(told).map(({ type }) => type)
    expect(since.filter((type) => type !== 'OFFERS')).toEqual([])
  })
})

test('CL30: SHUTDOWN kills the tasks of an executor, and then reaches the agent that runs it', () => {
  const cluster = new DrivenCluster()
  const resources = [scalar('cpus', 0.1), scalar('mem', 32), scalar('disk', 1)]
  const { link, agentId } = cluster.agent('agent-1', [
    scalar('cpus', 1),
    scalar('mem', 512),
    scalar('disk', 10),
  ])
  const framework = cluster.framework()
  const { frameworkId } = framework
  const agent_id = { value: agentId }
  cluster.call(framework, {
    type: 'ACCEPT',
    accept: {
      offer_ids: openOffers(framework).map(({ id }) => id),
      operations: [
        {
          type: 'LAUNCH_GROUP',
          launch_group: {
            executor: { type: 'DEFAULT', executor_id: { value: 'e' }, resources },
            task_group: { tasks: [command('t', { agent_id, resources })] },
          },
        },
      ],
    },
  })

  cluster.call(framework, {
    type: 'SHUTDOWN',
    shutdown: { executor_id: { value: 'e' }, agent_id },
  })

  expect(link.messages.slice(-2)).toMatchObject([
    { type: 'kill', frameworkId, taskId: 't' },
    { type: 'shutdown-executor', frameworkId, executorId: 'e' },
  ])
})

const resources = (cpus: number, mem = 32, disk = 1) => [
  scalar('cpus', cpus),
  scalar('mem', mem),
  scalar('disk', disk),
]

describe('CL31: a launch', () => {
  test("for an executor of the framework's own tells the agent whose it is", () => {
    const cluster = new DrivenCluster()
    const { link } = cluster.agent('agent-1', resources(4, 1024, 1024))
    const framework = cluster.framework()
    const executor = {
      executor_id: { value: 'e' },
      command: { value: 'my-executor' },
      resources: resources(0.1),
    }

    cluster.launch(
      framework,
      command('t-1', { command: undefined, executor }),
      command('t-2', { command: undefined, executor }),
    )

    const launches = link.messages.filter(({ type }) => type === 'launch')
    expect(launches).toMatchObject([
      { framework: { name: 'scheduler' }, task: { executor: { executor_id: { value: 'e' } } } },
      { task: { name: 't-2' } },
    ])
    // Both are in the executor's container, which is the first one's.
    const id = (launches[0] as { containerId: string }).containerId
    const status = { container_status: { container_id: { value: id }, network_infos: [] } }
    const { frameworkId } = framework
    cluster.report(link, { frameworkId, taskId: 't-2' }, 'TASK_RUNNING', status)
    expect(framework.events.at(-1)?.update?.status).toMatchObject({
      task_id: { value: 't-2' },
      state: 'TASK_RUNNING',
      executor_id: { value: 'e' },
    })
  })

  test('of a group reaches the agent whole, with its executor', () => {
    const cluster = new DrivenCluster()
    const { link, agentId } = cluster.agent('agent-1', resources(4, 1024, 1024))
    const framework = cluster.framework()
    const { offers } = framework.events.find(({ type }) => type === 'OFFERS')?.offers ?? {}
    const tasks = ['a', 'b'].map((id) => ({
      ...command(id, { resources: resources(0.1) }),
      agent_id: { value: agentId },
    }))
    const executor = { type: 'DEFAULT', executor_id: { value: 'e' }, resources: resources(0.1) }

    cluster.call(framework, {
      type: 'ACCEPT',
      accept: {
        offer_ids: offers?.map(({ id }) => id),
        operations: [{ type: 'LAUNCH_GROUP', launch_group: { executor, task_group: { tasks } } }],
      },
    })

    const groups = link.messages.filter(({ type }) => type === 'launch-group')
    expect(groups).toMatchObject([
      {
        executor: { type: 'DEFAULT', executor_id: { value: 'e' } },
        tasks: [{ task: { name: 'a' } }, { task: { name: 'b' } }],
      },
    ])
    expect(link.messages.some(({ type }) => type === 'launch')).toBe(false)
  })
})

/** What is offered of the machine's four CPUs. */
const free = (stream: Stream): number =>
  openOffers(stream)
    .flatMap((offer) => offer.resources)
    .reduce((sum, { name, scalar: of }) => sum + (name === 'cpus' ? (of?.value ?? 0) : 0), 0)

describe("CL1: a framework's own executor", () => {
  const info = {
    executor_id: { value: 'e' },
    command: { value: 'my-executor' },
    resources: resources(1, 128, 16),
  }
  /** A task of two CPUs under an executor of one, on a machine of four. */
  function running() {
    const cluster = new DrivenCluster()
    const { link, agentId } = cluster.agent('agent-1', resources(4, 1024, 1024))
    const framework = cluster.framework()
    const { frameworkId } = framework
    const task = (id: string): object =>
      command(id, { command: undefined, executor: info, resources: resources(2) })
    cluster.launch(framework, task('t-1'))
    const { containerId } = link.messages.find(({ type }) => type === 'launch') as {
      containerId: string
    }
    const place = { frameworkId, executorId: 'e', containerId }
    cluster.tell(link, { type: 'executor-started', ...place })
    const end = (taskId: string): void => {
      cluster.report(link, { frameworkId, taskId }, 'TASK_FINISHED')
      cluster.tick(10)
    }
    return { cluster, link, agentId, framework, frameworkId, containerId, place, task, end }
  }

  test('keeps its resources when its tasks have ended and it has not', () => {
    const { cluster, link, framework, place, end } = running()

    end('t-1')
    expect(free(framework)).toBe(3)
    cluster.tell(link, { type: 'executor-ended', ...place, status: 0 })
    cluster.tick(10)

    expect(free(framework)).toBe(4)
  })

  test('is listed as long as it runs, and takes the next task without resources of its own', () => {
    const { cluster, link, framework, end, task } = running()
    end('t-1')

    expect(cluster.operator({ type: 'GET_EXECUTORS' })).toMatchObject({
      json: { get_executors: { executors: [{ executor_info: { executor_id: { value: 'e' } } }] } },
    })
    cluster.launch(framework, task('t-2'))

    expect(link.messages.filter(({ type }) => type === 'launch').length).toBe(2)
    cluster.tick(10)
    expect(free(framework)).toBe(1)
  })

  test('is told of by its agent to the next leader', () => {
    const { cluster, link, agentId, frameworkId, place, end } = running()
    end('t-1')
    cluster.restart()
    const again = cluster.link(link.name)

    cluster.register(again, {
      agentId,
      resources: resources(4, 1024, 1024),
      executors: [{ ...place, info: parseOurs(ExecutorInfo, info) }],
    })
    const { stream } = cluster.subscribe('scheduler', { id: { value: frameworkId } })

    expect(free(stream)).toBe(3)
    cluster.tell(again, { type: 'executor-ended', ...place, status: 0 })
    cluster.tick(10)
    expect(free(stream)).toBe(4)
  })

  test('that is ending holds them beside one of its name that began', () => {
    const { cluster, link, framework, place, end, task } = running()
    end('t-1')
    cluster.launch(framework, task('t-2'))
    cluster.tell(link, { type: 'executor-started', ...place, containerId: 'second' })
    cluster.tell(link, { type: 'executor-ended', ...place, status: 0 })

    end('t-2')
    expect(free(framework)).toBe(3)
    cluster.tell(link, { type: 'executor-ended', ...place, containerId: 'second', status: 0 })
    cluster.tick(10)

    expect(free(framework)).toBe(4)
  })

  test('is shut down with its framework, though it has no task any more', () => {
    const { cluster, link, framework, frameworkId, end } = running()
    end('t-1')

    cluster.call(framework, { type: 'TEARDOWN' })

    const told = { type: 'shutdown-executor', frameworkId, executorId: 'e' }
    expect(link.messages.at(-1)).toEqual(told)
  })

  test('is shut down when its agent comes back and its framework is gone', () => {
    const { cluster, link, agentId, framework, frameworkId, place, end } = running()
    end('t-1')
    cluster.hangUp(link)
    cluster.call(framework, { type: 'TEARDOWN' })
    const again = cluster.link(link.name)

    cluster.register(again, {
      agentId,
      resources: resources(4, 1024, 1024),
      executors: [{ ...place, info: parseOurs(ExecutorInfo, info) }],
    })

    const told = { type: 'shutdown-executor', frameworkId, executorId: 'e' }
    expect(again.messages.at(-1)).toEqual(told)
  })

  test('is gone with its agent, or when that comes back without it', () => {
    const { cluster, link, agentId, framework, end } = running()
    end('t-1')
    cluster.hangUp(link)
    const again = cluster.link(link.name)

    cluster.register(again, { agentId, resources: resources(4, 1024, 1024) })

    expect(free(framework)).toBe(4)
  })
})
