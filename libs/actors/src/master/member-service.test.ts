import { ManualClock, SeededRandom } from '@conclave/testkit'
import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { allMembers } from '@conclave/raft'
import { nodeKey } from '@conclave/workloads'
import { beforeEach, describe, expect, test } from 'vitest'
import { MemoryCluster, type MemoryMaster } from '../testing/memory-cluster.ts'
import { callerOf, firstPeople } from '../testing/people.ts'
import { AccessDenied, MembershipRefused, NotLeader } from './errors.ts'
import { machineKind } from './machines.ts'

const root = callerOf('root')
const random = new SeededRandom(77)
const identities = await firstPeople(random)

let cluster: MemoryCluster

beforeEach(async () => {
  cluster = new MemoryCluster({ clock: new ManualClock(), random, identities })
  await cluster.elected()
  await published()
})

/** Everybody has said where it listens. */
const published = (): Promise<void> =>
  cluster.until(() => cluster.leader.store.list('masters/member/').kvs.length === 3)

async function joined(nodeId: number, role: 'voter' | 'learner' = 'voter'): Promise<MemoryMaster> {
  const newcomer = cluster.start(nodeId)
  const answer = await cluster.settle(newcomer.askToJoin(cluster.leader, { role }))
  expect(answer).toEqual({ answer: 'member' })
  const { replica } = newcomer
  await cluster.until(() =>
    replica.config[role === 'voter' ? 'voters' : 'learners'].includes(nodeId),
  )
  return newcomer
}

const roles = async (): Promise<Record<string, string>> => {
  const views = await cluster.settle(cluster.leader.actor.members.list(root))
  return Object.fromEntries(views.map(({ masterId, role }) => [masterId, role]))
}

const put = (path: string): Promise<unknown> =>
  cluster.settle(
    cluster.leader.actor.secrets.create(root, path, {
      kind: 'text',
      bytes: new Redacted(utf8('value')),
    }),
  )

/** How often this master told of an event of a type. */
async function countOf({ events }: MemoryMaster, type: string): Promise<number> {
  const boot = events.lastId.slice(0, events.lastId.lastIndexOf(':'))
  const stop = new AbortController()
  let count = 0
  for await (const event of events.follow(`${boot}:0`, stop.signal)) {
    if (event.type === type) count++
    if (event.id === events.lastId) stop.abort()
  }
  return count
}

const elsewhere = (): MemoryMaster['actor']['members'] => cluster.follower.actor.members

test('MA65: it is kept when a master came to be one, wherever it listens later', async () => {
  await published()
  const sinceOf = async (masterId: string): Promise<number | undefined> =>
    (await cluster.settle(cluster.leader.actor.members.list(root))).find(
      (view) => view.masterId === masterId,
    )?.sinceMs
  const { masterId } = await joined(4)
  const before = await sinceOf(masterId)
  expect(before).toBeGreaterThan((await sinceOf('master-1')) ?? Infinity)

  const moved = cluster.masters.find((one) => one.masterId === masterId)
  moved?.actor.setListeners({ peers: { host: '10.0.0.1', port: 7 } })
  await cluster.until(() => {
    const record = cluster.leader.store.get(`masters/member/${masterId}`)
    return record !== undefined && utf8Text(record.value).includes('"port":7}')
  })
  expect(await sinceOf(masterId)).toBe(before)
})

describe('MA53: a master that does not lead', () => {
  test('asks the leader, and answers as that does', async () => {
    const listed = await cluster.settle(elsewhere().list(root))
    expect(listed).toEqual(await cluster.settle(cluster.leader.actor.members.list(root)))

    const other = cluster.masters.find((one) => one !== cluster.leader && one !== cluster.follower)
    const { masterId = '' } = other ?? {}
    const demoted = await cluster.settle(elsewhere().demote(root, masterId))
    expect(demoted).toMatchObject({ masterId, role: 'learner' })
    const again = cluster.settle(elsewhere().demote(root, masterId))
    await expect(again).rejects.toThrow(MembershipRefused)
    await cluster.settle(elsewhere().remove(root, masterId, { force: true }))
    expect(await roles()).not.toHaveProperty(masterId)
  })

  test('asks on behalf of those who may, and puts both on record', async () => {
    const denied = cluster.settle(elsewhere().list(callerOf('dev')))
    await expect(denied).rejects.toThrow(AccessDenied)
    await cluster.settle(elsewhere().list(root))
    for (const { audit } of [cluster.follower, cluster.leader]) {
      expect(audit.records).toContainEqual(
        expect.objectContaining({ principal: 'root', action: 'administer', outcome: 'allowed' }),
      )
    }
  })

  test('answers nobody who is no member', async () => {
    const stranger = cluster.start(9)
    const asked = {
      ask: 'administer',
      what: { do: 'list' },
      by: { uid: 'root', requestId: 'r' },
    } as const
    const answer = await cluster.settle(cluster.leader.actor.peerAsks(stranger.masterId, asked))
    expect(answer).toMatchObject({ answer: 'refused' })
  })
})

