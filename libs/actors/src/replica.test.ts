import { InvariantViolated, utf8, utf8Text } from '@conclave/kernel'
import { decodeMessage, encodeMessage, message as draftOf, type Message } from '@conclave/raft'
import { commandFormat, CommandNewer, encodeCommand, TxnInvalid } from '@conclave/store'
import { describe, expect, test } from 'vitest'
import { OutcomeUnknown, Unavailable } from './master/errors.ts'
import { MemoryJournal } from './testing/memory-journal.ts'
import { ReplicaGroup, type GroupMember } from './testing/replica-group.ts'

async function ledGroup(
  ...args: ConstructorParameters<typeof ReplicaGroup>
): Promise<ReplicaGroup> {
  const group = new ReplicaGroup(...args)
  await group.elected()
  return group
}

/** How a promise stands, for those that must not settle yet. */
async function stateOf(promise: Promise<unknown>): Promise<'waits' | 'resolved' | 'rejected'> {
  let state: 'waits' | 'resolved' | 'rejected' = 'waits'
  promise.then(
    () => (state = 'resolved'),
    () => (state = 'rejected'),
  )
  // All that it could be waiting for has happened: what is left takes a few turns of the microtasks.
  for (let turn = 0; turn < 10; turn++) await Promise.resolve()
  return state
}

/** What a promise is refused with, which nobody need wait for yet. */
const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'it was not refused',
    (error: unknown) => error,
  )

const versions = (member: GroupMember): Record<string, number> =>
  Object.fromEntries(member.store.list('').kvs.map(({ key, version }) => [key, version]))

const hashes = (group: ReplicaGroup): Set<string> =>
  new Set(group.members.map(({ store }) => store.stateHash()))

describe('a group', () => {
  test('elects one leader, whom all others follow', async () => {
    const group = await ledGroup(3)

    expect(group.members.map(({ replica }) => replica.role).sort()).toEqual([
      'follower',
      'follower',
      'leader',
    ])
    expect(new Set(group.members.map(({ replica }) => replica.leader))).toEqual(
      new Set([group.leader.nodeId]),
    )
  })

  test('of one leads itself', async () => {
    const group = await ledGroup(1)

    const written = group.leader.put('alone')
    const read = group.leader.replica.linearize()
    await group.settle()

    await expect(written).resolves.toMatchObject({ succeeded: true })
    await expect(read).resolves.toBeUndefined()
  })

  test('knows for a while which peers passed on something of their own', async () => {
    const group = await ledGroup(3)
    const { leader, follower } = group
    expect(leader.replica.isAwaitedBy(follower.nodeId)).toBe(false)

    const written = follower.put('elsewhere')
    await group.settle()
    await written

    expect(leader.replica.isAwaitedBy(follower.nodeId)).toBe(true)
    for (let tick = 0; tick < 3; tick++) leader.replica.tick()
    expect(leader.replica.isAwaitedBy(follower.nodeId)).toBe(false)
  })

  test('tells who listens of each change of leader', async () => {
    const group = await ledGroup(3)
    const { leader, follower } = group
    const seen: string[] = []
    follower.replica.onRole(() => seen.push(follower.replica.role))

    leader.replica.transferLeadership(follower.nodeId)
    await group.settle()

    expect(group.leader).toBe(follower)
    expect(seen.at(-1)).toBe('leader')
  })

  test('goes on without its leader, and has it back later', async () => {
    const group = await ledGroup(3)
    const old = group.leader
    const first = old.put('first')
    await group.settle()
    await first

    old.crash()
    await group.elected()
    const second = group.leader.put('second')
    await group.settle()
    await second
    old.restart()
    await group.tick(30)

    expect(versions(old)).toEqual({ first: 1, second: 1 })
    expect(hashes(group).size).toBe(1)
  })
})

