import { crc32 } from 'node:zlib'
import { InvariantViolated } from '@conclave/kernel'
import { SeededRandom } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import {
  JournalClosed,
  JournalCorrupt,
  JournalFailed,
  JournalForeign,
  JournalLocked,
  JournalUndecryptable,
} from './errors.ts'
import type { JournalEvent } from './event.ts'
import { recordOverheadBytes } from './record.ts'
import { segmentHeaderSizeBytes, segmentSeq } from './segment.ts'
import {
  directory,
  entries,
  entry,
  key,
  open,
  recoveredFrom,
  saveSnapshot,
  snapshotAt,
} from './testing/journal-fixture.ts'
import { SimulatedDisk, systemError } from './testing/simulated-disk.ts'

const hardState = { term: 1, vote: 2, commit: 3 }

const namesIn = (disk: SimulatedDisk): string[] =>
  disk.paths().map((path) => path.slice(directory.length + 1))

const segmentsIn = (disk: SimulatedDisk): string[] =>
  namesIn(disk).filter((name) => segmentSeq(name) !== undefined)

describe('what was appended', () => {
  test('J1: is there after a restart, in order and to the byte', async () => {
    const disk = new SimulatedDisk()
    const { journal, recovered } = await open(disk)
    expect(recovered).toEqual({ entries: [] })

    await journal.append({ hardState, entries: entries(2, 4) })
    await journal.append({ entries: [{ ...entry(5), type: 'EntryConfChangeV2' }] })
    await journal.close()

    expect(await recoveredFrom(disk)).toEqual({
      hardState,
      entries: [...entries(2, 4), { ...entry(5), type: 'EntryConfChangeV2' }],
    })
  })

  test('J1: is there after a crash, when only synced bytes and names survive', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)

    await journal.append({ hardState, entries: entries(2, 40) })

    expect(await recoveredFrom(disk.crash())).toEqual({ hardState, entries: entries(2, 40) })
  })

  test('J1: is there after any number of crashes and segments', async () => {
    let disk = new SimulatedDisk()
    for (let life = 0; life < 10; life++) {
      const { journal } = await open(disk)
      for (let count = 0; count < 10; count++) {
        const index = 2 + life * 10 + count
        await journal.append({ entries: [entry(index, 'x'.repeat(200))] })
      }
      disk = disk.crash(new SeededRandom(life))
    }

    const { entries: recovered } = await recoveredFrom(disk)
    expect(recovered.map(({ index }) => index)).toEqual(entries(2, 101).map(({ index }) => index))
    expect(segmentsIn(disk).length).toBeGreaterThanOrEqual(10)
  })

  test('J1: of an older leader gives way to what a newer one writes over it', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    await journal.append({ entries: entries(2, 9) })

    await journal.append({ entries: [entry(5, 'other', 2)] })

    expect((await recoveredFrom(disk.crash())).entries).toEqual([
      ...entries(2, 4),
      entry(5, 'other', 2),
    ])
  })

  test('J1: may be larger than a segment', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    const large = entry(2, 'large '.repeat(4000))

    await journal.append({ entries: [large] })
    await journal.append({ entries: [entry(3)] })

    expect((await recoveredFrom(disk.crash())).entries).toEqual([large, entry(3)])
  })

  test('J2: shares one fsync with all that came while the last one was under way', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk, { segmentSizeBytes: 1024 * 1024 })
    await journal.append({ entries: [entry(2)] })
    // The reserve for the next segment is synced beside.
    while (!namesIn(disk).includes('spare.tmp')) await Promise.resolve()
    await journal.append({ entries: [entry(3)] })
    const before = disk.count('sync')

    await Promise.all(
      Array.from({ length: 200 }, (_, at) => journal.append({ entries: [entry(4 + at)] })),
    )

    expect(disk.count('sync') - before).toBeLessThanOrEqual(2)
    expect((await recoveredFrom(disk.crash())).entries).toHaveLength(202)
  })

  test('J2: is acknowledged in the order in which it was asked', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    const order: number[] = []

    await Promise.all(
      [2, 3, 4, 5].map(async (index) => {
        await journal.append({ entries: [entry(index)] })
        order.push(index)
      }),
    )

    expect(order).toEqual([2, 3, 4, 5])
  })

  test.each([
    ['leaves a gap', { entries: [entry(9)] }],
    ['lowers the term of an entry', { entries: [entry(4, 'old', 0)] }],
    ['lowers the term of the member', { hardState: { term: 0, vote: 0, commit: 0 }, entries: [] }],
    ['changes a vote', { hardState: { ...hardState, vote: 3 }, entries: [] }],
  ])('J3: nothing is written that %s', async (_, batch) => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    await journal.append({ hardState, entries: entries(2, 3) })

    await expect(journal.append(batch)).rejects.toThrow(InvariantViolated)

    expect(await recoveredFrom(disk.crash())).toEqual({ hardState, entries: entries(2, 3) })
  })
})

