import { utf8 } from '@conclave/kernel'
import { SeededRandom } from '@conclave/testkit'
import { expect, test } from 'vitest'
import { EmbeddedStore } from './embedded-store.ts'
import { ReplicaGroup } from './testing/replica-group.ts'

test('a lease lives on for one TTL under a new leader, and ends then', async () => {
  const group = new ReplicaGroup(3)
  await group.elected()
  const engines = new Map(
    group.members.map((member) => [
      member.nodeId,
      new EmbeddedStore({
        replica: member.replica,
        store: member.store,
        clock: group.clock,
        random: new SeededRandom(1),
      }),
    ]),
  )
  const tick = async (count: number): Promise<void> => {
    for (let ticked = 0; ticked < count; ticked++) {
      for (const member of group.members) if (member.isUp) engines.get(member.nodeId)?.tick()
      await group.tick()
    }
  }
  const keys = (): readonly string[] => group.leader.store.list('').kvs.map(({ key }) => key)
  await tick(2)
  const granting = engines.get(group.follower.nodeId)?.client().grantLease(1000)
  await tick(2)
  const lease = await granting
  void group.leader.propose({
    compare: [],
    success: [{ do: 'put', key: 'a', value: utf8(''), ...(lease !== undefined && { lease }) }],
  })
  await tick(18)
  expect(keys()).toEqual(['a'])

  group.leader.crash()
  // The lease's first time is over while nobody leads.
  await group.elected()
  await tick(10)
  expect(keys()).toEqual(['a'])
  await tick(30)

  expect(keys()).toEqual([])
  expect(group.leader.store.leases()).toEqual([])
})
