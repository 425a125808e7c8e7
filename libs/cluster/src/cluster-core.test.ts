import { describe, expect, test } from 'vitest'
import {
  command,
  DrivenCluster,
  launchesOf,
  openOffers,
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
    const [launch] = launchesOf(link)
    expect(launch).toMatchObject({ frameworkId: 'M-0000', task: { name: 't-1' } })

    const task = { frameworkId: 'M-0000', taskId: 't-1' }
    cluster.report(link, task, 'TASK_RUNNING')
    cluster.report(link, task, 'TASK_FINISHED', { message: 'Command exited with status 0' })
    expect(updatesOf(framework).map(({ state }) => state)).toEqual(['TASK_RUNNING'])

    expect(cluster.acknowledge(framework, updatesOf(framework)[0]!)).toEqual({
      status: 202,
      body: '',
    })
    cluster.acknowledge(framework, updatesOf(framework)[1]!)
    expect(updatesOf(framework).map(({ state }) => state)).toEqual([
      'TASK_RUNNING',
      'TASK_FINISHED',
    ])
    expect(cluster.core.taskOf('M-0000', 't-1')).toMatchObject({
      state: 'TASK_FINISHED',
      pending: [],
      exitCode: 0,
    })
    expect(openOffers(framework)).toHaveLength(1)
  })
})