/** Zero-filled behind what was written, as a segment is. Answers where its last record begins. */
async function diskWithLastRecord(): Promise<{
  disk: SimulatedDisk
  path: string
  start: number
  end: number
}> {
  const disk = new SimulatedDisk()
  const { journal } = await open(disk)
  await journal.append({ hardState, entries: entries(2, 4) })
  const path = `${directory}/${segmentsIn(disk)[0] ?? ''}`
  const start = endOf(disk.bytes(path))
  await journal.append({ entries: entries(5, 6) })
  return { disk: disk.crash(), path, start, end: endOf(disk.bytes(path)) }
}

function endOf(bytes: Uint8Array): number {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end--
  return Math.ceil(end / 8) * 8
}

/** The parts of a record that a disk writes whole or not at all. */
function sectorsBetween(start: number, end: number): readonly (readonly [number, number])[] {
  const sectors: (readonly [number, number])[] = []
  for (let from = start; from < end;) {
    const to = Math.min(end, (Math.floor(from / 512) + 1) * 512)
    sectors.push([from, to])
    from = to
  }
  return sectors
}

describe('R3: a torn tail', () => {
  test('J5: is no reason for a file to be shorter than it was made', async () => {
    const { disk, path, start, end } = await diskWithLastRecord()
    const name = path.slice(directory.length + 1)

    for (let size = start - 200; size < end + 8; size++) {
      const cut = disk.copy()
      cut.overwrite(path, disk.bytes(path).subarray(0, size))
      await expect(recoveredFrom(cut), `cut at ${size}`).rejects.toThrow(`${name} at byte ${size}`)
    }
  })

  test('J4: is dropped wherever the last record was not written on', async () => {
    const { disk, path, start, end } = await diskWithLastRecord()

    for (let from = start; from < end; from += 8) {
      const torn = disk.copy()
      torn.overwrite(path, disk.bytes(path).fill(0, from))
      expect((await recoveredFrom(torn)).entries, `zero from ${from}`).toEqual(entries(2, 4))
    }
  })

  test('J4: is dropped whichever sectors of the last record were not written', async () => {
    for (let shift = 0; shift < 512; shift += 8) {
      const disk = new SimulatedDisk()
      const { journal } = await open(disk)
      await journal.append({ entries: [entry(2, 'x'.repeat(500 + shift))] })
      const path = `${directory}/${segmentsIn(disk)[0] ?? ''}`
      const start = endOf(disk.bytes(path))
      await journal.append({ entries: [entry(3, 'y'.repeat(900))] })
      const sectors = sectorsBetween(start, endOf(disk.bytes(path)))

      for (let missing = 1; missing < 2 ** sectors.length; missing++) {
        const bytes = disk.bytes(path)
        for (const [at, [from, to]] of sectors.entries()) {
          if ((missing & (1 << at)) !== 0) bytes.fill(0, from, to)
        }
        const torn = disk.crash()
        torn.overwrite(path, bytes)
        const { entries: recovered } = await recoveredFrom(torn)
        expect(recovered, `shifted by ${shift}, missing ${missing}`).toHaveLength(1)
      }
    }
  })

  test('J4: is copied aside, and said', async () => {
    const { disk, path, end } = await diskWithLastRecord()
    disk.overwrite(path, disk.bytes(path).fill(0, end - 16))
    const events: JournalEvent[] = []

    const { journal } = await open(disk, { onEvent: (event) => events.push(event) })
    await journal.append({ entries: [entry(5, 'another')] })

    expect(events).toContainEqual(expect.objectContaining({ type: 'torn-tail-cut' }))
    expect(namesIn(disk).some((name) => name.endsWith('.torn'))).toBe(true)
    expect((await recoveredFrom(disk.crash())).entries).toEqual([
      ...entries(2, 4),
      entry(5, 'another'),
    ])
  })

  test('J4: in any but the last segment stops the member', async () => {
    const disk = await diskWithEveryKind()
    const [first] = segmentsIn(disk)
    const path = `${directory}/${first ?? ''}`
    disk.overwrite(path, disk.bytes(path).fill(0, endOf(disk.bytes(path)) - 16))

    await expect(recoveredFrom(disk, bothKeys)).rejects.toThrow(JournalCorrupt)
  })

  test('J8: a segment that was open at a crash is never written again', async () => {
    const { disk, path, end } = await diskWithLastRecord()
    disk.overwrite(path, disk.bytes(path).fill(0, end - 16))
    const { journal } = await open(disk)
    const closed = disk.bytes(path)

    await journal.append({ entries: [entry(5, 'another')] })

    expect(disk.bytes(path)).toEqual(closed)
    expect(segmentsIn(disk)).toHaveLength(2)
  })
})

