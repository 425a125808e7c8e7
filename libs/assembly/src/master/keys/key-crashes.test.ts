import { AeadKey, deriveKek, Kek } from '@conclave/crypto'
import { openJournal, type Journal } from '@conclave/journal'
import { PowerCut, SimulatedDisk } from '@conclave/journal/testing'
import { Redacted, utf8 } from '@conclave/kernel'
import type { Entry } from '@conclave/raft'
import { holdsKey, SeededRandom } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import { kekFile, saveKekAtRest } from '../../cluster/kek-at-rest.ts'
import type { DiskKeyKeeper } from './disk-key-keeper.ts'
import { openSection, readSections } from './journal-key-file.ts'
import { openKeys } from './open-keys.ts'

const directory = '/master'
const owner = { clusterId: 'a cluster', masterId: 'master-1' }
const random = new SeededRandom(5)
const atRest = Kek.of(AeadKey.draw(random))
const unlocked = deriveKek(new Redacted(random.bytes(32)))
const unlockedLater = deriveKek(new Redacted(random.bytes(32)))
const restingAgain = Kek.of(AeadKey.draw(random))

const entry = (index: number): Entry => ({
  index,
  term: 1,
  type: 'EntryNormal',
  data: utf8(`entry ${index}`),
})
const confState = {
  voters: [1],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
}

/** One start of a master on a disk, up to its journal; an operator types whichever unlock key opens. */
async function start(disk: SimulatedDisk, typed: readonly Kek[]) {
  const bytes = await disk.read(kekFile(directory)).catch(() => undefined)
  const resting = bytes?.length === 32 ? Kek.of(AeadKey.of(bytes)) : undefined
  const options = { disk, directory, owner, random }
  const found = await openKeys(options, resting)
  const keeper =
    found.state === 'open' ? found.keeper : typed.map(found.open).find((one) => one !== undefined)
  if (keeper === undefined) throw new Error('no unlock key opens this master')
  const [newest, ...older] = keeper.keys.toReversed()
  if (newest === undefined) throw new Error('no key')
  const { journal, recovered } = await openJournal({
    directory: `${directory}/journal`,
    key: newest.key.bytes(),
    keyId: newest.id,
    olderKeys: older.map(({ id, key }) => ({ id, bytes: key.bytes() })),
    clusterId: owner.clusterId,
    nodeId: 1,
    random,
    segmentSizeBytes: 4096,
    disk,
  })
  keeper.serve(journal)
  return { keeper, journal, recovered }
}

/** A disk on which autolock is off, with ten entries in the journal. */
async function prepared(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk()
  await saveKekAtRest(directory, atRest, disk)
  const { journal } = await start(disk, [])
  const entries = Array.from({ length: 10 }, (_, at) => entry(at + 1))
  await journal.append({ hardState: { term: 1, vote: 1, commit: 0 }, entries })
  await journal.close()
  return disk.crash()
}

/** Goes on until no key but the newest is left. @returns how many entries were acknowledged */
async function run(
  { keeper, journal }: { keeper: DiskKeyKeeper; journal: Journal },
  wanted: Parameters<DiskKeyKeeper['keep']>[0],
  acknowledged: { count: number },
): Promise<void> {
  const appendOne = async (): Promise<number> => {
    const index = acknowledged.count + 1
    await journal.append({ entries: [entry(index)] })
    acknowledged.count = index
    return index
  }
  const ended = new AbortController()
  const meanwhile = async (): Promise<void> => {
    while (!ended.signal.aborted) await appendOne()
  }
  const appended = meanwhile()
  const kept = keeper.keep(wanted).finally(() => ended.abort())
  const outcomes = await Promise.allSettled([kept, appended])
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  for (let left = 1; left > 0;) {
    const index = await appendOne()
    const sink = await journal.beginSnapshot({ index, term: 1, confState })
    await sink.write(utf8('the state'))
    await sink.commit()
    ;({ left } = await keeper.tidy())
  }
}

interface Move {
  readonly from: (disk: SimulatedDisk) => Promise<void>
  readonly to: Parameters<DiskKeyKeeper['keep']>[0]
  readonly typed: readonly Kek[]
  readonly openedBefore: Kek
}

