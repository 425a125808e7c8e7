import { open, readdir, readlink, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { Canary } from './canary.ts'
import { findCanaries, findInMember, findUnpacked, type Hit } from './find-canary.ts'
import { candidatesIn, contentBytesMax, unpack } from './members.ts'

export interface PlaceHit extends Hit {
  /** The file, relative to what was scanned. Canaries in its name are masked. */
  readonly place: string
}

export interface Scan {
  readonly files: number
  readonly bytes: number
  readonly hits: readonly PlaceHit[]
}

const usualWindowBytes = 1024 * 1024
/**
 * More than the longest form (a list of numbers, one a line, deeply indented), and enough of what
 * looks like the head of a packed member to see that it is none.
 */
const marginBytes = 4096

/**
 * Searches every file, file name and link below `directory`. Files that vanish meanwhile are
 * passed over, as those of a running cluster do; what cannot be read fails the scan, because a
 * search that did not look says nothing.
 */
export async function scanDirectory(
  directory: string,
  canaries: readonly Canary[],
  options: { readonly windowBytes?: number } = {},
): Promise<Scan> {
  const hits: PlaceHit[] = []
  let files = 0
  let bytes = 0
  const note = (place: string, found: readonly Hit[]): void => {
    for (const hit of found) hits.push({ ...hit, place: masked(place, canaries) })
  }
  for await (const { path, kind } of entriesBelow(directory, '')) {
    const named = findCanaries(Buffer.from(path), canaries)
    note(
      path,
      named.map((hit) => ({ ...hit, form: `name > ${hit.form}` })),
    )
    if (kind === 'link') {
      const target = await unlessGone(readlink(join(directory, path)))
      note(path, findCanaries(Buffer.from(target ?? ''), canaries))
    } else if (kind === 'file') {
      const handle = await unlessGone(open(join(directory, path), 'r'))
      if (handle === undefined) continue
      try {
        const file = await scanFile(handle, canaries, options.windowBytes ?? usualWindowBytes)
        files++
        bytes += file.bytes
        note(path, file.hits)
      } finally {
        await handle.close()
      }
    }
  }
  return { files, bytes, hits }
}

interface EntryFound {
  /** With slashes, whatever the system's own separator is. */
  readonly path: string
  readonly kind: 'file' | 'link' | 'other'
}

async function* entriesBelow(root: string, below: string): AsyncGenerator<EntryFound> {
  const reading = readdir(join(root, below), { withFileTypes: true })
  const entries = await (below === '' ? reading : unlessGone(reading))
  // Both orders of a directory are right; this one makes two reports comparable.
  for (const entry of (entries ?? []).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`
    if (entry.isFile()) yield { path, kind: 'file' }
    else if (entry.isSymbolicLink()) yield { path, kind: 'link' }
    else yield { path, kind: 'other' }
    if (entry.isDirectory()) yield* entriesBelow(root, path)
  }
}

async function unlessGone<T>(attempt: Promise<T>): Promise<T | undefined> {
  try {
    return await attempt
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT') return undefined
    throw error
  }
}

/**
 * Reads window after window. Each has a margin on both sides, and answers for what begins between
 * its margins: so nothing is cut in two, and nothing is told twice.
 */
async function scanFile(
  handle: FileHandle,
  canaries: readonly Canary[],
  windowBytes: number,
): Promise<{ bytes: number; hits: readonly Hit[] }> {
  const hits: Hit[] = []
  for (let from = 0; ; from += windowBytes) {
    const start = Math.max(0, from - marginBytes)
    const window = await readAt(handle, start, from - start + windowBytes + marginBytes)
    const isLast = window.length < from - start + windowBytes + marginBytes
    if (isZero(window)) {
      if (isLast) return { bytes: start + window.length, hits }
      continue
    }
    const end = isLast ? Number.POSITIVE_INFINITY : from + windowBytes
    const isOurs = (offset: number): boolean => start + offset >= from && start + offset < end
    for (const hit of findUnpacked(window, canaries)) {
      if (isOurs(hit.offset)) hits.push({ ...hit, offset: start + hit.offset })
    }
    for (const candidate of candidatesIn(window)) {
      if (
        !isOurs(candidate.offset) ||
        unpack(candidate, probeOf(window, candidate)) === undefined
      ) {
        continue
      }
      const offset = start + candidate.offset
      const member = { kind: candidate.kind, offset }
      hits.push(...findInMember(member, await readAt(handle, offset, contentBytesMax), canaries))
    }
    if (isLast) return { bytes: start + window.length, hits }
  }
}

const zeroes = Buffer.alloc(usualWindowBytes + 2 * marginBytes)

/** Most of a journal is reserved and not yet written: nothing begins in there, and telling is cheap. */
const isZero = (window: Buffer): boolean =>
  window.length <= zeroes.length && window.equals(zeroes.subarray(0, window.length))

const probeOf = (window: Buffer, { offset }: { readonly offset: number }): Buffer =>
  window.subarray(offset, offset + marginBytes)

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const { size } = await handle.stat()
  const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(length, size - position)))
  let filled = 0
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(
      buffer,
      filled,
      buffer.length - filled,
      position + filled,
    )
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return buffer.subarray(0, filled)
}

/** A place as it may be shown: a canary that stands in it, whole or in part, is masked. */
function masked(place: string, canaries: readonly Canary[]): string {
  let shown = place
  for (const canary of canaries) {
    const found = findCanaries(Buffer.from(shown), [canary])
    if (found.length > 0) shown = `[a name that holds ${canary.toString()}]`
  }
  return shown
}