/** A journal with every kind of record: batches, a marker, a change of key and ends. */
async function diskWithEveryKind(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk()
  const { journal } = await open(disk)
  await journal.append({ hardState, entries: entries(2, 5) })
  await saveSnapshot(journal, snapshotAt(4))
  await journal.append({ entries: entries(6, 7) })
  await journal.rotateKey({ id: 2, bytes: key(8) })
  await journal.append({ entries: entries(8, 9) })
  await journal.append({ entries: entries(10, 11) })
  await journal.close()
  return disk
}

const bothKeys = { key: key(8), keyId: 2, olderKeys: [{ id: 1, bytes: key() }] }

test('J9: a log of which two snapshots have left nothing but their markers goes on behind the newer one', async () => {
  const disk = new SimulatedDisk()
  const { journal } = await open(disk)
  await journal.append({ hardState, entries: entries(2, 5) })
  // Its segment is ended, and both markers come into the next one.
  await journal.rotateKey({ id: 2, bytes: key(8) })
  await saveSnapshot(journal, snapshotAt(4))
  await saveSnapshot(journal, snapshotAt(5))

  const again = await open(disk.crash(), bothKeys)
  expect(again.recovered.entries).toEqual([])
  await again.journal.append({ entries: [entry(6)] })
  await again.journal.close()
})

