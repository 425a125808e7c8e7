import { isSameJoinToken, JoinTokenInvalid } from '@conclave/crypto'
import { Redacted, utf8, utf8Text, type RedactedBytes } from '@conclave/kernel'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { AccessDenied, LoginThrottled } from '../errors.ts'
import { MemoryAgent } from '../../testing/memory-agent.ts'
import { MemoryCluster } from '../../testing/memory-cluster.ts'
import { memoryRootKeyText, memoryRootPem } from '../../testing/memory-certificates.ts'
import { callerOf, firstPeople } from '../../testing/people.ts'
import type { EnrolRequest, Enrolled, Shown } from './enrolment-api.ts'
import {
  AuthorityMissing,
  AuthorityRotating,
  HolderRefused,
  HolderUnknown,
  RenewalThrottled,
  ValidityInvalid,
} from './errors.ts'

const root = callerOf('root')

let clock: ManualClock
let cluster: MemoryCluster

beforeEach(async () => {
  clock = new ManualClock(1_800_000_000_000)
  const random = new SeededRandom(11)
  cluster = new MemoryCluster({ clock, random, identities: await firstPeople(random) })
  await cluster.elected()
})

const tokenOf = (role: 'master' | 'agent'): Promise<RedactedBytes> =>
  cluster.settle(cluster.follower.actor.authority.joinToken(root, role))

async function enrol(more: Partial<EnrolRequest> = {}): Promise<Enrolled> {
  const role = more.role ?? 'agent'
  const token = more.token ?? (await tokenOf(role))
  return cluster.settle(
    cluster.follower.actor.enrolment.enrol({
      role,
      requestPem: 'request',
      hosts: ['a.example.org'],
      source: '10.0.0.9',
      requestId: 'request-1',
      ...more,
      token,
    }),
  )
}

const shown = ({ id, role }: Pick<Shown, 'id' | 'role'>, issuerPem = memoryRootPem): Shown => ({
  id,
  role,
  certificatePem: `until ${clock.nowMs() + 1000}`,
  issuerPem,
})

const text = (token: RedactedBytes): string => utf8Text(token.reveal())