describe('a proposal', () => {
  test.each(['leader', 'follower'] as const)('of the %s is applied everywhere', async (whose) => {
    const group = await ledGroup(3)

    const written = group[whose].put('key')
    await group.tick(2)

    await expect(written).resolves.toMatchObject({ succeeded: true, responses: [1] })
    expect(hashes(group).size).toBe(1)
    expect(versions(group.member(3))).toEqual({ key: 1 })
  })

  test('is answered with what it came to', async () => {
    const group = await ledGroup(3)

    const refused = group.leader.propose({
      compare: [{ key: 'key', target: 'version', is: '=', operand: 7 }],
      success: [],
    })
    await group.settle()

    await expect(refused).resolves.toMatchObject({ succeeded: false, failedCompare: 0 })
  })

  test('that every replica would refuse never reaches the log', async () => {
    const group = await ledGroup(3)
    const { commitIndex } = group.leader.replica

    await expect(group.leader.put('')).rejects.toThrow(TxnInvalid)
    await group.settle()

    expect(group.leader.replica.commitIndex).toBe(commitIndex)
  })

  test('R2: is acknowledged only when a majority has it on disk', async () => {
    const group = await ledGroup(3)
    for (const { journal } of group.followers) journal.hold()

    const written = group.leader.put('key')
    await group.settle()
    expect(await stateOf(written)).toBe('waits')

    group.follower.journal.release()
    await group.settle()
    await expect(written).resolves.toBeDefined()
  })

  test('R2: does not wait for the disk of the leader when a majority is faster', async () => {
    const group = await ledGroup(3)
    const { leader } = group
    leader.journal.hold()

    const written = leader.put('key')
    await group.settle()

    // The leader writes beside the others, and learns from them that it is committed.
    expect(group.follower.journal.recovered().entries.at(-1)?.data.length).toBeGreaterThan(0)
    leader.journal.release()
    await group.settle()
    await expect(written).resolves.toBeDefined()
  })

  test('R2: that was acknowledged survives a crash of all at once', async () => {
    const group = await ledGroup(3)
    const written = Promise.all(Array.from({ length: 50 }, (_, at) => group.follower.put(`k${at}`)))
    await group.tick(2)
    await written

    for (const member of group.members) member.crash()
    for (const member of group.members) member.restart()
    await group.elected()
    await group.tick(5)

    expect(Object.keys(versions(group.member(1)))).toHaveLength(50)
    expect(hashes(group).size).toBe(1)
  })

  test('that only the memory of a crashed leader had is gone, and its proposer does not know', async () => {
    const group = await ledGroup(3)
    const old = group.leader
    old.journal.hold()
    group.cut(old)
    const written = old.put('lost')
    const outcome = failureOf(written)
    await group.settle()

    old.crash()
    expect(await outcome).toBeInstanceOf(OutcomeUnknown)
    group.heal()
    old.restart()
    await group.elected()
    await group.tick(30)

    expect(versions(group.member(1))).toEqual({})
    expect(hashes(group).size).toBe(1)
  })

  test('of a session that its caller gave is applied once, through whichever member it is repeated', async () => {
    const group = await ledGroup(3)
    const txn = { compare: [], success: [{ do: 'put', key: 'key', value: utf8('x') }] } as const
    const session = { client: 'ada', seq: 1 }

    const first = group.leader.replica.propose(txn, session)
    const meanwhile = group.leader.replica.propose(txn, session)
    await expect(meanwhile).rejects.toThrow(OutcomeUnknown)
    await group.settle()
    const again = group.follower.replica.propose(txn, session)
    await group.tick(2)

    expect(await first).toMatchObject({ isReplay: false, responses: [1] })
    expect(await again).toMatchObject({ isReplay: true, responses: [1] })
    expect(versions(group.leader)).toEqual({ key: 1 })
  })

  test('of a session that nobody could have is refused at once', async () => {
    const group = await ledGroup(1)
    const txn = { compare: [], success: [] }

    await expect(group.leader.replica.propose(txn, { client: '', seq: 1 })).rejects.toThrow(
      TxnInvalid,
    )
    await expect(group.leader.replica.propose(txn, { client: 'a', seq: -1 })).rejects.toThrow(
      TxnInvalid,
    )
  })

  test('is sent again when its answer is lost, and applied once', async () => {
    const group = await ledGroup(3)
    const { follower } = group
    let lostCount = 0
    // It reaches the leader, but the follower hears nothing of what became of it.
    group.isLost = ({ type, to }) => to === follower.nodeId && type === 'MsgApp' && ++lostCount < 60
    const written = follower.put('once')
    await group.tick(25)
    group.isLost = () => false

    await group.tick(30)

    await expect(written).resolves.toMatchObject({ succeeded: true })
    expect(versions(group.leader)).toEqual({ once: 1 })
    expect(hashes(group).size).toBe(1)
  })

  test.each(['leader', 'follower'] as const)(
    'shares its messages with all that the %s is asked in one turn',
    async (whose) => {
      const group = await ledGroup(3)
      await group.tick(2)
      const entryCounts: number[] = []
      group.isLost = (message) => {
        if (message.type === 'MsgApp' && message.entries.length > 0) {
          entryCounts.push(message.entries.length)
        }
        return false
      }

      const written = Promise.all(Array.from({ length: 9 }, (_, at) => group[whose].put(`k${at}`)))
      await group.settle()

      await expect(written).resolves.toHaveLength(9)
      expect(entryCounts).toEqual([9, 9])
      expect(hashes(group).size).toBe(1)
    },
  )

  test('is sent again when it was lost on its way to the leader', async () => {
    const group = await ledGroup(3)
    let isLost = true
    group.isLost = ({ type }) => isLost && type === 'MsgProp'
    const written = group.follower.put('late')
    await group.tick(5)
    isLost = false

    await group.tick(25)

    await expect(written).resolves.toMatchObject({ succeeded: true })
  })

  test('goes to the next leader when the one it was sent to is gone', async () => {
    const group = await ledGroup(3)
    const { leader, follower } = group
    group.isLost = ({ type }) => type === 'MsgProp'
    const written = follower.put('onward')
    await group.settle()
    leader.crash()
    group.isLost = () => false

    await group.elected()
    await group.tick(30)

    await expect(written).resolves.toMatchObject({ succeeded: true })
    expect(versions(group.leader)).toEqual({ onward: 1 })
  })

  test('that nobody could take fails after its deadline, and nothing was changed', async () => {
    const group = new ReplicaGroup(3, { deadlineTicks: 30 })
    for (const nodeId of [2, 3]) group.member(nodeId).crash()
    const written = failureOf(group.member(1).put('key'))

    await group.tick(31)

    expect(await written).toBeInstanceOf(Unavailable)
  })

  test('that was sent and never answered has an unknown outcome', async () => {
    const group = await ledGroup(3, { deadlineTicks: 30 })
    const { follower } = group
    group.cut(follower)
    const written = failureOf(follower.put('key'))

    await group.tick(31)

    expect(await written).toBeInstanceOf(OutcomeUnknown)
  })

  test('waits for its turn when too many are under way, and uses few sessions', async () => {
    const group = await ledGroup(3, { proposalsMax: 4 })

    const written = Promise.all(Array.from({ length: 40 }, (_, at) => group.leader.put(`k${at}`)))
    await group.tick(10)

    await expect(written).resolves.toHaveLength(40)
    const last = group.leader.put('one more')
    await group.tick(2)
    expect((await last).session?.client).toMatch(/\/[0-3]$/)
  })

  test('that waited for its turn too long changed nothing', async () => {
    const group = await ledGroup(3, { proposalsMax: 1, deadlineTicks: 20 })
    const { leader } = group
    group.cut(leader)
    const first = failureOf(leader.put('first'))
    const second = failureOf(leader.put('second'))

    await group.tick(25)

    expect(await first).toBeInstanceOf(OutcomeUnknown)
    expect(await second).toBeInstanceOf(Unavailable)
  })

  test('is given up when the master stops', async () => {
    const group = await ledGroup(3)
    group.cut(group.leader)
    const written = failureOf(group.leader.put('key'))
    const read = failureOf(group.leader.replica.linearize())
    await group.settle()

    group.leader.replica.close()

    expect(await written).toBeInstanceOf(OutcomeUnknown)
    expect(await read).toBeInstanceOf(Unavailable)
  })
})

