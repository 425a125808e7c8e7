import { utf8, utf8Text } from '@conclave/kernel'
import { SeededRandom } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import { decodeMessage, encodeConfChange } from './codec.ts'
import { confChange } from './conf-change.ts'
import { packContext } from './context.ts'
import type { Entry } from './entry.ts'
import { RaftError, proposalDropped } from './errors.ts'
import { message, waitsForDisk } from './message.ts'
import { RawNode } from './raw-node.ts'
import { MemoryStorage, foundingSnapshot } from './storage.ts'
import { Group, type MemberOptions } from './testing/group.ts'

/** Three voters of which the first leads. */
function ledGroup(options: MemberOptions = {}, size = 3): Group {
  const group = new Group(size, new SeededRandom(1), options)
  group.elect(1)
  return group
}

const texts = (entries: readonly Entry[]): string[] =>
  entries.filter(({ data }) => data.length > 0).map(({ data }) => utf8Text(data))

const state = (group: Group, id: number): string => group.node(id).basicStatus().softState.state

function write(group: Group, id: number, text: string): void {
  expect(group.node(id).propose(utf8(text))).toBeUndefined()
}

function tick(group: Group, ids: readonly number[], count: number): void {
  for (let ticked = 0; ticked < count; ticked++) {
    for (const id of ids) group.node(id).tick()
    group.settle(ids)
  }
}

/** A follower whose log, behind what it was founded with, holds these entries of term 2. */
function followerWith(log: readonly string[]): { node: RawNode; storage: MemoryStorage } {
  const storage = new MemoryStorage()
  storage.applySnapshot(foundingSnapshot([1, 2, 3]))
  storage.append(
    log.map((text, at) => ({ type: 'EntryNormal', term: 2, index: 2 + at, data: utf8(text) })),
  )
  storage.setHardState({ term: 2, vote: 0, commit: 1 })
  return { node: new RawNode({ id: 2, storage, random: new SeededRandom(1) }), storage }
}

describe('elections', () => {
  test('RF1: a member that voted does not vote for another in the same term, even after a crash', () => {
    const group = new Group(3, new SeededRandom(1), { preVote: false, checkQuorum: false })
    const ask = (from: number): void => {
      group.node(3).step(message({ type: 'MsgVote', to: 3, from, term: 2, index: 1, logTerm: 1 }))
    }
    ask(1)
    const [granted] = group.member(3).process()
    expect(granted).toMatchObject({ type: 'MsgVoteResp', to: 1, reject: false })

    group.member(3).restart()
    ask(2)

    expect(group.member(3).process()).toEqual([
      expect.objectContaining({ type: 'MsgVoteResp', to: 2, reject: true }),
    ])
  })

  test('RF6: a member that was cut off does not depose a leader that the others hear', () => {
    const group = ledGroup()
    const term = group.node(1).basicStatus().hardState.term

    for (let ticked = 0; ticked < 100; ticked++) {
      group.node(3).tick()
      group.settle([3])
      group.drop((to, from) => to === 3 || from === 3)
      tick(group, [1, 2], 1)
    }
    group.settle()
    tick(group, [1, 2, 3], 20)

    expect(state(group, 1)).toBe('StateLeader')
    expect(group.node(1).basicStatus().hardState.term).toBe(term)
  })

  test('RF6: a pre-vote changes nothing in the voter', () => {
    const group = new Group(3, new SeededRandom(1))
    const before = group.node(2).basicStatus().hardState

    group
      .node(2)
      .step(message({ type: 'MsgPreVote', to: 2, from: 1, term: 9, index: 1, logTerm: 1 }))

    expect(group.member(2).process()).toEqual([
      expect.objectContaining({ type: 'MsgPreVoteResp', term: 9, reject: false }),
    ])
    expect(group.node(2).basicStatus().hardState).toEqual(before)
  })

  test('RF12: leadership passes to an up-to-date voter, and proposals are dropped meanwhile', () => {
    const group = ledGroup()
    write(group, 1, 'behind')
    group.process(1)
    group.drop((to) => to === 2)
    group.settle([1, 3])

    group.node(1).transferLeader(2)
    expect(group.node(1).propose(utf8('too late'))).toBe(proposalDropped)
    expect(state(group, 2)).toBe('StateFollower')
    tick(group, [1, 2, 3], 1)

    expect(state(group, 2)).toBe('StateLeader')
    expect(texts(group.member(2).history)).toEqual(['behind'])
  })

  test('RF12: a learner is never handed the leadership', () => {
    const group = ledGroup()
    group.join()
    group.node(1).proposeConfChange(confChange([{ type: 'ConfChangeAddLearnerNode', nodeId: 4 }]))
    tick(group, [1, 2, 3, 4], 3)

    group.node(1).transferLeader(4)
    tick(group, [1, 2, 3, 4], 3)

    expect(state(group, 1)).toBe('StateLeader')
    expect(group.node(1).propose(utf8('still welcome'))).toBeUndefined()
  })
})