describe('who wants to be a member', () => {
  test('MA26: gets what the token says, under a name that the cluster gives', async () => {
    const agent = await enrol()
    const masters = [await enrol({ role: 'master' }), await enrol({ role: 'master' })]

    expect(agent.id).toMatch(/^agent-/)
    // An agent could choose a master's name, so it may choose none.
    expect(agent.certificatePem).toMatch(/^agent agent-.* at {2}by root 1/)
    expect(masters.map(({ id, nodeId }) => [id, nodeId])).toEqual([
      ['master-4', 4],
      ['master-5', 5],
    ])
    expect(masters[0]?.certificatePem).toContain('at a.example.org')
    const audits = cluster.masters.flatMap(({ audit }) => audit.records)
    expect(audits).toContainEqual(
      expect.objectContaining({ principal: `agent/${agent.id}`, outcome: 'allowed' }),
    )
  })

  test('MA26: is refused with a token of another role, an old one, or none', async () => {
    const old = await tokenOf('agent')
    await cluster.settle(cluster.leader.actor.authority.rotateJoinToken(root, 'agent'))

    await expect(enrol({ token: old })).rejects.toThrow(JoinTokenInvalid)
    await expect(enrol({ token: new Redacted(utf8('x')) })).rejects.toThrow(JoinTokenInvalid)
    await expect(enrol({ role: 'master', token: await tokenOf('agent') })).rejects.toThrow(
      HolderRefused,
    )
    await expect(enrol()).resolves.toMatchObject({ role: 'agent' })
  })

  test('MA26: and shows the token of another role is on record for that', async () => {
    await expect(enrol({ role: 'master', token: await tokenOf('agent') })).rejects.toThrow(
      HolderRefused,
    )

    expect(cluster.follower.audit.records.at(-1)).toMatchObject({
      principal: 'stranger',
      path: 'authority/certificate',
      outcome: 'denied',
      source: '10.0.0.9',
    })
  })

  test('MA26: may not guess for long; whoever is elsewhere may still join', async () => {
    for (let tries = 0; tries < 5; tries++) {
      await expect(enrol({ token: new Redacted(utf8('x')) })).rejects.toThrow(JoinTokenInvalid)
    }

    await expect(enrol()).rejects.toThrow(LoginThrottled)
    await expect(enrol({ source: '10.0.0.10' })).resolves.toMatchObject({ role: 'agent' })
  })

  test('MA26: hears nothing while its issue is not on record', async () => {
    const { audit } = cluster.follower
    const token = await tokenOf('agent')
    audit.isBroken = true

    await expect(enrol({ token })).rejects.toThrow('the audit disk is full')
  })

  test('MA27: renews under its name until it is forgotten', async () => {
    const agent = await enrol()
    const request = { requestPem: 'request', hosts: [], requestId: 'request-2' }
    const { enrolment, authority } = cluster.follower.actor
    await cluster.settle(enrolment.confirm(shown(agent)))

    const next = await cluster.settle(enrolment.renew(shown(agent), request))
    expect(next.certificatePem).toContain(`agent ${agent.id} `)
    await cluster.settle(authority.forget(root, 'agent', agent.id))

    for (const ask of [
      () => enrolment.renew(shown(agent), request),
      () => enrolment.confirm(shown(agent)),
    ]) {
      await expect(cluster.settle<unknown>(ask())).rejects.toThrow(HolderRefused)
    }
    const stranger = shown({ id: 'agent-x', role: 'agent' }, 'root 7\n')
    await expect(cluster.settle(enrolment.renew(stranger, request))).rejects.toThrow(HolderRefused)
  })

  test('MA27: a master alone renews its own certificate that has ended, unless it was removed', async () => {
    const gone = cluster.follower
    const { enrolment } = gone.actor
    const request = { requestPem: 'request', hosts: [], requestId: 'request-9' }
    const own = shown({ id: gone.masterId, role: 'master' })
    cluster.cut(gone)
    const renewed = await enrolment.renewEnded(own, request)
    expect(renewed.certificatePem).toContain(`master ${gone.masterId} `)
    expect(gone.audit.records.at(-1)).toMatchObject({ principal: `master/${gone.masterId}` })

    cluster.heal()
    await cluster.until(() => gone.actor.status().isReady)
    await cluster.settle(cluster.leader.actor.members.leave(root, gone.masterId))
    const { leader } = cluster
    await expect(leader.actor.enrolment.renewEnded(own, request)).rejects.toThrow(HolderRefused)
  })

  test('MA73: an agent that is forgotten hears why, now and whenever it comes again', async () => {
    const { id } = await enrol()
    const { actor } = cluster.leader
    const agent = new MemoryAgent(actor, id)
    await cluster.settle(actor.authority.forget(root, 'agent', id))
    await cluster.until(() => agent.isClosed)

    const again = new MemoryAgent(actor, id)
    expect(again.isClosed).toBe(true)
    for (const one of [agent, again]) {
      expect(one.heard('shutdown')).toEqual([
        { type: 'shutdown', why: expect.stringContaining('join anew') as unknown },
      ])
    }
  })

  test('MA27: a member that renews all the time fills no disk with it', async () => {
    const agent = await enrol()
    const request = { requestPem: 'request', hosts: [], requestId: 'request-2' }
    const renew = () =>
      cluster.settle(cluster.follower.actor.enrolment.renew(shown(agent), request))
    for (let count = 0; count < 20; count++) await renew()

    await expect(renew()).rejects.toThrow(RenewalThrottled)
    const { length } = cluster.follower.audit.records
    await expect(renew()).rejects.toThrow(RenewalThrottled)
    expect(cluster.follower.audit.records).toHaveLength(length)
    clock.advance(60_000)
    await expect(renew()).resolves.toBeDefined()
  })

  test('MA27: an agent does not get the KEK', async () => {
    const agent = await enrol()
    const asked = cluster.follower.actor.enrolment.kek(
      shown(agent),
      new Uint8Array(32),
      'request-3',
    )

    await expect(cluster.settle(asked)).rejects.toThrow(/for masters alone/)
  })
})

const promotions = async () =>
  (await cluster.settle(cluster.leader.actor.authority.status(root))).promotions

