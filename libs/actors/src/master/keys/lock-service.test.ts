import { deriveKek, parseUnlockKey, unwrapKeyring, type Kek } from '@conclave/crypto'
import { Redacted, utf8, utf8Text, type RedactedBytes } from '@conclave/kernel'
import type { ConclaveEvent } from '@conclave/model'
import { holdsKey, ManualClock, SeededRandom } from '@conclave/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { MemoryCluster, type MemoryMaster } from '../../testing/memory-cluster.ts'
import { callerOf, firstPeople } from '../../testing/people.ts'
import { AccessDenied } from '../errors.ts'
import { keyringKey } from '../master-records.ts'
import { AutolockOff, AutolockUnchanged, KeyringRotating, LockChanged } from './errors.ts'
import { kekKey, kekLinkKey, unlockKeyKey } from './key-records.ts'

const root = callerOf('root')
const random = new SeededRandom(31)

let cluster: MemoryCluster

beforeEach(async () => {
  cluster = new MemoryCluster({
    clock: new ManualClock(),
    random,
    identities: await firstPeople(random),
  })
  await cluster.elected()
})

const lock = (master = cluster.follower): Promise<RedactedBytes> =>
  cluster.settle(master.actor.lock.lock(root))

const put = (path: string, value: string): Promise<unknown> =>
  cluster.settle(
    cluster.leader.actor.secrets.create(root, path, {
      kind: 'text',
      bytes: new Redacted(utf8(value)),
    }),
  )

async function read(master: MemoryMaster, path: string): Promise<string> {
  const { bytes } = await cluster.settle(master.actor.secrets.read(root, path))
  return utf8Text(bytes.reveal())
}

/** Until every master that runs keeps the newest KEK, and no link nor older DEK is left. */
const settled = (): Promise<void> =>
  cluster.until(() => {
    const { store } = cluster.leader
    const version = JSON.parse(utf8Text(store.get(kekKey)?.value ?? utf8('{"version":1}'))) as {
      version: number
    }
    return cluster.masters.every(({ keeper }) => keeper.version === version.version)
  })

const opensKeyring = (kek: Kek): boolean => {
  const wrapped = cluster.leader.store.get(keyringKey)?.value ?? new Uint8Array()
  try {
    unwrapKeyring({ kek, clusterId: cluster.clusterId, wrapped })
    return true
  } catch {
    return false
  }
}

async function eventsAt(master: MemoryMaster): Promise<readonly ConclaveEvent[]> {
  const { events } = master
  const boot = events.lastId.slice(0, events.lastId.lastIndexOf(':'))
  const seen: ConclaveEvent[] = []
  const stop = new AbortController()
  for await (const event of events.follow(`${boot}:0`, stop.signal)) {
    seen.push(event)
    if (event.id === events.lastId) stop.abort()
  }
  return seen
}

