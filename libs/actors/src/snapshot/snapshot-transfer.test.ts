import { chunkDigest } from '@conclave/raft'
import { describe, expect, test } from 'vitest'
import { ReplicaGroup, type GroupMember } from '../testing/replica-group.ts'
import type { PeerMessage, SnapshotChunk } from './snapshot-message.ts'

const limits = {
  snapshotEntries: 20,
  trailingEntries: 5,
  snapshotChunkBytes: 100,
  snapshotWindow: 4,
  snapshotSendTicks: 40,
}

interface Scene {
  readonly group: ReplicaGroup
  readonly leader: GroupMember
  /** Lacks what the log of the others does not have any more. */
  readonly behind: GroupMember
  /** The numbers of all chunks that were sent to it, in order. */
  readonly sent: number[]
}

/** One of three needs a snapshot, as soon as the group is healed. */
async function someoneBehind(): Promise<Scene> {
  const group = new ReplicaGroup(3, limits)
  await group.elected()
  const { leader, follower: behind } = group
  group.cut(behind)
  for (let at = 0; at < 60; at++) {
    const written = leader.put(`key/${at}`, `value ${at}`)
    await group.settle()
    await written
  }
  return { group, leader, behind, sent: [] }
}

/** Heals the group, and sees what leaves. `isLost` is asked about everything. */
function watch(
  { group, behind, sent }: Scene,
  isLost: (message: PeerMessage) => boolean = () => false,
): void {
  group.isLost = (message) => {
    if (message.type === 'SnapshotChunk' && message.to === behind.nodeId) sent.push(message.number)
    return isLost(message)
  }
  group.heal()
}

const isChunk = (message: PeerMessage): message is SnapshotChunk => message.type === 'SnapshotChunk'

const hashes = ({ group }: Scene): Set<string> =>
  new Set(group.members.map(({ store }) => store.stateHash()))

const eventsOf = (member: GroupMember, type: string): number =>
  member.events.filter((event) => event.type === type).length

describe('a snapshot on its way', () => {
  test('MA40: goes in chunks, each once, and counts when all of them are there', async () => {
    const scene = await someoneBehind()
    watch(scene)

    await scene.group.tick(20)

    expect(scene.sent.length).toBeGreaterThan(10)
    expect(scene.sent).toEqual(scene.sent.map((_, at) => at))
    expect(hashes(scene).size).toBe(1)
    expect(scene.behind.journal.recovered().snapshot).toBeDefined()
  })

  test('MA40: goes on where it was when the link broke', async () => {
    const scene = await someoneBehind()
    let isBroken = true
    watch(scene, (message) => isBroken && isChunk(message) && message.number >= 6)
    await scene.group.tick(12)
    expect(hashes(scene).size).toBe(2)

    isBroken = false
    scene.leader.replica.unreachable(scene.behind.nodeId)
    await scene.group.tick(12)

    expect(hashes(scene).size).toBe(1)
    expect(scene.sent.filter((number) => number < 6)).toEqual([0, 1, 2, 3, 4, 5])
  })

  test('MA40: changes nothing before its end, not even on the disk', async () => {
    const scene = await someoneBehind()
    watch(scene, (message) => isChunk(message) && message.number >= 6)
    const before = scene.behind.store.stateHash()

    await scene.group.tick(12)

    expect(scene.behind.store.stateHash()).toBe(before)
    scene.behind.crash()
    expect(scene.behind.journal.recovered().snapshot).toBeUndefined()
  })

  test('MA40: begins anew for a receiver that crashed between two chunks', async () => {
    const scene = await someoneBehind()
    let isBroken = true
    watch(scene, (message) => isBroken && isChunk(message) && message.number >= 6)
    await scene.group.tick(12)

    isBroken = false
    scene.behind.restart()
    await scene.group.tick(60)

    expect(hashes(scene).size).toBe(1)
    expect(scene.sent.filter((number) => number === 0)).toHaveLength(2)
  })

  test('MA40: is given up when it does not get on, and sent again later', async () => {
    const scene = await someoneBehind()
    let isDeaf = true
    watch(scene, ({ type }) => isDeaf && type === 'SnapshotAck')
    await scene.group.tick(limits.snapshotSendTicks + 5)
    expect(hashes(scene).size).toBe(2)

    isDeaf = false
    await scene.group.tick(limits.snapshotSendTicks)

    expect(hashes(scene).size).toBe(1)
  })

  test('MA40: a chunk that is damaged is refused, and asked for again', async () => {
    const scene = await someoneBehind()
    let isSound = false
    watch(scene, (message) => {
      if (isSound || !isChunk(message) || message.number !== 3) return false
      message.bytes[7] = (message.bytes[7] ?? 0) ^ 1
      isSound = true
      return false
    })

    await scene.group.tick(20)

    expect(hashes(scene).size).toBe(1)
    expect(eventsOf(scene.behind, 'raft.snapshot-refused')).toBe(0)
    expect(scene.sent.filter((number) => number === 3).length).toBeGreaterThan(1)
    expect(scene.sent.filter((number) => number < 3)).toEqual([0, 1, 2])
  })

  test.each([
    ['of another state', 0],
    ['of no state at all', 5],
  ])('MA40: a content %s is refused as a whole, and asked for again', async (_, place) => {
    const scene = await someoneBehind()
    let isSound = false
    watch(scene, (message) => {
      if (isSound || !isChunk(message) || message.number !== place) return false
      // The value of a key, or the number of its bytes.
      message.bytes.set(message.bytes.slice(50, 54), 60)
      message.bytes.reverse()
      message.digest.set(chunkDigest(message.bytes))
      isSound = true
      return false
    })
    const before = scene.behind.store.stateHash()
    await scene.group.tick(1)
    expect(scene.behind.store.stateHash()).toBe(before)

    await scene.group.tick(40)

    expect(hashes(scene).size).toBe(1)
    expect(eventsOf(scene.behind, 'raft.snapshot-refused')).toBe(1)
    expect(eventsOf(scene.behind, 'raft.snapshot-installed')).toBe(1)
  })

  test('MA40: is not sent by a leader that leads no longer', async () => {
    const scene = await someoneBehind()
    watch(scene, (message) => isChunk(message) && message.from === scene.leader.nodeId)
    await scene.group.tick(3)
    const other = scene.group.members.find(
      (member) => member !== scene.leader && member !== scene.behind,
    )

    scene.leader.replica.transferLeadership(other?.nodeId ?? 0)
    await scene.group.tick(30)

    expect(scene.group.leader).toBe(other)
    expect(hashes(scene).size).toBe(1)
  })

  test('MA40: a MsgSnap without its content is nobody’s', async () => {
    const scene = await someoneBehind()
    const offers: PeerMessage[] = []
    watch(scene, (message) => {
      if (message.type === 'SnapshotOffer') offers.push(message.message)
      return message.type === 'SnapshotOffer'
    })
    await scene.group.tick(3)
    const before = scene.behind.store.stateHash()

    for (const message of offers) scene.behind.replica.receive(message)
    await scene.group.settle()

    expect(offers.length).toBeGreaterThan(0)
    expect(scene.behind.store.stateHash()).toBe(before)
  })
})
