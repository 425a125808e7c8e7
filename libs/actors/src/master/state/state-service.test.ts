import {
  AeadKey,
  createBoxKeyPair,
  Kek,
  openBox,
  openEnvelope,
  unwrapKeyring,
  type Keyring,
} from '@conclave/crypto'
import { Redacted, utf8Text } from '@conclave/kernel'
import { Compacted, encodeCommand, snapshotOf, StateDigest, StoreMachine } from '@conclave/store'
import { canary, expectNoLeak, ManualClock, SeededRandom } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import { callerOf, firstPeople } from '../../testing/people.ts'
import { MemoryCluster } from '../../testing/memory-cluster.ts'
import { AccessDenied } from '../errors.ts'
import { keyringKey } from '../master-records.ts'
import { lastTermIn, restoreChanges } from './restored-state.ts'
import { stateBoxContext, type StateLine } from './state-api.ts'
import { StateKeyInvalid } from './state-service.ts'

const random = new SeededRandom(5)
const value = canary('value')
const root = callerOf('root')
const pair = createBoxKeyPair(random)

async function clusterWithSecret(settings = {}): Promise<MemoryCluster> {
  const identities = await firstPeople(new SeededRandom(1))
  const cluster = new MemoryCluster({
    clock: new ManualClock(),
    random: new SeededRandom(2),
    identities,
    settings,
  })
  await cluster.elected()
  const bytes = new Redacted(Uint8Array.from(value.bytes))
  await cluster.settle(cluster.leader.actor.secrets.create(root, 'dev/db', { kind: 'text', bytes }))
  return cluster
}

async function collect(lines: AsyncIterable<StateLine>): Promise<readonly StateLine[]> {
  const all: StateLine[] = []
  for await (const line of lines) all.push(line)
  return all
}

const exported = (cluster: MemoryCluster, at?: number): Promise<readonly StateLine[]> =>
  cluster.settle(collect(cluster.follower.actor.state.export(root, pair.publicKey, at)))

const recordsIn = (lines: readonly StateLine[]) =>
  lines.flatMap((line) =>
    line.kind === 'record'
      ? [{ ...line, value: new Uint8Array(Buffer.from(line.value, 'base64')) }]
      : [],
  )

function keyringIn(lines: readonly StateLine[], clusterId: string): Keyring {
  const [head] = lines
  if (head?.kind !== 'head') throw new Error('there is no head')
  const boxed = new Uint8Array(Buffer.from(head.transportKey, 'base64'))
  const key = openBox(pair, boxed, stateBoxContext(clusterId))
  const kek = Kek.of(AeadKey.of(key.reveal()))
  return unwrapKeyring({ kek, clusterId, wrapped: Buffer.from(head.keyring, 'base64') })
}

