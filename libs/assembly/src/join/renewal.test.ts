import { Redacted, utf8 } from '@conclave/kernel'
import {
  createCertificateRequest,
  loadTlsIdentity,
  validityOf,
  writeTlsIdentity,
} from '@conclave/runtime'
import { ManualClock } from '@conclave/testkit'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { devCaller, TestCluster } from '../testing/test-cluster.ts'
import { enrol } from './enrol.ts'
import { askToJoin } from './join-client.ts'

const hourMs = 3_600_000

let clock: ManualClock
let cluster: TestCluster

beforeEach(async () => {
  clock = new ManualClock(Date.now())
  cluster = await TestCluster.start({ masters: 3 }, { clock })
})
afterEach(async () => {
  await cluster.remove()
})

const untilOf = async (directory: string): Promise<number> =>
  validityOf((await loadTlsIdentity(directory)).certificatePem).untilMs

const masterDirectories = (): string[] =>
  cluster.addresses.map(({ masterId }) => cluster.directoryOf(masterId))

/** The shortest that a certificate may count: two hours, of which one is over. */
const renewsSoon = 40 * 60_000

async function joined(name: string): Promise<string> {
  await cluster.leader.api.authority.setValidity(devCaller, hourMs)
  const { host, ports } = cluster.follower.place
  const directory = `${cluster.directory}/${name}`
  const token = await cluster.leader.api.authority.joinToken(devCaller, 'agent')
  await enrol({ address: { host, port: ports.join }, token, directory, role: 'agent' })
  return directory
}

/** Writes, reads and a task's life go on meanwhile; any that fails ends the test. */
function load(): { end: () => Promise<number> } {
  const over = new AbortController()
  const rounds = (async () => {
    let count = 0
    for (; !over.signal.aborted; count++) {
      const input = { kind: 'text', bytes: new Redacted(utf8(`value ${count}`)) } as const
      await cluster.follower.api.secrets.create(devCaller, `load/${count}`, input)
      const read = await cluster.leader.api.secrets.read(devCaller, `load/${count}`)
      expect(Buffer.from(read.bytes.reveal()).toString()).toBe(`value ${count}`)
    }
    return count
  })()
  return {
    end: () => {
      over.abort()
      return rounds
    },
  }
}

