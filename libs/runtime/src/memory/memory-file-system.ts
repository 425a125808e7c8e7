import type { Binding, ImageEntry } from '@conclave/isolators'
import { trimEndOf, type Clock } from '@conclave/kernel'
import {
  FileSystemError,
  type Credentials,
  type FileHandle,
  type FileStat,
  type FileSystem,
  type OpenOptions,
} from '@conclave/shell'
import { Storage, type Inode, type StorageLimits } from './inode.ts'

const root: Credentials = { uid: 0, gid: 0 }

const mayRead = 4
const mayWrite = 2
const maySearch = 1
const sticky = 0o1000

const linksMax = 40
const nameSizeBytesMax = 255
const pathSizeBytesMax = 4096

/** One file of a tmpfs, seen at a path of the tree. */
export interface BoundFile {
  readonly at: string
  readonly isReadOnly: boolean
  /** What `mount` shows of it, where the tmpfs's own options are not shown. */
  readonly mountOptions?: string | undefined
  readonly inode: Inode
}

/**
 * The file system of one container: a tree of inodes over a memfs volume that holds their contents, and
 * files of other storages bound over it. Permission bits are checked here, in the name of whoever asks.
 */
export class MemoryFileSystem implements FileSystem {
  readonly #clock: Clock
  readonly #storage: Storage
  readonly #root: Inode
  /** By the inode that is hidden below. */
  readonly #bound: Map<Inode, BoundFile>
  readonly #readOnly: Set<Inode>
  /** Whether what is bound is seen, or what is hidden below it. */
  readonly #seesBound: boolean
  #readBytes = 0
  #writtenBytes = 0

  /** @param of the tree to look at without what is bound in it, rather than a new one */
  constructor(clock: Clock, limits: StorageLimits, of?: MemoryFileSystem) {
    this.#clock = clock
    this.#seesBound = of === undefined
    if (of === undefined) {
      this.#storage = new Storage(1, limits)
      this.#root = this.#storage.create('directory', 0o755, root, clock.nowMs())
      this.#bound = new Map()
      this.#readOnly = new Set()
    } else {
      this.#storage = of.#storage
      this.#root = of.#root
      this.#bound = of.#bound
      this.#readOnly = of.#readOnly
    }
  }

