import type { Entry, SnapshotMeta } from '@conclave/raft'
import { SeededRandom } from '@conclave/testkit'
import { openJournal, type Journal, type JournalOptions } from '../journal.ts'
import type { Recovered } from '../recovery.ts'
import type { SimulatedDisk } from './simulated-disk.ts'

/** Where the journals of these tests lie. */
export const directory = '/data/journal'

export const key = (fill = 7): Uint8Array => new Uint8Array(32).fill(fill)

/** A snapshot with its content, as no live part ever holds it. */
export interface WholeSnapshot {
  readonly meta: SnapshotMeta
  readonly data: Uint8Array
}

/** What is recovered, with the content of the snapshot. */
export type RecoveredWhole = Omit<Recovered, 'snapshot'> & { readonly snapshot?: WholeSnapshot }

const chunkSizeBytes = 64 * 1024

export async function saveSnapshot(
  journal: Journal,
  { meta, data }: WholeSnapshot,
  chunkBytes = chunkSizeBytes,
): Promise<void> {
  const sink = await journal.beginSnapshot(meta)
  for (let at = 0; at < data.length; at += chunkBytes) {
    await sink.write(data.subarray(at, at + chunkBytes))
  }
  await sink.commit()
}

/** The newest snapshot of a journal with its content. */
export async function wholeSnapshot(journal: Journal): Promise<WholeSnapshot | undefined> {
  const source = await journal.openSnapshot()
  if (source === undefined) return undefined
  const chunks: Uint8Array[] = []
  for (let number = 0; number < source.chunkCount; number++) chunks.push(await source.read(number))
  await source.close()
  const { meta } = source
  return { meta, data: Uint8Array.from(chunks.flatMap((chunk) => [...chunk])) }
}

/** Opens the journal of member 1 of the cluster `home`, unless told otherwise. */
export function open(
  disk: SimulatedDisk,
  options: Partial<JournalOptions> = {},
): Promise<{ readonly journal: Journal; readonly recovered: RecoveredWhole }> {
  return openWhole({
    directory,
    disk,
    key: key(),
    clusterId: 'home',
    nodeId: 1,
    random: new SeededRandom(disk.paths().length + 1),
    segmentSizeBytes: 4096,
    ...options,
  })
}

/** As `openJournal`, and the content of the snapshot is among what is recovered. */
export async function openWhole(
  options: JournalOptions,
): Promise<{ readonly journal: Journal; readonly recovered: RecoveredWhole }> {
  const opened = await openJournal(options)
  const { snapshot, ...recovered } = opened.recovered
  const whole = await wholeSnapshot(opened.journal)
  if (snapshot?.meta.index !== whole?.meta.index)
    throw new Error('it says one thing, and has another')
  return { ...opened, recovered: { ...recovered, ...(whole && { snapshot: whole }) } }
}

/** What a journal on this disk would recover; the disk stays as it is. */
export async function recoveredFrom(
  disk: SimulatedDisk,
  options: Partial<JournalOptions> = {},
): Promise<RecoveredWhole> {
  const { recovered } = await open(disk.copy(), options)
  return recovered
}

export const entry = (index: number, text = `entry ${index}`, term = 1): Entry => ({
  type: 'EntryNormal',
  term,
  index,
  data: new TextEncoder().encode(text),
})

export const entries = (from: number, to: number, term = 1): readonly Entry[] =>
  Array.from({ length: to - from + 1 }, (_, at) => entry(from + at, undefined, term))

export const snapshotAt = (index: number, data = `state ${index}`, term = 1): WholeSnapshot => ({
  meta: {
    index,
    term,
    confState: {
      voters: [1, 2, 3],
      votersOutgoing: [],
      learners: [],
      learnersNext: [],
      autoLeave: false,
    },
  },
  data: new TextEncoder().encode(data),
})