const locking = { kek: unlocked, version: 2, isLocked: true, dekId: 2 }
const already =
  (...steps: readonly Parameters<DiskKeyKeeper['keep']>[0][]) =>
  async (disk: SimulatedDisk): Promise<void> => {
    const { keeper, journal } = await start(disk, [])
    const acknowledged = { count: 10 }
    for (const step of steps) await run({ keeper, journal }, step, acknowledged)
    await journal.close()
  }

const moves: Readonly<Record<string, Move>> = {
  'autolock is turned on': {
    from: already(),
    to: locking,
    typed: [unlocked],
    openedBefore: atRest,
  },
  'the unlock key is rotated, and the keyring': {
    from: already(locking),
    to: { kek: unlockedLater, version: 3, isLocked: true, dekId: 3 },
    typed: [unlocked, unlockedLater],
    openedBefore: unlocked,
  },
  'autolock is turned off': {
    from: already(locking),
    to: { kek: restingAgain, version: 3, isLocked: false, dekId: 2 },
    typed: [unlocked],
    openedBefore: unlocked,
  },
}

describe.each(Object.entries(moves))('while %s', (_what, { from, to, typed, openedBefore }) => {
  async function begun(): Promise<{ disk: SimulatedDisk; count: number }> {
    const disk = await prepared()
    await from(disk)
    const synced = disk.crash()
    const { recovered, journal } = await start(synced, typed)
    const count = recovered.entries.at(-1)?.index ?? recovered.snapshot?.meta.index ?? 0
    await journal.close()
    return { disk: synced.crash(), count }
  }

  test('ST-06 KF1: a crash between any two writes leaves what opens, and ends with the old key gone', async () => {
    const { disk: beginning, count } = await begun()
    let crashes = 0
    let isWhole = false
    for (let steps = 0; !isWhole; steps++) {
      for (const seed of [undefined, 1, 2, 3]) {
        const disk = beginning.copy()
        const acknowledged = { count }
        const opened = await start(disk, typed)
        disk.cutPowerAfter(steps)
        const ended = await run(opened, to, acknowledged).then(
          () => true,
          (error: unknown) => {
            if (causeOf(error) instanceof PowerCut) return false
            throw error
          },
        )
        const left = disk.crash(seed === undefined ? undefined : new SeededRandom(steps * 7 + seed))
        const again = await start(left, typed)
        const last = again.recovered.entries.at(-1)?.index ?? again.recovered.snapshot?.meta.index
        expect(last).toBeGreaterThanOrEqual(acknowledged.count)
        acknowledged.count = last ?? 0
        await run(again, to, acknowledged)
        await expectOnlyNewest(left, to, openedBefore)
        if (!ended) crashes++
        isWhole ||= ended
      }
    }
    expect(crashes).toBeGreaterThan(20)
  }, 60_000)
})

/** Nothing on the disk is, or leads to, a key that was put out of use. */
async function expectOnlyNewest(disk: SimulatedDisk, to: Move['to'], before: Kek): Promise<void> {
  const sections = (await readSections(disk, directory)) ?? []
  expect(sections.map(({ version }) => version)).toEqual([to.version])
  const keys = sections.flatMap((section) => openSection(owner, section, to.kek) ?? [])
  expect(keys.map(({ id }) => id)).toEqual([to.dekId])
  expect(sections.flatMap((section) => openSection(owner, section, before) ?? [])).toEqual([])
  const resting = disk.paths().filter((path) => path.startsWith(kekFile(directory)))
  expect(resting).toEqual(to.isLocked ? [] : [kekFile(directory)])
  const secrets = [atRest, unlocked, unlockedLater].map(({ key }) => key.bytes())
  const all = [...secrets, ...keys.map(({ key }) => key.bytes())]
  const holding = disk.paths().filter((path) => all.some((key) => holdsKey(disk.bytes(path), key)))
  expect(holding).toEqual([])
}

const causeOf = (error: unknown): unknown =>
  error instanceof PowerCut ? error : (error as { cause?: unknown }).cause