describe('the log', () => {
  test('RF2: entries of an older term are committed only by way of one of the current term', () => {
    // Figure 8 of the paper: entry 2 of term 2 is on a majority under a leader of term 4, and must wait.
    const storage = new MemoryStorage()
    storage.applySnapshot(foundingSnapshot([1, 2, 3]))
    storage.append([{ type: 'EntryNormal', term: 2, index: 2, data: utf8('older') }])
    storage.setHardState({ term: 3, vote: 0, commit: 1 })
    const random = new SeededRandom(1)
    const node = new RawNode({ id: 1, storage, random, preVote: false, checkQuorum: false })
    const carryOut = (): void => {
      while (node.hasReady()) {
        const ready = node.ready()
        if (ready.hardState !== undefined) storage.setHardState(ready.hardState)
        storage.append(ready.entries)
        node.advance()
      }
    }
    node.campaign()
    carryOut()
    node.step(message({ type: 'MsgVoteResp', to: 1, from: 2, term: 4 }))
    carryOut()

    node.step(message({ type: 'MsgAppResp', to: 1, from: 2, term: 4, index: 2 }))
    expect(node.basicStatus().hardState.commit).toBe(1)

    node.step(message({ type: 'MsgAppResp', to: 1, from: 2, term: 4, index: 3 }))
    expect(node.basicStatus().hardState.commit).toBe(3)
  })

  test('RF3: a message that is merely shorter does not shorten the log', () => {
    const group = ledGroup()
    write(group, 1, 'first')
    group.process(1)
    const old = group.inFlight.filter(({ to }) => to === 2)
    group.settle()
    write(group, 1, 'second')
    group.settle()

    group.inFlight.push(...old)
    group.settle()

    expect(group.member(2).storage.lastIndex()).toBe(group.member(1).storage.lastIndex())
    expect(texts(group.member(2).history)).toEqual(['first', 'second'])
  })

  test('RF3: what conflicts with the leader gives way, when it was never committed', () => {
    const group = ledGroup()
    write(group, 1, 'lost')
    group.process(1)
    group.drop(() => true)
    group.member(1).isUp = false
    tick(group, [2, 3], 40)
    write(group, group.leader()?.id ?? 0, 'kept')
    group.settle([2, 3])

    group.member(1).restart()
    tick(group, [1, 2, 3], 40)

    expect(texts(group.member(1).history)).toEqual(['kept'])
    expect(group.member(1).digest).toBe(group.member(2).digest)
  })

  test('RF3: a follower commits no further than what it is known to share with its leader', () => {
    const { node } = followerWith(['older 2', 'older 3', 'older 4'])

    node.step(message({ type: 'MsgApp', to: 2, from: 1, term: 3, index: 2, logTerm: 2, commit: 4 }))

    expect(node.basicStatus().hardState.commit).toBe(2)
  })

  test('RF4: nothing that promises a write leaves before it', () => {
    const group = ledGroup()
    write(group, 1, 'promised')
    group.process(1)
    group.deliver(group.inFlight.findIndex(({ to }) => to === 2))
    const before = group.member(2).storage.lastIndex()

    const early = group.member(2).process('before-write')

    expect(early.filter(({ type }) => waitsForDisk(type))).toEqual([])
    expect(group.member(2).storage.lastIndex()).toBe(before)
  })

  test('RF4: a leader counts itself only when its own write is done', () => {
    const storage = new MemoryStorage()
    storage.applySnapshot(foundingSnapshot([1]))
    const node = new RawNode({ id: 1, storage, random: new SeededRandom(1), preVote: false })
    node.campaign()
    const won = node.ready()
    node.advance()
    const first = node.ready()

    expect(won.mustSync).toBe(true)
    expect(first.committedEntries).toEqual([])
    storage.append(first.entries)
    node.advance()
    expect(node.ready().committedEntries).toHaveLength(1)
  })

  test('RF9: proposals beyond the limit are dropped, and welcome again after a commit', () => {
    const group = ledGroup({ maxUncommittedEntriesSize: 10 })
    write(group, 1, 'eight by')
    expect(group.node(1).propose(utf8('too much'))).toBe(proposalDropped)

    group.settle()

    write(group, 1, 'room now')
    group.settle()
    expect(texts(group.member(3).history)).toEqual(['eight by', 'room now'])
  })

  test('RF9: committed entries are handed out in pages', () => {
    const group = ledGroup({ maxCommittedSizePerReady: 64 })
    for (let count = 0; count < 20; count++) write(group, 1, `entry ${count}`)
    group.process(1)
    group.deliver(0)
    const node = group.node(2)
    const sizes: number[] = []
    group.settle([1, 2, 3])
    const { storage } = group.member(2)
    const again = new RawNode({
      id: 2,
      storage,
      random: new SeededRandom(1),
      maxCommittedSizePerReady: 64,
    })
    while (again.hasReady()) {
      const ready = again.ready()
      if (ready.committedEntries.length > 0) sizes.push(ready.committedEntries.length)
      again.advance()
    }

    expect(node.basicStatus().applied).toBe(storage.lastIndex())
    expect(Math.max(...sizes)).toBeLessThanOrEqual(3)
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThanOrEqual(20)
  })
})

