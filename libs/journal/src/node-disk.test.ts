import { spawn } from 'node:child_process'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SeededRandom } from '@conclave/testkit'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { JournalCorrupt, JournalLocked } from './errors.ts'
import type { Journal, JournalOptions } from './journal.ts'
import { NodeDisk } from './node-disk.ts'
import type { Recovered } from './recovery.ts'
import {
  entries,
  entry,
  key,
  openWhole,
  saveSnapshot,
  snapshotAt,
} from './testing/journal-fixture.ts'

let directory: string

beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'conclave-journal-')), 'raft')
})

afterEach(async () => {
  await rm(join(directory, '..'), { recursive: true })
})

const open = (
  options: Partial<JournalOptions> = {},
): Promise<{ journal: Journal; recovered: Recovered }> =>
  openWhole({
    directory,
    key: key(),
    clusterId: 'home',
    nodeId: 1,
    random: new SeededRandom(1),
    segmentSizeBytes: 64 * 1024,
    ...options,
  })

async function reopened(): Promise<Recovered> {
  const { journal, recovered } = await open()
  await journal.close()
  return recovered
}

describe("the machine's own disk", () => {
  test('J1: what was appended is there after a restart, snapshot and all', async () => {
    const { journal } = await open()
    await journal.append({ hardState: { term: 1, vote: 2, commit: 3 }, entries: entries(2, 400) })
    await saveSnapshot(journal, snapshotAt(200))
    await journal.append({ entries: [entry(401, 'x'.repeat(200_000))] })
    await journal.close()

    expect(await reopened()).toEqual({
      hardState: { term: 1, vote: 2, commit: 200 },
      snapshot: snapshotAt(200),
      entries: [...entries(201, 400), entry(401, 'x'.repeat(200_000))],
    })
  })

  test('J7: files are for their owner alone', async () => {
    const { journal } = await open()
    await journal.append({ entries: entries(2, 3) })
    await saveSnapshot(journal, snapshotAt(3))

    const modes = await Promise.all(
      (await readdir(directory)).map(
        async (name) => (await stat(join(directory, name))).mode & 0o77,
      ),
    )
    await journal.close()
    expect(new Set([...modes, (await stat(directory)).mode & 0o77])).toEqual(new Set([0]))
  })

  test('J7: a directory that is open is not opened again, and free once it is closed', async () => {
    const { journal } = await open()
    await expect(open()).rejects.toThrow(JournalLocked)

    await journal.close()

    expect(await reopened()).toEqual({ entries: [] })
    expect(await readdir(directory)).not.toContain('lock')
  })

  test('J7: a lock whose process is gone is taken over, one whose process runs is not', async () => {
    await reopened()
    const holder = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    const ended = new Promise((resolve) => holder.once('exit', resolve))
    await new Promise((resolve) => holder.once('spawn', resolve))
    const startedAt = await startOf(holder.pid ?? 0)
    await writeFile(join(directory, 'lock'), `${holder.pid ?? 0} ${startedAt}\n`)
    await expect(open()).rejects.toThrow(JournalLocked)

    holder.kill('SIGKILL')
    await ended

    expect(await reopened()).toEqual({ entries: [] })
  })

  test('J7: a journal that was refused lets go of its lock', async () => {
    const { journal } = await open()
    await journal.append({ entries: entries(2, 3) })
    await journal.close()
    const name = (await readdir(directory)).find((one) => one.endsWith('.wal')) ?? ''
    const bytes = await readFile(join(directory, name))
    bytes[150] = (bytes[150] ?? 0) ^ 1
    await writeFile(join(directory, name), bytes)

    await expect(open()).rejects.toThrow(JournalCorrupt)

    expect(await readdir(directory)).not.toContain('lock')
  })

  test('J10: what cannot be read is an error, not an empty journal', async () => {
    const { journal } = await open()
    await journal.append({ entries: entries(2, 3) })
    await journal.close()
    const name = (await readdir(directory)).find((one) => one.endsWith('.wal')) ?? ''
    await chmod(join(directory, name), 0o000)
    const isRoot = process.getuid?.() === 0

    const opening = open()

    // Root reads everything, and then there is nothing wrong.
    const outcome = await opening.then(
      async ({ journal: opened }) => {
        await opened.close()
        return 'opened'
      },
      () => 'refused',
    )
    expect(outcome).toBe(isRoot ? 'opened' : 'refused')
  })

  test('what is written in parts of any size and place is read back', async () => {
    const disk = new NodeDisk()
    await disk.makeDirectory(directory)
    const file = await disk.create(join(directory, 'one'))
    await file.write(new Uint8Array([1, 2, 3]), 0)
    await file.write(new Uint8Array([9]), 5)
    await file.truncate(7)
    await file.sync()
    await file.close()
    await disk.rename(join(directory, 'one'), join(directory, 'two'))
    await disk.syncDirectory(directory)

    expect(await disk.list(directory)).toEqual(['two'])
    expect([...(await disk.read(join(directory, 'two')))]).toEqual([1, 2, 3, 0, 0, 9, 0])
    await expect(disk.create(join(directory, 'two'))).rejects.toThrow('EEXIST')
  })
})

/** Field 22 of proc(5), where there is one. */
async function startOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? 'unknown'
}

/** Runs until it has acknowledged `wanted` entries, and is killed then. Answers with the last one. */
function killAfter(wanted: number, from: number): Promise<number> {
  const child = spawn(process.execPath, [
    fileURLToPath(new URL('testing/child.ts', import.meta.url)),
    directory,
    String(from),
  ])
  let printed = ''
  child.stdout.on('data', (bytes: Buffer) => {
    printed += bytes.toString()
    if (printed.split('\n').length > wanted) child.kill('SIGKILL')
  })
  return new Promise((resolve, reject) => {
    let complaint = ''
    child.stderr.on('data', (bytes: Buffer) => (complaint += bytes.toString()))
    child.once('close', () => {
      const lines = printed.split('\n').slice(0, -1)
      if (lines.length < wanted) reject(new Error(`it ended by itself: ${complaint}`))
      else resolve(Math.max(...lines.map(Number)))
    })
  })
}

test('J12: kill -9 at any moment loses nothing that was acknowledged', async () => {
  let next = 2
  for (const wanted of [1, 10, 60]) {
    const acknowledged = await killAfter(wanted, next)

    const { entries: recovered } = await reopened()

    expect(recovered.length).toBeGreaterThanOrEqual(acknowledged - 1)
    expect(recovered).toEqual(entries(2, recovered.length + 1))
    next = recovered.length + 2
  }
}, 30_000)
