import { describe, expect, test } from 'vitest'
import { command, DrivenCluster } from './testing/driven-cluster.ts'

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