describe('a read', () => {
  test('R2: at a follower sees every write that was acknowledged before', async () => {
    const group = await ledGroup(3)
    const { leader, follower } = group
    group.isLost = ({ type, to }) => to === follower.nodeId && type === 'MsgApp'
    const written = leader.put('key')
    await group.settle()
    await written
    expect(follower.store.get('key')).toBeUndefined()

    const read = follower.replica.linearize()
    await group.settle()
    expect(await stateOf(read)).toBe('waits')
    group.isLost = () => false
    await group.tick(3)

    await read
    expect(follower.store.get('key')).toBeDefined()
  })

  test('R2: at a leader that was deposed without knowing is not answered', async () => {
    const group = await ledGroup(3, { deadlineTicks: 100 })
    const old = group.leader
    group.cut(old)
    const read = old.replica.linearize()
    await group.settle()
    expect(await stateOf(read)).toBe('waits')
    const refused = failureOf(read)

    await group.tick(101)

    expect(await refused).toBeInstanceOf(Unavailable)
    expect(group.leader).not.toBe(old)
  })

  test('R2: is not confirmed by an answer to an earlier run of the same member', async () => {
    const group = await ledGroup(3)
    const { leader, follower } = group
    const early = follower.replica.linearize().catch(() => undefined)
    const answers: Uint8Array[] = []
    group.isLost = (message) => {
      if (message.type !== 'MsgReadIndexResp' || message.to !== follower.nodeId) return false
      answers.push(encodeMessage(message))
      return true
    }
    await group.settle()
    expect(answers).toHaveLength(1)
    follower.crash()
    await early
    const written = leader.put('key')
    await group.settle()
    await written

    group.isLost = ({ to, type }) => to === follower.nodeId && type === 'MsgApp'
    follower.restart()
    await group.tick(1)
    const read = follower.replica.linearize()
    follower.work()
    for (const bytes of answers) follower.replica.receive(decodeMessage(bytes))
    await group.settle()
    expect(await stateOf(read)).toBe('waits')
    group.isLost = () => false
    await group.tick(30)

    await read
    expect(follower.store.get('key')).toBeDefined()
  })

  test('R2: asks a quorum and nobody else, and everybody with the next tick when that is in vain', async () => {
    const group = await ledGroup(5)
    const { leader } = group
    const asked = new Set<number>()
    let isLost = false
    group.isLost = ({ type, to }) => {
      if (type !== 'MsgHeartbeat') return false
      asked.add(to)
      return isLost
    }

    const answered = leader.replica.linearize()
    await group.settle()
    await answered
    expect(asked.size).toBe(2)

    asked.clear()
    isLost = true
    const read = leader.replica.linearize()
    await group.settle()
    expect(await stateOf(read)).toBe('waits')
    expect(asked.size).toBe(2)
    isLost = false
    await group.tick(1)
    await read
    expect(asked.size).toBe(4)
  })

  test('asks again when its question or the answer is lost', async () => {
    const group = await ledGroup(3)
    let lostCount = 0
    group.isLost = ({ type }) => type.startsWith('MsgReadIndex') && ++lostCount <= 2

    const read = group.follower.replica.linearize()
    await group.tick(45)

    await expect(read).resolves.toBeUndefined()
  })

  test('shares its round with all that came before the round began', async () => {
    const group = await ledGroup(3)
    let questionCount = 0
    group.isLost = ({ type }) => {
      if (type === 'MsgReadIndex') questionCount++
      return false
    }

    const reads = Array.from({ length: 100 }, () => group.follower.replica.linearize())
    await group.settle()

    await expect(Promise.all(reads)).resolves.toHaveLength(100)
    expect(questionCount).toBe(1)
  })

  test('asks for those who came after a round began beside it, in one more round', async () => {
    const group = await ledGroup(3)
    const { follower } = group
    let questionCount = 0
    group.isLost = ({ type }) => {
      if (type === 'MsgReadIndex') questionCount++
      return type === 'MsgReadIndexResp'
    }

    const reads: Promise<void>[] = []
    for (let n = 0; n < 5; n++) {
      reads.push(follower.replica.linearize())
      await group.settle()
    }
    expect(questionCount).toBe(2)
    group.isLost = () => false
    await group.tick(45)

    await expect(Promise.all(reads)).resolves.toHaveLength(5)
  })

  test('waits for a leader, and fails when there is none in time', async () => {
    const group = new ReplicaGroup(3, { deadlineTicks: 20 })
    for (const nodeId of [2, 3]) group.member(nodeId).crash()
    const read = failureOf(group.member(1).replica.linearize())

    await group.tick(21)

    expect(await read).toBeInstanceOf(Unavailable)
  })
})

