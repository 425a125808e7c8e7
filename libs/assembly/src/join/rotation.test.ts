import type { AuthorityStatus } from '@conclave/actors'
import { authorityFingerprint } from '@conclave/crypto'
import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { certificatesIn, loadTlsIdentity, rootOf, type TlsIdentity } from '@conclave/runtime'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { agentDirectory } from '../cluster/layout.ts'
import { devCaller, TestCluster } from '../testing/test-cluster.ts'
import { AuthorityNotPinned, enrol } from './enrol.ts'
import { askToJoin, JoinRefused } from './join-client.ts'

let cluster: TestCluster

beforeEach(async () => {
  cluster = await TestCluster.start({ masters: 3, agents: 2 })
})
afterEach(async () => {
  await cluster.remove()
})

const status = (): Promise<AuthorityStatus> => cluster.leader.api.authority.status(devCaller)
const rotate = (): Promise<AuthorityStatus> => cluster.leader.api.authority.rotate(devCaller)
const patient = { timeout: 30_000 }

const directories = (): string[] => [
  ...cluster.addresses.map(({ masterId }) => cluster.directoryOf(masterId)),
  ...cluster.prepared.manifest.agents.map((id) => agentDirectory(cluster.directory, id)),
]

const identities = (): Promise<TlsIdentity[]> => Promise.all(directories().map(loadTlsIdentity))

async function startAgents(): Promise<void> {
  for (const id of cluster.prepared.manifest.agents) {
    await cluster.startAgent(agentDirectory(cluster.directory, id))
  }
  await expect.poll(() => cluster.agents.every((agent) => agent.isRegistered), patient).toBe(true)
}

const textOf = (token: Redacted<Uint8Array>): string => utf8Text(token.reveal())

describe('a root that is replaced', () => {
  test('AS13: takes everybody along under load; connections survive, the old root ends', async () => {
    await startAgents()
    const [first] = await identities()
    const before = await status()
    const oldTokens = await Promise.all(
      (['agent', 'master'] as const).map((role) =>
        cluster.leader.api.authority.joinToken(devCaller, role),
      ),
    )
    const losses = (): string[] =>
      cluster.lines.filter((line) => /lost a peer|is disconnected/.test(line))
    const lostBefore = losses().length
    const over = new AbortController()
    let writes = 0
    const busy = (async () => {
      while (!over.signal.aborted) {
        const input = { kind: 'text', bytes: new Redacted(utf8('v')) } as const
        await cluster.follower.api.secrets.create(devCaller, `load/${writes++}`, input)
      }
    })()

    const begun = await rotate()
    expect(begun.root).toBe(before.root)
    expect(begun.rotation?.root).not.toBe(before.root)
    await expect.poll(async () => (await status()).rotation, patient).toBeUndefined()

    over.abort()
    await busy
    expect(writes).toBeGreaterThan(0)
    expect(losses().length).toBe(lostBefore)
    const after = await status()
    expect(after.root).toBe(begun.rotation?.root)
    expect(after.holders.every(({ isCurrent }) => isCurrent)).toBe(true)
    expect(after.holders).toHaveLength(5)

    // Everybody trusts the new root alone, on the disk too.
    await expect
      .poll(async () => (await identities()).map(({ authorityPem }) => authorityPem), patient)
      .toEqual(Array.from({ length: 5 }, () => after.rootPem))

    // What the old root has issued is nobody's any more.
    const { host, ports } = cluster.follower.place
    const clusterId = cluster.prepared.manifest.clusterId
    const old = { ...(first as TlsIdentity), authorityPem: after.rootPem }
    const ask = askToJoin(
      { host, port: ports.join },
      { kind: 'member', identity: old, clusterId },
      { method: 'POST', path: '/v1/confirmation' },
    )
    await expect(ask).rejects.toThrow(JoinRefused)

    // Both tokens are new, in digest and secret.
    for (const [index, role] of (['agent', 'master'] as const).entries()) {
      const now = textOf(await cluster.leader.api.authority.joinToken(devCaller, role)).split('-')
      const then = textOf(oldTokens[index] ?? new Redacted(utf8(''))).split('-')
      expect(now[2]).not.toBe(then[2])
      expect(now[3]).not.toBe(then[3])
    }
    const [token = new Redacted(utf8(''))] = oldTokens
    const late = enrol({
      address: { host, port: ports.join },
      token,
      directory: `${cluster.directory}/late`,
      role: 'agent',
    })
    await expect(late).rejects.toThrow(AuthorityNotPinned)
  }, 120_000)

  test('AS13: waits for who is away, and goes on after the leader was lost', async () => {
    await startAgents()
    cluster.agents.splice(1).forEach((agent) => agent.destroy())
    const begun = await rotate()
    const root = begun.rotation?.root

    await expect
      .poll(async () => (await status()).rotation?.waitingFor, patient)
      .toEqual(['agent-2'])
    // Meanwhile old tokens join, and the newcomer is of the new root already.
    const { host, ports } = cluster.follower.place
    const token = await cluster.leader.api.authority.joinToken(devCaller, 'agent')
    const directory = `${cluster.directory}/newcomer`
    await enrol({ address: { host, port: ports.join }, token, directory, role: 'agent' })
    const { certificatePem, authorityPem } = await loadTlsIdentity(directory)
    expect(certificatesIn(certificatePem)).toHaveLength(2)
    expect(authorityFingerprint(rootOf(certificatePem, authorityPem) ?? '')).toBe(root)

    const gone = cluster.leader
    cluster.masters.splice(cluster.masters.indexOf(gone), 1)
    await gone.destroy()
    await cluster.startMaster(gone.masterId)
    await Promise.all(cluster.masters.map((master) => master.ready()))
    expect((await status()).rotation?.root).toBe(root)
    await cluster.startAgent(agentDirectory(cluster.directory, 'agent-2'))

    await expect.poll(async () => (await status()).rotation, patient).toBeUndefined()
    expect((await status()).root).toBe(root)
  }, 120_000)

  test('AS13: does not wait for a member that was forgotten', async () => {
    await startAgents()
    cluster.agents.splice(1).forEach((agent) => agent.destroy())
    await rotate()
    await expect
      .poll(async () => (await status()).rotation?.waitingFor, patient)
      .toEqual(['agent-2'])

    await cluster.leader.api.authority.forget(devCaller, 'agent', 'agent-2')

    await expect.poll(async () => (await status()).rotation, patient).toBeUndefined()
    const { host, ports } = cluster.follower.place
    const identity = await loadTlsIdentity(agentDirectory(cluster.directory, 'agent-2'))
    const ask = askToJoin(
      { host, port: ports.join },
      { kind: 'member', identity, clusterId: cluster.prepared.manifest.clusterId },
      { method: 'POST', path: '/v1/confirmation' },
    )
    // The master may be about to hang up on such a certificate, or does already.
    await expect(ask).rejects.toThrow(/no root that counts|certificate of a member|cannot join/)
  }, 120_000)
})
