import { describe, expect, test } from 'vitest'
import {
  MembershipBusy,
  MembershipRefused,
  NotLeader,
  OutcomeUnknown,
  Unavailable,
} from './master/errors.ts'
import { ReplicaGroup, type GroupMember } from './testing/replica-group.ts'

async function ledGroup(
  ...args: ConstructorParameters<typeof ReplicaGroup>
): Promise<ReplicaGroup> {
  const group = new ReplicaGroup(...args)
  await group.elected()
  return group
}

const keys = (member: GroupMember): string[] => member.store.list('').kvs.map(({ key }) => key)

const putAll = async (group: ReplicaGroup, ...names: string[]): Promise<void> => {
  for (const name of names) await group.settled(group.leader.put(name))
}

/** In as a learner, and up once it has what the leader has. */
async function joined(group: ReplicaGroup): Promise<GroupMember> {
  const { nodeId } = group.start()
  await group.settled(group.leader.replica.changeMembers({ do: 'add-learner', nodeId }))
  await group.tick(30)
  await group.settled(group.leader.replica.changeMembers({ do: 'promote', nodeId }))
  await group.tick(3)
  return group.member(nodeId)
}

describe('a member that joins', () => {
  test('MA23: knows nobody and never stands for election before it is told who the others are', async () => {
    const group = await ledGroup(3)
    const newcomer = group.start()

    await group.tick(200)

    expect(newcomer.replica.config.voters).toEqual([])
    expect(newcomer.replica).toMatchObject({ role: 'follower', term: 0, appliedIndex: 0 })
  })

  test('MA23: learns all there is as a learner, and then votes', async () => {
    const group = await ledGroup(3)
    await putAll(group, 'a', 'b')

    const newcomer = group.start()
    await group.settled(group.leader.replica.changeMembers({ do: 'add-learner', nodeId: 4 }))
    await group.tick(30)

    expect(newcomer.replica.config).toMatchObject({ voters: [1, 2, 3], learners: [4] })
    expect(keys(newcomer)).toEqual(['a', 'b'])

    await group.settled(group.leader.replica.changeMembers({ do: 'promote', nodeId: 4 }))
    await group.tick(3)

    for (const { replica } of group.members) {
      expect(replica.config).toMatchObject({ voters: [1, 2, 3, 4], learners: [] })
    }
  })

  test('knows its place again after a crash, at any moment of its joining', async () => {
    const group = await ledGroup(3)
    await putAll(group, 'a')
    const newcomer = group.start()
    await group.settled(group.leader.replica.changeMembers({ do: 'add-learner', nodeId: 4 }))
    newcomer.restart()
    await group.tick(40)
    expect(keys(newcomer)).toEqual(['a'])

    newcomer.restart()
    expect(newcomer.replica.config.learners).toEqual([4])
    await group.settled(group.leader.replica.changeMembers({ do: 'promote', nodeId: 4 }))
    await group.tick(3)
    newcomer.restart()
    await group.tick(3)

    expect(newcomer.replica.config.voters).toEqual([1, 2, 3, 4])
  })

  test('counts for the quorum once it votes, and not before', async () => {
    const group = await ledGroup(3)
    await joined(group)
    await joined(group)

    for (const follower of group.followers.slice(0, 2)) follower.crash()
    await putAll(group, 'with three of five')
    group.followers.find(({ isUp }) => isUp)?.crash()
    const written = group.leader.put('with two of five')
    const failure = written.catch((error: unknown) => error)
    await group.tick(500)

    await expect(failure).resolves.toBeInstanceOf(OutcomeUnknown)
  })
})

describe('a configuration', () => {
  test('MA23: is found again in the snapshot, when the entries that made it are gone', async () => {
    const limits = { snapshotEntries: 5, trailingEntries: 0 }
    const group = await ledGroup(3, limits)
    await joined(group)
    await putAll(group, ...Array.from({ length: 12 }, (_, at) => `k${at}`))
    await group.tick(3)

    for (const member of group.members) member.restart()

    for (const { replica } of group.members) expect(replica.config.voters).toEqual([1, 2, 3, 4])
    await group.elected()
  })

  test('tells who listens of each change', async () => {
    const group = await ledGroup(3)
    const seen: (readonly number[])[] = []
    const { replica } = group.follower
    replica.onConfig(() => seen.push(replica.config.voters))

    await joined(group)

    expect(seen).toEqual([
      [1, 2, 3],
      [1, 2, 3, 4],
    ])
  })

  test('shrinks, and then fewer are a quorum', async () => {
    const group = await ledGroup(3)
    const [first] = group.followers
    if (first === undefined) throw new Error('a group of three has followers')
    const { nodeId } = first

    await group.settled(group.leader.replica.changeMembers({ do: 'demote', nodeId }))
    expect(group.leader.replica.config.learners).toEqual([nodeId])
    await group.settled(group.leader.replica.changeMembers({ do: 'remove', nodeId }))
    first.crash()
    await putAll(group, 'two are all')

    expect(group.leader.replica.config.voters).toHaveLength(2)
  })
})

