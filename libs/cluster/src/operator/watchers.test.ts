import { expect, test } from 'vitest'
import { command, DrivenCluster, type Watcher } from '../testing/driven-cluster.ts'

const typesOn = ({ events }: Watcher): readonly unknown[] => events.map(({ type }) => type)

test('who follows the state hears how it is, and each change after it (mesos.md §6)', () => {
  const cluster = new DrivenCluster()
  const { link, agentId } = cluster.agent()
  const watcher = cluster.watch()
  expect(watcher.events[0]).toMatchObject({
    type: 'SUBSCRIBED',
    subscribed: {
      heartbeat_interval_seconds: 15,
      get_state: { get_agents: { agents: [{ agent_info: { id: { value: agentId } } }] } },
    },
  })

  const framework = cluster.framework()
  cluster.launch(framework, command('t'))
  cluster.report(link, { frameworkId: 'M-0000', taskId: 't' }, 'TASK_RUNNING')
  cluster.call(framework, {
    type: 'UPDATE_FRAMEWORK',
    update_framework: { framework_info: { user: 'root', name: 'x', id: { value: 'M-0000' } } },
  })
  cluster.agent('agent-2')
  cluster.call(framework, { type: 'TEARDOWN' })
  cluster.hangUp(link)
  cluster.tick(75)

  expect(typesOn(watcher).filter((type) => type !== 'HEARTBEAT')).toEqual([
    'SUBSCRIBED',
    'FRAMEWORK_ADDED',
    'TASK_ADDED',
    'TASK_UPDATED',
    'FRAMEWORK_UPDATED',
    'AGENT_ADDED',
    'FRAMEWORK_REMOVED',
    'AGENT_REMOVED',
    'TASK_UPDATED',
  ])
  expect(watcher.events.find(({ type }) => type === 'TASK_UPDATED')).toMatchObject({
    task_updated: { framework_id: { value: 'M-0000' }, state: 'TASK_RUNNING' },
  })
})

test('a heartbeat follows at once, and then every 15 s', () => {
  const cluster = new DrivenCluster()
  const watcher = cluster.watch()

  cluster.tick(14)
  expect(typesOn(watcher)).toEqual(['SUBSCRIBED', 'HEARTBEAT'])
  cluster.tick(16)
  expect(typesOn(watcher)).toEqual(['SUBSCRIBED', 'HEARTBEAT', 'HEARTBEAT', 'HEARTBEAT'])
})

test('who is no operator hears of their own frameworks alone', () => {
  const cluster = new DrivenCluster()
  const watcher = cluster.watch({ uid: 'mine', isOperator: false })

  cluster.agent()
  cluster.framework('other')
  cluster.framework('mine')

  expect(typesOn(watcher)).toEqual(['SUBSCRIBED', 'HEARTBEAT', 'FRAMEWORK_ADDED'])
})

test('past the limit the oldest is dropped, and who is gone hears nothing', () => {
  const cluster = new DrivenCluster({ watchersMax: 2 })
  const [first, second, third] = [cluster.watch(), cluster.watch(), cluster.watch()]
  expect([first, second, third].map(({ isOpen }) => isOpen)).toEqual([false, true, true])

  cluster.step({ kind: 'operator-disconnected', streamId: second.streamId })
  cluster.framework()

  expect(typesOn(second)).not.toContain('FRAMEWORK_ADDED')
  expect(typesOn(third)).toContain('FRAMEWORK_ADDED')
})
