import { Redacted, utf8, utf8Text, type RedactedBytes } from '@conclave/kernel'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import { superuserResource } from '@conclave/model'
import { beforeEach, describe, expect, test } from 'vitest'
import { MemoryCluster } from '../testing/memory-cluster.ts'
import { revokeAll } from '../testing/rights.ts'
import { callerOf, firstPeople } from '../testing/people.ts'
import type { SecretInput } from './master-api.ts'

const root = callerOf('root')
const dev = callerOf('dev')
const nobody = callerOf('nobody')
const text = (value: string): SecretInput => ({ kind: 'text', bytes: new Redacted(utf8(value)) })
const shown = (bytes: RedactedBytes): string => utf8Text(bytes.reveal())

let cluster: MemoryCluster

beforeEach(async () => {
  const random = new SeededRandom(7)
  cluster = new MemoryCluster({
    clock: new ManualClock(),
    random,
    identities: await firstPeople(random),
    settings: { secretSizeBytesMax: 4096 },
  })
  await cluster.elected()
})

const secrets = (): MemoryCluster['leader']['actor']['secrets'] => cluster.leader.actor.secrets

describe('a secret', () => {
  test('MA1: is what any master answers once one of them took it', async () => {
    const { follower } = cluster
    const created = await cluster.settle(
      follower.actor.secrets.create(root, 'dev/db', text('s3cr3t')),
    )
    expect(created).toMatchObject({ path: 'dev/db', version: 1, kind: 'text', sizeBytes: 6 })

    for (const { actor } of cluster.masters) {
      const { bytes, metadata } = await cluster.settle(actor.secrets.read(root, 'dev/db'))
      expect(shown(bytes)).toBe('s3cr3t')
      expect(metadata.version).toBe(1)
    }
  })

  test.each<[string, Record<string, string>]>([
    ['very many', Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`label-${at}`, '']))],
    ['long', { note: 'ä'.repeat(8192) }],
    ['long names', { ['n'.repeat(129)]: '' }],
    ['no names', { '': 'x' }],
    ['lines', { note: 'a\nb' }],
    ['half a character', { note: '\ud800' }],
  ])('MA22 MA4: does not take labels with %s, and leaves nothing', async (_what, labels) => {
    const input = { ...text('s3cr3t'), labels }
    const refused = cluster.settle(secrets().create(root, 'dev/db', input))

    await expect(refused).rejects.toMatchObject({ code: 'secret.labels-invalid' })
    expect(input.bytes.reveal().every((byte) => byte === 0)).toBe(true)
    expect(cluster.leader.store.list('secret/').kvs).toEqual([])
  })

  test('MA22: takes as many labels as it may have', async () => {
    const names = Array.from({ length: 64 }, (_, at) => `label-${String(at).padStart(2, '0')}`)
    const labels = Object.fromEntries(names.map((name) => [name, 'x'.repeat(248)]))
    const created = await cluster.settle(
      secrets().create(root, 'dev/db', { ...text('s3cr3t'), labels }),
    )
    expect(created.labels).toEqual(labels)
  })

  test('MA2: is created once, whoever else tries at the same time', async () => {
    const tries = cluster.masters.map(({ actor }, index) =>
      actor.secrets.create(root, 'dev/db', text(`value ${index}`)).then(
        () => 'created',
        (error: { code: string }) => error.code,
      ),
    )
    const came = await cluster.settle(Promise.all(tries))
    expect(came.toSorted()).toEqual(['created', 'secret.exists', 'secret.exists'])
  })

  test('MA2: takes updates from many writers as one version each', async () => {
    await cluster.settle(secrets().create(root, 'dev/db', text('0')))
    const writes = [1, 2, 3].flatMap((round) =>
      cluster.masters.map(({ actor }) => actor.secrets.update(root, 'dev/db', text(`${round}`))),
    )
    const written = await cluster.settle(Promise.all(writes))
    const versions = written.map(({ version }) => version).toSorted((a, b) => a - b)
    expect(versions).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10])
  })

  test('MA2: is not updated by whoever read an older version', async () => {
    await cluster.settle(secrets().create(root, 'dev/db', text('1')))
    await cluster.settle(secrets().update(root, 'dev/db', text('2'), 1))
    const late = secrets().update(root, 'dev/db', text('3'), 1)
    await expect(cluster.settle(late)).rejects.toMatchObject({ code: 'secret.version-conflict' })
    expect(shown((await cluster.settle(secrets().read(root, 'dev/db'))).bytes)).toBe('2')
  })

  test('MA1: each read is an event that says who read which version', async () => {
    await cluster.settle(secrets().create(root, 'dev/db', text('1')))
    await cluster.settle(secrets().update(root, 'dev/db', text('2')))
    const { events } = cluster.leader
    const since = events.lastId
    const asked = [
      [root, 2],
      [root, 2],
      [dev, 2],
      [root, 1],
      [dev, 2],
    ] as const
    for (const [caller, version] of asked) {
      await cluster.settle(secrets().read(caller, 'dev/db', version))
    }

    const told: string[] = []
    for await (const event of events.follow(since, new AbortController().signal)) {
      if (event.type === 'secret.read') told.push(`${event.path} ${event.version} ${event.uid}`)
      if (told.length === asked.length) break
    }

    expect(told).toEqual(
      asked.map(([{ principal }, version]) => `dev/db ${version} ${principal.uid}`),
    )
  })

  test('MA3: keeps its ten newest versions, each with its own value', async () => {
    await cluster.settle(secrets().create(root, 'dev/db', text('1')))
    for (let version = 2; version <= 12; version++) {
      await cluster.settle(secrets().update(root, 'dev/db', text(`${version}`)))
    }
    const kept = await cluster.settle(secrets().versions(root, 'dev/db'))
    expect(kept.map(({ version }) => version)).toEqual([12, 11, 10, 9, 8, 7, 6, 5, 4, 3])
    expect(shown((await cluster.settle(secrets().read(root, 'dev/db', 3))).bytes)).toBe('3')
    await expect(cluster.settle(secrets().read(root, 'dev/db', 2))).rejects.toMatchObject({
      code: 'secret.not-found',
    })
    expect(cluster.leader.store.list('envelope/').kvs).toHaveLength(10)
  })

  test('MA3: never gives a version number out twice, not even after its deletion', async () => {
    await cluster.settle(secrets().create(root, 'dev/db', text('old')))
    await cluster.settle(secrets().delete(root, 'dev/db'))
    await expect(cluster.settle(secrets().read(root, 'dev/db'))).rejects.toMatchObject({
      code: 'secret.not-found',
    })
    expect(cluster.leader.store.list('envelope/').kvs).toEqual([])

    const again = await cluster.settle(secrets().create(root, 'dev/db', text('new')))
    expect(again.version).toBe(2)
  })

  test('MA3: … nor when it came and went while somebody else was creating it', async () => {
    const { follower, leader } = cluster
    cluster.cut(follower)
    const created = follower.actor.secrets.create(root, 'dev/db', text('new'))
    await cluster.settle(leader.actor.secrets.create(root, 'dev/db', text('short-lived')))
    await cluster.settle(leader.actor.secrets.delete(root, 'dev/db'))
    cluster.heal()
    expect(await cluster.settle(created)).toMatchObject({ version: 2 })
  })

  test('is refused when it is too large, whatever the caller may do', async () => {
    const input = { kind: 'binary' as const, bytes: new Redacted(new Uint8Array(4097)) }
    await expect(cluster.settle(secrets().create(root, 'dev/big', input))).rejects.toMatchObject({
      code: 'secret.too-large',
    })
  })

  test.each(['', 'a//b', '../x', 'a/../b', 'a\0b', 'a*'])('may not be kept at %j', async (path) => {
    await expect(cluster.settle(secrets().create(root, path, text('x')))).rejects.toMatchObject({
      code: 'secret.path-invalid',
    })
  })

  test('MA4: is wiped from the buffer it came in, kept or refused', async () => {
    const inputs = [text('kept'), text('exists'), text('denied'), text('x'.repeat(5000))]
    const [kept, exists, denied, large] = inputs as [
      SecretInput,
      SecretInput,
      SecretInput,
      SecretInput,
    ]
    await cluster.settle(secrets().create(root, 'dev/db', kept))
    const refused = await cluster.settle(
      Promise.allSettled([
        secrets().create(root, 'dev/db', exists),
        secrets().create(nobody, 'dev/x', denied),
        secrets().create(root, 'dev/y', large),
        secrets().update(root, 'bad//path', text('z')),
      ]),
    )
    expect(refused.map(({ status }) => status)).toEqual(Array(4).fill('rejected'))
    for (const { bytes } of inputs) expect(bytes.reveal().every((byte) => byte === 0)).toBe(true)
  })
})

