import { unwrapKeyring } from '@conclave/crypto'
import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { ManualClock, SeededRandom } from '@conclave/testkit'
import { expect, test } from 'vitest'
import { MemoryCluster } from '../../testing/memory-cluster.ts'
import { callerOf, firstPeople } from '../../testing/people.ts'
import { keyringKey } from '../master-records.ts'
import { KekRecords, kekLinkKey } from './key-records.ts'
import { purgeRevision } from './purge.ts'

const root = callerOf('root')

type Step = 'lock' | 'unlock' | 'rotate the unlock key' | 'rotate the keyring' | 'crash' | 'restart'
const steps: readonly Step[] = [
  'lock',
  'unlock',
  'rotate the unlock key',
  'rotate the unlock key',
  'rotate the keyring',
  'crash',
  'restart',
  'restart',
]

/** Two of three masters are always up; any of them may miss any part of the story. */
async function story(seed: number): Promise<MemoryCluster> {
  const random = new SeededRandom(seed)
  const identities = await firstPeople(random)
  const cluster = new MemoryCluster({ clock: new ManualClock(), random, identities })
  await cluster.elected()
  const bytes = new Redacted(utf8('the value'))
  await cluster.settle(cluster.leader.actor.secrets.create(root, 'dev/db', { kind: 'text', bytes }))
  for (let count = 0; count < 14; count++) {
    const step = steps[random.below(steps.length)] ?? 'lock'
    const away = cluster.masters.find(({ isUp }) => !isUp)
    const chosen = cluster.masters[random.below(3)]
    if (step === 'crash') {
      if (away === undefined) chosen?.crash()
      await cluster.elected()
    } else if (step === 'restart') {
      away?.restart()
      await cluster.elected()
    } else {
      const { lock } = (chosen?.isUp === true ? chosen : cluster.leader).actor
      const asked = {
        lock: () => lock.lock(root),
        unlock: () => lock.unlock(root),
        'rotate the unlock key': () => lock.rotateUnlockKey(root),
        'rotate the keyring': () => lock.rotateKeyring(root),
      }[step]()
      // What cannot be done just now is refused, and changes nothing.
      await cluster.settle(asked as Promise<unknown>).catch(() => undefined)
    }
    for (let rounds = random.below(40); rounds > 0; rounds--) await cluster.round()
  }
  for (const master of cluster.masters) if (!master.isUp) master.restart()
  await cluster.elected()

  return cluster
}

async function expectOneKey(cluster: MemoryCluster): Promise<void> {
  const { store } = cluster.leader
  const records = new KekRecords(store)
  await cluster.until(() =>
    cluster.masters.every(({ keeper }) => {
      const { version, isLocked } = records.now
      return keeper.version === version && keeper.isLocked === isLocked
    }),
  )
  await cluster.until(() => records.now.linkedFrom === records.now.version)
  const { version } = records.now
  const links = Array.from({ length: version }, (_, at) => store.get(kekLinkKey(at + 1)))
  expect(links.filter((link) => link !== undefined)).toEqual([])
  await cluster.until(() => {
    const wrapped = store.get(keyringKey)?.value ?? new Uint8Array()
    const { kek } = cluster.leader.keeper
    return unwrapKeyring({ kek, clusterId: cluster.clusterId, wrapped }).deks.length === 1
  })
  await cluster.until(() => store.compactRevision >= purgeRevision(store))
  const { lock } = cluster.leader.actor
  const { keys } = await cluster.settle(lock.status(root))
  expect(keys).toMatchObject({ kept: [keys.newest], left: 0 })
}

async function value(cluster: MemoryCluster): Promise<string> {
  const { bytes } = await cluster.settle(cluster.leader.actor.secrets.read(root, 'dev/db'))
  return utf8Text(bytes.reveal())
}

test.each(Array.from({ length: 40 }, (_, at) => at + 1))(
  'KR2, KR4: whoever was away comes to the newest KEK, and nothing older is left (seed %i)',
  async (seed) => {
    const cluster = await story(seed)

    await expectOneKey(cluster)

    expect(await value(cluster)).toBe('the value')
  },
)
