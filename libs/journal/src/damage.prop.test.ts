import { SeededRandom } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import {
  flip,
  isMoment,
  live,
  outcomeOf,
  scribble,
  type Life,
  type Moment,
} from './testing/damaged-journal.ts'
import type { SimulatedDisk } from './testing/simulated-disk.ts'

/*
 * Done when (issue 3): whatever is done to the files, a journal recovers what was acknowledged, or refuses
 * to start and names file and offset. It never has another value. What it cannot see is said at the end.
 */

const newestOf = ({ moments }: Life): Moment => {
  const moment = moments.at(-1)
  if (moment === undefined) throw new Error('nothing was written')
  return moment
}

const pathsOf = (disk: SimulatedDisk): readonly string[] =>
  disk.paths().filter((path) => path.endsWith('.wal') || path.endsWith('.snap'))

const segmentsOf = (disk: SimulatedDisk): readonly string[] =>
  pathsOf(disk).filter((path) => path.endsWith('.wal'))

const lastSegmentOf = (disk: SimulatedDisk): string => [...segmentsOf(disk)].sort().at(-1) ?? ''

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

interface Allowed {
  /** Which files a refusal may name; any when it is not said. */
  readonly files?: readonly string[]
  /** Whether it may be what was acknowledged at an earlier moment. */
  readonly mayBeEarlier?: boolean
}

/** Damages a copy of the newest disk, and answers with what is wrong with what came of it, if anything. */
async function wrong(
  life: Life,
  damage: (disk: SimulatedDisk) => void | Promise<void>,
  { files, mayBeEarlier = false }: Allowed = {},
): Promise<string | undefined> {
  const newest = newestOf(life)
  const disk = newest.disk.copy()
  await damage(disk)
  const outcome = await outcomeOf(disk, life.keys)
  if (outcome.is === 'refused') {
    const isNamed = files === undefined || files.includes(outcome.file)
    return isNamed ? undefined : `the refusal names ${outcome.file}`
  }
  if (isMoment(outcome.recovered, newest)) return undefined
  const isEarlier = life.moments.some((moment) => isMoment(outcome.recovered, moment))
  if (isEarlier && mayBeEarlier) return undefined
  return isEarlier ? 'an acknowledged tail is gone' : 'it has values that nobody wrote'
}

/** Small enough to try everything: several segments, keys and a snapshot. */
const openAtTheEnd = live(3, 16)
const endedInOrder = live(16, 16)