describe('autolock', () => {
  test('KR1: once on, wraps the keyring under the unlock key alone, and draws a new DEK', async () => {
    await put('dev/db', 'kept')

    const text = await lock()

    expect(utf8Text(text.reveal())).toMatch(/^SWMKEY-1-.{43}$/)
    expect(opensKeyring(cluster.kek)).toBe(false)
    expect(opensKeyring(deriveKek(parseUnlockKey(text)))).toBe(true)
    await settled()
    expect(cluster.masters.map(({ keeper }) => keeper.isLocked)).toEqual([true, true, true])
    expect(cluster.masters.map(({ keeper }) => keeper.journalKeys.at(-1))).toEqual([2, 2, 2])
    for (const master of cluster.masters) expect(await read(master, 'dev/db')).toBe('kept')
  })

  test('MA62: is answered once the files of the master that was asked are under it, and not before', async () => {
    const asked = cluster.follower
    const { lock: operators } = asked.actor
    const keptWhen = async (change: Promise<unknown>): Promise<unknown> => {
      const answered = change.then(() => [asked.keeper.version, asked.keeper.isLocked])
      return cluster.settle(answered)
    }
    expect(await keptWhen(operators.lock(root))).toEqual([2, true])
    expect(await keptWhen(operators.rotateUnlockKey(root))).toEqual([3, true])
    expect(await keptWhen(operators.unlock(root))).toEqual([4, false])
  })

  test('MA62: is answered where the files cannot be written, which goes on', async () => {
    const asked = cluster.follower
    asked.keeper.failure = new Error('the disk is full')

    expect(utf8Text((await lock(asked)).reveal())).toMatch(/^SWMKEY-1-/)

    expect(asked.keeper.isLocked).toBe(false)
    asked.keeper.failure = undefined
    await settled()
    expect(asked.keeper.isLocked).toBe(true)
  })

  test('KR2: leads a master that was away to the newest KEK, and then forgets the way', async () => {
    const away = cluster.follower
    away.crash()
    await lock(cluster.leader)
    await cluster.settle(cluster.leader.actor.lock.rotateUnlockKey(root))
    const running = cluster.masters.filter(({ isUp }) => isUp)
    await cluster.until(() => running.every(({ keeper }) => keeper.version === 3))
    const { lock: operators } = cluster.leader.actor
    for (let rounds = 0; rounds < 50; rounds++) await cluster.round()
    const status = await cluster.settle(operators.status(root))
    expect(status).toMatchObject({ isOn: true, kekVersion: 3, waitingFor: [away.masterId] })
    expect(cluster.leader.store.get(kekLinkKey(2))).toBeDefined()

    away.restart()

    await cluster.until(() => away.keeper.version === 3)
    await cluster.until(() => cluster.leader.store.get(kekLinkKey(2)) === undefined)
    expect(cluster.leader.store.get(kekLinkKey(3))).toBeUndefined()
    expect(away.keeper.isLocked).toBe(true)
  })

  test('KR2: recognises a KEK that came without a version', async () => {
    const away = cluster.follower
    away.crash()
    await lock(cluster.leader)
    away.keeper.version = 0

    away.restart()

    await cluster.until(() => away.keeper.version === 2)
    expect(away.problems).toEqual([])
  })

  test('KR3: of two operators one turns it on, and the other is told', async () => {
    const [one, other] = cluster.masters
    if (one === undefined || other === undefined) throw new Error('there are three masters')
    const asked = [one.actor.lock.lock(root), other.actor.lock.lock(root)]

    const outcomes = await cluster.settle(Promise.allSettled(asked))

    const won = outcomes.filter(({ status }) => status === 'fulfilled')
    const lost = outcomes.filter((outcome) => outcome.status === 'rejected')
    expect(won).toHaveLength(1)
    expect(lost.map(({ reason }) => reason as unknown)).toEqual([expect.any(AutolockUnchanged)])
  })

  test('KR3: of two rotations one happens: a key that was just shown is not stale', async () => {
    await lock()
    const [one, other] = cluster.masters
    if (one === undefined || other === undefined) throw new Error('there are three masters')
    const asked = [one.actor.lock.rotateUnlockKey(root), other.actor.lock.rotateUnlockKey(root)]

    const outcomes = await cluster.settle(Promise.allSettled(asked))

    const won = outcomes.flatMap((outcome) =>
      outcome.status === 'fulfilled' ? [outcome.value] : [],
    )
    const lost = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
    )
    expect(lost).toEqual([expect.any(LockChanged)])
    expect(won.map((text) => opensKeyring(deriveKek(parseUnlockKey(text))))).toEqual([true])
  })

  test('is shown again to operators while it is on, on record, and to nobody else', async () => {
    const { actor, audit } = cluster.leader
    await expect(cluster.settle(actor.lock.unlockKey(root))).rejects.toThrow(AutolockOff)
    const text = await lock()

    const shown = await cluster.settle(actor.lock.unlockKey(root))
    const denied = cluster.settle(actor.lock.unlockKey(callerOf('dev')))

    expect(utf8Text(shown.reveal())).toBe(utf8Text(text.reveal()))
    await expect(denied).rejects.toThrow(AccessDenied)
    expect(audit.records.filter(({ path }) => path === unlockKeyKey)).toMatchObject([
      { principal: 'root', action: 'read', outcome: 'allowed' },
      { principal: 'root', action: 'read', outcome: 'allowed' },
      { principal: 'dev', action: 'read', outcome: 'denied' },
    ])
  })

  test('once off again, needs no key, and the one that was opens nothing', async () => {
    const text = await lock()
    await settled()

    await cluster.settle(cluster.follower.actor.lock.unlock(root))

    await settled()
    expect(opensKeyring(deriveKek(parseUnlockKey(text)))).toBe(false)
    expect(cluster.masters.map(({ keeper }) => keeper.isLocked)).toEqual([false, false, false])
    expect(cluster.leader.store.get(unlockKeyKey)).toBeUndefined()
    const again = cluster.settle(cluster.leader.actor.lock.unlock(root))
    await expect(again).rejects.toThrow(AutolockUnchanged)
  })

  test('S2: leaves no key in a journal, an event or a record', async () => {
    const text = await lock()
    await cluster.settle(cluster.leader.actor.lock.rotateUnlockKey(root))
    await settled()
    const unlockKey = parseUnlockKey(text)
    const kek = deriveKek(unlockKey)
    const secrets = [unlockKey.reveal(), kek.key.bytes(), cluster.kek.key.bytes()]

    for (const master of cluster.masters) {
      const told = JSON.stringify([await eventsAt(master), master.audit.records])
      const places = [...master.journal, utf8(told), master.store.snapshot()]
      expect(places.some((bytes) => secrets.some((key) => holdsKey(bytes, key)))).toBe(false)
      expect(told).not.toContain('SWMKEY')
    }
  })

  test('KR5: a KEK of the same version that is another key is refused', async () => {
    const away = cluster.follower
    away.crash()
    await lock(cluster.leader)
    away.keeper.version = 2

    away.restart()

    await cluster.until(() => away.problems.length > 0)
    expect(away.problems[0]).toMatchObject({ code: 'keys.kek-foreign' })
  })
})