describe('flow', () => {
  test('RF8: what is on its way to a peer is bounded, and a window that was lost as a whole recovers', () => {
    const group = ledGroup({ maxInflightMsgs: 4, maxSizePerMsg: 1 })
    for (let count = 0; count < 30; count++) {
      write(group, 1, `entry ${count}`)
      group.process(1)
    }
    const carrying = group.inFlight.filter(
      ({ to, bytes }) => to === 2 && decodeMessage(bytes).entries.length > 0,
    )
    expect(carrying.length).toBeLessThanOrEqual(4)

    group.drop(() => true)
    tick(group, [1, 2, 3], 40)

    expect(texts(group.member(2).history)).toHaveLength(30)
  })

  test('RF13: a snapshot catches up a follower whose entries are gone', () => {
    const group = ledGroup()
    for (let count = 0; count < 10; count++) {
      write(group, 1, `entry ${count}`)
      group.settle([1, 2])
      group.drop((to) => to === 3)
    }
    group.member(1).compact(0)

    tick(group, [1, 2, 3], 4)

    expect(group.member(3).digest).toBe(group.member(1).digest)
    expect(texts(group.member(3).history)).toEqual([])
  })

  test('RF13: a snapshot stands for the entry it was made at, and the log goes on right behind it', () => {
    const { storage } = followerWith(['two', 'three', 'four'])
    const { meta } = foundingSnapshot([1, 2, 3])

    const snapshot = storage.createSnapshot(3, meta.confState)
    storage.compact(3)

    expect(snapshot).toEqual({ meta: { ...meta, index: 3, term: 2 } })
    expect(storage.snapshot()).toEqual(snapshot)
    expect(storage.firstIndex()).toBe(4)
  })

  test('RF13: a snapshot that knows less, or does not name this member, changes nothing', () => {
    const group = ledGroup()
    write(group, 1, 'known')
    group.settle()
    group.member(2).compact(0)
    const { digest } = group.member(2)
    const { term } = group.node(2).basicStatus().hardState
    const offer = (index: number, voters: readonly number[]): void => {
      const { meta } = foundingSnapshot(voters)
      const snapshot = { meta: { ...meta, index } }
      group.node(2).step(message({ type: 'MsgSnap', to: 2, from: 1, term, snapshot }))
      group.settle([2])
    }

    offer(1, [1, 2, 3])
    offer(99, [1, 3])

    expect(group.member(2).digest).toBe(digest)
  })

  test('RF13: a snapshot that the log agrees with takes nothing of it away', () => {
    const { node } = followerWith(['two', 'three', 'four'])
    const { meta } = foundingSnapshot([1, 2, 3])
    const snapshot = { meta: { ...meta, index: 3, term: 2 } }

    node.step(message({ type: 'MsgSnap', to: 2, from: 1, term: 3, snapshot }))

    expect(node.basicStatus().lastIndex).toBe(4)
    expect(node.basicStatus().hardState.commit).toBe(3)
    expect(node.ready().snapshot).toBeUndefined()
  })

  test('RF13: a newcomer is sent a snapshot that was taken after it was added', () => {
    const group = ledGroup()
    write(group, 1, 'before')
    group.settle()
    group.member(1).compact(0)
    group.join()

    group.node(1).proposeConfChange(confChange([{ type: 'ConfChangeAddNode', nodeId: 4 }]))
    tick(group, [1, 2, 3, 4], 5)

    expect(group.member(4).digest).toBe(group.member(1).digest)
    expect(group.member(4).confState.voters).toEqual([1, 2, 3, 4])
  })

  test('RF13: a snapshot that was lost is sent again once that is reported', () => {
    const group = ledGroup()
    for (let count = 0; count < 5; count++) write(group, 1, `entry ${count}`)
    group.settle([1, 2])
    group.drop((to) => to === 3)
    group.member(1).compact(0)
    for (let ticked = 0; ticked < 3; ticked++) {
      group.node(1).tick()
      group.settle([1, 2])
      // Answers reach the leader, so that it thinks the peer alive; snapshots never arrive.
      for (let at = 0; at < group.inFlight.length;) {
        const envelope = group.inFlight[at]
        const isSnapshot =
          envelope !== undefined && decodeMessage(envelope.bytes).type === 'MsgSnap'
        if (isSnapshot) group.lose(at)
        else group.deliver(at)
      }
      group.settle([3])
    }
    expect(group.member(3).digest).not.toBe(group.member(1).digest)

    tick(group, [1, 2, 3], 5)

    expect(group.member(3).digest).toBe(group.member(1).digest)
  })
})