describe.each([
  ['that was open', openAtTheEnd],
  ['that was closed', endedInOrder],
])('J5: a small journal %s', { timeout: 60_000 }, (_, small) => {
  test('has several segments and a snapshot, and is what was acknowledged', async () => {
    const life = await small

    expect(segmentsOf(newestOf(life).disk).length).toBeGreaterThanOrEqual(3)
    expect(pathsOf(newestOf(life).disk).some((path) => path.endsWith('.snap'))).toBe(true)
    expect(await wrong(life, () => undefined)).toBeUndefined()
  })

  test('with any byte flipped is refused where it is, or recovers whole', async () => {
    const life = await small
    const { disk } = newestOf(life)
    for (const path of pathsOf(disk)) {
      for (let at = 0; at < disk.bytes(path).length; at++) {
        const found = await wrong(life, (copy) => flip(copy, path, at, at % 8), {
          files: [nameOf(path)],
        })
        expect(found, `byte ${at} of ${path}`).toBeUndefined()
      }
    }
  })

  test('with any file cut to any length is refused where it is, or recovers whole', async () => {
    const life = await small
    const { disk } = newestOf(life)
    for (const path of pathsOf(disk)) {
      const bytes = disk.bytes(path)
      for (let size = 0; size < bytes.length; size++) {
        const found = await wrong(life, (copy) => copy.overwrite(path, bytes.subarray(0, size)), {
          files: [nameOf(path)],
        })
        expect(found, `${path} cut to ${size}`).toBeUndefined()
      }
    }
  })

  test('with two files swapped is refused', async () => {
    const life = await small
    const { disk } = newestOf(life)
    const paths = pathsOf(disk)
    for (const one of paths) {
      for (const other of paths) {
        if (one >= other) continue
        const found = await wrong(
          life,
          (copy) => {
            copy.overwrite(one, disk.bytes(other))
            copy.overwrite(other, disk.bytes(one))
          },
          { files: [nameOf(one), nameOf(other)] },
        )
        expect(found, `${one} and ${other}`).toBeUndefined()
      }
    }
  })

  test('with a file of any earlier moment put back is refused, but for the segment it ends with', async () => {
    const life = await small
    const { disk } = newestOf(life)
    const last = lastSegmentOf(disk)
    for (const { disk: earlier } of life.moments) {
      for (const path of pathsOf(earlier)) {
        const found = await wrong(life, (copy) => copy.overwrite(path, earlier.bytes(path)), {
          mayBeEarlier: path === last,
        })
        expect(found, `of ${path}`).toBeUndefined()
      }
    }
  })

  test('without one of its files is refused, but for the segment it ends with', async () => {
    const life = await small
    const { disk } = newestOf(life)
    const last = lastSegmentOf(disk)
    for (const path of pathsOf(disk)) {
      const found = await wrong(life, (copy) => copy.unlink(path), { mayBeEarlier: path === last })
      expect(found, `of ${path}`).toBeUndefined()
    }
  })

  test.each([
    ['of another life of this member', {}],
    ['of another member', { nodeId: 2 }],
    ['of another cluster', { clusterId: 'away' }],
  ])('with a file %s is refused', async (_whose, owner) => {
    const life = await small
    const other = newestOf(await live(6, 14, owner)).disk
    for (const path of pathsOf(other)) {
      for (const target of pathsOf(newestOf(life).disk)) {
        const found = await wrong(life, (copy) => copy.overwrite(target, other.bytes(path)), {
          files: [nameOf(target)],
        })
        expect(found, `${path} as ${target}`).toBeUndefined()
      }
    }
  })
})

describe('J5: larger journals', { timeout: 60_000 }, () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'recover what was acknowledged or are refused, whatever is scribbled, cut, swapped, put back or removed (%d)',
    async (seed) => {
      const life = await live(seed + 100, 120, { segmentSizeBytes: 4096 })
      const random = new SeededRandom(seed)
      const { disk } = newestOf(life)
      const last = lastSegmentOf(disk)
      const paths = pathsOf(disk)
      const any = (): string => paths[random.below(paths.length)] ?? last
      for (let round = 0; round < 60; round++) {
        const path = any()
        const bytes = disk.bytes(path)
        const at = random.below(bytes.length)
        const earlier = life.moments[random.below(life.moments.length)]?.disk ?? disk
        const old = pathsOf(earlier)[random.below(pathsOf(earlier).length)] ?? path
        const kinds: readonly (readonly [
          string,
          (copy: SimulatedDisk) => void | Promise<void>,
          Allowed?,
        ])[] = [
          ['flip', (copy) => flip(copy, path, at, random.below(8)), { files: [nameOf(path)] }],
          ['scribble', (copy) => scribble(copy, path, at, random), { files: [nameOf(path)] }],
          ['cut', (copy) => copy.overwrite(path, bytes.subarray(0, at)), { files: [nameOf(path)] }],
          ['swap', (copy) => copy.overwrite(path, disk.bytes(any())), { mayBeEarlier: false }],
          [
            'put back',
            (copy) => copy.overwrite(old, earlier.bytes(old)),
            { mayBeEarlier: old === last },
          ],
          ['remove', (copy) => copy.unlink(path), { mayBeEarlier: path === last }],
        ]
        const [name, damage, allowed] = kinds[round % kinds.length] ?? kinds[0] ?? []
        if (damage === undefined) continue
        expect(await wrong(life, damage, allowed), `${name} ${path} at ${at}`).toBeUndefined()
      }
    },
  )
})

describe('what a journal cannot see, and others must', () => {
  test('that all of it was taken back to an earlier moment: it recovers that moment, and no mixture', async () => {
    const life = await openAtTheEnd
    for (const moment of life.moments) {
      const outcome = await outcomeOf(moment.disk.copy(), life.keys)

      expect(outcome.is === 'recovered' && isMoment(outcome.recovered, moment)).toBe(true)
    }
  })
})
