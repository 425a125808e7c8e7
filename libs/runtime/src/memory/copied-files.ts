import { posix } from 'node:path'
import { wipe } from '@conclave/kernel'
import { FileSystemError, type Credentials, type FileStat } from '@conclave/shell'
import { CopyRefused, type ArchiveEntry } from './archive.ts'
import type { MemoryFileSystem } from './memory-file-system.ts'

/*
 * Files of a container in and out, as `docker cp` copies them: in the name of root, from the tree without what is
 * bound in it. So a file that holds a secret is, from here, the empty one that it hides. Source: moby,
 * `daemon/archive_unix.go`, and `moby/go-archive`.
 */

const root: Credentials = { uid: 0, gid: 0 }

const linksMax = 40
/** As in an image: far more than anybody builds, and few enough to walk down. */
const depthMax = 256
/** Characters of a name that are told of. */
const shownMax = 256

/** What is told of a path. */
export interface PathFacts {
  readonly name: string
  readonly kind: FileStat['kind']
  readonly mode: number
  readonly sizeBytes: number
  readonly modifiedAtMs: number
  /** Where a symbolic link leads in the end, as far as that is there. */
  readonly linkTarget: string
}

/** @throws FileSystemError */
export function factsOf(fs: MemoryFileSystem, asked: string): PathFacts {
  const path = absolute(asked)
  const { kind, mode, sizeBytes, modifiedAtMs } = fs.lstat(statable(path), root)
  const linkTarget = kind === 'symlink' ? followed(fs, path) : ''
  return { name: baseOf(path), kind, mode, sizeBytes, modifiedAtMs, linkTarget }
}

/** What is at a path, and below it, each read when it is its turn. @throws FileSystemError */
export function* entriesAt(fs: MemoryFileSystem, asked: string): Generator<ArchiveEntry> {
  const path = absolute(asked)
  const seen = new Map<number, string>()
  yield* below(fs, statable(path), baseOf(path) === '/' ? '' : baseOf(path), seen)
}

function* below(
  fs: MemoryFileSystem,
  at: string,
  name: string,
  seen: Map<number, string>,
): Generator<ArchiveEntry> {
  const { kind, mode, uid, gid, modifiedAtMs, inode, links } = fs.lstat(at, root)
  const attributes = { path: name, mode, uid, gid, modifiedAtMs }
  if (kind === 'directory') {
    yield { kind, ...attributes, path: `${name}/` }
    for (const child of fs.readdir(at, root).toSorted()) {
      const inner = `${at.endsWith('/') ? at : `${at}/`}${child}`
      // A program may have removed it since its directory was read.
      if (isThere(fs, inner)) yield* below(fs, inner, `${name}/${child}`, seen)
    }
    return
  }
  if (kind === 'symlink') {
    yield { kind, ...attributes, target: fs.readlink(at, root) }
    return
  }
  const first = links > 1 ? seen.get(inode) : undefined
  if (first !== undefined) {
    yield { kind: 'link', ...attributes, target: first }
    return
  }
  seen.set(inode, name)
  yield { kind, ...attributes, bytes: contentOf(fs, at) }
}

/** Closed before anybody waits for whoever takes it. */
function contentOf(fs: MemoryFileSystem, at: string): Uint8Array {
  const file = fs.open(at, {}, root)
  try {
    return file.read(0, file.stat().sizeBytes)
  } finally {
    file.close()
  }
}

export interface Laying {
  /** No directory takes the place of something else, nor the other way round. */
  readonly keepsKinds: boolean
  /** Whom all of it shall belong to, rather than to whom the archive says. */
  readonly owner: Credentials | undefined
}

/**
 * Lays entries down in a directory, one at each turn; what was laid down before one is refused stays.
 *
 * @throws FileSystemError, CopyRefused
 */
export function* layEntries(
  fs: MemoryFileSystem,
  asked: string,
  entries: readonly ArchiveEntry[],
  { keepsKinds, owner }: Laying,
): Generator<void> {
  // Before it is looked for whether it is a directory: a link is followed.
  const directory = followed(fs, absolute(asked))
  if (!isDirectoryAt(fs, directory)) {
    throw new CopyRefused('invalid', 'extraction point is not a directory')
  }
  const directories = new Map<string, Extract<ArchiveEntry, { kind: 'directory' }>>()
  for (const entry of entries) {
    const name = localName(entry.path, 'entry name')
    if (name === '.') continue
    const at = placeOf(fs, directory, name)
    if (keepsKinds) checkKind(fs, at, name, entry, directory)
    lay(fs, at, entry, directory)
    // Another name is of a file that has all of it already.
    if (entry.kind !== 'link') fs.attribute(at, owner ?? entry, entry.modifiedAtMs)
    if (entry.kind === 'directory') directories.set(at, entry)
    yield
  }
  // What was put into one has changed its time. An entry may have taken its place, too.
  for (const [at, entry] of directories) {
    const isStill = isThere(fs, at) && followed(fs, at) === at && isDirectoryAt(fs, at)
    if (isStill) fs.attribute(at, owner ?? entry, entry.modifiedAtMs)
  }
}