  /**
   * The same tree as who is outside of the container sees it: where a file is bound there is what it hides. That can be
   * read, and no more removed or replaced than from within.
   */
  withoutBound(): MemoryFileSystem {
    return new MemoryFileSystem(this.#clock, this.#storage.limits, this)
  }

  /** From files, by whoever opened them. */
  get readBytes(): number {
    return this.#readBytes
  }

  get writtenBytes(): number {
    return this.#writtenBytes
  }

  get usedBytes(): number {
    return this.#storage.usedBytes
  }

  get storage(): Storage {
    return this.#storage
  }

  get boundFiles(): readonly BoundFile[] {
    return [...this.#bound.values()]
  }

  /** A file of the image, whose bytes all containers share. */
  share(path: string, bytes: Uint8Array, mode = 0o644): void {
    const { parent, name } = this.#parentOf(path, root)
    const inode = this.#storage.create('file', mode, root, this.#clock.nowMs())
    inode.share(bytes)
    parent.setChild(name, inode)
  }

  /**
   * Lays one name of an image down, in place of whatever is there. Paths are those of the image's own
   * tree: no link is followed.
   *
   * @throws FileSystemError
   */
  lay(entry: ImageEntry): void {
    const names = namesOf(entry.path)
    const last = names.pop()
    if (last === undefined) throw new FileSystemError('EISDIR', entry.path)
    let parent = this.#root
    for (const name of names) {
      const found = parent.child(name)
      if (found?.kind !== 'directory') throw new FileSystemError('ENOTDIR', entry.path)
      parent = found
    }
    const before = parent.child(last)
    if (entry.kind === 'directory' && before?.kind === 'directory') {
      before.mode = entry.mode
      return
    }
    if (before !== undefined) this.#dropWhole(parent, last, before)
    const mode = entry.kind === 'symlink' ? 0o777 : entry.mode
    const inode = this.#add(parent, last, entry.kind, mode, entry.owner)
    if (entry.kind === 'file') inode.share(entry.bytes)
    if (entry.kind === 'symlink') inode.target = entry.target
  }

  /** Whether there is a file at a path, whoever asks. */
  hasFile(path: string): boolean {
    return this.#lookup(path, root, true)?.kind === 'file'
  }

  /**
   * Shows `inode`, a file of another storage, at `at`: over a file that is there, or over an empty one
   * that is made, with the directories above it. Symbolic links are not followed on the way, so that no
   * link in the tree can say where a secret goes.
   */
  bind(at: string, inode: Inode, binding: Binding, owner: Credentials): void {
    const { isReadOnly, mountOptions } = binding
    const names = namesOf(at)
    const last = names.pop()
    if (last === undefined) throw new FileSystemError('EISDIR', at)
    let directory = this.#root
    for (const name of names) {
      directory = directory.child(name) ?? this.#add(directory, name, 'directory', 0o755, owner)
      if (directory.kind !== 'directory') throw new FileSystemError('ENOTDIR', at)
    }
    const hidden = directory.child(last) ?? this.#add(directory, last, 'file', 0o644, owner)
    if (hidden.kind === 'directory') throw new FileSystemError('EISDIR', at)
    if (hidden.kind === 'symlink') throw new FileSystemError('ELOOP', at)
    if (this.#bound.has(hidden)) throw new FileSystemError('EBUSY', at)
    this.#bound.set(hidden, { at, isReadOnly, mountOptions, inode })
    if (isReadOnly) this.#readOnly.add(inode)
  }

  /** Shows `after` wherever `before` is shown. */
  rebind(before: Inode, after: Inode): void {
    for (const [hidden, bound] of this.#bound) {
      if (bound.inode !== before) continue
      this.#bound.set(hidden, { ...bound, inode: after })
      if (bound.isReadOnly) this.#readOnly.add(after)
    }
    this.#readOnly.delete(before)
  }

  /** Harmless when nothing is bound there. */
  unbind(at: string): void {
    for (const [hidden, bound] of this.#bound) {
      if (bound.at !== at) continue
      this.#bound.delete(hidden)
      this.#readOnly.delete(bound.inode)
    }
  }

  /** Overwrites everything that was ever written here. */
  wipe(): void {
    this.#bound.clear()
    this.#readOnly.clear()
    this.#storage.wipe()
  }

  open(path: string, options: OpenOptions, who: Credentials): FileHandle {
    const inode = this.#opened(path, options, who)
    if (options.truncate === true) {
      inode.resize(0)
      inode.modifiedAtMs = this.#clock.nowMs()
    }
    return this.#handle(inode)
  }

  stat(path: string, who: Credentials): FileStat {
    return this.#find(path, who).stat()
  }

  lstat(path: string, who: Credentials): FileStat {
    return this.#find(path, who, false).stat()
  }

  readdir(path: string, who: Credentials): readonly string[] {
    const inode = this.#find(path, who)
    if (inode.kind !== 'directory') throw new FileSystemError('ENOTDIR', path)
    check(inode, mayRead, who, path)
    return inode.names
  }

  mkdir(path: string, mode: number, who: Credentials): void {
    const { parent, name } = this.#newName(path, who)
    this.#add(parent, name, 'directory', mode, who)
  }

  rmdir(path: string, who: Credentials): void {
    const { parent, name } = this.#parentOf(path, who)
    const inode = childOf(parent, name, path)
    if (inode.kind !== 'directory') throw new FileSystemError('ENOTDIR', path)
    if (!inode.isEmpty) throw new FileSystemError('ENOTEMPTY', path)
    this.#remove(parent, name, inode, who, path)
  }

  unlink(path: string, who: Credentials): void {
    const { parent, name } = this.#parentOf(path, who)
    const inode = childOf(parent, name, path)
    if (inode.kind === 'directory') throw new FileSystemError('EISDIR', path)
    if (path.endsWith('/')) throw new FileSystemError('ENOTDIR', path)
    this.#remove(parent, name, inode, who, path)
  }

  rename(from: string, to: string, who: Credentials): void {
    const source = this.#parentOf(from, who)
    const target = this.#parentOf(to, who)
    const inode = childOf(source.parent, source.name, from)
    const replaced = target.parent.child(target.name)
    if (inode.kind !== 'directory' && (from.endsWith('/') || to.endsWith('/'))) {
      throw new FileSystemError('ENOTDIR', from)
    }
    if (replaced === inode) return
    if (target.name === '') throw new FileSystemError('EBUSY', to)
    if (this.#isWithin(target.parent, inode)) throw new FileSystemError('EINVAL', to)
    if (replaced !== undefined && this.#isWithin(source.parent, replaced)) {
      throw new FileSystemError('ENOTEMPTY', to)
    }
    this.#checkRemoval(source.parent, inode, who, from)
    checkName(target.name, to)
    check(target.parent, mayWrite | maySearch, who, to)
    if (replaced !== undefined) {
      checkReplacement(inode, replaced, to)
      this.#checkRemoval(target.parent, replaced, who, to)
      this.#drop(target.parent, target.name, replaced)
    }
    source.parent.deleteChild(source.name)
    target.parent.setChild(target.name, inode)
    this.#touch(source.parent)
    this.#touch(target.parent)
  }

  symlink(target: string, path: string, who: Credentials): void {
    if (target === '') throw new FileSystemError('ENOENT', path)
    const { parent, name } = this.#newName(path, who)
    if (path.endsWith('/')) throw new FileSystemError('ENOENT', path)
    const inode = this.#add(parent, name, 'symlink', 0o777, who)
    inode.target = target
  }

  link(from: string, to: string, who: Credentials): void {
    const inode = this.#find(from, who, false)
    const { parent, name } = this.#newName(to, who)
    if (to.endsWith('/')) throw new FileSystemError('ENOENT', to)
    if (inode.kind === 'directory') throw new FileSystemError('EPERM', from)
    if (inode.storage !== parent.storage) throw new FileSystemError('EXDEV', to)
    // By another name of it what is bound would be seen there, too.
    if (this.#bound.has(inode)) throw new FileSystemError('EBUSY', to)
    inode.links++
    parent.setChild(name, inode)
    this.#touch(parent)
  }

  readlink(path: string, who: Credentials): string {
    const inode = this.#find(path, who, false)
    if (inode.kind !== 'symlink') throw new FileSystemError('EINVAL', path)
    return inode.target
  }

  chmod(path: string, mode: number, who: Credentials): void {
    this.#owned(path, who).mode = mode & 0o7777
  }

  chown(path: string, uid: number, gid: number, who: Credentials): void {
    const inode = this.#find(path, who)
    if (this.#readOnly.has(inode)) throw new FileSystemError('EROFS', path)
    if (who.uid !== 0) throw new FileSystemError('EPERM', path)
    inode.uid = uid
    inode.gid = gid
  }

  utimes(path: string, _accessedAtMs: number, modifiedAtMs: number, who: Credentials): void {
    this.#owned(path, who).modifiedAtMs = modifiedAtMs
  }

  /** Of a symbolic link, too, whoever asks. */
  attribute(path: string, { uid, gid }: Credentials, modifiedAtMs: number): void {
    const inode = this.#find(path, root, false)
    if (this.#readOnly.has(inode)) throw new FileSystemError('EROFS', path)
    inode.uid = uid
    inode.gid = gid
    inode.modifiedAtMs = modifiedAtMs
  }

  #handle(inode: Inode): FileHandle {
    inode.handles++
    let isOpen = true
    const opened = (): Inode => {
      if (!isOpen) throw new FileSystemError('EBADF')
      return inode
    }
    return {
      read: (position, length) => {
        const bytes = opened().read(position, length)
        this.#readBytes += bytes.length
        return bytes
      },
      write: (position, bytes) => {
        opened().write(position, bytes)
        this.#writtenBytes += bytes.length
        this.#touch(inode)
      },
      truncate: (sizeBytes) => {
        opened().resize(sizeBytes)
        this.#touch(inode)
      },
      stat: () => opened().stat(),
      close: () => {
        if (!isOpen) return
        isOpen = false
        inode.handles--
        inode.releaseIfUnused()
      },
    }
  }

  #opened(path: string, options: OpenOptions, who: Credentials, links = 0): Inode {
    if (options.create === true && path.endsWith('/')) {
      this.#parentOf(path, who)
      throw new FileSystemError('EISDIR', path)
    }
    const isExclusive = options.create === true && options.exclusive === true
    // What must be new is new even where a symbolic link leads nowhere.
    const found = this.#lookup(path, who, !isExclusive)
    if (found !== undefined) {
      if (isExclusive) throw new FileSystemError('EEXIST', path)
      if (found.kind === 'directory') throw new FileSystemError('EISDIR', path)
      if (options.write === true && this.#readOnly.has(found)) {
        throw new FileSystemError('EROFS', path)
      }
      check(found, options.write === true ? mayWrite : mayRead, who, path)
      return found
    }
    if (options.create !== true) throw new FileSystemError('ENOENT', path)
    const { parent, name } = this.#parentOf(path, who)
    const dangling = parent.child(name)
    if (dangling?.kind === 'symlink') {
      if (links >= linksMax) throw new FileSystemError('ELOOP', path)
      return this.#opened(besides(path, dangling.target), options, who, links + 1)
    }
    checkName(name, path)
    check(parent, mayWrite | maySearch, who, path)
    return this.#add(parent, name, 'file', options.mode ?? 0o666, who)
  }

  #add(parent: Inode, name: string, kind: Inode['kind'], mode: number, who: Credentials): Inode {
    const inode = this.#storage.create(kind, mode & 0o7777, who, this.#clock.nowMs())
    parent.setChild(name, inode)
    this.#touch(parent)
    return inode
  }

  #remove(parent: Inode, name: string, inode: Inode, who: Credentials, path: string): void {
    this.#checkRemoval(parent, inode, who, path)
    this.#drop(parent, name, inode)
    this.#touch(parent)
  }

  #dropWhole(parent: Inode, name: string, inode: Inode): void {
    for (const inner of inode.names) {
      const child = inode.child(inner)
      if (child !== undefined) this.#dropWhole(inode, inner, child)
    }
    this.#drop(parent, name, inode)
  }

  #drop(parent: Inode, name: string, inode: Inode): void {
    parent.deleteChild(name)
    inode.links--
    inode.releaseIfUnused()
  }

  #checkRemoval(parent: Inode, inode: Inode, who: Credentials, path: string): void {
    if (this.#bound.has(inode) || inode === this.#root) throw new FileSystemError('EBUSY', path)
    check(parent, mayWrite | maySearch, who, path)
    const isKept = (parent.mode & sticky) !== 0 && who.uid !== 0
    if (isKept && parent.uid !== who.uid && inode.uid !== who.uid) {
      throw new FileSystemError('EPERM', path)
    }
  }

  #owned(path: string, who: Credentials): Inode {
    const inode = this.#find(path, who)
    if (this.#readOnly.has(inode)) throw new FileSystemError('EROFS', path)
    if (who.uid !== 0 && who.uid !== inode.uid) throw new FileSystemError('EPERM', path)
    return inode
  }

  #newName(path: string, who: Credentials): { parent: Inode; name: string } {
    const { parent, name } = this.#parentOf(path, who)
    if (name === '' || parent.child(name) !== undefined) throw new FileSystemError('EEXIST', path)
    checkName(name, path)
    check(parent, mayWrite | maySearch, who, path)
    return { parent, name }
  }