describe('R3: damage', () => {
  test('J5: a flipped bit anywhere in the log is found, and its file and place are named', async () => {
    const disk = await diskWithEveryKind()
    const whole = await recoveredFrom(disk, bothKeys)
    expect(whole.entries).toEqual(entries(5, 11))

    for (const name of segmentsIn(disk)) {
      const path = `${directory}/${name}`
      const size = endOf(disk.bytes(path))
      for (let at = 0; at < size; at++) {
        const bytes = disk.bytes(path)
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8))
        const damaged = disk.copy()
        damaged.overwrite(path, bytes)
        const error = await refusal(damaged)
        expect(error, `bit in byte ${at} of ${name}`).toMatchObject({ file: name })
        expect(error?.offset, `bit in byte ${at} of ${name}`).toBeLessThanOrEqual(at)
      }
    }
  })

  test('J5: a flipped bit anywhere in a snapshot that nothing else stands for is found', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    await saveSnapshot(journal, snapshotAt(9))
    await journal.append({ entries: entries(10, 11) })
    await journal.close()
    const name = namesIn(disk).find((one) => one.endsWith('.snap')) ?? ''
    const path = `${directory}/${name}`

    for (let at = 0; at < disk.bytes(path).length; at++) {
      const bytes = disk.bytes(path)
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8))
      const damaged = disk.copy()
      damaged.overwrite(path, bytes)
      expect(await refusal(damaged), `bit in byte ${at}`).toMatchObject({ file: name })
    }
  })

  test('J5: a damaged snapshot does no harm while the log still holds all of it', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    await journal.append({ hardState, entries: entries(2, 5) })
    await saveSnapshot(journal, snapshotAt(4))
    await journal.close()
    const name = namesIn(disk).find((one) => one.endsWith('.snap')) ?? ''
    disk.overwrite(`${directory}/${name}`, new Uint8Array(10))
    const events: JournalEvent[] = []

    const { recovered } = await open(disk, { onEvent: (event) => events.push(event) })

    expect(recovered.snapshot).toBeUndefined()
    expect(recovered.entries).toEqual(entries(2, 5))
    expect(events).toContainEqual(expect.objectContaining({ type: 'snapshot-unreadable' }))
  })

  test('J5: a missing segment is found', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    for (let index = 2; index < 60; index++)
      await journal.append({ entries: [entry(index, 'x'.repeat(300))] })
    await journal.close()
    const names = segmentsIn(disk)
    expect(names.length).toBeGreaterThan(3)

    for (const name of names.slice(0, -1)) {
      const damaged = disk.copy()
      damaged.remove(`${directory}/${name}`)
      await expect(recoveredFrom(damaged)).rejects.toThrow(JournalCorrupt)
    }
  })

  test('J5: a refused journal stays as it was, for whoever looks into it', async () => {
    const disk = await diskWithEveryKind()
    const path = `${directory}/${segmentsIn(disk)[0] ?? ''}`
    const bytes = disk.bytes(path)
    bytes[200] = (bytes[200] ?? 0) ^ 1
    disk.overwrite(path, bytes)
    const before = disk.paths().map((one) => [one, disk.bytes(one)])

    await expect(open(disk, bothKeys)).rejects.toThrow(JournalCorrupt)

    expect(disk.paths().map((one) => [one, disk.bytes(one)])).toEqual(before)
    await expect(open(disk, bothKeys)).rejects.toThrow(JournalCorrupt)
  })
})

async function refusal(
  disk: SimulatedDisk,
): Promise<{ file: string; offset?: number } | undefined> {
  try {
    await recoveredFrom(disk, bothKeys)
    return undefined
  } catch (error) {
    if (error instanceof JournalCorrupt || error instanceof JournalUndecryptable) return error
    // Only a header can make a file somebody else's, and its checksum speaks first.
    throw error
  }
}

/** A journal whose segment has the salt that these dice draw. */
async function writtenWith(seed: number): Promise<{ disk: SimulatedDisk; path: string }> {
  const disk = new SimulatedDisk()
  const { journal } = await open(disk, { random: new SeededRandom(seed) })
  await journal.append({ hardState, entries: entries(2, 4) })
  return { disk, path: `${directory}/${segmentsIn(disk)[0] ?? ''}` }
}

/** What somebody without the key can do: every checksum is right again. */
function mendChecksums(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let crc = view.getUint32(segmentHeaderSizeBytes - 4)
  for (let at = segmentHeaderSizeBytes; at < endOf(bytes);) {
    const end = at + recordOverheadBytes + view.getUint32(at)
    crc = crc32(bytes.subarray(at + 8, end), crc32(bytes.subarray(at, at + 4), crc))
    view.setUint32(at + 4, crc)
    at = end
  }
}

