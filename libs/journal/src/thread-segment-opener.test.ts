import { setTimeout as sleep } from 'node:timers/promises'
import { SeededRandom } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import type { JournalEvent } from './event.ts'
import type { JournalOptions } from './journal.ts'
import { flip, live, outcomeOf, scribble, type Life } from './testing/damaged-journal.ts'
import { entry, open, recoveredFrom } from './testing/journal-fixture.ts'
import { SimulatedDisk } from './testing/simulated-disk.ts'
import { ThreadSegmentOpener } from './thread-segment-opener.ts'

/** Whatever there is, however little, is worth a thread. */
const onThread: Partial<JournalOptions> = {
  segmentOpener: (segmentCount) => new ThreadSegmentOpener(segmentCount, 0),
}

const newestDisk = ({ moments }: Life): SimulatedDisk => {
  const disk = moments.at(-1)?.disk
  if (disk === undefined) throw new Error('nothing was written')
  return disk.copy()
}

async function manySegments(): Promise<SimulatedDisk> {
  const random = new SeededRandom(3)
  const disk = new SimulatedDisk()
  const { journal } = await open(disk, { segmentSizeBytes: 64 * 1024 })
  for (let index = 2; index < 300; index++) {
    const size = random.below(20) === 0 ? random.below(50_000) : random.below(3000)
    await journal.append({ entries: [entry(index, `${index} ${'x'.repeat(size)}`)] })
  }
  // Killed: the last segment has no end.
  return disk.copy()
}

describe('records that another thread opens', () => {
  test('J13: are those that would have been opened here, of any size', async () => {
    const disk = await manySegments()
    const segmentCount = disk.paths().filter((path) => path.endsWith('.wal')).length
    expect(segmentCount).toBeGreaterThan(8)

    const there = await recoveredFrom(disk, onThread)

    expect(there.entries).toHaveLength(298)
    expect(there).toEqual(await recoveredFrom(disk))
  })

  test('J13: are the same when the disk has the last file before those that it follows', async () => {
    const disk = await manySegments()
    const here = await recoveredFrom(disk)
    const last = disk.paths().findLast((path) => path.endsWith('.wal')) ?? ''
    let readCount = 0
    const read = disk.read.bind(disk)
    disk.read = async (path) => {
      readCount++
      const bytes = await read(path)
      if (path !== last) await sleep(20)
      return bytes
    }

    const { journal, recovered } = await open(disk, onThread)
    await journal.close()

    expect(readCount).toBeGreaterThan(4)
    expect(recovered).toEqual(here)
  })

  test.each([1, 2, 3])(
    'J13: are what a journal has lived through, snapshots, new keys, crashes and all: %j',
    async (seed) => {
      const life = await live(seed, 40)
      const disk = newestDisk(life)

      const there = await recoveredFrom(disk, { ...life.keys, ...onThread })

      expect(there).toEqual(await recoveredFrom(disk, life.keys))
    },
  )

  test('J13: are refused as they would have been here, with file and offset, and nothing is changed', async () => {
    const life = await live(7, 40)
    const random = new SeededRandom(7)
    let refusedCount = 0
    for (let damaged = 0; damaged < 12; damaged++) {
      const disk = newestDisk(life)
      const segments = disk.paths().filter((path) => path.endsWith('.wal'))
      const path = segments[random.below(segments.length)] ?? ''
      const at = random.below(disk.bytes(path).length)
      if (damaged % 2 === 0) flip(disk, path, at, random.below(8))
      else scribble(disk, path, at, random)

      const here = await outcomeOf(disk.copy(), life.keys)
      const there = await outcomeOf(disk, { ...life.keys, ...onThread })

      expect(there).toEqual(here)
      if (here.is === 'refused') refusedCount++
    }
    expect(refusedCount).toBeGreaterThan(4)
  })
})

test.each([
  ['ends in the middle', 'process.exit(0)'],
  ['fails', "throw new Error('no memory')"],
  ['never begins', ''],
])('J13: a journal is read here where the thread %s, and that is said', async (_what, does) => {
  const disk = await manySegments()
  const events: JournalEvent[] = []
  const code = `import { parentPort } from 'node:worker_threads'\nparentPort.once('message', () => { ${does} })`
  const file = new URL(
    does === '' ? 'nowhere:' : `data:text/javascript,${encodeURIComponent(code)}`,
  )

  const recovered = await recoveredFrom(disk, {
    segmentOpener: (segmentCount) => new ThreadSegmentOpener(segmentCount, 0, file),
    onEvent: (event) => events.push(event),
  })

  expect(recovered).toEqual(await recoveredFrom(disk))
  expect(events.filter(({ type }) => type === 'opener-lost')).toHaveLength(1)
})

test('J13: who waits for a thread that is ended is told so', async () => {
  const opener = new ThreadSegmentOpener(1, 0)
  const disk = new SimulatedDisk()
  const openings: Promise<unknown>[] = []
  const { journal } = await open(disk)
  await journal.append({ entries: [entry(2)] })
  await journal.close()

  const opening = open(disk, {
    segmentOpener: () => ({
      aheadCount: 0,
      open: (segment, bytes, isLast) => {
        const opened = opener.open(segment, bytes, isLast)
        openings.push(opened)
        void opener.close()
        return opened
      },
      close: () => opener.close(),
    }),
  })

  await expect(opening).rejects.toThrow('segments are not opened any more')
  expect(openings).toHaveLength(1)
})
