import { closeSync, openSync, readFileSync, readSync } from 'node:fs'

const windowBytes = 1024 * 1024
/** No text that is looked for is longer. */
const overlapBytes = 256

/**
 * How often each of `texts` stands in the writable memory of a process, in the bytes it was sent as.
 * Linux only, and only for processes that we started. @throws when the system does not let us look
 */
export function timesInMemory(pid: number, texts: readonly string[]): readonly number[] {
  const needles = texts.map((text) => Buffer.from(text))
  const counts = needles.map(() => 0)
  const window = Buffer.alloc(windowBytes + overlapBytes)
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  try {
    for (const { from, to } of writableRegions(pid)) {
      for (let at = from; at < to; at += windowBytes) {
        const length = readAt(memory, window, Math.min(window.length, to - at), at)
        const read = window.subarray(0, length)
        for (const [index, needle] of needles.entries()) {
          counts[index] = (counts[index] ?? 0) + timesIn(read, needle)
        }
      }
    }
  } finally {
    closeSync(memory)
  }
  return counts
}

interface Region {
  readonly from: number
  readonly to: number
}

const writableRegions = (pid: number): readonly Region[] =>
  readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, from = '', to = ''] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? []
      return from === '' ? [] : [{ from: Number.parseInt(from, 16), to: Number.parseInt(to, 16) }]
    })

/** Those that begin before the next window does. */
function timesIn(read: Buffer, needle: Buffer): number {
  let count = 0
  let hit = read.indexOf(needle)
  while (hit !== -1 && hit < windowBytes) {
    count++
    hit = read.indexOf(needle, hit + 1)
  }
  return count
}

/** Regions may be gone, or have no page there, by the time they are read. */
function readAt(memory: number, into: Buffer, length: number, at: number): number {
  try {
    return readSync(memory, into, 0, length, at)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EIO' || code === 'EFAULT') return 0
    throw error
  }
}