describe('a master that joins', () => {
  test('MA24: learns, catches up, and then votes, without anybody’s doing', async () => {
    await put('dev/before')

    const newcomer = await joined(4)
    await put('dev/after')

    expect(await roles()).toEqual({
      [cluster.leader.masterId]: 'leader',
      ...Object.fromEntries(
        [1, 2, 3, 4]
          .map((nodeId) => `master-${nodeId}`)
          .filter((masterId) => masterId !== cluster.leader.masterId)
          .map((masterId) => [masterId, 'voter']),
      ),
    })
    await cluster.until(() => newcomer.store.revision === cluster.leader.store.revision)
    expect(newcomer.actor.peerPlaces().map(({ masterId }) => masterId)).toEqual([
      'master-1',
      'master-2',
      'master-3',
    ])
    expect(await countOf(cluster.leader, 'member.added')).toBe(1)
    expect(await countOf(cluster.leader, 'member.promoted')).toBe(1)
  })

  test('stays a learner when it only wants to learn', async () => {
    await joined(4, 'learner')
    for (let rounds = 0; rounds < 100; rounds++) await cluster.round()

    expect(await roles()).toMatchObject({ 'master-4': 'learner' })
  })

  test('MA24: is refused when it cannot be reached back where it says it is', async () => {
    const newcomer = cluster.start(4)

    const answer = await cluster.settle(newcomer.askToJoin(cluster.leader, { port: 9 }))

    expect(answer).toMatchObject({
      answer: 'refused',
      why: expect.stringMatching(/cannot be reached back at 10\.0\.0\.1:9/),
    })
    expect(await roles()).not.toHaveProperty('master-4')
  })

  test('is asked to come again by who does not lead', async () => {
    const newcomer = cluster.start(4)

    const answer = await cluster.settle(newcomer.askToJoin(cluster.follower))

    expect(answer).toMatchObject({ answer: 'later' })
  })

  test('MA24: cannot take the number or the name of another', async () => {
    const impostor = cluster.start(5, 'master-2')
    const squatter = cluster.start(3, 'master-9')

    const asName = await cluster.settle(impostor.askToJoin(cluster.leader))
    const asNumber = await cluster.settle(squatter.askToJoin(cluster.leader))

    expect(asName).toMatchObject({ answer: 'refused', why: 'master-2 is node 2 already, not 5' })
    expect(asNumber).toMatchObject({ answer: 'refused' })
  })

  test('may ask twice: it is let in once', async () => {
    const newcomer = await joined(4)

    const again = await cluster.settle(newcomer.askToJoin(cluster.leader))

    expect(again).toEqual({ answer: 'member' })
    expect(await countOf(cluster.leader, 'member.added')).toBe(1)
  })

  test('goes on joining under the next leader', async () => {
    const newcomer = cluster.start(4)
    const old = cluster.leader
    await cluster.settle(newcomer.askToJoin(old))
    old.crash()
    await cluster.elected()

    await cluster.until(() => cluster.leader.replica.config.voters.includes(4))
    expect(cluster.leader).not.toBe(old)
  })
})

