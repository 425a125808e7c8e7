import type { Entry, Snapshot } from '@conclave/raft'
import { SeededRandom } from '@conclave/testkit'
import { openJournal, type Journal, type JournalOptions } from '../journal.ts'
import type { Recovered } from '../recovery.ts'
import type { SimulatedDisk } from './simulated-disk.ts'

/** Where the journals of these tests lie. */
export const directory = '/data/journal'

export const key = (fill = 7): Uint8Array => new Uint8Array(32).fill(fill)

/** Opens the journal of member 1 of the cluster `home`, unless told otherwise. */
export function open(
  disk: SimulatedDisk,
  options: Partial<JournalOptions> = {},
): Promise<{ readonly journal: Journal; readonly recovered: Recovered }> {
  return openJournal({
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

/** What a journal on this disk would recover; the disk stays as it is. */
export async function recoveredFrom(
  disk: SimulatedDisk,
  options: Partial<JournalOptions> = {},
): Promise<Recovered> {
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

export const snapshotAt = (index: number, data = `state ${index}`, term = 1): Snapshot => ({
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