describe('a list', () => {
  beforeEach(async () => {
    for (const path of ['dev/a', 'dev/b/c', 'ops/x', 'dev2/y']) {
      await cluster.settle(secrets().create(root, path, text(path)))
    }
  })

  test('shows full ids at the root, and ids of a folder relative to it', async () => {
    expect(await cluster.settle(secrets().list(root, ''))).toEqual([
      'dev/a',
      'dev/b/c',
      'dev2/y',
      'ops/x',
    ])
    expect(await cluster.settle(secrets().list(root, 'dev'))).toEqual(['a', 'b/c'])
    expect(await cluster.settle(secrets().list(root, 'none'))).toBeUndefined()
  })

  test('MA5: shows nobody more than they may read', async () => {
    expect(await cluster.settle(secrets().list(dev, ''))).toEqual(['dev/a', 'dev/b/c'])
    expect(await cluster.settle(secrets().list(dev, 'ops'))).toBeUndefined()
    expect(await cluster.settle(secrets().list(nobody, ''))).toEqual([])
    const metadata = await cluster.settle(secrets().listMetadata(dev, ''))
    expect(metadata.map(({ path, version }) => [path, version])).toEqual([
      ['dev/a', 1],
      ['dev/b/c', 1],
    ])
  })

  test('MA5: shows nobody what was listed for somebody who may read everything', async () => {
    const listed = (by: typeof root) => cluster.settle(secrets().listMetadata(by, ''))

    expect(await listed(root)).toHaveLength(4)
    expect(await listed(root)).toBe(await listed(root))
    expect(await listed(dev)).toHaveLength(2)
    expect(await listed(nobody)).toEqual([])
    await revokeAll(cluster, superuserResource)
    expect(await listed(root)).toEqual([])
  })

  test('MA5: shows each as it is now, however often it was listed before', async () => {
    const listed = async (path: string) =>
      (await cluster.settle(secrets().listMetadata(root, ''))).find((one) => one.path === path)
    const first = await listed('dev/a')
    expect(first).toMatchObject({ version: 1, labels: {} })

    await cluster.settle(secrets().relabel(root, 'dev/a', { team: 'db' }))
    const relabelled = await listed('dev/a')
    await cluster.settle(secrets().update(root, 'dev/a', text('longer than before')))
    const updated = await listed('dev/a')
    await cluster.settle(secrets().delete(root, 'dev/a'))
    const gone = await listed('dev/a')
    await cluster.settle(secrets().create(root, 'dev/a', text('anew')))
    const anew = await listed('dev/a')

    expect(relabelled).toMatchObject({ id: first?.id, version: 1, labels: { team: 'db' } })
    expect(updated).toMatchObject({ id: first?.id, version: 2, sizeBytes: 18 })
    expect(updated?.revision).toBeGreaterThan(relabelled?.revision ?? Infinity)
    expect(gone).toBeUndefined()
    expect(anew?.id).not.toBe(first?.id)
  })
})