describe('reads', () => {
  test('RF5: a leader that cannot reach a quorum answers no read', () => {
    const group = ledGroup()
    group.node(1).readIndex(utf8('lonely'))
    tick(group, [1], 5)
    expect(group.member(1).reads).toEqual([])
  })

  test('RF5: an answer to an older round confirms no read that came after it', () => {
    const group = ledGroup()
    group.node(1).readIndex(utf8('first'))
    group.settle([1])
    group.deliver(group.inFlight.findIndex(({ to }) => to === 2))
    group.settle([2])
    const answers = group.inFlight.filter(({ to }) => to === 1)
    group.drop(() => true)

    group.node(1).readIndex(utf8('second'))
    group.settle([1])
    group.drop(() => true)
    group.inFlight.push(...answers)
    group.settle([1, 2])

    expect(group.member(1).reads.map(({ context }) => utf8Text(context))).toEqual(['first'])
  })

  test('RF5: a follower learns an index that covers every write before its question', () => {
    const group = ledGroup()
    write(group, 1, 'written')
    group.settle()

    group.node(3).readIndex(utf8('mark'))
    group.settle()

    expect(group.member(3).reads).toEqual([
      { index: group.node(1).basicStatus().hardState.commit, context: utf8('mark') },
    ])
  })

  test('RF5: a read waits for the first commit of the term', () => {
    const group = ledGroup()
    group.node(2).campaign()
    group.node(2).step(message({ type: 'MsgTimeoutNow', to: 2, from: 1, term: 2 }))
    group.settle([2])
    for (const at of [1, 3]) {
      group.node(2).step(message({ type: 'MsgVoteResp', to: 2, from: at, term: 3 }))
    }
    expect(state(group, 2)).toBe('StateLeader')

    group.node(2).readIndex(utf8('early'))
    group.settle([2])
    expect(group.member(2).reads).toEqual([])

    group.settle()
    tick(group, [1, 2, 3], 2)
    expect(group.member(2).reads).toHaveLength(1)
  })
})

