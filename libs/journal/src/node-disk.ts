import * as fs from 'node:fs'
import { link, mkdir, open, readdir, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Disk, DiskFile, DiskLock, DiskReader } from './disk.ts'
import { JournalLocked } from './errors.ts'

/** The machine's own disk. Callbacks where it is hot: promises of `fs` cost twice as much there. */
export class NodeDisk implements Disk {
  async makeDirectory(path: string): Promise<void> {
    const first = await mkdir(path, { recursive: true, mode: 0o700 })
    if (first !== undefined) await this.syncDirectory(dirname(resolve(first)))
  }

  lock(directory: string): Promise<DiskLock> {
    return lockDirectory(resolve(directory))
  }

  list(directory: string): Promise<readonly string[]> {
    return readdir(directory)
  }

  read(path: string): Promise<Uint8Array> {
    return readFile(path)
  }

  async openToRead(path: string): Promise<DiskReader> {
    const file = await open(path, 'r')
    const { size: sizeBytes } = await file.stat()
    return {
      sizeBytes,
      read: async (position, length) => {
        // What another process cut off meanwhile is not there; more than the file has is not asked for.
        const bytes = new Uint8Array(Math.max(0, Math.min(length, sizeBytes - position)))
        let at = 0
        while (at < bytes.length) {
          const { bytesRead } = await file.read(bytes, at, bytes.length - at, position + at)
          if (bytesRead === 0) break
          at += bytesRead
        }
        return bytes.subarray(0, at)
      },
      close: () => file.close(),
    }
  }

  create(path: string): Promise<DiskFile> {
    return openFile(path, 'wx')
  }

  open(path: string): Promise<DiskFile> {
    return openFile(path, 'r+')
  }

  rename(from: string, to: string): Promise<void> {
    return rename(from, to)
  }

  unlink(path: string): Promise<void> {
    return unlink(path)
  }

  async syncDirectory(path: string): Promise<void> {
    // Windows keeps names by itself, and does not open directories.
    if (process.platform === 'win32') return
    const directory = await openFile(path, 'r')
    await directory.sync()
    await directory.close()
  }
}

/**
 * Writes up to this size are made on the spot: they go no further than the memory of the system, in a few
 * microseconds, where a trip to the disk's threads and back takes some fifty. A sync does go there.
 */
const onTheSpotBytesMax = 64 * 1024

class NodeFile implements DiskFile {
  readonly #descriptor: number

  constructor(descriptor: number) {
    this.#descriptor = descriptor
  }

  write(bytes: Uint8Array, position: number): Promise<void> {
    if (bytes.length <= onTheSpotBytesMax) return this.#writeOnTheSpot(bytes, position)
    return new Promise((done, fail) => {
      const from = (start: number): void => {
        const length = bytes.length - start
        fs.write(this.#descriptor, bytes, start, length, position + start, (error, written) => {
          if (error !== null) fail(error)
          else if (written < length) from(start + written)
          else done()
        })
      }
      from(0)
    })
  }

  async #writeOnTheSpot(bytes: Uint8Array, position: number): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      at += fs.writeSync(this.#descriptor, bytes, at, bytes.length - at, position + at)
    }
  }

  truncate(sizeBytes: number): Promise<void> {
    return settle((done) => fs.ftruncate(this.#descriptor, sizeBytes, done))
  }

  sync(): Promise<void> {
    return settle((done) => fs.fdatasync(this.#descriptor, done))
  }

  close(): Promise<void> {
    return settle((done) => fs.close(this.#descriptor, done))
  }
}

function openFile(path: string, flags: 'wx' | 'r+' | 'r'): Promise<DiskFile> {
  return new Promise((done, fail) => {
    fs.open(path, flags, 0o600, (error, descriptor) => {
      if (error === null) done(new NodeFile(descriptor))
      else fail(error)
    })
  })
}

type Callback = (error?: Error | null) => void

const settle = (start: (done: Callback) => void): Promise<void> =>
  new Promise((done, fail) => {
    start((error) => {
      if (error === null || error === undefined) done()
      else fail(error)
    })
  })

/** Directories locked by this very process: its pid says nothing about those. */
const heldHere = new Set<string>()

async function lockDirectory(directory: string): Promise<DiskLock> {
  if (heldHere.has(directory)) throw new JournalLocked(directory, 'this process')
  heldHere.add(directory)
  try {
    await writeLock(directory)
  } catch (error) {
    heldHere.delete(directory)
    throw error
  }
  return {
    release: async () => {
      await unlink(join(directory, 'lock'))
      heldHere.delete(directory)
    },
  }
}

async function writeLock(directory: string): Promise<void> {
  const path = join(directory, 'lock')
  for (;;) {
    try {
      return await writeFile(path, ownerLine(process.pid), { flag: 'wx', mode: 0o600 })
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error
    }
    await removeStaleLock(directory, path)
  }
}

/** @throws JournalLocked when the lock is not stale */
async function removeStaleLock(directory: string, path: string): Promise<void> {
  const owner = await readIfThere(path)
  if (owner === undefined) return
  const pid = Number.parseInt(owner, 10)
  if (isRunning(pid, owner)) throw new JournalLocked(directory, `process ${pid}`)
  // Two processes may find the same stale lock. Only what was judged is removed: a lock that somebody
  // took in between is put back.
  const aside = `${path}.${process.pid}.stale`
  try {
    await rename(path, aside)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return
    throw error
  }
  const removed = await readIfThere(aside)
  if (removed !== owner) await link(aside, path)
  await unlink(aside)
  if (removed !== owner) throw new JournalLocked(directory, 'another process')
}

/** Pid, and on Linux the moment it started: a pid alone may belong to somebody else by now. */
function ownerLine(pid: number): string {
  return `${pid} ${startOf(pid)}\n`
}

function startOf(pid: number): string {
  try {
    // Field 22 of proc(5), counted behind the name in parentheses, which may hold anything.
    const text = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? 'unknown'
  } catch {
    return 'unknown'
  }
}

function isRunning(pid: number, owner: string): boolean {
  // Our own pid, and yet not locked by us: a container restarted, and we got the same pid again.
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    return hasCode(error, 'EPERM')
  }
  return owner === ownerLine(pid) || owner.endsWith(' unknown\n')
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code