describe('a leader', () => {
  test.each(['demote', 'remove'] as const)(
    'hands leadership on rather than %s itself',
    async (what) => {
      const group = await ledGroup(3)
      const old = group.leader

      const changed = group.settled(old.replica.changeMembers({ do: what, nodeId: old.nodeId }))
      await expect(changed).rejects.toThrow(NotLeader)
      await group.elected()
      const { leader } = group
      expect(leader).not.toBe(old)
      expect(leader.replica.config.voters).toEqual([1, 2, 3])

      await group.settled(leader.replica.changeMembers({ do: what, nodeId: old.nodeId }))
      expect(leader.replica.config.voters).not.toContain(old.nodeId)
    },
  )

  test('knows how far the others are, and whom it has not heard of', async () => {
    const group = await ledGroup(3)
    const silent = group.followers[0]
    silent?.crash()
    await putAll(group, 'a', 'b')
    await group.tick(15)

    const progress = group.leader.replica.memberProgress()

    expect(progress).toHaveLength(2)
    expect(progress.find(({ nodeId }) => nodeId === silent?.nodeId)).toMatchObject({
      isReachable: false,
      isVoter: true,
      lag: 2,
    })
    expect(progress.find(({ nodeId }) => nodeId !== silent?.nodeId)).toMatchObject({
      isReachable: true,
      lag: 0,
    })
    expect(group.followers[1]?.replica.memberProgress()).toEqual([])
  })
})

describe('a change', () => {
  test.each([
    [{ do: 'add-learner', nodeId: 2 }, /node 2 is a member already/],
    [{ do: 'promote', nodeId: 2 }, /node 2 is a voter already/],
    [{ do: 'promote', nodeId: 9 }, /node 9 is no member/],
    [{ do: 'demote', nodeId: 9 }, /node 9 is no member/],
    [{ do: 'remove', nodeId: 9 }, /node 9 is no member/],
  ] as const)('that makes no sense is refused: %j', async (change, why) => {
    const group = await ledGroup(3)
    const { commitIndex } = group.leader.replica

    const changed = group.leader.replica.changeMembers(change)

    await expect(changed).rejects.toThrow(MembershipRefused)
    await expect(changed).rejects.toThrow(why)
    await group.tick(3)
    expect(group.leader.replica.commitIndex).toBe(commitIndex)
  })

  test.each(['demote', 'remove'] as const)('would not %s the last voter', async (what) => {
    const group = await ledGroup(1)

    const changed = group.leader.replica.changeMembers({ do: what, nodeId: 1 })
    const failure = changed.catch((error: unknown) => error)
    // Whoever lets it in waits for a successor that does not exist, until there is no time left.
    await group.tick(500)

    await expect(failure).resolves.toMatchObject({
      message: expect.stringContaining('the last voter'),
    })
  })

  test('is for the leader', async () => {
    const group = await ledGroup(3)

    const changed = group.follower.replica.changeMembers({ do: 'add-learner', nodeId: 4 })

    await expect(changed).rejects.toThrow(NotLeader)
  })

  test('waits for no other: the second is refused', async () => {
    const group = await ledGroup(3)
    const { replica } = group.leader

    const first = replica.changeMembers({ do: 'add-learner', nodeId: 4 })
    const second = replica.changeMembers({ do: 'add-learner', nodeId: 5 })

    await expect(second).rejects.toThrow(MembershipBusy)
    await group.settled(first)
    expect(replica.config.learners).toEqual([4])
    await group.settled(replica.changeMembers({ do: 'add-learner', nodeId: 5 }))
  })

  test('that a new leader is asked for while an inherited one is not applied waits for its own', async () => {
    const group = await ledGroup(3)
    const { leader } = group
    group.isLost = ({ type }) => type === 'MsgAppResp'
    const first = leader.replica.changeMembers({ do: 'add-learner', nodeId: 4 })
    first.catch(() => undefined)
    await group.settle()
    leader.crash()
    await group.elected()

    const second = group.leader.replica.changeMembers({ do: 'add-learner', nodeId: 5 })
    group.isLost = () => false
    await group.settled(second)

    expect(group.leader.replica.config.learners).toEqual([4, 5])
  })

  test('whose leader loses the others has an unknown outcome, and may still happen', async () => {
    const group = await ledGroup(3)
    const old = group.leader
    group.cut(old)

    const changed = group.settled(old.replica.changeMembers({ do: 'add-learner', nodeId: 4 }))

    await expect(changed).rejects.toThrow(OutcomeUnknown)
    group.heal()
    await group.tick(60)
    // The others have elected a leader that never saw it.
    for (const { replica } of group.members) expect(replica.config.learners).toEqual([])
  })

  test('of a master that stops is not answered as if it had been made', async () => {
    const group = await ledGroup(3)
    const { leader } = group
    for (const follower of group.followers) group.cut(follower)
    const sent = leader.replica.changeMembers({ do: 'add-learner', nodeId: 4 })
    leader.replica.close()

    await expect(sent).rejects.toThrow(OutcomeUnknown)
  })

  test('that nobody can take over for is given up in time, with nothing changed', async () => {
    const group = await ledGroup(2, { deadlineTicks: 5 })
    const { leader, follower } = group
    follower.crash()

    const { nodeId, replica } = leader
    const changed = group.settled(replica.changeMembers({ do: 'remove', nodeId }))

    await expect(changed).rejects.toThrow(Unavailable)
    expect(replica.config.voters).toEqual([1, 2])
  })
})