describe('membership', () => {
  test('RF7: at most one change is in the log and not applied; a second becomes an empty entry', () => {
    const group = ledGroup()
    group.node(1).proposeConfChange(confChange([{ type: 'ConfChangeAddLearnerNode', nodeId: 4 }]))
    group.node(1).proposeConfChange(confChange([{ type: 'ConfChangeAddLearnerNode', nodeId: 5 }]))

    group.settle()

    expect(group.member(2).confState.learners).toEqual([4])
  })

  test('RF7: a joint configuration needs both majorities', () => {
    const group = ledGroup({}, 3)
    group.join()
    group.join()
    group.node(1).proposeConfChange(
      confChange(
        [
          { type: 'ConfChangeAddNode', nodeId: 4 },
          { type: 'ConfChangeAddNode', nodeId: 5 },
          { type: 'ConfChangeRemoveNode', nodeId: 2 },
          { type: 'ConfChangeRemoveNode', nodeId: 3 },
        ],
        'ConfChangeTransitionJointExplicit',
      ),
    )
    tick(group, [1, 2, 3, 4, 5], 5)
    expect(group.member(1).confState).toMatchObject({
      voters: [1, 4, 5],
      votersOutgoing: [1, 2, 3],
    })
    const { commit } = group.node(1).basicStatus().hardState

    write(group, 1, 'only the new half has it')
    group.settle([1, 4, 5])
    expect(group.node(1).basicStatus().hardState.commit).toBe(commit)

    tick(group, [1, 2, 3, 4, 5], 3)
    expect(group.node(1).basicStatus().hardState.commit).toBe(commit + 1)
  })

  test('RF7: a change that could not apply is never appended', () => {
    const group = ledGroup()
    const removals = [1, 2, 3].map((nodeId) => ({ type: 'ConfChangeRemoveNode', nodeId }) as const)

    group.node(1).proposeConfChange(confChange(removals))
    group.settle()

    expect(group.member(1).history.every(({ type }) => type === 'EntryNormal')).toBe(true)
    expect(group.node(1).status().config.voters).toEqual([1, 2, 3])
  })

  test('RF7: bytes that are no change are never appended, whoever passed them on', () => {
    const group = ledGroup()
    const entries = [{ type: 'EntryConfChange', term: 0, index: 0, data: utf8('junk') }] as const

    group.node(1).step(message({ type: 'MsgProp', to: 1, from: 2, entries }))
    group.settle()

    expect(group.member(2).history.at(-1)).toMatchObject({ type: 'EntryNormal' })
  })

  test('RF7: a learner does not count, but votes when it is asked', () => {
    const group = ledGroup()
    group.join()
    group.node(1).proposeConfChange(confChange([{ type: 'ConfChangeAddLearnerNode', nodeId: 4 }]))
    tick(group, [1, 2, 3, 4], 3)
    const { commit } = group.node(1).basicStatus().hardState
    write(group, 1, 'with a learner alone')
    group.settle([1, 4])
    expect(group.node(1).basicStatus().hardState.commit).toBe(commit)

    tick(group, [4], 20)
    const { term, lastIndex } = { ...group.node(4).basicStatus().hardState, lastIndex: 99 }
    const vote = { from: 2, term: term + 1, index: lastIndex, logTerm: term }
    group.node(4).step(message({ type: 'MsgVote', to: 4, ...vote }))
    expect(group.member(4).process()).toContainEqual(
      expect.objectContaining({ type: 'MsgVoteResp', to: 2, reject: false }),
    )
  })

  test('RF7: a member with a committed change that it has not applied does not campaign', () => {
    const group = ledGroup()
    group.node(1).proposeConfChange(confChange([{ type: 'ConfChangeAddLearnerNode', nodeId: 4 }]))
    group.settle([1, 3])
    // Both the entry and its commitment reach the second member, which has not come to work on it.
    group.node(1).tick()
    while (group.node(1).hasReady()) group.process(1)
    while (group.inFlight.length > 0) group.deliver(0)
    expect(group.node(2).basicStatus().hardState.commit).toBeGreaterThan(
      group.node(2).basicStatus().applied,
    )

    group.node(2).campaign()

    expect(state(group, 2)).toBe('StateFollower')
  })

  test('RF7: a candidate that learns of a committed change does not win in the configuration before', () => {
    const group = ledGroup()
    group.node(1).proposeConfChange(confChange([{ type: 'ConfChangeAddLearnerNode', nodeId: 4 }]))
    group.process(1)
    const toBoth = group.inFlight.splice(0)
    group.inFlight.push(...toBoth)
    group.settle([2, 3])
    while (group.inFlight.length > 0) group.deliver(0)
    group.settle([2, 3])
    write(group, 1, 'only here')
    while (group.node(1).hasReady()) group.process(1)
    group.drop(() => true)
    group.node(1).forgetLeader()
    for (const id of [1, 2, 3]) for (let ticked = 0; ticked < 9; ticked++) group.node(id).tick()
    group.drop(() => true)

    group.node(2).campaign()
    group.process(2)
    const rejection = message({
      type: 'MsgPreVoteResp',
      to: 2,
      from: 1,
      term: group.node(2).basicStatus().hardState.term,
      reject: true,
      context: packContext(3, 1),
    })
    group.node(2).step(rejection)
    group.node(2).step({ ...rejection, from: 3, term: rejection.term + 1, reject: false })

    expect(state(group, 2)).toBe('StateFollower')
  })

  test('RF7: a smaller quorum commits at once what the larger one waited for', () => {
    const group = ledGroup({}, 4)
    group.node(1).proposeConfChange(confChange([{ type: 'ConfChangeRemoveNode', nodeId: 4 }]))
    group.settle([1])
    write(group, 1, 'with two of four')
    group.settle([1])
    const [toThird] = group.inFlight.filter(({ to }) => to === 3)
    group.drop((to) => to > 2)
    group.settle([1, 2])
    const { commit } = group.node(1).basicStatus().hardState
    group.drop(() => true)
    if (toThird !== undefined) group.inFlight.push(toThird)

    group.deliver(0)
    group.process(3)
    group.deliver(0)
    group.settle([1])

    expect(group.member(1).confState.voters).toEqual([1, 2, 3])
    expect(group.node(1).basicStatus().hardState.commit).toBe(commit + 2)
  })

  test('RF7: the others go on when a leader leaves before anybody heard that its removal is committed', () => {
    const group = ledGroup({}, 2)
    group.node(1).proposeConfChange(confChange([{ type: 'ConfChangeRemoveNode', nodeId: 1 }]))
    group.process(1)
    group.deliver(group.inFlight.findIndex(({ to }) => to === 2))
    group.process(2)
    // It has more in its log than the other, so it will not vote for it.
    write(group, 1, 'never sent')
    group.process(1)
    group.drop((to) => to === 2)
    group.deliver(group.inFlight.findIndex(({ to }) => to === 1))
    // Commits and applies its own removal; what it would tell of it is lost.
    while (group.node(1).hasReady()) group.process(1)
    group.drop(() => true)
    expect(state(group, 1)).toBe('StateFollower')

    tick(group, [1, 2], 60)

    expect(state(group, 2)).toBe('StateLeader')
    expect(group.member(2).confState.voters).toEqual([2])
  })
})