describe('an agent whose machine shall have a master beside it', () => {
  const request = { requestPem: 'request', hosts: ['a.example.org'], requestId: 'request-9' }
  const promote = (agent: Enrolled) =>
    cluster.settle(cluster.follower.actor.enrolment.promote(shown(agent), request))
  test('MA67: gets a certificate for it, for the same ids however often it asks', async () => {
    const agent = await enrol()
    await cluster.settle(cluster.follower.actor.enrolment.confirm(shown(agent)))
    await expect(promote(agent)).rejects.toThrow(/nobody wants a master/)
    const standing = () => cluster.settle(cluster.follower.actor.enrolment.standing(shown(agent)))
    expect((await standing()).isPromoted).toBe(false)

    await cluster.settle(cluster.leader.actor.authority.promote(root, agent.id))
    expect((await standing()).isPromoted).toBe(true)
    expect(await promotions()).toEqual([{ agent: agent.id, masterId: undefined }])
    const [first, again] = [await promote(agent), await promote(agent)]
    expect([first.id, first.role, first.nodeId]).toEqual(['master-4', 'master', 4])
    expect(first.certificatePem).toContain('at a.example.org')
    expect([again.id, again.nodeId]).toEqual(['master-4', 4])
    expect(await promotions()).toEqual([{ agent: agent.id, masterId: 'master-4' }])
    await expect(
      cluster.settle(cluster.follower.actor.enrolment.promote(shown(first), request)),
    ).rejects.toThrow(HolderRefused)
    // Not that of a machine that is not there, and not for who may not say so.
    const { authority } = cluster.leader.actor
    await expect(cluster.settle(authority.promote(root, 'agent-9'))).rejects.toThrow(HolderUnknown)
    await expect(cluster.settle(authority.promote(callerOf('dev'), agent.id))).rejects.toThrow(
      AccessDenied,
    )
  })

  test('MA67: still renews its own, however often it has asked for that', async () => {
    const agent = await enrol()
    await cluster.settle(cluster.leader.actor.authority.promote(root, agent.id))
    for (let times = 0; times < 20; times++) await promote(agent)

    await expect(promote(agent)).rejects.toThrow(RenewalThrottled)
    const renewed = cluster.follower.actor.enrolment.renew(shown(agent), request)
    expect((await cluster.settle(renewed)).certificatePem).toContain(`agent ${agent.id} `)
  })

  test('MA67: has none either when it is forgotten while it asks, whichever is first', async () => {
    const outcomes = new Set<string>()
    for (let moves = 0; moves < 120; moves++) {
      const agent = await enrol()
      await cluster.settle(cluster.leader.actor.authority.promote(root, agent.id))
      const asked = cluster.leader.actor.enrolment.promote(shown(agent), request)
      const promoted = asked.catch(() => undefined)
      for (let rounds = moves % 3; rounds > 0; rounds--) await cluster.round()
      const flowing = cluster.round()
      for (let move = moves; move > 0; move -= 3) await Promise.resolve()
      const forgotten = cluster.leader.actor.authority.forget(root, 'agent', agent.id)
      await flowing
      await cluster.settle(forgotten)
      const master = await cluster.settle(promoted)
      outcomes.add(master === undefined ? 'refused' : 'promoted')
      if (master === undefined) continue
      const confirmed = cluster.leader.actor.enrolment.confirm(shown(master))
      await expect(cluster.settle(confirmed), `after ${moves} moves`).rejects.toThrow(HolderRefused)
    }
    expect(outcomes).toEqual(new Set(['promoted', 'refused']))
  })

  test('MA67: has none to be any more once it is forgotten, and nor has that master', async () => {
    const agent = await enrol()
    await cluster.settle(cluster.follower.actor.enrolment.confirm(shown(agent)))
    await cluster.settle(cluster.leader.actor.authority.promote(root, agent.id))
    const master = await promote(agent)
    await cluster.settle(cluster.leader.actor.authority.forget(root, 'agent', agent.id))

    expect(await promotions()).toEqual([])
    await expect(promote(agent)).rejects.toThrow(HolderRefused)
    await expect(
      cluster.settle(cluster.leader.actor.enrolment.confirm(shown(master))),
    ).rejects.toThrow(HolderRefused)
    const newcomer = cluster.start(4)
    expect(await cluster.settle(newcomer.askToJoin(cluster.leader, { role: 'voter' }))).toEqual({
      answer: 'refused',
      why: 'master-4 was removed before it was let in',
    })
  })
})

/** Every master comes with a certificate of that root. */
async function members(issuerPem: string): Promise<void> {
  for (const { masterId: id } of cluster.masters) {
    const { enrolment } = cluster.leader.actor
    await cluster.settle(enrolment.confirm(shown({ id, role: 'master' }, issuerPem)))
  }
}