  #parentOf(path: string, who: Credentials): { parent: Inode; name: string } {
    const trimmed = trimEndOf(path, '/')
    const cut = trimmed.lastIndexOf('/')
    const name = trimmed.slice(cut + 1)
    const parent = this.#find(trimmed.slice(0, cut) || '/', who)
    if (parent.kind !== 'directory') throw new FileSystemError('ENOTDIR', path)
    check(parent, maySearch, who, path)
    // `rmdir .` and `rename a/..` have no name to take away.
    if (name === '.' || name === '..') throw new FileSystemError('EINVAL', path)
    return { parent, name }
  }

  #find(path: string, who: Credentials, isFollowing = true): Inode {
    const inode = this.#lookup(path, who, isFollowing)
    if (inode === undefined) throw new FileSystemError('ENOENT', path)
    return inode
  }

  /** What `path` names, or nothing when its last component is missing. */
  #lookup(path: string, who: Credentials, isFollowing: boolean): Inode | undefined {
    if (Buffer.byteLength(path) > pathSizeBytesMax) throw new FileSystemError('ENAMETOOLONG', path)
    const trail: Inode[] = [this.#root]
    const mustBeDirectory = path.endsWith('/')
    let names = namesOf(path)
    let links = 0
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      const directory = trail.at(-1) ?? this.#root
      if (directory.kind !== 'directory') throw new FileSystemError('ENOTDIR', path)
      check(directory, maySearch, who, path)
      if (name === '..') {
        if (trail.length > 1) trail.pop()
        continue
      }
      const child = directory.child(name)
      if (child === undefined) {
        if (names.length > 0) throw new FileSystemError('ENOENT', path)
        return undefined
      }
      const isLast = names.length === 0 && !mustBeDirectory
      if (child.kind !== 'symlink' || (isLast && !isFollowing)) {
        trail.push((this.#seesBound ? this.#bound.get(child)?.inode : undefined) ?? child)
        continue
      }
      if (++links > linksMax) throw new FileSystemError('ELOOP', path)
      names = [...namesOf(child.target), ...names]
      if (child.target.startsWith('/')) trail.length = 1
    }
    const found = trail.at(-1)
    if (mustBeDirectory && found?.kind === 'file') throw new FileSystemError('ENOTDIR', path)
    return found
  }

  #isWithin(directory: Inode, inode: Inode): boolean {
    if (directory === inode) return true
    return inode.names.some((name) => {
      const child = inode.child(name)
      return child?.kind === 'directory' && this.#isWithin(directory, child)
    })
  }

  #touch(inode: Inode): void {
    inode.modifiedAtMs = this.#clock.nowMs()
  }
}