/** Writes one key after another, each acknowledged before the next. */
async function write(group: ReplicaGroup, count: number): Promise<void> {
  for (let at = 0; at < count; at++) {
    const written = group.leader.put(`k${at}`)
    await group.settle()
    await written
  }
}

describe('a snapshot', () => {
  const small = { snapshotEntries: 20, trailingEntries: 5 }

  test('is taken after so many entries, saved, and begins the log of a restart', async () => {
    const group = await ledGroup(3, small)
    await write(group, 50)
    const { leader } = group
    const { snapshot } = leader.journal.recovered()
    expect(snapshot?.meta.index).toBeGreaterThan(20)
    expect(leader.events).toContainEqual(expect.objectContaining({ type: 'raft.snapshot-taken' }))

    leader.restart()
    await group.tick(30)

    expect(Object.keys(versions(leader))).toHaveLength(50)
    expect(hashes(group).size).toBe(1)
  })

  test('catches up a follower whose entries are gone, and is on its disk before it says so', async () => {
    const group = await ledGroup(3, small)
    const { follower } = group
    group.cut(follower)
    await write(group, 60)

    group.heal()
    await group.tick(20)

    expect(follower.events).toContainEqual(
      expect.objectContaining({ type: 'raft.snapshot-installed' }),
    )
    expect(hashes(group).size).toBe(1)
    follower.restart()
    await group.tick(20)
    expect(hashes(group).size).toBe(1)
    expect(follower.journal.recovered().snapshot).toBeDefined()
  })

  test('does not answer for proposals that it stands for: those are answered by their repetition', async () => {
    const group = await ledGroup(3, { ...small, deadlineTicks: 200 })
    const { follower, leader } = group
    // Its proposal is applied by the others while it hears nothing.
    group.isLost = ({ to, type }) => to === follower.nodeId && type === 'MsgApp'
    const written = follower.put('mine')
    await group.tick(2)
    group.cut(follower)
    group.isLost = () => false
    await write(group, 60)

    group.heal()
    await group.tick(60)

    await expect(written).resolves.toMatchObject({ isReplay: true, responses: [1] })
    expect(versions(leader)['mine']).toBe(1)
  })
})

