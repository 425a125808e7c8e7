import { hashPassword, isEnvelope } from '@conclave/crypto'
import { Redacted, utf8, type RedactedBytes } from '@conclave/kernel'
import { Compacted } from '@conclave/store'
import { canary, ManualClock, SeededRandom } from '@conclave/testkit'
import { beforeEach, expect, test } from 'vitest'
import { MemoryCluster } from '../../testing/memory-cluster.ts'
import { firstPeople, rootPassword } from '../../testing/people.ts'
import { passwordKey } from '../identity/identity-records.ts'
import { encodeRecord } from '../record.ts'

const home = '127.0.0.1'
const cheap = { logN: 4, r: 8, p: 1 }
const password = (text: string): RedactedBytes => new Redacted(utf8(text))

let cluster: MemoryCluster

beforeEach(async () => {
  const random = new SeededRandom(4)
  const identities = await firstPeople(random)
  cluster = new MemoryCluster({ clock: new ManualClock(), random, identities })
  await cluster.elected()
})

const logsIn = async (uid: string, text: string): Promise<boolean> => {
  const { identity } = cluster.follower.actor
  return (await cluster.settle(identity.login(uid, password(text), home))) !== undefined
}

const valueOf = (uid: string): Uint8Array =>
  cluster.leader.store.get(passwordKey(uid))?.value ?? new Uint8Array()

/** The records that somebody who reads the store could try passwords against. */
const withHash = (): readonly string[] =>
  cluster.leader.store
    .list('')
    .kvs.filter(({ value }) => Buffer.from(value).includes('$scrypt$'))
    .map(({ key }) => key)

/** As a build before hashes were sealed would have. */
async function writeUnsealed(uid: string, hash: string): Promise<number> {
  cluster.takesAnyRecord = true
  const { replica } = cluster.leader
  const put = { do: 'put', key: passwordKey(uid), value: encodeRecord({ hash }) } as const
  const { revision } = await cluster.settle(replica.propose({ compare: [], success: [put] }))
  return revision
}

test('KR6: no hash is in a record as it is, and none opens at the record of somebody else', async () => {
  expect(await logsIn('root', rootPassword)).toBe(true)
  expect(await logsIn('root', 'a guess')).toBe(false)
  expect(withHash()).toEqual([])

  const put = { do: 'put', key: passwordKey('nobody'), value: valueOf('root') } as const
  await cluster.settle(cluster.leader.replica.propose({ compare: [], success: [put] }))

  await expect(logsIn('nobody', rootPassword)).rejects.toThrow()
})

test('KR6: a hash that an earlier build wrote is a hash, and the next leader seals it', async () => {
  const random = new SeededRandom(9)
  const secret = canary('password')
  const hash = await hashPassword(password(secret.text), random, cheap)
  const revision = await writeUnsealed('dev', hash)
  expect(await logsIn('dev', secret.text)).toBe(true)
  expect(withHash()).toEqual([passwordKey('dev')])

  cluster.leader.crash()
  await cluster.elected()
  await cluster.until(() => isEnvelope(valueOf('dev')))
  await cluster.until(() => cluster.leader.store.compactRevision >= revision)

  expect(await logsIn('dev', secret.text)).toBe(true)
  expect(await logsIn('dev', 'a guess')).toBe(false)
  expect(() => cluster.leader.store.get(passwordKey('dev'), revision)).toThrow(Compacted)
  expect(withHash()).toEqual([])
})

test('KR6: a record that is neither is left alone and told of once, and keeps no other from being sealed', async () => {
  await writeUnsealed('nobody', await hashPassword(password('n'), new SeededRandom(9), cheap))
  const put = { do: 'put', key: passwordKey('dev'), value: utf8('no record') } as const
  await cluster.settle(cluster.leader.replica.propose({ compare: [], success: [put] }))

  cluster.leader.crash()
  await cluster.elected()
  await cluster.until(() => isEnvelope(valueOf('nobody')))
  for (let round = 0; round < 20; round++) await cluster.round()

  const { warnings } = cluster.leader
  expect(warnings.filter((what) => what.includes('hash'))).toHaveLength(1)
  await expect(logsIn('dev', 'anything')).rejects.toThrow()
  expect(await logsIn('root', rootPassword)).toBe(true)
})