const namesOf = (path: string): string[] =>
  path.split('/').filter((name) => name !== '' && name !== '.')

/** The path of `target` as a link at `path` means it. */
const besides = (path: string, target: string): string =>
  target.startsWith('/') ? target : `${path.slice(0, path.lastIndexOf('/'))}/${target}`

function childOf(parent: Inode, name: string, path: string): Inode {
  const inode = parent.child(name)
  if (inode === undefined) throw new FileSystemError('ENOENT', path)
  return inode
}

function check(inode: Inode, wanted: number, who: Credentials, path: string): void {
  if (who.uid === 0) return
  const shift = who.uid === inode.uid ? 6 : who.gid === inode.gid ? 3 : 0
  if (((inode.mode >> shift) & wanted) !== wanted) throw new FileSystemError('EACCES', path)
}

function checkName(name: string, path: string): void {
  if (Buffer.byteLength(name) > nameSizeBytesMax) throw new FileSystemError('ENAMETOOLONG', path)
}

function checkReplacement(inode: Inode, replaced: Inode, path: string): void {
  const isDirectory = inode.kind === 'directory'
  if (replaced.kind === 'directory' && !isDirectory) throw new FileSystemError('EISDIR', path)
  if (replaced.kind !== 'directory' && isDirectory) throw new FileSystemError('ENOTDIR', path)
  if (!replaced.isEmpty) throw new FileSystemError('ENOTEMPTY', path)
}
