import { setImmediate as turn } from 'node:timers/promises'
import { Replica, type Journal, type PeerMessage } from '@conclave/actors'
import { MemoryJournal } from '@conclave/actors/testing'
import { utf8 } from '@conclave/kernel'
import { waitsForDisk } from '@conclave/raft'
import { StoreMachine, type ApplyResult } from '@conclave/store'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import { ReplicaDriver } from './replica-driver.ts'

const ignore = (): void => undefined

/** One member with its driver, and what it did in the order in which it did it. */
class Member {
  readonly store = new StoreMachine()
  readonly disk = new MemoryJournal()
  readonly did: string[] = []
  readonly fatal: unknown[] = []
  readonly replica: Replica
  readonly driver: ReplicaDriver

  constructor(
    nodeId: number,
    voters: readonly number[],
    send: (message: PeerMessage) => void,
    limits = {},
  ) {
    let wake = ignore
    this.replica = new Replica({
      nodeId,
      masterId: `master-${nodeId}`,
      bootstrap: { voters },
      recovered: this.disk.recovered(),
      store: this.store,
      random: new SeededRandom(nodeId),
      clock: new ManualClock(),
      boot: `master-${nodeId}/1`,
      emit: ignore,
      wake: () => wake(),
      snapshots: this.disk,
      post: send,
      onFatal: (error) => this.fatal.push(error),
      limits,
    })
    this.driver = new ReplicaDriver({
      replica: this.replica,
      journal: this.#watchedDisk(),
      send: (_, message) => {
        this.did.push(waitsForDisk(message.type) ? 'sent a promise' : 'sent')
        send(message)
      },
      onSent: () => this.did.push('all sent'),
      onFatal: (error) => this.fatal.push(error),
    })
    wake = this.driver.wake
  }

  put(key: string): Promise<ApplyResult> {
    const op = { do: 'put', key, value: utf8(key) } as const
    return this.replica.propose({ compare: [], success: [op] })
  }

  #watchedDisk(): Journal {
    const { disk, did } = this
    return {
      append: async (batch) => {
        did.push('began to write')
        await disk.append(batch)
        did.push('wrote')
      },
      beginSnapshot: async (meta) => {
        did.push('began to save a snapshot')
        const sink = await disk.beginSnapshot(meta)
        return {
          ...sink,
          commit: async () => {
            await sink.commit()
            did.push('saved a snapshot')
          },
        }
      },
      openSnapshot: () => disk.openSnapshot(),
      close: () => disk.close(),
    }
  }
}

/** Members that hear each other at the next turn of the event loop. */
function group(size: number, limits = {}): Member[] {
  const voters = Array.from({ length: size }, (_, at) => at + 1)
  const members: Member[] = []
  const send = (message: PeerMessage): void => {
    setImmediate(() => members[message.to - 1]?.replica.receive(message))
  }
  for (const nodeId of voters) members.push(new Member(nodeId, voters, send, limits))
  return members
}

/** Lets time and the event loop pass until it is so. */
async function until(members: readonly Member[], isTrue: () => boolean): Promise<void> {
  for (let turns = 0; !isTrue(); turns++) {
    if (turns > 20_000) throw new Error('waited in vain')
    if (turns % 10 === 0) for (const { replica } of members) replica.tick()
    await turn()
  }
}

async function leaderOf(members: readonly Member[]): Promise<Member> {
  const find = (): Member | undefined => members.find(({ replica }) => replica.role === 'leader')
  await until(members, () => find() !== undefined)
  const leader = find()
  if (leader === undefined) throw new Error('nobody leads')
  return leader
}

