import { describe, expect, test } from 'vitest'
import { command, DrivenCluster, openOffers, scalar } from './testing/driven-cluster.ts'

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

    cluster.tell(link, { type: 'executor-ended', frameworkId, executorId: 'e', status: 9 })

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
    cluster.tell(other, { type: 'executor-ended', frameworkId, executorId: 'e', status: 9 })

    const since = framework.events.slice(told).map(({ type }) => type)
    expect(since.filter((type) => type !== 'OFFERS')).toEqual([])
  })
})

test('CL30: SHUTDOWN reaches the agent that runs the executor, and kills its tasks', () => {
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
    { type: 'shutdown-executor', frameworkId, executorId: 'e' },
    { type: 'kill', frameworkId, taskId: 't' },
  ])
})