describe('ids for those who will join', () => {
  test('MA24: are never given twice, whichever master gives them', async () => {
    const given = new Set<string>()
    for (const master of [cluster.leader, cluster.follower, cluster.leader]) {
      const { masterId, nodeId } = await cluster.settle(master.actor.reserveMember())
      given.add(`${masterId} ${nodeId}`)
    }

    expect([...given]).toEqual(['master-4 4', 'master-5 5', 'master-6 6'])
  })

  test('lie above those of everybody who was ever let in', async () => {
    await joined(9)
    await cluster.settle(cluster.leader.actor.members.leave(root, 'master-9'))

    const { nodeId } = await cluster.settle(cluster.leader.actor.reserveMember())

    expect(nodeId).toBe(10)
  })
})

describe('an operator', () => {
  test('demotes, removes, and has a smaller group', async () => {
    const { masterId, nodeId } = cluster.follower
    const { members } = cluster.leader.actor

    const view = await cluster.settle(members.demote(root, masterId))
    expect(view.role).toBe('learner')
    await cluster.settle(members.remove(root, masterId, { force: true }))

    expect(await roles()).not.toHaveProperty(masterId)
    expect(cluster.leader.actor.peerPlaces().map((one) => one.nodeId)).not.toContain(nodeId)
    expect(await countOf(cluster.leader, 'member.removed')).toBe(1)
  })

  test('promotes a learner, which then votes', async () => {
    await joined(4, 'learner')

    const view = await cluster.settle(cluster.leader.actor.members.promote(root, 'master-4'))

    expect(view.role).toBe('voter')
  })

  test('MA25: may not remove a voter that answers, by force or not', async () => {
    const { masterId } = cluster.follower
    const { members } = cluster.leader.actor

    for (const force of [false, true]) {
      const removed = cluster.settle(members.remove(root, masterId, { force }))
      await expect(removed).rejects.toThrow(/It must be demoted before removal/)
    }
  })

  test('MA25: may remove a dead voter by force, when the others are a quorum without it', async () => {
    const dead = cluster.follower
    dead.crash()
    for (let rounds = 0; rounds < 15; rounds++) await cluster.round()
    const { members } = cluster.leader.actor

    await expect(cluster.settle(members.remove(root, dead.masterId))).rejects.toThrow(/demoted/)
    await cluster.settle(members.remove(root, dead.masterId, { force: true }))

    expect(await roles()).not.toHaveProperty(dead.masterId)
  })

  test('MA25: may not demote whom the healthy quorum needs', async () => {
    const [first, second] = cluster.masters.filter((one) => one !== cluster.leader)
    first?.crash()
    for (let rounds = 0; rounds < 15; rounds++) await cluster.round()

    const demoted = cluster.settle(
      cluster.leader.actor.members.demote(root, second?.masterId ?? ''),
    )

    await expect(demoted).rejects.toThrow(
      "can't remove member from the raft: this would result in a loss of quorum",
    )
  })

  test('has the leader hand over before it goes, and the next one finishes it', async () => {
    const old = cluster.leader

    const left = cluster.settle(old.actor.members.leave(root, old.masterId))
    await expect(left).rejects.toThrow(NotLeader)
    await cluster.elected()
    // Nobody asks again: that it leaves is on record.
    await cluster.until(() => cluster.leader.store.list('authority/removed/master/').kvs.length > 0)
    await cluster.until(() => !allMembers(cluster.leader.replica.config).includes(old.nodeId))

    expect(cluster.leader).not.toBe(old)
    expect(await roles()).not.toHaveProperty(old.masterId)
    await cluster.until(() => old.wasRemoved)
  })

  test('may not have the last one leave', async () => {
    for (const { masterId } of cluster.masters.filter((one) => one !== cluster.leader)) {
      await cluster.settle(cluster.leader.actor.members.leave(root, masterId))
    }
    const { actor, masterId } = cluster.leader

    await expect(cluster.settle(actor.members.demote(root, masterId))).rejects.toThrow(
      'attempting to demote the last master of the cluster',
    )
    await expect(cluster.settle(actor.members.leave(root, masterId))).rejects.toThrow(
      /Removing the last master erases all current state/,
    )
  })

  test.each(['leave', 'demote'] as const)(
    'MA25: may not have all of them %s at the same time',
    async (what) => {
      const [first, second, third] = cluster.masters
        .toSorted((a) => (a === cluster.leader ? 1 : -1))
        .map(({ masterId }) => masterId)
      const { members } = cluster.leader.actor
      await cluster.settle(members.leave(root, first ?? ''))

      const both = [second, third].map((masterId = '') => members[what](root, masterId))
      const asked = await cluster.settle(Promise.allSettled(both))

      expect(asked.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
      expect(asked[1]).toMatchObject({ reason: expect.any(MembershipRefused) })
      const [view] = await cluster.settle(cluster.leader.actor.members.list(root))
      expect(view).toMatchObject({ masterId: third, role: 'leader', wanted: 'voter' })
    },
  )

  test.each(['list', 'promote', 'demote', 'remove', 'leave'] as const)(
    'MA5: must be one to %s, and it is on record',
    async (what) => {
      const { actor, audit } = cluster.leader
      const before = audit.records.length
      const asked =
        what === 'list'
          ? actor.members.list(callerOf('dev'))
          : actor.members[what](callerOf('dev'), 'master-2')

      await expect(cluster.settle<unknown>(asked)).rejects.toThrow(AccessDenied)
      expect(audit.records.slice(before)).toMatchObject([
        { principal: 'dev', action: 'administer', outcome: 'denied' },
      ])
    },
  )

  test('is told when there is no such master', async () => {
    const { members } = cluster.leader.actor

    for (const what of ['promote', 'demote', 'remove', 'leave'] as const) {
      await expect(cluster.settle<unknown>(members[what](root, 'master-8'))).rejects.toThrow(
        new MembershipRefused('node master-8 not found'),
      )
    }
  })
})

const places = (to: MemoryMaster): readonly [{ host: string; port: number }, string] => [
  { host: '10.0.0.1', port: 200 + to.nodeId },
  to.masterId,
]

const goes = (gone: MemoryMaster, to: MemoryMaster): Promise<unknown> =>
  cluster.settle(cluster.ask(gone, ...places(to), { ask: 'leave' }))

describe('MA72: a master that goes', () => {
  test('asks the leader for itself, and is out for good', async () => {
    const { leader, follower } = cluster
    expect(await goes(leader, follower)).toMatchObject({ answer: 'later' })
    expect(await goes(follower, leader)).toEqual({ answer: 'removed' })
    expect(await roles()).not.toHaveProperty(follower.masterId)
    expect(await goes(follower, leader)).toEqual({ answer: 'removed' })
    expect(leader.audit.records).toContainEqual(
      expect.objectContaining({
        principal: `master/${follower.masterId}`,
        path: `masters/member/${follower.masterId}/leave`,
        outcome: 'allowed',
      }),
    )
  })

  test('before it was let in never is', async () => {
    const { leader } = cluster
    const newcomer = cluster.start(4)
    expect(await goes(newcomer, leader)).toEqual({ answer: 'removed' })
    expect(await cluster.settle(newcomer.askToJoin(leader))).toMatchObject({
      answer: 'refused',
      why: 'master-4 was removed before it was let in',
    })
  })

  test('while it is let in is out in the end, whichever comes first', async () => {
    const { leader } = cluster
    const newcomer = cluster.start(4)
    const [, gone] = await Promise.all([
      cluster.settle(newcomer.askToJoin(leader)),
      goes(newcomer, leader),
    ])
    if ((gone as { answer: string }).answer === 'later') await goes(newcomer, leader)
    await cluster.until(() => !allMembers(leader.replica.config).includes(4))
    for (let count = 0; count < 60; count++) await cluster.round()
    expect(allMembers(leader.replica.config)).toEqual([1, 2, 3])
  })

  test('that leads hands leadership on, and asks the next one', async () => {
    const { leader } = cluster
    expect(await goes(leader, leader)).toMatchObject({ answer: 'later' })
    await cluster.elected()
    expect(await goes(leader, cluster.leader)).toEqual({ answer: 'removed' })
    expect(await roles()).not.toHaveProperty(leader.masterId)
  })

  test('is refused where the others would be no quorum', async () => {
    const { leader } = cluster
    const [dead, other] = cluster.masters.filter((one) => one !== leader)
    if (dead === undefined || other === undefined) throw new Error('there are three')
    dead.crash()
    await cluster.until(() => {
      const seen = leader.replica.memberProgress().find((one) => one.nodeId === dead.nodeId)
      return seen?.isReachable === false
    })
    expect(await goes(other, leader)).toMatchObject({
      answer: 'refused',
      why: expect.stringContaining('loss of quorum') as unknown,
    })
  })
})

describe('a master that was removed', () => {
  test('MA24: is refused by all when it comes back, and hears why', async () => {
    const gone = cluster.follower
    await cluster.settle(cluster.leader.actor.members.leave(root, gone.masterId))
    gone.crash()
    gone.restart()

    const answer = await cluster.settle(gone.askToJoin(cluster.leader))
    const at = { host: '10.0.0.1', port: 200 + cluster.leader.nodeId }
    const membership = await cluster.settle(
      cluster.ask(gone, at, cluster.leader.masterId, { ask: 'membership' }),
    )

    expect(answer).toMatchObject({
      answer: 'refused',
      why: expect.stringMatching(/its id is never used again/),
    })
    expect(membership).toEqual({ answer: 'removed' })
    for (const master of cluster.masters.filter((one) => one !== gone)) {
      await cluster.until(() => !master.knows(gone.nodeId))
    }
  })

  test('cannot send others away', async () => {
    const gone = cluster.follower
    await cluster.settle(cluster.leader.actor.members.leave(root, gone.masterId))
    const other = cluster.masters.find((one) => one !== gone && one !== cluster.leader)
    await cluster.until(() => other?.knows(gone.nodeId) === false)
    const at = { host: '10.0.0.1', port: 200 + (other?.nodeId ?? 0) }

    const answer = await cluster.ask(gone, at, other?.masterId ?? '', { ask: 'farewell' })

    expect(answer).toMatchObject({ answer: 'refused' })
    expect(other?.wasRemoved).toBe(false)
  })
})

test('MA25: where members cannot be changed at all, every change is refused with what to do instead', async () => {
  const why = 'etcd decides; stop its process instead'
  Object.defineProperty(cluster.leader.replica, 'whyMembersStay', { value: why })
  const { members } = cluster.leader.actor
  const before = await roles()

  for (const ask of [
    () => members.promote(root, 'master-2'),
    () => members.demote(root, 'master-2'),
    () => members.remove(root, 'master-2', { force: true }),
    () => members.leave(root, 'master-2'),
  ]) {
    await expect(cluster.settle<unknown>(ask())).rejects.toThrow(new MembershipRefused(why))
  }
  expect(await roles()).toEqual(before)
})

/** A record of the leader's, as JSON. */
const known = (key: string): unknown => {
  const kept = cluster.leader.store.get(key)
  return kept && JSON.parse(utf8Text(kept.value))
}

describe('MA71: a master whose machine has an agent beside it', () => {
  const agent = 'agent-beside'
  const role = (): unknown => (known(nodeKey(agent)) as { role?: string })?.role

  async function beside({ masterId }: MemoryMaster): Promise<void> {
    const { documents } = cluster.leader.actor
    const document = { id: masterId, name: masterId, body: { agent } }
    await cluster.settle(documents.create(root, machineKind, document))
    const key = nodeKey(agent)
    const settings = { name: agent, role: 'manager', labels: { zone: 'a' } }
    const write = { do: 'put', key, value: utf8(JSON.stringify(settings)) } as const
    await cluster.settle(cluster.leader.replica.propose({ compare: [], success: [write] }))
  }

  test('is a manager to constraints for as long as it shall vote', async () => {
    const { actor } = cluster.leader
    const { masterId } = cluster.follower
    await beside(cluster.follower)

    await cluster.settle(actor.members.demote(root, masterId))
    expect(known(nodeKey(agent))).toMatchObject({ role: 'worker', labels: { zone: 'a' } })
    await cluster.settle(actor.members.promote(root, masterId))
    expect(role()).toBe('manager')
  })

  test.each(['leave', 'remove'] as const)('is none any more after a %s', async (what) => {
    const { masterId } = cluster.follower
    await beside(cluster.follower)
    const { members } = cluster.leader.actor

    if (what === 'remove') await cluster.settle(members.demote(root, masterId))
    await cluster.settle<void>(members[what](root, masterId, { force: true }))

    expect(role()).toBe('worker')
    expect(known(`document/${machineKind}/${masterId}`)).toBeUndefined()
    expect(known(`document-name/${machineKind}/${masterId}`)).toBeUndefined()
  })
})