describe('somebody else', () => {
  test('J6: a wrong key opens nothing and cuts nothing', async () => {
    const disk = await diskWithEveryKind()
    const before = disk.paths().map((one) => [one, disk.bytes(one)])
    const wrong = { key: key(9), keyId: 2, olderKeys: [{ id: 1, bytes: key(10) }] }

    await expect(open(disk, wrong)).rejects.toThrow(JournalUndecryptable)

    expect(disk.paths().map((one) => [one, disk.bytes(one)])).toEqual(before)
  })

  test('J6: a key that is missing is said to be', async () => {
    const disk = await diskWithEveryKind()

    await expect(open(disk, { key: key(8), keyId: 2 })).rejects.toThrow(JournalUndecryptable)
  })

  test.each([
    ['another cluster', { clusterId: 'elsewhere' }],
    ['another member', { nodeId: 2 }],
  ])('J6: the journal of %s is refused', async (_, options) => {
    const disk = await diskWithEveryKind()

    await expect(recoveredFrom(disk, { ...bothKeys, ...options })).rejects.toThrow(JournalForeign)
  })

  test('J6: segments that were swapped are refused', async () => {
    const disk = await diskWithEveryKind()
    const [one, two] = segmentsIn(disk).map((name) => `${directory}/${name}`)
    const [first, second] = [disk.bytes(one ?? ''), disk.bytes(two ?? '')]
    disk.overwrite(one ?? '', second)
    disk.overwrite(two ?? '', first)

    await expect(recoveredFrom(disk, bothKeys)).rejects.toThrow(JournalCorrupt)
  })

  test('J6: a segment of an earlier time, put back in place of its successor, is refused', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    await journal.append({ entries: entries(2, 4) })
    const path = `${directory}/${segmentsIn(disk)[0] ?? ''}`
    const earlier = disk.bytes(path)
    await journal.append({ entries: entries(5, 6) })
    await journal.close()
    const again = await open(disk)
    await again.journal.append({ entries: [entry(7)] })
    await again.journal.close()

    disk.overwrite(path, earlier)

    await expect(recoveredFrom(disk)).rejects.toThrow(JournalCorrupt)
  })

  test('J6: a segment that was taken back behind an entry that was written over is refused', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    await journal.append({ entries: entries(2, 4) })
    const path = `${directory}/${segmentsIn(disk)[0] ?? ''}`
    const earlier = disk.bytes(path)
    // Without it there is no gap: the log only says something else.
    await journal.append({ entries: [entry(4, 'of a newer leader', 2)] })
    await journal.close()
    const again = await open(disk)
    await again.journal.append({ entries: [entry(5, 'goes on', 2)] })
    await again.journal.close()

    disk.overwrite(path, earlier)

    await expect(recoveredFrom(disk)).rejects.toThrow(JournalCorrupt)
  })

  test('J6: a record of another segment, pasted in with its checksums mended, does not open', async () => {
    const [ours, theirs] = [await writtenWith(1), await writtenWith(2)]
    const bytes = theirs.disk.bytes(theirs.path)
    bytes.set(ours.disk.bytes(ours.path).subarray(0, segmentHeaderSizeBytes), 0)
    mendChecksums(bytes)
    ours.disk.overwrite(ours.path, bytes)

    await expect(recoveredFrom(ours.disk)).rejects.toThrow(JournalUndecryptable)
  })

  test('J8: no two records are sealed under one nonce: what is the same in both looks different', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    for (const index of [2, 3]) await journal.append({ entries: [entry(index, 'same'.repeat(20))] })

    const [name] = segmentsIn(disk)
    const bytes = disk.bytes(`${directory}/${name ?? ''}`).subarray(segmentHeaderSizeBytes)
    // Both have the same length; GCM is a stream, so under one nonce all but the index would be equal.
    const size = endOf(bytes) / 2
    const [first, second] = [bytes.subarray(0, size), bytes.subarray(size, 2 * size)]
    const equalCount = first.filter((byte, at) => byte === second[at]).length
    expect(Number.isInteger(size)).toBe(true)
    expect(equalCount).toBeLessThan(size / 2)
    await journal.close()
  })

  test('J6: nothing of an entry or a snapshot can be read without the key', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    await journal.append({ hardState, entries: [entry(2, 'canary-in-the-log')] })
    await saveSnapshot(journal, snapshotAt(2, 'canary-in-the-snapshot'))
    await journal.close()

    const readable = disk.paths().filter((path) => Buffer.from(disk.bytes(path)).includes('canary'))
    expect(readable).toEqual([])
  })

  test('J7: one journal at a time has the directory', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    await expect(open(disk)).rejects.toThrow(JournalLocked)

    await journal.close()

    await expect(open(disk)).resolves.toBeDefined()
  })
})