describe('without a permission', () => {
  beforeEach(async () => {
    await cluster.settle(secrets().create(root, 'ops/key', text('x')))
  })

  test.each(['create', 'update', 'delete', 'read', 'versions', 'metadata'] as const)(
    'MA5: %s is denied, whether the secret is there or not',
    async (call) => {
      const act = (path: string): Promise<unknown> => {
        const input = text('y')
        switch (call) {
          case 'create':
          case 'update':
            return secrets()[call](dev, path, input)
          default:
            return secrets()[call](dev, path)
        }
      }
      for (const path of ['ops/key', 'ops/none']) {
        await expect(cluster.settle(act(path))).rejects.toMatchObject({ code: 'access.denied' })
      }
      const denied = cluster.leader.audit.records.filter(({ outcome }) => outcome === 'denied')
      expect(denied.map(({ principal, path }) => [principal, path])).toEqual([
        ['dev', 'ops/key'],
        ['dev', 'ops/none'],
      ])
    },
  )

  test('MA5: a user whom nobody knows may do nothing', async () => {
    const read = secrets().read(callerOf('stranger'), 'ops/key')
    await expect(cluster.settle(read)).rejects.toMatchObject({ code: 'access.denied' })
  })
})

describe('the audit log', () => {
  test('S3: has the record before the answer, and without a record there is no answer', async () => {
    const { leader } = cluster
    await cluster.settle(secrets().create(root, 'dev/db', text('s3cr3t')))
    leader.audit.isBroken = true

    await expect(cluster.settle(secrets().read(root, 'dev/db'))).rejects.toThrow('full')
    await expect(cluster.settle(secrets().create(root, 'dev/x', text('y')))).rejects.toThrow('full')
    await expect(cluster.settle(secrets().delete(root, 'dev/db'))).rejects.toThrow('full')
    await expect(cluster.settle(secrets().list(root, ''))).rejects.toThrow('full')

    leader.audit.isBroken = false
    expect(await cluster.settle(secrets().list(root, ''))).toEqual(['dev/db'])
  })

  test('S3: may be slower than the change it tells of, but not than the answer', async () => {
    const { leader } = cluster
    const disk = Promise.withResolvers<void>()
    leader.audit.onAppend = () => disk.promise
    const answered: string[] = []
    const calls = [
      secrets().create(root, 'dev/db', text('s3cr3t')),
      secrets().create(root, 'dev/db', text('too late')),
    ].map(async (call) =>
      call.then(
        ({ path }) => path,
        ({ code }: { code: string }) => code,
      ),
    )
    for (const call of calls) void call.then((said) => answered.push(said))

    await cluster.until(() => leader.store.list('envelope/').kvs.length === 1)
    for (let round = 0; round < 20; round++) await cluster.round()
    expect(answered).toEqual([])

    disk.resolve()
    await cluster.settle(Promise.all(calls))
    expect(answered.toSorted()).toEqual(['dev/db', 'secret.exists'])
  })

  test('S3: that failed once stands before every change until it works again', async () => {
    const { leader } = cluster
    leader.audit.isBroken = true
    // What was under way at that moment may still happen; nobody is told that it did.
    await expect(cluster.settle(secrets().create(root, 'dev/a', text('x')))).rejects.toThrow('full')
    await expect(cluster.settle(secrets().create(root, 'dev/b', text('y')))).rejects.toThrow('full')
    await expect(cluster.settle(secrets().delete(root, 'dev/a'))).rejects.toThrow('full')
    expect(leader.store.get('secret/dev/b')).toBeUndefined()

    leader.audit.isBroken = false
    await cluster.settle(secrets().create(root, 'dev/c', text('z')))
    await cluster.settle(secrets().create(root, 'dev/d', text('z')))
  })

  test('says who did what with which version', async () => {
    const { leader } = cluster
    await cluster.settle(leader.actor.secrets.create(callerOf('dev', 'r-1'), 'dev/db', text('x')))
    await cluster.settle(leader.actor.secrets.read(callerOf('root', 'r-2'), 'dev/db'))
    await cluster.settle(leader.actor.secrets.read(root, 'dev/none')).catch(() => undefined)

    const said = leader.audit.records.map(
      ({ principal, action, path, outcome, version, requestId }) => [
        principal,
        action,
        path,
        outcome,
        version,
        requestId,
      ],
    )
    expect(said).toEqual([
      ['dev', 'create', 'dev/db', 'allowed', undefined, 'r-1'],
      ['root', 'read', 'dev/db', 'allowed', 1, 'r-2'],
      ['root', 'read', 'dev/none', 'not-found', undefined, 'request-1'],
    ])
  })
})

