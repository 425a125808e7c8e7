import { Redacted, utf8 } from '@conclave/kernel'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { MemoryCluster } from '../testing/memory-cluster.ts'
import { callerOf, firstPeople } from '../testing/people.ts'
import type { SecretInput } from './master-api.ts'

const root = callerOf('root')
const dev = callerOf('dev')
const text = (value: string): SecretInput => ({ kind: 'text', bytes: new Redacted(utf8(value)) })

let cluster: MemoryCluster

beforeEach(async () => {
  const random = new SeededRandom(7)
  cluster = new MemoryCluster({
    clock: new ManualClock(),
    random,
    identities: await firstPeople(random),
  })
  await cluster.elected()
})

const secrets = (): MemoryCluster['leader']['actor']['secrets'] => cluster.leader.actor.secrets
const created = (path: string) => cluster.settle(secrets().create(root, path, text('s3cr3t')))

describe('a secret', () => {
  test('MA51: has an id of its own from its creation to its deletion', async () => {
    const first = await created('dev/db')
    const { id = '' } = first
    expect(id).toMatch(/^[0-9a-z]{25}$/)
    const elsewhere = cluster.follower.actor.secrets
    const updated = await cluster.settle(elsewhere.update(root, 'dev/db', text('other')))
    expect(updated.id).toBe(id)
    expect(updated.revision).toBeGreaterThan(first.revision ?? 0)
    expect(await cluster.settle(elsewhere.metadata(root, 'dev/db'))).toMatchObject({ id })

    await cluster.settle(secrets().delete(root, 'dev/db'))
    expect(await cluster.settle(secrets().find(root, { id }))).toEqual([])
    expect((await created('dev/db')).id).not.toBe(id)
  })

  test('MA51: is found by its id, by how that begins, and by its path without the case', async () => {
    const early = await created('dev/CaseA')
    // The index is built by the first question, and follows what comes after it.
    expect(await cluster.settle(secrets().find(root, { idPrefix: '' }))).toHaveLength(1)
    const { id = '' } = await created('dev/db')
    await created('dev/DB')

    const find = (by: Parameters<ReturnType<typeof secrets>['find']>[1]) =>
      cluster.settle(secrets().find(root, by))
    expect(await find({ id })).toMatchObject([{ path: 'dev/db' }])
    expect(await find({ id: id.slice(0, 24) })).toEqual([])
    expect(await find({ idPrefix: id.slice(0, 24) })).toMatchObject([{ path: 'dev/db' }])
    expect((await find({ idPrefix: '' })).length).toBe(3)
    expect(await find({ foldedPath: 'DEV/casea' })).toMatchObject([{ id: early.id }])
    const both = await find({ foldedPath: 'dev/db' })
    expect(both.map(({ path }) => path).toSorted()).toEqual(['dev/DB', 'dev/db'])

    await cluster.settle(secrets().delete(root, 'dev/db'))
    expect(await find({ foldedPath: 'dev/db' })).toMatchObject([{ path: 'dev/DB' }])
  })

  test('MA51: is not created beside one that differs in its case, where that is wanted', async () => {
    await created('dev/db')
    await created('ops/db')
    const alone = (caller: typeof root, path: string) =>
      cluster.settle(secrets().create(caller, path, { ...text('x'), isAloneInAnyCase: true }))
    for (const taken of ['dev/DB', 'dev/db']) {
      await expect(alone(root, taken)).rejects.toMatchObject({ code: 'secret.exists' })
    }
    const { outcome, action } = cluster.leader.audit.records.at(-1) ?? {}
    expect([action, outcome]).toEqual(['create', 'failed'])
    // What its caller may not read is nobody's business.
    await expect(alone(dev, 'ops/DB')).rejects.toMatchObject({ code: 'access.denied' })

    await cluster.settle(secrets().delete(root, 'dev/db'))
    expect(await alone(root, 'dev/DB')).toMatchObject({ path: 'dev/DB' })
    expect(await created('dev/db')).toMatchObject({ path: 'dev/db' })
  })

  test('MA51: is found only by who may read it', async () => {
    await created('ops/db')
    expect(await cluster.settle(secrets().find(dev, { foldedPath: 'ops/db' }))).toEqual([])
    expect(await cluster.settle(secrets().find(dev, { idPrefix: '' }))).toEqual([])
  })

  test('MA52: is relabelled as it was read, and keeps its version', async () => {
    const { revision = 0, version } = await created('dev/db')
    const relabelled = await cluster.settle(
      secrets().relabel(dev, 'dev/db', { env: 'prod' }, revision),
    )
    expect(relabelled).toMatchObject({ version, labels: { env: 'prod' } })
    const late = cluster.settle(secrets().relabel(dev, 'dev/db', {}, revision))
    await expect(late).rejects.toMatchObject({ code: 'secret.changed' })
    const gone = cluster.settle(secrets().relabel(dev, 'dev/nosuch', {}))
    await expect(gone).rejects.toMatchObject({ code: 'secret.not-found' })
    const foreign = cluster.settle(secrets().relabel(dev, 'ops/db', {}))
    await expect(foreign).rejects.toMatchObject({ code: 'access.denied' })
    const wrong = cluster.settle(secrets().relabel(dev, 'dev/db', { '': 'x' }))
    await expect(wrong).rejects.toMatchObject({ code: 'secret.labels-invalid' })
    expect((await cluster.settle(secrets().metadata(root, 'dev/db'))).labels).toEqual({
      env: 'prod',
    })
  })

  test('MA58: has labels of the cluster’s own only from operators, and what is beside them, too', async () => {
    const own = { 'conclave.docker/driver': 'vault', vault_path: 'prod/root' }
    const denied = { code: 'access.denied' }

    const asDev = cluster.settle(secrets().create(dev, 'dev/drv', { ...text('x'), labels: own }))
    await expect(asDev).rejects.toMatchObject(denied)
    await cluster.settle(secrets().create(dev, 'dev/drv', text('x')))
    await expect(cluster.settle(secrets().relabel(dev, 'dev/drv', own))).rejects.toMatchObject(
      denied,
    )
    await cluster.settle(secrets().relabel(root, 'dev/drv', own))
    await expect(cluster.settle(secrets().relabel(dev, 'dev/drv', {}))).rejects.toMatchObject(
      denied,
    )
    const { labels } = await cluster.settle(secrets().metadata(dev, 'dev/drv'))
    expect(labels).toEqual(own)
  })
})