describe('a snapshot', () => {
  test('J9: stands for everything up to its index, and what follows stays', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    await journal.append({ hardState, entries: entries(2, 9) })

    await saveSnapshot(journal, snapshotAt(6))

    expect(await recoveredFrom(disk.crash())).toEqual({
      hardState: { ...hardState, commit: 6 },
      snapshot: snapshotAt(6),
      entries: entries(7, 9),
    })
  })

  test('J9: of a leader replaces a log that does not agree with it', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    await journal.append({ hardState, entries: entries(2, 9) })

    await saveSnapshot(journal, snapshotAt(8, 'theirs', 3))
    await journal.append({ entries: [entry(9, 'goes on', 3)] })

    expect(await recoveredFrom(disk.crash())).toEqual({
      // The member has seen term 3, and voted for nobody in it.
      hardState: { term: 3, vote: 0, commit: 8 },
      snapshot: snapshotAt(8, 'theirs', 3),
      entries: [entry(9, 'goes on', 3)],
    })
  })

  test('J9: may be larger than a chunk', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    const large = snapshotAt(5, 'large '.repeat(400_000))

    await saveSnapshot(journal, large)

    const { snapshot } = await recoveredFrom(disk.crash())
    expect(snapshot?.meta).toEqual(large.meta)
    expect(Buffer.compare(snapshot?.data ?? key(), large.data)).toBe(0)
  })

  test('J9: that is older than the one that stands changes nothing', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    await journal.append({ entries: entries(2, 9) })
    await saveSnapshot(journal, snapshotAt(6))

    await saveSnapshot(journal, snapshotAt(3))

    expect((await recoveredFrom(disk.crash())).snapshot).toEqual(snapshotAt(6))
  })

  test('J9: is not undone by an older one that was asked for at the same time', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    await journal.append({ entries: entries(2, 9) })

    await Promise.all([saveSnapshot(journal, snapshotAt(8)), saveSnapshot(journal, snapshotAt(5))])

    expect(namesIn(disk).filter((name) => name.endsWith('.snap'))).toHaveLength(1)
    expect(await recoveredFrom(disk.crash())).toMatchObject({
      snapshot: snapshotAt(8),
      entries: entries(9, 9),
    })
  })

  test('J9: lets older segments and snapshots go', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    for (let index = 2; index < 60; index++)
      await journal.append({ entries: [entry(index, 'x'.repeat(300))] })
    const before = segmentsIn(disk).length
    await saveSnapshot(journal, snapshotAt(40))
    await saveSnapshot(journal, snapshotAt(59))

    expect(segmentsIn(disk).length).toBeLessThan(before)
    expect(namesIn(disk).filter((name) => name.endsWith('.snap'))).toHaveLength(1)
    expect(await recoveredFrom(disk.crash())).toEqual({
      hardState: { term: 1, vote: 0, commit: 59 },
      snapshot: snapshotAt(59),
      entries: [],
    })
  })
})