describe('MA30: the state', () => {
  test('comes whole from any master, with a keyring for the caller alone, and shows no secret', async () => {
    const cluster = await clusterWithSecret()

    const lines = await exported(cluster)

    const records = recordsIn(lines)
    const digest = new StateDigest()
    for (const record of records) digest.add(record)
    expect(lines.at(-1)).toEqual({
      kind: 'end',
      recordCount: records.length,
      digest: digest.end(),
    })
    expectNoLeak({ lines }, [value])
    const envelope = records.find(({ key }) => key === 'envelope/dev/db@1')?.value
    const { clusterId } = cluster
    const opened = openEnvelope({
      clusterId,
      path: 'dev/db',
      version: 1,
      keyring: keyringIn(lines, clusterId),
      envelope: envelope ?? new Uint8Array(),
    })
    expect(utf8Text(opened.reveal()) === value.text).toBe(true)
  })

  test('is for operators, and on record before a word of it', async () => {
    const cluster = await clusterWithSecret()
    const { actor, audit } = cluster.leader
    const asking = (who: string): Promise<unknown> =>
      cluster
        .settle(collect(actor.state.export(callerOf(who), pair.publicKey)))
        .catch((error: unknown) => error)

    expect(await asking('dev')).toBeInstanceOf(AccessDenied)
    expect(audit.records.at(-1)).toMatchObject({
      principal: 'dev',
      action: 'administer',
      path: 'state/export',
      outcome: 'denied',
    })
    await asking('root')
    expect(audit.records.at(-1)).toMatchObject({ principal: 'root', outcome: 'allowed' })
    audit.isBroken = true
    expect(await asking('root')).toBeInstanceOf(Error)
  })

  test('of an earlier revision is as it was then, while that is kept', async () => {
    const cluster = await clusterWithSecret()
    const [head] = await exported(cluster)
    const revision = head?.kind === 'head' ? head.revision : 0
    await cluster.settle(cluster.leader.actor.secrets.delete(root, 'dev/db'))

    const then = recordsIn(await exported(cluster, revision))
    const now = recordsIn(await exported(cluster))

    const keys = (records: typeof then): boolean =>
      records.some(({ key }) => key === 'envelope/dev/db@1')
    expect([keys(then), keys(now)]).toEqual([true, false])
    await cluster.settle(
      cluster.leader.replica.propose({
        compare: [],
        success: [{ do: 'compact', revision: revision + 1 }],
      }),
    )
    await expect(exported(cluster, revision)).rejects.toThrow(Compacted)
  })

  test('goes to nobody whose key is none', async () => {
    const cluster = await clusterWithSecret()
    const lines = cluster.leader.actor.state.export(root, new Uint8Array(32))

    await expect(cluster.settle(collect(lines))).rejects.toThrow(StateKeyInvalid)
  })
})

test('MA31: a restored state is one of new masters, with all that people made', async () => {
  const cluster = await clusterWithSecret()
  const { clusterId } = cluster
  const lines = await exported(cluster)
  const records = recordsIn(lines).map(({ kind: _kind, ...record }) => record)
  const keyring = keyringIn(lines, clusterId)
  const machine = new StoreMachine()
  machine.restore(snapshotOf(1_000, records))
  const kek = Kek.of(AeadKey.draw(random))
  const identities = {
    users: [{ uid: 'root', description: 'again', isService: false, passwordHash: 'a hash' }],
    permissions: [{ uid: 'newcomer', rid: 'dcos:superuser', actions: ['full'] }],
  } as const

  const success = restoreChanges({
    view: machine,
    clusterId,
    kek,
    keyring,
    identities,
    nowMs: 1,
    random,
  })
  machine.apply(encodeCommand({ nowMs: 1, compare: [], success }))

  const json = (key: string): unknown =>
    JSON.parse(utf8Text(machine.get(key)?.value ?? new Uint8Array()))
  const wrapped = machine.get(keyringKey)?.value ?? new Uint8Array()
  expect(unwrapKeyring({ kek, clusterId, wrapped }).newest.id).toBe(keyring.newest.id)
  expect(json('identity/acl/dcos:superuser')).toMatchObject({
    users: { root: ['full'], newcomer: ['full'] },
  })
  const place = { clusterId, path: '#identity/password/root', version: 1 }
  const envelope = machine.get('identity/password/root')?.value ?? new Uint8Array()
  expect(utf8Text(openEnvelope({ ...place, keyring, envelope }).reveal())).toBe('a hash')
  expect(machine.get('identity/user/dev')).toEqual(cluster.leader.store.get('identity/user/dev'))
  expect(machine.get('envelope/dev/db@1')?.value).toEqual(
    cluster.leader.store.get('envelope/dev/db@1')?.value,
  )
  for (const gone of ['masters/member/', 'authority/', 'keys/authority', 'keys/join-']) {
    expect(cluster.leader.store.list(gone).kvs.length).toBeGreaterThan(0)
    expect(machine.list(gone).kvs).toEqual([])
  }
  expect(lastTermIn(machine)).toBeGreaterThan(0)
})