test('RF13: a change that is applied while a newer snapshot waits does not touch the configuration of the snapshot', () => {
  const { node, storage } = followerWith([])
  const add = confChange([{ type: 'ConfChangeAddLearnerNode', nodeId: 4 }])
  const data = encodeConfChange(add)
  const entry = { type: 'EntryConfChangeV2', term: 2, index: 2, data } as const
  const from = { from: 1, to: 2, term: 2 }
  const before = node.status().config
  node.step(message({ type: 'MsgApp', ...from, index: 1, logTerm: 1, entries: [entry], commit: 2 }))
  const ready = node.ready()
  expect(ready.committedEntries).toEqual([entry])

  // By then node 4 has come and gone.
  const meta = { index: 9, term: 2, confState: { ...before, voters: [1, 2, 3] } }
  node.step(message({ type: 'MsgSnap', ...from, snapshot: { meta } }))
  const applied = node.applyConfChange(add, before)

  expect(applied.learners).toEqual([4])
  expect(node.status().config).toEqual(meta.confState)
  storage.append(ready.entries)
  node.advance()
  expect(node.ready().snapshot?.meta.confState.learners).toEqual([])
})

/** A group's whole end after some writes and a change of leader. */
function writeAndTransfer(): string {
  const group = ledGroup({}, 5)
  for (let count = 0; count < 20; count++) {
    write(group, group.leader()?.id ?? 0, `entry ${count}`)
    tick(group, [1, 2, 3, 4, 5], count % 3)
  }
  group.node(1).transferLeader(4)
  tick(group, [1, 2, 3, 4, 5], 30)
  return JSON.stringify(group.members.map(({ digest, node }) => [digest, node.basicStatus()]))
}

test('RF10: the same inputs give the same outputs', () => {
  expect(writeAndTransfer()).toBe(writeAndTransfer())
})

test.each([
  ['id', { id: 0 }],
  ['electionTick', { electionTick: 1, heartbeatTick: 1 }],
  ['maxInflightMsgs', { maxInflightMsgs: 0 }],
  ['maxInflightBytes', { maxInflightBytes: 1, maxSizePerMsg: 2 }],
  ['checkQuorum', { readOnlyOption: 'lease-based', checkQuorum: false } as const],
])('a configuration with a wrong %s is refused by name', (field, wrong) => {
  const storage = new MemoryStorage()
  const start = (): RawNode =>
    new RawNode({ id: 1, storage, random: new SeededRandom(1), ...wrong })

  expect(start).toThrow(RaftError)
  expect(start).toThrow(field)
})