describe('a driver', () => {
  test('carries out what a group of replicas decides', async () => {
    const members = group(3)
    const leader = await leaderOf(members)

    await expect(leader.put('key')).resolves.toMatchObject({ succeeded: true })

    await until(members, () => members.every(({ store }) => store.get('key') !== undefined))
    expect(members.flatMap(({ fatal }) => fatal)).toEqual([])
  })

  test('writes what many ask for at once in few writes', async () => {
    const [alone] = group(1)
    if (alone === undefined) throw new Error('a group of one has a member')
    await leaderOf([alone])
    await alone.put('first')
    const before = alone.disk.syncCount

    await Promise.all(Array.from({ length: 500 }, (_, at) => alone.put(`k${at}`)))

    expect(alone.disk.syncCount - before).toBeLessThanOrEqual(2)
  })

  test('sends what promises nothing before it writes, and promises after that', async () => {
    const members = group(3)
    const leader = await leaderOf(members)
    const follower = members.find((member) => member !== leader)
    await leader.put('settled')
    for (const { did } of members) did.length = 0

    await leader.put('key')
    await until(members, () => follower?.did.includes('sent a promise') ?? false)

    expect(leader.did.slice(0, 4)).toEqual(['sent', 'sent', 'all sent', 'began to write'])
    const { did } = follower ?? leader
    expect(did.indexOf('sent a promise')).toBeGreaterThan(did.indexOf('wrote'))
    expect(did[did.lastIndexOf('sent a promise') + 1]).toBe('all sent')
  })

  test('stops at once, and says so, when the disk fails', async () => {
    const members = group(3)
    const leader = await leaderOf(members)
    const error = new Error('EIO')
    leader.disk.fail(error)
    const refused = leader.put('key').catch(() => undefined)
    await until(members, () => leader.fatal.length > 0)
    leader.did.length = 0

    for (let turns = 0; turns < 100; turns++) {
      leader.replica.tick()
      await turn()
    }

    expect(leader.fatal).toEqual([error])
    expect(leader.did).toEqual([])
    leader.replica.close()
    await refused
  })

  test('AS15: a disk that stands still makes nobody look dead', async () => {
    const members = group(3)
    const leader = await leaderOf(members)
    await leader.put('settled')
    const { term } = leader.replica
    for (const { disk } of members) disk.hold()
    const given = leader.put('key')
    await until(members, () => leader.did.at(-1) === 'began to write')

    for (let ticks = 0; ticks < 200; ticks++) {
      for (const { replica } of members) replica.tick()
      for (let turns = 0; turns < 10; turns++) await turn()
    }

    expect(members.map(({ replica }) => replica.term)).toEqual([term, term, term])
    expect(leader.replica.role).toBe('leader')
    for (const { disk } of members) disk.release()
    await expect(given).resolves.toMatchObject({ succeeded: true })
  })

  test('waits, when it is stopped, for the write that is under way, and sends nothing any more', async () => {
    const members = group(3)
    const leader = await leaderOf(members)
    leader.disk.hold()
    const given = leader.put('key').catch(() => undefined)
    await until(members, () => leader.did.at(-1) === 'began to write')
    leader.did.length = 0
    let isStopped = false

    const stopped = leader.driver.stop().then(() => (isStopped = true))
    await turn()
    expect(isStopped).toBe(false)
    leader.disk.release()
    await stopped

    expect(leader.did).toEqual(['wrote'])
    leader.replica.close()
    await given
  })

  test('saves a snapshot beside the writes, one at a time', async () => {
    const [alone] = group(1, { snapshotEntries: 5, trailingEntries: 0 })
    if (alone === undefined) throw new Error('a group of one has a member')
    await leaderOf([alone])

    for (let at = 0; at < 30; at++) {
      await alone.put(`k${at}`)
      // One after the other, or all of them would be written during the first.
      await turn()
    }
    await until([alone], () => alone.did.at(-1) !== 'began to save a snapshot')

    const saving = alone.did.filter((one) => one.endsWith('snapshot'))
    expect(saving.length).toBeGreaterThan(4)
    expect(saving.filter((one, at) => one === saving[at - 1])).toEqual([])
    expect(alone.disk.recovered().entries.length).toBeLessThan(10)
  })
})
