import { ManualClock, SeededRandom } from '@conclave/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { MemoryCluster } from '../../testing/memory-cluster.ts'
import { callerOf, firstPeople } from '../../testing/people.ts'

const root = callerOf('root')
const kind = 'docker-config'
const config = { id: 'jbd5v3logv3go4lczdcjibcn8', name: 'my_config', body: { data: 'Y2ZnPTEK' } }

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

const documents = (): MemoryCluster['leader']['actor']['documents'] =>
  cluster.leader.actor.documents

describe('a document', () => {
  test('MA50: is what any master answers, by id and by name', async () => {
    const created = await cluster.settle(documents().create(root, kind, config))
    expect(created).toMatchObject({ kind, ...config })

    const elsewhere = cluster.follower.actor.documents
    expect(await cluster.settle(elsewhere.get(root, kind, config.id))).toEqual(created)
    expect(await cluster.settle(elsewhere.byName(root, kind, 'my_config'))).toEqual(created)
    expect(await cluster.settle(elsewhere.list(root, kind))).toEqual([created])
    expect(await cluster.settle(elsewhere.list(root, 'docker-network'))).toEqual([])
  })

  test('MA50: has its name for itself, whoever tries at the same time', async () => {
    const tries = ['a', 'b', 'c'].map((id) =>
      documents()
        .create(root, kind, { ...config, id })
        .then(
          () => 'created',
          (error: { code: string }) => error.code,
        ),
    )
    const outcomes = await cluster.settle(Promise.all(tries))
    expect(outcomes.toSorted()).toEqual(['created', 'document.exists', 'document.exists'])

    const [left] = await cluster.settle(documents().list(root, kind))
    await cluster.settle(documents().remove(root, kind, left?.id ?? ''))
    await cluster.settle(documents().create(root, kind, { ...config, id: 'd' }))
    expect(await cluster.settle(documents().byName(root, kind, config.name))).toMatchObject({
      id: 'd',
    })
  })

  test('MA50: is replaced only as it was read', async () => {
    const first = await cluster.settle(documents().create(root, kind, config))
    const second = await cluster.settle(
      documents().update(root, kind, config.id, { data: 'eA==' }, first.revision),
    )
    expect(second.revision).toBeGreaterThan(first.revision)
    expect(second.body).toEqual({ data: 'eA==' })

    const late = cluster.settle(documents().update(root, kind, config.id, {}, first.revision))
    await expect(late).rejects.toMatchObject({ code: 'document.changed' })
    const gone = cluster.settle(documents().update(root, kind, 'nosuch', {}))
    await expect(gone).rejects.toMatchObject({ code: 'document.not-found' })
    const again = cluster.settle(documents().remove(root, kind, 'nosuch'))
    await expect(again).rejects.toMatchObject({ code: 'document.not-found' })
  })

  test.each([
    ['a kind with a slash', 'docker/config', config],
    ['an id with a slash', kind, { ...config, id: '../x' }],
    ['a name with a slash', kind, { ...config, name: 'a/b' }],
    ['a body that is no JSON', kind, { ...config, body: { at: () => 1 } }],
    ['a body that is too large', kind, { ...config, body: 'x'.repeat(1_500_000) }],
  ])('MA50: with %s is refused', async (_what, of, input) => {
    const refused = cluster.settle(documents().create(root, of, input))
    await expect(refused).rejects.toMatchObject({ code: 'document.invalid' })
    expect(cluster.leader.store.list('document').kvs).toEqual([])
  })

  test('MA50 MA4: is for operators, and every change is on record', async () => {
    const dev = callerOf('dev')
    for (const ask of [
      (): Promise<unknown> => documents().create(dev, kind, config),
      (): Promise<unknown> => documents().list(dev, kind),
      (): Promise<unknown> => documents().update(dev, kind, config.id, {}),
      (): Promise<unknown> => documents().remove(dev, kind, config.id),
    ]) {
      await expect(cluster.settle(ask())).rejects.toMatchObject({ code: 'access.denied' })
    }
    await cluster.settle(documents().create(root, kind, config))
    const { audit } = cluster.leader
    expect(audit.records.filter(({ path }) => path === `document/${kind}/${config.id}`)).toEqual([
      expect.objectContaining({ principal: 'dev', action: 'create', outcome: 'denied' }),
      expect.objectContaining({ principal: 'dev', action: 'update', outcome: 'denied' }),
      expect.objectContaining({ principal: 'dev', action: 'delete', outcome: 'denied' }),
      expect.objectContaining({ principal: 'root', action: 'create', outcome: 'allowed' }),
    ])
  })
})