describe('a certificate that comes to its end', () => {
  test('AS12: is renewed by itself, under load, and no connection ends for it', async () => {
    const directory = await joined('agent')
    const agent = await cluster.startAgent(directory, { clock })
    await expect.poll(() => agent.isRegistered).toBe(true)
    const before = await untilOf(directory)
    expect(before).toBeGreaterThan(clock.nowMs() + hourMs - 60_000)
    expect(before).toBeLessThan(clock.nowMs() + hourMs + 60_000)
    const busy = load()
    const lost = (): number =>
      cluster.lines.filter((line) => /lost a peer|is disconnected/.test(line)).length
    const lostBefore = lost()

    // Of a lifetime of two hours that began an hour ago, renewal is due within 36 minutes.
    clock.advance(renewsSoon)

    await expect.poll(() => untilOf(directory), { timeout: 20_000 }).toBeGreaterThan(before)
    expect(agent.isRegistered).toBe(true)
    expect(await busy.end()).toBeGreaterThan(0)
    expect(lost()).toBe(lostBefore)
    const status = await cluster.leader.api.authority.status(devCaller)
    const until = await untilOf(directory)
    await expect
      .poll(async () => (await cluster.leader.api.authority.status(devCaller)).holders)
      .toContainEqual(expect.objectContaining({ role: 'agent', untilMs: until, isCurrent: true }))
    expect(status.validityMs).toBe(hourMs)
  }, 60_000)

  test('AS12: of a master is renewed by itself', async () => {
    const first = await Promise.all(masterDirectories().map(untilOf))

    clock.advance(80 * 24 * hourMs)

    for (const [index, directory] of masterDirectories().entries()) {
      await expect
        .poll(() => untilOf(directory), { timeout: 20_000 })
        .toBeGreaterThan(first[index] ?? Infinity)
    }
    for (const master of cluster.masters) {
      const metrics = await fetch(
        `http://${master.place.host}:${master.place.ports.conclave}/metrics`,
      ).then((answer) => answer.text())
      expect(metrics).toMatch(/certificate_renewal_failures\{[^}]*\} 0/)
    }
  }, 60_000)

  test('AS12: goes on being asked for when nobody answers, and the failures are told', async () => {
    const directory = await joined('agent')
    const agent = await cluster.startAgent(directory, { clock })
    await expect.poll(() => agent.isRegistered).toBe(true)
    const before = await untilOf(directory)
    await Promise.all(cluster.masters.splice(0).map((master) => master.destroy()))

    clock.advance(renewsSoon)
    const failures = (): string[] =>
      cluster.lines.filter((line) => line.includes('could not be renewed; it will be tried again'))
    await expect.poll(() => failures().length, { timeout: 20_000 }).toBeGreaterThan(0)
    expect(await untilOf(directory)).toBe(before)

    for (const { masterId } of cluster.addresses) await cluster.startMaster(masterId, { clock })
    await Promise.all(cluster.masters.map((master) => master.ready()))
    await expect
      .poll(
        () => {
          clock.advance(1000)
          return untilOf(directory)
        },
        { timeout: 20_000 },
      )
      .toBeGreaterThan(before)
  }, 60_000)

  test('AS20: of masters that were down for longer than it counts is renewed from what they have', async () => {
    // What they sign is over long ago.
    clock.advance(-3 * hourMs)
    const { leader } = cluster
    await leader.api.authority.setValidity(devCaller, hourMs)
    const input = { kind: 'text', bytes: new Redacted(utf8('v')) } as const
    await leader.api.secrets.create(devCaller, 'kept', input)
    const join = { host: leader.place.host, port: leader.place.ports.join }
    const { clusterId } = cluster.prepared.manifest
    const ended = await Promise.all(
      masterDirectories().map(async (directory) => {
        const identity = await loadTlsIdentity(directory)
        const { requestPem, privateKey } = await createCertificateRequest('renewal')
        const { certificate, authority } = await askToJoin<Record<string, string>>(
          join,
          { kind: 'member', identity, clusterId },
          {
            method: 'POST',
            path: '/v1/renewal',
            body: utf8(JSON.stringify({ request: requestPem, hosts: '127.0.0.1' })),
          },
        )
        return { directory, certificate, authority, privateKey }
      }),
    )
    await Promise.all(cluster.masters.splice(0).map((master) => master.destroy()))
    for (const { directory, certificate = '', authority = '', privateKey } of ended) {
      await writeTlsIdentity(directory, {
        certificatePem: certificate,
        authorityPem: authority,
        privateKey,
      })
      expect(await untilOf(directory)).toBeLessThan(Date.now())
    }

    for (const { masterId } of cluster.addresses) await cluster.startMaster(masterId)
    await Promise.all(cluster.masters.map((master) => master.ready()))
    expect(await cluster.follower.api.secrets.list(devCaller, '')).toEqual(['kept'])
    for (const directory of masterDirectories()) {
      expect(await untilOf(directory)).toBeGreaterThan(Date.now())
    }
  }, 60_000)

  test('AS12: a member that was removed is refused, and hears why', async () => {
    const directory = await joined('agent')
    const agent = await cluster.startAgent(directory, { clock })
    await expect.poll(() => agent.isRegistered).toBe(true)
    const before = await untilOf(directory)
    const { holders } = await cluster.leader.api.authority.status(devCaller)
    const { id = '' } = holders.find(({ role }) => role === 'agent') ?? {}

    await cluster.leader.api.authority.forget(devCaller, 'agent', id)
    const unwanted = (): number =>
      cluster.lines.filter((line) => line.includes('it was removed from the cluster')).length
    await expect.poll(unwanted, { timeout: 20_000 }).toBe(1)

    clock.advance(renewsSoon)
    const why = `${id} was removed from this cluster`
    await expect
      .poll(() => cluster.lines.some((line) => line.includes(why)), { timeout: 20_000 })
      .toBe(true)
    expect(await untilOf(directory)).toBe(before)
    await expect.poll(() => agent.isRegistered).toBe(false)
    expect(unwanted()).toBe(1)
  }, 60_000)
})
