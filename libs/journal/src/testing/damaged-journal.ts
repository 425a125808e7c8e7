import type { Entry, HardState } from '@conclave/raft'
import type { Random } from '@conclave/kernel'
import { SeededRandom } from '@conclave/testkit'
import { JournalCorrupt, JournalForeign, JournalUndecryptable } from '../errors.ts'
import type { JournalOptions } from '../journal.ts'
import {
  entry,
  key,
  open,
  saveSnapshot,
  snapshotAt,
  type RecoveredWhole,
  type WholeSnapshot,
} from './journal-fixture.ts'
import { SimulatedDisk } from './simulated-disk.ts'

/** What a journal had acknowledged at one moment, and the disk then. */
export interface Moment {
  readonly disk: SimulatedDisk
  readonly written: ReadonlyMap<number, Entry>
  readonly last: number
  readonly vote: Pick<HardState, 'term' | 'vote'>
}

/** A journal's life, moment by moment: what is put back from an earlier one is an old copy. */
export interface Life {
  readonly moments: readonly Moment[]
  readonly keys: Partial<JournalOptions>
}

/**
 * Writes a journal for so many steps: batches of all sizes, entries written over by a newer leader,
 * snapshots, new keys, and stops and crashes of the process.
 */
export async function live(
  seed: number,
  stepCount: number,
  options: Partial<JournalOptions> = {},
): Promise<Life> {
  const random = new SeededRandom(seed)
  let disk = new SimulatedDisk()
  const keys = (): Partial<JournalOptions> => ({
    segmentSizeBytes: 1024,
    ...options,
    key: key(newestKey),
    keyId: newestKey,
    olderKeys: Array.from({ length: newestKey - 1 }, (_, at) => ({
      id: at + 1,
      bytes: key(at + 1),
    })),
  })
  const moments: Moment[] = []
  const written = new Map<number, Entry>()
  let newestKey = 1
  let last = 1
  let snapshotIndex = 1
  let vote = { term: 1, vote: 0 }
  let { journal } = await open(disk, keys())

  const append = async (from: number, count: number): Promise<void> => {
    const entries = Array.from({ length: count }, (_, at) => {
      const text = `${from + at} in term ${vote.term} ${'x'.repeat(random.below(300))}`
      return entry(from + at, text, vote.term)
    })
    await journal.append({ hardState: { ...vote, commit: snapshotIndex }, entries })
    for (const index of written.keys()) if (index >= from) written.delete(index)
    for (const one of entries) written.set(one.index, one)
    last = from + count - 1
  }

  const step = async (): Promise<void> => {
    const chance = random.below(100)
    if (chance < 55) return append(last + 1, 1 + random.below(3))
    if (chance < 65 && last > snapshotIndex) {
      vote = { term: vote.term + 1, vote: 1 + random.below(3) }
      return append(snapshotIndex + 1 + random.below(last - snapshotIndex), 1)
    }
    if (chance < 78 && last > snapshotIndex) {
      snapshotIndex += 1 + random.below(last - snapshotIndex)
      return saveSnapshot(journal, snapshotOf(written, snapshotIndex))
    }
    if (chance < 85) return journal.rotateKey({ id: ++newestKey, bytes: key(newestKey) })
    // Ended as it should, or not at all.
    if (chance < 92) await journal.close()
    else disk = disk.crash()
    journal = (await open(disk, keys())).journal
  }

  await append(2, 1)
  for (let done = 0; done < stepCount; done++) {
    await step()
    moments.push({ disk: disk.copy(), written: new Map(written), last, vote })
  }
  return { moments, keys: keys() }
}

/** Of an index that is in the log: what it stands for can be told from it. */
const snapshotOf = (written: ReadonlyMap<number, Entry>, index: number): WholeSnapshot =>
  snapshotAt(index, `state ${index}`, written.get(index)?.term ?? 1)

/** What became of a damaged journal. */
export type Outcome =
  | { readonly is: 'refused'; readonly file: string; readonly offset: number }
  | { readonly is: 'recovered'; readonly recovered: RecoveredWhole }

/**
 * Opens what is on this disk.
 *
 * @throws whatever else than a refusal that names file and offset, and an error when a refusal changed anything
 */
export async function outcomeOf(
  disk: SimulatedDisk,
  keys: Partial<JournalOptions>,
): Promise<Outcome> {
  const before = disk.copy()
  try {
    const { recovered } = await open(disk, keys)
    return { is: 'recovered', recovered }
  } catch (error) {
    const isRefusal =
      error instanceof JournalCorrupt ||
      error instanceof JournalUndecryptable ||
      error instanceof JournalForeign
    if (!isRefusal) throw error
    for (const path of before.paths()) {
      if (Buffer.compare(before.bytes(path), disk.bytes(path)) !== 0) {
        throw new Error(`a refusal changed ${path}`, { cause: error })
      }
    }
    return { is: 'refused', file: error.file, offset: error.offset }
  }
}

/** Whether this is what was acknowledged at that moment, to the byte. */
export function isMoment(
  { hardState, snapshot, entries }: RecoveredWhole,
  moment: Moment,
): boolean {
  const base = snapshot?.meta.index ?? 1
  const text = snapshot && new TextDecoder().decode(snapshot.data)
  return (
    (text === undefined || text === `state ${base}`) &&
    (snapshot === undefined ||
      snapshot.meta.term === moment.written.get(base)?.term ||
      base > moment.last) &&
    hardState?.term === moment.vote.term &&
    hardState.vote === moment.vote.vote &&
    base + entries.length === moment.last &&
    entries.every((one, at) => {
      const wanted = moment.written.get(base + 1 + at)
      return (
        one.index === base + 1 + at &&
        one.term === wanted?.term &&
        Buffer.compare(one.data, wanted.data) === 0
      )
    })
  )
}

/** Changes one bit. */
export function flip(disk: SimulatedDisk, path: string, at: number, bit: number): void {
  const bytes = disk.bytes(path)
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
  disk.overwrite(path, bytes)
}

/** Writes over a stretch of a file with bytes that nobody meant. */
export function scribble(disk: SimulatedDisk, path: string, at: number, random: Random): void {
  const bytes = disk.bytes(path)
  bytes.set(random.bytes(Math.min(1 + random.below(64), bytes.length - at)), at)
  disk.overwrite(path, bytes)
}