describe('a root that is replaced', () => {
  test('MA28: ends once every master has shown a certificate of the new one', async () => {
    await members(memoryRootPem)
    const before = await tokenOf('agent')
    const begun = await cluster.settle(cluster.leader.actor.authority.rotate(root))
    expect(begun.rotation?.waitingFor).toEqual(['master-1', 'master-2', 'master-3'])
    await expect(cluster.settle(cluster.leader.actor.authority.rotate(root))).rejects.toThrow(
      AuthorityRotating,
    )
    const newcomer = await enrol()
    expect(newcomer.certificatePem).toMatch(/by root 2\nroot 2 by root 1\n$/)
    expect(newcomer.authorityPem).toBe('root 2\nroot 1\n')
    // The tokens pin the old root for as long as somebody may not know the new one.
    expect(isSameJoinToken(await tokenOf('agent'), before)).toBe(true)
    await members('root 2\n')
    await cluster.until(() => cluster.leader.store.get('keys/authority-next') === undefined)
    expect(isSameJoinToken(await tokenOf('agent'), before)).toBe(false)
  })

  test('MA28: goes on under another leader, and leaves new tokens and one root', async () => {
    await members(memoryRootPem)
    const before = text(await tokenOf('master'))
    const begun = await cluster.settle(cluster.leader.actor.authority.rotate(root))
    const gone = cluster.leader
    gone.crash()
    await cluster.elected()
    gone.restart()
    await members(begun.rotation?.rootPem ?? '')

    await cluster.until(() => cluster.leader.store.get('keys/authority-next') === undefined)
    const after = await cluster.settle(cluster.leader.actor.authority.status(root))
    expect(after.rootPem).toBe(begun.rotation?.rootPem)
    expect(after.rotation).toBeUndefined()
    const [, , digest, secret] = before.split('-')
    const [, , newDigest, newSecret] = text(await tokenOf('master')).split('-')
    expect(newDigest).not.toBe(digest)
    expect(newSecret).not.toBe(secret)
  })
})

describe('the authority in the store', () => {
  test('MA29: is for operators alone, and everything asked is on record', async () => {
    const { authority } = cluster.leader.actor
    const dev = callerOf('dev')

    for (const refused of [
      () => authority.joinToken(dev, 'agent'),
      () => authority.rotateJoinToken(dev, 'agent'),
      () => authority.status(dev),
      () => authority.rotate(dev),
      () => authority.setValidity(dev, 3_600_000),
      () => authority.forget(dev, 'agent', 'agent-1'),
    ]) {
      await expect(cluster.settle<unknown>(refused())).rejects.toThrow(AccessDenied)
    }
    const denied = cluster.leader.audit.records.filter(({ outcome }) => outcome === 'denied')
    expect(denied.map(({ path }) => path)).toEqual([
      'authority/join-token/agent',
      'authority/join-token/agent',
      'authority',
      'authority/root',
      'authority/validity',
      'authority/certificate/agent/agent-1',
    ])
    await expect(cluster.settle(authority.setValidity(root, 3_599_999))).rejects.toThrow(
      ValidityInvalid,
    )
  })

  test('MA29: its key and its tokens are in no journal, event or record of the audit', async () => {
    const tokens = [text(await tokenOf('agent')), text(await tokenOf('master'))]
    await cluster.settle(cluster.leader.actor.authority.rotate(root))
    const secrets = [memoryRootKeyText, ...tokens.map((token) => token.slice(-25))]

    for (const { journal, audit, store } of cluster.masters) {
      const kept = [...journal, ...store.list('').kvs.map(({ value }) => value)]
      for (const secret of secrets) {
        expect(kept.some((bytes) => Buffer.from(bytes).includes(secret))).toBe(false)
        expect(JSON.stringify(audit.records)).not.toContain(secret)
      }
    }
  })

  test('MA29: is taken in by a later leader when the set-up left it only there', async () => {
    const random = new SeededRandom(12)
    const other = new MemoryCluster({ clock, random, identities: await firstPeople(random) })
    const first = other.firstAuthority
    other.firstAuthority = undefined
    for (const master of other.masters) {
      master.crash()
      master.restart()
    }
    await other.elected()
    const asked = other.leader.actor.authority.joinToken(root, 'agent')
    await expect(other.settle(asked)).rejects.toThrow(AuthorityMissing)

    other.firstAuthority = first
    const gone = other.leader
    gone.crash()
    await other.elected()
    for (const master of other.masters) {
      if (master === gone) continue
      master.crash()
      master.restart()
    }
    gone.restart()
    await other.elected()

    await expect(
      other.settle(other.leader.actor.authority.joinToken(root, 'agent')),
    ).resolves.toBeInstanceOf(Redacted)
  })
})