describe('a rotation of the keyring', () => {
  test('KR4: moves every sealed record under the new DEK, and lets the old one go', async () => {
    for (let at = 0; at < 100; at++) await put(`dev/s${at}`, `value ${at}`)
    const { leader } = cluster

    await cluster.settle(cluster.follower.actor.lock.rotateKeyring(root))

    await cluster.until(() => leader.store.get(keyringKey)?.version === 3)
    const { keys } = await cluster.settle(leader.actor.lock.status(root))
    // Beside the secrets, the cluster's own keys.
    expect(keys).toMatchObject({ newest: 2, kept: [2], left: 0 })
    expect(keys.rewrapped).toBeGreaterThan(100)
    for (const master of cluster.masters) expect(await read(master, 'dev/s42')).toBe('value 42')
    const told = (await eventsAt(leader)).filter(({ type }) => type === 'keyring.dropped')
    expect(told).toMatchObject([{ dekId: 1 }])
  })

  test('KR4: leaves no older keyring to be read in the history, nor in what a journal needs', async () => {
    await put('dev/db', 'value')
    await cluster.settle(cluster.leader.actor.lock.rotateKeyring(root))
    const { store } = cluster.leader
    await cluster.until(() => store.get(keyringKey)?.version === 3)

    await cluster.until(() => store.compactRevision >= (store.get(keyringKey)?.modRevision ?? 0))

    await cluster.until(() => cluster.masters.every(({ keeper }) => keeper.pages > 0))
    expect(cluster.masters.map(({ keeper }) => keeper.journalKeys)).toEqual([[2], [2], [2]])
  })

  test('KR4: goes on where a leader left off that is gone', async () => {
    for (let at = 0; at < 200; at++) await put(`dev/s${at}`, `value ${at}`)
    const first = cluster.leader
    await cluster.settle(first.actor.lock.rotateKeyring(root))

    first.crash()
    await cluster.elected()

    const second = cluster.leader
    await cluster.until(() => second.store.get(keyringKey)?.version === 3)
    first.restart()
    await cluster.elected()
    expect(await read(first, 'dev/s199')).toBe('value 199')
  })

  test('KR4: loses nothing that was written meanwhile', async () => {
    await put('dev/before', 'before')
    await cluster.settle(cluster.leader.actor.lock.rotateKeyring(root))
    const during = Array.from({ length: 40 }, (_, at) => {
      const { actor } = cluster.masters[at % 3] ?? cluster.leader
      const bytes = new Redacted(utf8(`during ${at}`))
      return actor.secrets.create(root, `dev/during${at}`, { kind: 'text', bytes })
    })
    const writing = Promise.all(during)
    await cluster.settle(writing)

    await cluster.until(() => cluster.leader.store.get(keyringKey)?.version === 3)

    for (let at = 0; at < 40; at++) {
      expect(await read(cluster.leader, `dev/during${at}`)).toBe(`during ${at}`)
    }
  })

  test('is one at a time', async () => {
    const { lock: operators } = cluster.leader.actor
    await cluster.settle(operators.rotateKeyring(root))

    const again = cluster.settle(operators.rotateKeyring(root))

    await expect(again).rejects.toThrow(KeyringRotating)
  })

  test('KR4: keeps the old DEK while a record needs it that is of no known kind', async () => {
    const { leader } = cluster
    cluster.takesAnyRecord = true
    await put('dev/db', 'value')
    const value = leader.store.get('envelope/dev/db@1')?.value ?? new Uint8Array()
    const op = { do: 'put', key: 'stray/record', value } as const
    await cluster.settle(leader.replica.propose({ compare: [], success: [op] }))

    await cluster.settle(leader.actor.lock.rotateKeyring(root))

    await cluster.until(() => leader.problems.length > 0)
    expect(String(leader.problems[0])).toContain('stray/record holds an envelope')
    for (let rounds = 0; rounds < 50; rounds++) await cluster.round()
    const { keys } = await cluster.settle(leader.actor.lock.status(root))
    expect(keys.kept).toEqual([1, 2])
  })
})