describe('what is left of a log whose older segments were removed', () => {
  test('J9: begins further back when entries that reached into an older segment were written over', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    await journal.append({ entries: entries(2, 10) })
    await journal.rotateKey({ id: 2, bytes: key(8) })
    await journal.append({ entries: entries(11, 12) })
    await journal.append({ entries: [entry(10, 'of a newer leader', 2)] })

    await saveSnapshot(journal, snapshotAt(10, undefined, 2))

    expect(segmentsIn(disk)).toHaveLength(1)
    const options = { key: key(8), keyId: 2 }
    expect(await recoveredFrom(disk.crash(), options)).toMatchObject({
      snapshot: snapshotAt(10, undefined, 2),
      entries: [],
    })
  })

  test('J9: goes on behind entries that only an older segment had', async () => {
    let disk = new SimulatedDisk()
    const first = await open(disk)
    await first.journal.append({ entries: [...entries(2, 3), ...entries(4, 5, 2)] })
    disk = disk.crash()
    const { journal } = await open(disk)
    await saveSnapshot(journal, snapshotAt(3))
    await journal.append({ entries: entries(6, 8, 2) })

    await saveSnapshot(journal, snapshotAt(5, undefined, 2))

    expect(segmentsIn(disk)).toHaveLength(1)
    expect(await recoveredFrom(disk.crash())).toMatchObject({
      snapshot: snapshotAt(5, undefined, 2),
      entries: entries(6, 8, 2),
    })
  })
})

describe('a failure', () => {
  test.each(['write', 'sync'] as const)(
    'J10: a failed %s is final: nothing is acknowledged any more, and nothing tried again',
    async (operation) => {
      const disk = new SimulatedDisk()
      const events: JournalEvent[] = []
      const { journal } = await open(disk, { onEvent: (event) => events.push(event) })
      await journal.append({ hardState, entries: entries(2, 3) })
      disk.failWhen((one) => (one === operation ? systemError('EIO') : undefined))

      await expect(journal.append({ entries: [entry(4)] })).rejects.toThrow(JournalFailed)
      disk.failWhen(undefined)

      await expect(journal.append({ entries: [entry(5)] })).rejects.toThrow(JournalFailed)
      await expect(saveSnapshot(journal, snapshotAt(3))).rejects.toThrow(JournalFailed)
      expect(events).toContainEqual(expect.objectContaining({ type: 'failed' }))
      await journal.close()
      const { entries: recovered } = await recoveredFrom(disk.crash())
      expect(recovered.slice(0, 2)).toEqual(entries(2, 3))
    },
  )

  test('J10: a snapshot that finds no room fails the journal, and harms nothing that stands', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    await journal.append({ hardState, entries: entries(2, 9) })
    disk.failWhen((one, path) =>
      one === 'write' && path.includes('.snap.') ? systemError('ENOSPC') : undefined,
    )

    await expect(saveSnapshot(journal, snapshotAt(6))).rejects.toThrow(JournalFailed)

    await journal.close()
    expect(await recoveredFrom(disk)).toEqual({ hardState, entries: entries(2, 9) })
  })

  test('J10: a full disk that has room again when the next segment is needed does no harm', async () => {
    const disk = new SimulatedDisk()
    let isFull = true
    disk.failWhen((one, path) =>
      isFull && one === 'write' && path.endsWith('spare.tmp') ? systemError('ENOSPC') : undefined,
    )
    const { journal } = await open(disk)
    await expect(journal.append({ entries: [entry(2)] })).rejects.toThrow(JournalFailed)
    await journal.close()

    isFull = false
    const again = await open(disk)
    await again.journal.append({ entries: [entry(2)] })

    expect((await recoveredFrom(disk.crash())).entries).toEqual([entry(2)])
  })

  test('J10: a reserve that finds no room harms nothing while it is not needed', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    await journal.append({ entries: [entry(2)] })
    await journal.append({ entries: [entry(3)] })
    await journal.close()
    const again = await open(disk)
    let spareCount = 0
    disk.failWhen((one, path) =>
      one === 'create' && path.endsWith('spare.tmp') && ++spareCount > 1
        ? systemError('ENOSPC')
        : undefined,
    )
    await again.journal.append({ entries: [entry(4)] })
    await again.journal.append({ entries: [entry(5)] })

    await again.journal.close()

    expect(spareCount).toBeGreaterThan(1)
    expect((await recoveredFrom(disk)).entries).toEqual(entries(2, 5))
  })

  test('J10: whoever asks a closed journal is told', async () => {
    const { journal } = await open(new SimulatedDisk())
    await journal.close()
    await journal.close()

    await expect(journal.append({ entries: [entry(2)] })).rejects.toThrow(JournalClosed)
    await expect(journal.rotateKey({ id: 2, bytes: key(8) })).rejects.toThrow(JournalClosed)
  })
})

