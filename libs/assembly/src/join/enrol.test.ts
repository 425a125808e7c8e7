import { X509Certificate } from 'node:crypto'
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { JoinTokenInvalid } from '@conclave/crypto'
import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { loadTlsIdentity } from '@conclave/runtime'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { loadKekAtRest } from '../cluster/kek-at-rest.ts'
import { devCaller, TestCluster } from '../testing/test-cluster.ts'
import { AuthorityNotPinned, enrol, EnrolmentConflict, type EnrolOptions } from './enrol.ts'
import { JoinRefused, JoinUnreachable } from './join-client.ts'

let cluster: TestCluster

beforeEach(async () => {
  cluster = await TestCluster.start({ masters: 3 })
})
afterEach(async () => {
  await cluster.remove()
})

const ca = (masterId: string): string => join(cluster.directoryOf(masterId), 'ca.key.wrapped')

async function kekIn(directory: string): Promise<Uint8Array> {
  const kek = await loadKekAtRest(directory)
  return kek?.key.bytes() ?? new Uint8Array()
}

const isThere = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  )

async function tokenOf(role: 'master' | 'agent', of = cluster): Promise<Redacted<Uint8Array>> {
  return of.leader.api.authority.joinToken(devCaller, role)
}

const tokenOfText = (text: string): Redacted<Uint8Array> => new Redacted(utf8(text))

async function options(
  role: 'master' | 'agent',
  more: Partial<EnrolOptions> = {},
): Promise<EnrolOptions> {
  const { host, ports } = cluster.follower.place
  return {
    address: { host, port: ports.join },
    token: await tokenOf(role),
    directory: join(cluster.directory, 'joiner'),
    role,
    ...more,
  }
}

const subjectIn = async (directory: string): Promise<string> =>
  new X509Certificate((await loadTlsIdentity(directory)).certificatePem).subject

