import { ManualClock, SeededRandom } from '@conclave/testkit'
import { expect, test } from 'vitest'
import { MemoryAgent } from '../../testing/memory-agent.ts'
import { MemoryCluster } from '../../testing/memory-cluster.ts'
import { firstPeople } from '../../testing/people.ts'

test('MA42: an agent hears who the masters are when it comes, and each time that changes', async () => {
  const random = new SeededRandom(5)
  const clock = new ManualClock(1_800_000_000_000)
  const cluster = new MemoryCluster({ clock, random, identities: await firstPeople(random) })
  await cluster.elected()
  const { actor } = cluster.leader
  const agent = new MemoryAgent(actor, 'agent-1')
  expect(agent.heard('masters')[0]?.masters.map(({ masterId }) => masterId)).toEqual([
    'master-1',
    'master-2',
    'master-3',
  ])

  const moved = { agents: { host: '10.0.0.9', port: 5050 } }
  actor.setContacts([{ masterId: 'master-9', nodeId: 9, listeners: moved }])

  expect(agent.heard('masters').at(-1)?.masters).toContainEqual({
    masterId: 'master-9',
    nodeId: 9,
    listeners: moved,
  })
  const { length } = agent.heard('masters')
  actor.setContacts([{ masterId: 'master-9', nodeId: 9, listeners: moved }])
  expect(agent.heard('masters')).toHaveLength(length)
})