describe('a group that starts', () => {
  test('MA20: has a leader before an election timeout has passed', async () => {
    const group = new ReplicaGroup(3, { firstElectionTicks: 3 })

    await group.tick(4)

    expect(group.leader).toBe(group.member(1))
  })

  test('MA20: … and by the next in line where the first is missing', async () => {
    const group = new ReplicaGroup(3, { firstElectionTicks: 3 })
    group.member(1).crash()

    await group.tick(8)

    expect(group.leader).toBe(group.member(2))
  })

  test('MA20: keeps its leader when one of its members starts anew', async () => {
    const group = await ledGroup(3, { firstElectionTicks: 3 })
    const { leader, follower } = group
    const { term } = leader.replica

    follower.restart()
    await group.tick(20)

    expect(group.leader).toBe(leader)
    expect(leader.replica.term).toBe(term)
  })
})

describe('a member whose link to the leader broke', () => {
  test('MA17: is not kept waiting for the silence of a leader that is gone', async () => {
    const group = await ledGroup(3)
    const { leader, followers } = group
    await write(group, 1)
    leader.crash()
    const [first] = followers

    for (const { replica } of followers) replica.linkLost(leader.nodeId)
    await group.tick(2)

    expect(group.leader).toBe(first)
    const written = followers[1]?.put('after')
    await group.settle()
    await expect(written).resolves.toMatchObject({ succeeded: true })
  })

  test('MA17: leaves it to the next in line when the first cannot win', async () => {
    const group = await ledGroup(3)
    const { leader, followers } = group
    const [first, second] = followers
    // The first misses what was acknowledged.
    group.isLost = ({ to, type }) => to === first?.nodeId && type === 'MsgApp'
    await write(group, 3)
    leader.crash()
    group.isLost = () => false

    for (const { replica } of followers) replica.linkLost(leader.nodeId)
    await group.tick(7)

    expect(group.leader).toBe(second)
  })

  test('MA17: does not disturb a leader that the others still hear', async () => {
    const group = await ledGroup(3)
    const { leader, follower } = group
    const { term } = leader.replica

    follower.replica.linkLost(leader.nodeId)
    await group.tick(5)

    expect(group.leader).toBe(leader)
    expect(group.members.map(({ replica }) => [replica.term, replica.leader])).toEqual(
      group.members.map(() => [term, leader.nodeId]),
    )
    const written = follower.put('mine')
    await group.settle()
    await expect(written).resolves.toMatchObject({ succeeded: true })
  })

  test('MA17: takes no notice of anybody else’s', async () => {
    const group = await ledGroup(3)
    const { leader, followers } = group
    const [first, second] = followers

    first?.replica.linkLost(second?.nodeId ?? 0)
    leader.replica.linkLost(first?.nodeId ?? 0)
    leader.replica.linkLost(leader.nodeId)
    await group.tick(8)

    expect(group.leader).toBe(leader)
    expect(first?.replica.leader).toBe(leader.nodeId)
  })
})

