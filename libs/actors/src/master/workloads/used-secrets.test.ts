import { Redacted, utf8 } from '@conclave/kernel'
import { encodeCommand, StoreMachine } from '@conclave/store'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { MemoryAudit } from '../../testing/memory-audit.ts'
import { MemoryCluster, type MemoryMaster } from '../../testing/memory-cluster.ts'
import { callerOf, firstPeople } from '../../testing/people.ts'
import { Access } from '../access.ts'
import { Replicated } from '../replicated.ts'
import { WorkloadDesk } from './workload-desk.ts'

const root = callerOf('root')
const only = { ifUnused: true } as const

const spec = (secret: string, name = 'web'): object => ({
  name,
  template: {
    command: {
      value: 'sleep 1000',
      environment: {
        variables: [
          {
            name: 'S',
            type: 'SECRET',
            secret: { type: 'REFERENCE', reference: { name: secret } },
          },
        ],
      },
    },
    resources: [{ name: 'cpus', type: 'SCALAR', scalar: { value: 0.1 } }],
  },
})

const emit = (): void => undefined

let cluster: MemoryCluster

beforeEach(async () => {
  const random = new SeededRandom(11)
  const identities = await firstPeople(random)
  cluster = new MemoryCluster({ clock: new ManualClock(), random, identities })
  await cluster.elected()
})

/** A new secret at `path`, by its id. */
async function created(path: string): Promise<string> {
  const input = { kind: 'text', bytes: new Redacted(utf8('s3cr3t')) } as const
  const { id = '' } = await cluster.settle(cluster.leader.actor.secrets.create(root, path, input))
  return id
}

const master = (at: number): MemoryMaster => (at === 0 ? cluster.leader : cluster.follower)

const codeOf = (outcome: PromiseSettledResult<unknown>): unknown =>
  outcome.status === 'fulfilled' ? 'done' : (outcome.reason as { code?: unknown }).code

describe('WK18: a secret that shall only go while nobody uses it', () => {
  test('stays while a workload refers to it, and goes after that', async () => {
    const { secrets, workloads } = cluster.leader.actor
    await created('dev/db')
    await cluster.settle(workloads.create(root, spec('dev/db')))

    const refused = cluster.settle(secrets.delete(root, 'dev/db', only))
    await expect(refused).rejects.toMatchObject({ code: 'secret.in-use', workloads: ['web'] })

    await cluster.settle(workloads.remove(root, 'web'))
    await cluster.settle(secrets.delete(root, 'dev/db', only))
    expect(cluster.leader.store.list('secret/').kvs).toEqual([])
  })

  test('stays when a workload began to use it while that was being decided elsewhere', async () => {
    const { follower, leader } = cluster
    const id = await created('dev/db')
    await cluster.settle(follower.actor.secrets.metadata(root, 'dev/db'))
    cluster.cut(follower)

    const removed = follower.actor.secrets.delete(root, 'dev/db', only)
    const needs = { secrets: [{ path: 'dev/db', id }] }
    await cluster.settle(leader.actor.workloads.create(root, spec('dev/db'), needs))
    cluster.heal()

    await expect(cluster.settle(removed)).rejects.toMatchObject({ code: 'secret.in-use' })
    expect(leader.store.list('secret/').kvs).toHaveLength(1)
  })

  test('is never both removed and used, whoever is asked first, and where', async () => {
    const outcomes: (readonly unknown[])[] = []
    for (let round = 0; round < 24; round++) {
      const path = `dev/db-${round}`
      const id = await created(path)
      const [remover, user] = [round & 1, (round >> 1) & 1].map(master)
      const remove = async () => remover?.actor.secrets.delete(root, path, only)
      const needs = { secrets: [{ path, id }] }
      const use = async () => user?.actor.workloads.create(root, spec(path, `web-${round}`), needs)

      const first = (round & 4) === 0 ? remove : use
      const begun = [first()]
      for (let passed = 0; passed < round >> 3; passed++) await cluster.round()
      begun.push(first === remove ? use() : remove())
      const settled = await cluster.settle(Promise.allSettled(begun))
      outcomes.push(settled.map(codeOf))
    }

    expect(outcomes.filter((one) => one.filter((code) => code === 'done').length !== 1)).toEqual([])
    expect(new Set(outcomes.flat())).toEqual(new Set(['done', 'secret.in-use', 'secret.not-found']))
  })

  test('is not mistaken for another that came to its place', async () => {
    const { secrets } = cluster.leader.actor
    const id = await created('dev/db')
    await cluster.settle(secrets.delete(root, 'dev/db'))
    await created('dev/db')

    const refused = cluster.settle(secrets.delete(root, 'dev/db', { ifId: id }))
    await expect(refused).rejects.toMatchObject({ code: 'secret.not-found' })
    expect(cluster.leader.store.list('secret/').kvs).toHaveLength(1)
  })

  test('cannot come into a spec by an update any more once it is gone', async () => {
    const { secrets, workloads } = cluster.leader.actor
    await created('dev/db')
    const id = await created('dev/db2')
    const web = await cluster.settle(workloads.create(root, spec('dev/db')))
    await cluster.settle(secrets.delete(root, 'dev/db2', only))

    const needs = { secrets: [{ path: 'dev/db2', id }] }
    const refused = cluster.settle(workloads.update(root, web.id, spec('dev/db2'), needs))
    await expect(refused).rejects.toMatchObject({ code: 'secret.not-found' })
  })

  test.each(['create', 'update'] as const)(
    'cannot come into a spec by a %s that was decided on while it was still there',
    async (how) => {
      const store = new StoreMachine()
      const clock = new ManualClock()
      const key = 'secret/dev/db'
      const put = { do: 'put', key, value: utf8('{}') } as const
      const change = (op: typeof put | { readonly do: 'delete'; readonly key: string }): unknown =>
        store.apply(encodeCommand({ compare: [], success: [op], failure: [], nowMs: 1 }))
      let overtake: (() => unknown) | undefined
      const { service } = new WorkloadDesk({
        clusterId: 'test',
        replicated: new Replicated(store, {
          linearize: async () => undefined,
          propose: async (txn) => {
            overtake?.()
            return store.apply(encodeCommand({ ...txn, nowMs: 1 }))
          },
        }),
        reader: { get: (at) => store.get(at), list: (prefix) => store.list(prefix).kvs },
        secretAt: () => {
          const there = store.get(key)
          const operand = there?.createRevision ?? 0
          const claim = { key, target: 'createRevision', is: '=', operand } as const
          return there === undefined ? undefined : { id: 'the-one', claim }
        },
        access: new Access({
          identity: { allowed: () => true, isSuperuser: () => true },
          audit: new MemoryAudit(),
          clock,
          emit,
        }),
        clock,
        random: new SeededRandom(3),
        emit,
        onProblem: (_what, error) => {
          throw error
        },
      })
      await service.create(root, spec('dev/other'), { id: 'web' })
      change(put)
      overtake = () => change({ do: 'delete', key })

      const needs = { secrets: [{ path: 'dev/db', id: 'the-one' }] }
      const refused =
        how === 'create'
          ? service.create(root, spec('dev/db', 'late'), needs)
          : service.update(root, 'web', spec('dev/db'), needs)

      await expect(refused).rejects.toMatchObject({ code: 'secret.not-found' })
      expect(service.namesThatUse('dev/db')).toEqual([])
    },
  )
})