describe('joining with a token', () => {
  test('AS8: the key of the authority moves from the files into the store', async () => {
    for (const { masterId } of cluster.addresses) {
      await expect.poll(() => isThere(ca(masterId))).toBe(false)
    }
    const status = await cluster.leader.api.authority.status(devCaller)

    expect(status.rootPem).toBe(
      await readFile(join(cluster.directoryOf('master-1'), 'ca.pem'), 'utf8'),
    )
  })

  test('AS19: twice at once in one directory is done once', async () => {
    const outcomes = await Promise.allSettled([
      enrol(await options('master')),
      enrol(await options('master')),
    ])
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    const [refused] = outcomes.filter(({ status }) => status === 'rejected')
    expect(refused).toMatchObject({ reason: { code: 'journal.locked' } })
    const [joined] = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    const { directory } = await options('master')
    expect(await subjectIn(directory)).toContain(`CN=${joined?.id}\n`)
    expect(await enrol(await options('master'))).toMatchObject({ id: joined?.id })
  })

  test('AS9: an agent gets an id of the cluster, and a certificate for it', async () => {
    const wanted = await options('agent')
    const joined = await enrol(wanted)

    expect(joined.id).toMatch(/^agent-[0-9a-f-]{13}$/)
    expect(joined.masters).toEqual(cluster.addresses)
    expect(await subjectIn(wanted.directory)).toBe(
      `CN=${joined.id}\nOU=conclave-agent\nO=${cluster.prepared.manifest.clusterId}`,
    )
    expect((await readdir(wanted.directory)).toSorted()).toEqual([
      'ca.pem',
      'identity.pem',
      'member.json',
    ])
    expect(wanted.token.reveal().every((byte) => byte === 0)).toBe(true)
  })

  test('AS9: a master gets a number of its own and the KEK; the next one gets another', async () => {
    const first = await options('master', { hosts: ['m4.example.org'] })
    const second = await options('master', { directory: join(cluster.directory, 'second') })
    const joined = [await enrol(first), await enrol(second)]

    expect(joined.map(({ id, nodeId }) => ({ id, nodeId }))).toEqual([
      { id: 'master-4', nodeId: 4 },
      { id: 'master-5', nodeId: 5 },
    ])
    const theirs = await kekIn(cluster.directoryOf('master-1'))
    expect(theirs).toHaveLength(32)
    expect(await kekIn(first.directory)).toEqual(theirs)
    const { certificatePem } = await loadTlsIdentity(first.directory)
    expect(new X509Certificate(certificatePem).subjectAltName).toContain('DNS:m4.example.org')
  })

  test('AS9: what was interrupted is done again, and goes on where a certificate is there', async () => {
    const wanted = await options('master')
    const joined = await enrol(wanted)
    await rm(join(wanted.directory, 'kek.key'))

    expect(await enrol(await options('master'))).toEqual(joined)
    expect(await isThere(join(wanted.directory, 'kek.key'))).toBe(true)
    await rm(join(wanted.directory, 'identity.pem'))
    expect((await enrol(await options('master'))).nodeId).toBe(5)
    await expect(enrol(await options('agent'))).rejects.toThrow(EnrolmentConflict)
  })

  test('AS10: whoever is not of the cluster that the token is of hears neither token nor request', async () => {
    const other = await TestCluster.start({ masters: 1 })
    try {
      const wanted = await options('agent', { token: await tokenOf('agent', other) })

      await expect(enrol(wanted)).rejects.toThrow(AuthorityNotPinned)

      const audit = await readFile(
        join(cluster.directoryOf(cluster.follower.masterId), 'audit.log'),
      )
      expect(audit.toString()).not.toContain('authority/certificate')
      expect(await isThere(wanted.directory)).toBe(false)
    } finally {
      await other.remove()
    }
  })

  test('AS10: a token of another role, an old token, or no token at all is refused', async () => {
    const wrongRole = { ...(await options('master')), token: await tokenOf('agent') }
    await expect(enrol(wrongRole)).rejects.toThrow(/join token of agents; a master needs its own/)

    const old = await options('agent')
    await cluster.leader.api.authority.rotateJoinToken(devCaller, 'agent')
    await expect(enrol(old)).rejects.toThrow(JoinRefused)
    await expect(enrol(await options('agent'))).resolves.toMatchObject({
      masters: cluster.addresses,
    })

    const directory = join(cluster.directory, 'other')
    const none = { ...(await options('agent')), directory, token: tokenOfText('SWMTKN-1-none') }
    await expect(enrol(none)).rejects.toThrow(JoinTokenInvalid)
  })

  test('AS10: guesses are slowed down, and on record', async () => {
    const token = utf8Text((await tokenOf('agent')).reveal())
    const guess = (): Promise<unknown> => {
      const wrong = `${token.slice(0, -1)}${token.endsWith('0') ? '1' : '0'}`
      return options('agent', { token: tokenOfText(wrong) }).then(enrol)
    }
    for (let tries = 0; tries < 5; tries++) {
      await expect(guess()).rejects.toThrow(/invalid join token/)
    }

    await expect(guess()).rejects.toThrow(/too many failed/)

    const audit = await readFile(join(cluster.directoryOf(cluster.follower.masterId), 'audit.log'))
    expect(
      audit.toString().match(/"path":"authority\/certificate","outcome":"denied"/g),
    ).toHaveLength(5)
  })

  test('AS10: nobody at the address is said so', async () => {
    const wanted = await options('agent', { address: { host: '127.0.0.1', port: 1 } })

    await expect(enrol(wanted)).rejects.toThrow(JoinUnreachable)
  }, 20_000)

  test('AS11: no token, no key of the authority and no KEK is in any file or line of the log', async () => {
    const tokens = [await tokenOf('agent'), await tokenOf('master')]
    await enrol(await options('master'))
    await enrol(await options('agent', { directory: join(cluster.directory, 'agent') }))
    const kek = await kekIn(cluster.directoryOf('master-1'))

    const secrets = tokens.map((token) => token.reveal().slice(-25))
    for (const secret of secrets) {
      expect(await cluster.filesHolding(secret)).toEqual([])
      expect(cluster.lines.join('')).not.toContain(utf8Text(secret))
    }
    expect(new Set(await cluster.filesHolding(kek))).toEqual(new Set(['kek.key']))
    for (const form of ['hex', 'base64'] as const) {
      expect(cluster.lines.join('')).not.toContain(Buffer.from(kek).toString(form))
    }
    await writeFile(join(cluster.directory, 'probe'), secrets[0] ?? '')
    expect(await cluster.filesHolding(secrets[0] ?? kek)).toEqual(['probe'])
  })
})