describe('keys', () => {
  test('J11: after a rotation the new key seals, and the old one is needed until a snapshot took its place', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)
    await journal.append({ hardState, entries: entries(2, 5) })
    expect(journal.keysInUse()).toEqual([1])

    await journal.rotateKey({ id: 2, bytes: key(8) })
    await journal.append({ entries: entries(6, 9) })
    expect(journal.keysInUse()).toEqual([1, 2])

    await saveSnapshot(journal, snapshotAt(9))
    expect(journal.keysInUse()).toEqual([2])
    await journal.close()
    expect((await recoveredFrom(disk, { key: key(8), keyId: 2 })).snapshot).toEqual(snapshotAt(9))
  })

  test('J11: a restart knows which keys the disk still needs', async () => {
    const disk = await diskWithEveryKind()

    const { journal } = await open(disk, bothKeys)

    expect(journal.keysInUse()).toEqual([1, 2])
  })

  test('J11: an idle journal takes a new key too', async () => {
    const disk = new SimulatedDisk()
    const { journal } = await open(disk)

    await journal.rotateKey({ id: 2, bytes: key(8) })
    await journal.append({ entries: [entry(2)] })

    expect(journal.keysInUse()).toEqual([2])
    expect((await recoveredFrom(disk.crash(), { key: key(8), keyId: 2 })).entries).toEqual([
      entry(2),
    ])
  })
})

/** A disk on which two processes were killed, and not the machine, before what they wrote was synced. */
async function leftByTheKilled(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk()
  const { journal } = await open(disk)
  await journal.append({ hardState, entries: entries(2, 4) })
  disk.failWhen((operation) => (operation === 'sync' ? systemError('EIO') : undefined))
  await expect(journal.append({ entries: entries(5, 6) })).rejects.toThrow(JournalFailed)
  await journal.close()
  // The next one gives back what the segment did not use, and is killed before that is durable.
  await expect(open(disk)).rejects.toThrow('EIO')
  disk.failWhen(undefined)
  return disk
}

describe('what a killed process left in the cache alone', () => {
  test('J12: is durable before anything is written that leans on it', async () => {
    const disk = await leftByTheKilled()

    const { journal } = await open(disk)
    await journal.append({ entries: entries(7, 8) })

    expect(await recoveredFrom(disk.crash())).toEqual({ hardState, entries: entries(2, 8) })
  })

  test('J12: opens again whatever a power cut then keeps of it', async () => {
    for (let steps = 0; steps < 16; steps++) {
      for (let seed = 1; seed <= 8; seed++) {
        const disk = await leftByTheKilled()
        disk.cutPowerAfter(steps)
        await open(disk)
          .then(({ journal }) => journal.append({ entries: entries(7, 8) }))
          .catch(() => undefined)

        const { entries: kept } = await recoveredFrom(disk.crash(new SeededRandom(seed)))

        expect(kept.slice(0, 3)).toEqual(entries(2, 4))
      }
    }
  })
})