test('says in events what it appended, committed and applied, without what it was', async () => {
  const group = await ledGroup(3)
  const written = group.leader.put('canary-key', 'canary-value')
  await group.settle()
  await written

  const { events } = group.leader
  expect(events.map(({ type }) => type)).toEqual(
    expect.arrayContaining(['raft.appended', 'raft.committed']),
  )
  expect(JSON.stringify(events)).not.toContain('canary')
  expect(utf8Text(group.leader.store.get('canary-key')?.value ?? utf8(''))).toBe('canary-value')
})

describe('a commit index that came without entries', () => {
  test('is written with the next entries, so that a crash does not take it back', async () => {
    const group = await ledGroup(3)
    const { leader, follower } = group
    const first = leader.put('first')
    await group.settle()
    await first
    const { commitIndex } = leader.replica

    const second = leader.put('second')
    await group.settle()
    await second
    for (const member of group.members) if (member !== follower) member.crash()
    follower.restart()
    await group.settle()

    expect(follower.replica.commitIndex).toBeGreaterThanOrEqual(commitIndex)
    expect(versions(follower)).toMatchObject({ first: 1 })
  })
})

describe('a member whose disk was taken back to an earlier moment', () => {
  test('stops when the leader that knew better speaks to it', async () => {
    const group = await ledGroup(3)
    const { leader, follower } = group
    const earlier = follower.journal.recovered()
    const written = leader.put('kept')
    await group.settle()
    await written

    follower.crash()
    follower.journal = new MemoryJournal(earlier)
    follower.restart()

    await expect(group.tick(2)).rejects.toThrow(InvariantViolated)
    await expect(group.tick(2)).rejects.toThrow('nothing beyond the last entry is committed')
  })
})

describe('a command of a newer build', () => {
  const newer = encodeCommand({ nowMs: 1, compare: [], success: [] })
  newer[0] = commandFormat + 1
  const append = (group: ReplicaGroup): Message => {
    const { leader, follower } = group
    const index = leader.replica.commitIndex
    const { term } = leader.replica
    return draftOf({
      type: 'MsgApp',
      from: leader.nodeId,
      to: follower.nodeId,
      term,
      logTerm: term,
      index,
      commit: index + 1,
      entries: [{ type: 'EntryNormal', term, index: index + 1, data: newer }],
    })
  }

  test('stops a member that does not know it, with the format in words', async () => {
    const group = await ledGroup(3)
    const { follower } = group
    const before = follower.store.stateHash()

    follower.replica.receive(append(group))
    const apply = (): void => {
      follower.replica.takeWork()
      follower.replica.advance()
    }

    expect(apply).toThrow(CommandNewer)
    expect(follower.store.stateHash()).toBe(before)
  })

  test('is not taken from a follower by a leader that does not know it', async () => {
    const group = await ledGroup(3)
    const { leader, follower } = group
    const { commitIndex } = leader.replica

    const entries = [{ type: 'EntryNormal', term: 0, index: 0, data: newer }] as const
    const to = { from: follower.nodeId, to: leader.nodeId }
    leader.replica.receive(draftOf({ type: 'MsgProp', ...to, entries }))
    await group.settle()

    expect(leader.replica.commitIndex).toBe(commitIndex)
  })
})