describe('after a crash', () => {
  test('R2: everything acknowledged is there, and opens', async () => {
    await cluster.settle(secrets().create(root, 'dev/db', text('1')))
    await cluster.settle(secrets().update(root, 'dev/db', text('2')))
    for (const master of cluster.masters) master.crash()
    for (const master of cluster.masters) master.restart()
    await cluster.elected()

    const { bytes, metadata } = await cluster.settle(secrets().read(root, 'dev/db'))
    expect([shown(bytes), metadata.version]).toEqual(['2', 2])
    expect(shown((await cluster.settle(secrets().read(root, 'dev/db', 1))).bytes)).toBe('1')
  })

  test('R2: the others go on, and the one that was away reads what it missed', async () => {
    const away = cluster.leader
    away.crash()
    await cluster.until(() =>
      cluster.masters.some((one) => one !== away && one.actor.status().isReady),
    )
    await cluster.elected()
    await cluster.settle(secrets().create(root, 'dev/db', text('new')))
    away.restart()
    await cluster.elected()

    expect(shown((await cluster.settle(away.actor.secrets.read(root, 'dev/db'))).bytes)).toBe('new')
  })

  test('a master that is cut off answers nothing rather than something old', async () => {
    await cluster.settle(secrets().create(root, 'dev/db', text('1')))
    const old = cluster.leader
    cluster.cut(old)
    const read = old.actor.secrets.read(root, 'dev/db')
    await expect(cluster.settle(read)).rejects.toMatchObject({ code: 'cluster.unavailable' })
  })
})