/** @throws CopyRefused */
function checkKind(
  fs: MemoryFileSystem,
  at: string,
  name: string,
  { kind }: ArchiveEntry,
  directory: string,
): void {
  if (!isThere(fs, at)) return
  const isDirectory = isDirectoryAt(fs, at)
  if (isDirectory === (kind === 'directory')) return
  throw new CopyRefused(
    'failed',
    isDirectory
      ? `cannot overwrite directory "${name}" with non-directory "${directory}"`
      : `cannot overwrite non-directory "${name}" with directory "${directory}"`,
  )
}

function lay(fs: MemoryFileSystem, at: string, entry: ArchiveEntry, directory: string): void {
  const isMerged = entry.kind === 'directory' && isThere(fs, at) && isDirectoryAt(fs, at)
  // Looked for before anything is removed: it may be its own other name.
  const linked = entry.kind === 'link' ? linkedBy(fs, entry.target, directory) : ''
  if (linked === at) return
  if (!isMerged && isThere(fs, at)) removeWhole(fs, at)
  makeParents(fs, posix.dirname(at))
  switch (entry.kind) {
    case 'directory':
      if (!isMerged) fs.mkdir(at, entry.mode, root)
      return fs.chmod(at, entry.mode, root)
    case 'symlink':
      return fs.symlink(entry.target, at, root)
    case 'link':
      return fs.link(linked, at, root)
    case 'file': {
      const file = fs.open(
        at,
        { write: true, create: true, exclusive: true, mode: entry.mode },
        root,
      )
      try {
        file.write(0, entry.bytes)
      } finally {
        file.close()
        wipe(entry.bytes)
      }
    }
  }
}

const linkedBy = (fs: MemoryFileSystem, target: string, directory: string): string =>
  placeOf(fs, directory, localName(target, 'hardlink target'))

/** A name within the directory, without a way out of it. @throws CopyRefused */
function localName(path: string, what: string): string {
  const name = posix.normalize(path.replace(/^\/+/, '')).replace(/\/$/, '')
  const isOutside = name === '..' || name.startsWith('../') || path.includes('\0')
  const depth = name.split('/').length
  if (!isOutside && depth <= depthMax) return name
  const why = isOutside ? '' : `: it is more than ${depthMax} directories deep`
  throw new CopyRefused(
    'failed',
    `invalid ${what} ${JSON.stringify(path.slice(0, shownMax))}${why}`,
  )
}

/**
 * Where a name is: links on the way to it are followed as far as they stay within the directory.
 *
 * @throws CopyRefused
 */
function placeOf(fs: MemoryFileSystem, directory: string, name: string): string {
  const within = directory === '/' ? '/' : `${directory}/`
  const parent = followed(fs, posix.dirname(`${within}${name}`))
  if (`${parent}/`.startsWith(within)) return posix.join(parent, posix.basename(name))
  throw new CopyRefused('failed', `openat ${name}: path escapes from parent`)
}

function makeParents(fs: MemoryFileSystem, path: string): void {
  if (path === '/' || isThere(fs, path)) return
  makeParents(fs, posix.dirname(path))
  fs.mkdir(path, 0o755, root)
}

/** Not what something is bound over: EBUSY. @throws FileSystemError */
function removeWhole(fs: MemoryFileSystem, at: string): void {
  if (!isDirectoryAt(fs, at)) return fs.unlink(at, root)
  for (const name of fs.readdir(at, root)) removeWhole(fs, posix.join(at, name))
  fs.rmdir(at, root)
}

const isDirectoryAt = (fs: MemoryFileSystem, at: string): boolean =>
  fs.lstat(at, root).kind === 'directory'

function isThere(fs: MemoryFileSystem, path: string): boolean {
  try {
    fs.lstat(path, root)
    return true
  } catch (refusal) {
    if (refusal instanceof FileSystemError && refusal.posix === 'ENOENT') return false
    throw refusal
  }
}

/** Absolute, without `..`, and with the `/` or `/.` at its end that says how a link there is meant. */
function absolute(asked: string): string {
  const path = posix.resolve('/', asked)
  const joint = path === '/' ? '' : '/'
  if (/(^|\/)\.$/.test(asked)) return `${path}${joint}.`
  return asked.endsWith('/') ? `${path}${joint}` : path
}

/** A link whose contents are meant is followed. */
const statable = (path: string): string => (path.endsWith('/.') ? path.slice(0, -1) : path)

const baseOf = (path: string): string => posix.basename(path) || '/'

/** Without any link in it; what is not there stays as it is named. @throws FileSystemError */
function followed(fs: MemoryFileSystem, path: string): string {
  let names = path.split('/').filter((name) => name !== '' && name !== '.')
  let at = '/'
  let links = 0
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    if (name === '..') {
      at = posix.dirname(at)
      continue
    }
    const next = posix.join(at, name)
    const stat = isThere(fs, next) ? fs.lstat(next, root) : undefined
    if (stat?.kind !== 'symlink') {
      at = next
      continue
    }
    if (++links > linksMax) throw new FileSystemError('ELOOP', path)
    const target = fs.readlink(next, root)
    if (target.startsWith('/')) at = '/'
    names = [...target.split('/').filter((part) => part !== '' && part !== '.'), ...names]
  }
  return at
}
