import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Disk } from '@conclave/journal'
import { SimulatedDisk } from '@conclave/journal/testing'
import { Redacted, utf8 } from '@conclave/kernel'
import { SystemRandom } from '@conclave/runtime'
import { SeededRandom } from '@conclave/testkit'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { chooseAddresses } from '../cluster/addresses.ts'
import { masterDirectory } from '../cluster/layout.ts'
import { prepareCluster } from '../cluster/prepare-cluster.ts'
import { devCaller } from '../testing/test-cluster.ts'
import { wantsToBeginAnew } from './begin-anew.ts'
import type { MasterPlace } from './master-options.ts'
import type { RunningMaster } from './master.ts'
import { startMaster } from './start-master.ts'

let directory: string
let places: readonly MasterPlace[]

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'conclave-anew-'))
  const cluster = await prepareCluster(directory, { masters: 3, agents: 0 })
  places = await chooseAddresses(cluster.manifest.masters, '127.0.0.1', new SystemRandom())
})
afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

const own = (): string => masterDirectory(directory, 'master-1')

const start = (masterId: string, journal: Disk, beginsAnew = false): Promise<RunningMaster> =>
  startMaster({
    directory: masterDirectory(directory, masterId),
    masters: places,
    tickMs: 5,
    beginsAnew,
    disks: { journal },
  })

/** The disk of a master whose two others are lost, with a secret that all three have agreed on. */
async function left(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk()
  const masters = await Promise.all(
    places.map(({ masterId }) =>
      start(masterId, masterId === 'master-1' ? disk : new SimulatedDisk()),
    ),
  )
  await Promise.all(masters.map((master) => master.ready()))
  const [first] = masters
  await first?.api.secrets.create(devCaller, 'kept', {
    kind: 'text',
    bytes: new Redacted(utf8('v')),
  })
  // So that it is on record where each of them listens.
  await first?.api.members.list(devCaller)
  await Promise.all(masters.map((master) => master.destroy()))
  return disk.crash()
}

/** All of it is done: it leads by itself, has what there was, and the others are on record as removed. */
async function expectAlone(master: RunningMaster): Promise<void> {
  await master.ready()
  const members = await master.api.members.list(devCaller)
  expect(members.map(({ masterId, role }) => [masterId, role])).toEqual([['master-1', 'leader']])
  expect(await master.api.secrets.list(devCaller, '')).toEqual(['kept'])
  expect(master.api.status().members.map(({ masterId }) => masterId)).toEqual(['master-1'])
  await master.api.secrets.create(devCaller, 'later', {
    kind: 'text',
    bytes: new Redacted(utf8('v')),
  })
}

/** It is one of three, and waits for another. */
function expectAsBefore({ api }: RunningMaster): void {
  expect(api.status()).toMatchObject({ isReady: false })
  expect(api.status().members).toHaveLength(3)
}

const expectForgotten = async (disk: Disk): Promise<void> =>
  expect(await wantsToBeginAnew(own(), disk)).toBe(false)

const digestOf = (disk: SimulatedDisk): string => {
  const hash = createHash('sha256')
  for (const path of disk.paths().toSorted()) hash.update(path).update(disk.bytes(path))
  return hash.digest('hex')
}

test('EN5: one that begins anew, and is cut off between any two writes, is what it was or has begun anew', async () => {
  const beginning = await left()
  const seen = { before: 0, again: 0 }
  const lefts = new Set<string>()
  for (let steps = 0; ; steps++) {
    const disk = beginning.copy()
    disk.cutPowerAfter(steps)
    const master = await start('master-1', disk, true).catch(() => undefined)
    await master?.destroy()
    const after = disk.crash(steps % 3 === 0 ? new SeededRandom(steps) : undefined)
    // Many a step changes nothing that a power cut leaves: what was looked at is not looked at again.
    const isKnown = lefts.has(digestOf(after))
    lefts.add(digestOf(after))
    if (isKnown && master === undefined) continue
    const isWanted = await wantsToBeginAnew(own(), after)

    const again = await start('master-1', after)
    if (master !== undefined) {
      // It has answered, so it is done, whatever the power does.
      await expectForgotten(after)
      await expectAlone(again)
      await again.destroy()
      break
    }
    if (isWanted) {
      seen.again++
      await expectAlone(again)
      await expectForgotten(after.crash())
    } else if (again.api.status().members.length === 1) {
      // All was done but its answer.
      await expectAlone(again)
    } else {
      seen.before++
      expectAsBefore(again)
    }
    await again.destroy()
  }
  expect(seen.before).toBeGreaterThan(0)
  expect(seen.again).toBeGreaterThan(5)
}, 240_000)
