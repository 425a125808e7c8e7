import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { masterFlags } from '@conclave/assembly'
import {
  NodeDisk,
  openJournal,
  openOnThread,
  type DiskFile,
  type JournalOptions,
} from '@conclave/journal'
import { SystemRandom } from '@conclave/runtime'
import type { Result } from '../result.ts'
import { StoreCluster, type StoreProcess } from '../store-port/store-cluster.ts'
import type { StoreRow, StoreWish } from './store-row.ts'

const value = new Uint8Array(256).fill(0x61)
const writers = 64
const mebibyte = 2 ** 20

/** Puts keys numbered `from` to `to`, many at a time. */
async function fill(leader: StoreProcess, from: number, to: number): Promise<void> {
  const client = leader.client()
  let next = from
  const write = async (): Promise<void> => {
    while (next < to) await client.put(`secret/bench/${next++}`, value)
  }
  await Promise.all(Array.from({ length: writers }, write))
  client.close()
}

/** Until `member` has applied all that the leader has, in milliseconds. */
async function caughtUp(member: StoreProcess, leader: StoreProcess): Promise<number> {
  const startedAt = performance.now()
  const { appliedIndex } = await leader.state()
  while ((await member.state()).appliedIndex < appliedIndex) await sleep(5)
  return performance.now() - startedAt
}

/** A follower misses nearly all of a large state, and comes back: it is sent a snapshot. */
async function largeState({ isBrief }: StoreWish): Promise<readonly Result[]> {
  const count = isBrief ? 5_000 : 100_000
  const cluster = await StoreCluster.start({ execArgv: masterFlags })
  try {
    const leader = await cluster.leader()
    const behind = cluster.members.find((member) => member !== leader)
    const other = cluster.members.find((member) => member !== leader && member !== behind)
    if (behind === undefined || other === undefined) throw new Error('a group of three has others')
    await fill(leader, 0, 1_000)
    await behind.kill()
    await fill(leader, 1_000, count)
    // What was written is applied everywhere, and a snapshot under way is saved.
    await sleep(isBrief ? 200 : 3_000)
    const memory = await leader.state()
    const memoryOther = await other.state()
    leader.forgetPauses()
    await behind.start()
    const installMs = await caughtUp(behind, leader)
    const pause = await leader.state()
    const pauseBehind = await behind.state()
    await behind.stop()
    await behind.start()
    const name = `${count} keys`
    const mib = (bytes: number): number => bytes / mebibyte
    return [
      { name: `${name}: memory of the leader`, value: mib(memory.residentBytes), unit: 'MiB' },
      { name: `${name}: … of a follower`, value: mib(memoryOther.residentBytes), unit: 'MiB' },
      { name: `${name}: a follower that lacks them has them`, value: installMs, unit: 'ms' },
      { name: `${name}: … longest pause of the leader`, value: pause.pauseMaxMs, unit: 'ms' },
      { name: `${name}: … of the follower`, value: pauseBehind.pauseMaxMs, unit: 'ms' },
      { name: `${name}: a member starts from its disk`, value: behind.startedInMs, unit: 'ms' },
    ]
  } finally {
    await cluster.stop()
  }
}

/** Writes as fast as the cache takes it: only what is read back is measured. */
class LaxDisk extends NodeDisk {
  override async create(path: string): Promise<DiskFile> {
    const file = await super.create(path)
    return {
      write: (bytes, position) => file.write(bytes, position),
      truncate: (sizeBytes) => file.truncate(sizeBytes),
      sync: () => Promise.resolve(),
      close: () => file.close(),
    }
  }
}

/** Seconds to recover a journal of `sizeBytes` with so many entries in each record, and none in a snapshot. */
async function recoverySeconds(sizeBytes: number, entriesPerRecord: number): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'bench-journal-'))
  const key = new Uint8Array(32).fill(7)
  const random = new SystemRandom()
  const options: JournalOptions = { directory, key, clusterId: 'bench', nodeId: 1, random }
  const data = new Uint8Array(420).fill(0x61)
  try {
    const { journal } = await openJournal({ ...options, disk: new LaxDisk() })
    let index = 1
    for (let written = 0; written < sizeBytes;) {
      const entries = Array.from({ length: entriesPerRecord }, () => {
        return { type: 'EntryNormal', term: 1, index: index++, data } as const
      })
      await journal.append({ hardState: { term: 1, vote: 1, commit: index - 1 }, entries })
      written += entriesPerRecord * (data.length + 4) + 56
    }
    await journal.close()
    const startedAt = performance.now()
    // As a master does.
    const opened = await openJournal({ ...options, segmentOpener: openOnThread })
    const seconds = (performance.now() - startedAt) / 1000
    await opened.journal.close()
    return seconds
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function recovery({ isBrief }: StoreWish): Promise<readonly Result[]> {
  const sizeBytes = isBrief ? 4 * mebibyte : 1024 * mebibyte
  const size = `${sizeBytes / mebibyte} MiB of journal`
  const results: Result[] = []
  for (const each of [16, 1]) {
    // A record for each entry takes minutes to write, so a quarter is read and multiplied.
    const part = each === 1 ? 4 : 1
    const seconds = (await recoverySeconds(sizeBytes / part, each)) * part
    const name = `${size} recovered, ${each} entries a record${part === 1 ? '' : ', 4 × a quarter'}`
    results.push({ name, value: seconds, unit: 's' })
  }
  return results
}

export const largeStateRows: Readonly<Record<string, StoreRow>> = {
  'large-state': {
    what: '100,000 keys: memory of a member, a snapshot installed, pauses, start from disk',
    measure: largeState,
  },
  recovery: { what: '1 GiB of journal read back', measure: recovery },
}
