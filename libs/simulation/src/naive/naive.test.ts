import { ReplicaGroup } from '@conclave/actors/testing'
import { describe, expect, test } from 'vitest'
import { NaiveGroup } from './naive-group.ts'
import { watchItSplit } from './watch-it-split.ts'

/*
 * The holes of the naive election, one test each (reference/raft.md 2.2), and beside it what Conclave's
 * core does in the same place.
 */

const five = ['ann', 'bob', 'cid', 'dot', 'eve']
const three = ['ann', 'bob', 'cid']

async function elected(ids: readonly string[], more: object = {}): Promise<NaiveGroup> {
  const group = new NaiveGroup({ ids, ...more })
  await group.pass(6000)
  return group
}

const leadersOf = (group: ReplicaGroup): readonly number[] =>
  group.members
    .filter(({ isUp, replica }) => isUp && replica.role === 'leader')
    .map(({ nodeId }) => nodeId)

/** Cuts the group into two halves. */
function split(group: ReplicaGroup, half: readonly number[]): void {
  group.isLost = ({ from, to }) => half.includes(from) !== half.includes(to)
}

describe('SI15: the naive election', () => {
  test('works while all is well: one leader, whom the others follow', async () => {
    const group = await elected(five)

    expect(group.leaders).toHaveLength(1)
    expect(group.mostLeaders).toBe(1)
  })

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'hole 1: two halves with different views each have a leader (seed %i)',
    async (seed) => {
      const group = await elected(five, { seed })

      group.split(['ann', 'bob'])
      await group.pass(8000)

      expect(group.leaders).toHaveLength(2)
    },
  )

  test('hole 2: an instance that sees only itself is leader without any vote', async () => {
    const group = await elected(three)
    const lonely = three.find((id) => id !== group.leaders[0]?.id) ?? ''

    group.split([lonely])
    await group.pass(4000)

    expect(group.instance(lonely)).toMatchObject({ state: 'leader', votesWhenElected: 0 })
  })

  test('hole 3: a clock that is ahead judges all others dead, removes them and crowns its owner', async () => {
    const group = await elected(three, { clockAheadMs: { cid: 3000 } })

    const crowned = group.changes.filter(({ id, state }) => id === 'cid' && state === 'leader')

    expect(crowned.length).toBeGreaterThan(0)
    expect(group.instance('cid').votesWhenElected).toBe(0)
  })

  test('hole 4: the term falls when all are started again, so it fences nothing', async () => {
    const group = await elected(three)
    for (let round = 0; round < 10; round++) {
      const old = group.leaders[0]
      old?.kill()
      await group.pass(6000)
      if (old !== undefined) group.restart(old.id)
    }
    const before = Math.max(...three.map((id) => group.instance(id).currentTerm))

    for (const id of three) group.instance(id).kill()
    for (const id of three) {
      group.restart(id)
      await group.pass(600)
    }
    while (group.leaders.length === 0) await group.pass(100)

    expect(before).toBeGreaterThan(3)
    expect(group.leaders[0]?.currentTerm).toBeLessThan(before)
  })

  test('hole 5: a leader cut off from Redis goes on saying leader while another one leads a later term', async () => {
    const group = await elected(three)
    const [old] = group.leaders

    group.split([old?.id ?? ''])
    await group.pass(5000)

    const [term] = [old?.currentTerm ?? 0]
    expect(group.leaders).toHaveLength(2)
    expect(old?.state).toBe('leader')
    expect(Math.max(...group.leaders.map(({ currentTerm }) => currentTerm))).toBeGreaterThan(term)
  })

  test('hole 5: a leader whose process stood still says leader when it wakes', async () => {
    const group = await elected(three)
    const [old] = group.leaders
    old?.freeze()
    await group.pass(6000)

    // What it says from its first moment on, until the next check of the other one reaches it.
    expect(old?.state).toBe('leader')
    expect(group.leaders).toHaveLength(2)
    old?.thaw()
    await group.pass(500)
    expect(old?.state).toBe('follower')
  })

  test('hole 7: a kind with a colon breaks every id, so everybody is alone and crowns itself', async () => {
    const group = await elected(three, { kind: 'my:service' })

    expect(group.mostLeaders).toBeGreaterThan(1)
    expect(group.changes.filter(({ state }) => state === 'leader').length).toBeGreaterThan(2)
  })

  test('hole 8: leaders of one term, both self-appointed, depose each other when they meet', async () => {
    const group = new NaiveGroup({ ids: ['ann', 'bob'] })
    group.split(['ann'])
    await group.pass(4000)
    expect(group.leaders.map(({ currentTerm }) => currentTerm)).toEqual([1, 1])
    const before = group.changes.length

    group.redis.sees = () => true
    await group.pass(500)

    expect(group.changes.slice(before).map(({ state }) => state)).toContain('follower')
    expect(group.leaders.length).toBeLessThan(2)
  })
})

describe('SI15: with our core, in the same place,', () => {
  test('holes 1 and 2: only the half that has a majority of all has a leader', async () => {
    const group = new ReplicaGroup(5)
    await group.elected()
    const { leader, follower } = group

    split(group, [leader.nodeId, follower.nodeId])
    await group.tick(100)

    const leaders = leadersOf(group)
    expect(leaders).toHaveLength(1)
    expect([leader.nodeId, follower.nodeId]).not.toContain(leaders[0])
  })

  test('hole 2: one that sees only itself never leads, nor disturbs the others when it is back', async () => {
    const group = new ReplicaGroup(3)
    await group.elected()
    const { leader, follower } = group
    const { term } = leader.replica

    group.cut(follower)
    await group.tick(200)
    expect(follower.replica.role).not.toBe('leader')
    group.heal()
    await group.tick(20)

    expect(leadersOf(group)).toEqual([leader.nodeId])
    expect(leader.replica.term).toBe(term)
  })

  test('hole 3: no clock is ever compared', async () => {
    const group = new ReplicaGroup(3)
    await group.elected()
    const before = leadersOf(group)

    group.clock.advance(3600_000)
    await group.tick(50)

    expect(leadersOf(group)).toEqual(before)
  })

  test('hole 4: the term survives when all are started again, and only rises', async () => {
    const group = new ReplicaGroup(3)
    await group.elected()
    group.leader.crash()
    await group.tick(60)
    const before = group.leader.replica.term

    for (const member of group.members) member.restart()
    await group.elected()

    expect(before).toBeGreaterThan(1)
    expect(group.leader.replica.term).toBeGreaterThan(before)
  })

  test('hole 5: a leader that is cut off steps down by itself, and what it is asked meanwhile is not answered', async () => {
    const group = new ReplicaGroup(3)
    await group.elected()
    const { leader } = group
    const answers: string[] = []

    group.cut(leader)
    void leader.replica.linearize().then(
      () => answers.push('answered'),
      () => answers.push('refused'),
    )
    await group.tick(30)

    expect(leader.replica.role).not.toBe('leader')
    expect(answers).not.toContain('answered')
    expect(leadersOf(group)).toHaveLength(1)
  })
})

test('SI15: the story of a split tells of two leaders, and of one', async () => {
  const lines = await watchItSplit(1)

  expect(lines.join('\n')).toMatch(/It is split: 2 leaders at once, \w+ \(term \d+\) and \w+/)
  expect(lines.at(-1)).toMatch(/^It holds: \w+ leads, and no term had more than 1 leader\.$/)
})
