import type { Clock } from '@conclave/kernel'
import {
  FileSystemError,
  type Credentials,
  type FileHandle,
  type FileKind,
  type FileStat,
  type FileSystem,
  type OpenOptions,
} from '../file-system.ts'

interface Node {
  readonly kind: FileKind
  readonly inode: number
  mode: number
  uid: number
  gid: number
  modifiedAtMs: number
  links: number
  bytes: Uint8Array
  sizeBytes: number
  target: string
  readonly children: Map<string, Node>
}

const read = 4
const write = 2
const search = 1

const hopsMax = 40

/**
 * The twin of the file system port: a tree of nodes with owners, permission bits and, when asked for,
 * a quota. It passes for a root file system; read-only parts are made with {@link freeze}.
 */
export class MemoryFileSystem implements FileSystem {
  readonly #clock: Clock
  readonly #sizeBytesMax: number
  readonly #frozen = new Set<Node>()
  readonly #root: Node
  #sizeBytes = 0
  #lastInode = 1

  constructor(clock: Clock, options: { readonly sizeBytesMax?: number } = {}) {
    this.#clock = clock
    this.#sizeBytesMax = options.sizeBytesMax ?? Infinity
    this.#root = this.#node('directory', 0o755, { uid: 0, gid: 0 })
    for (const path of ['/tmp', '/root', '/etc', '/run', '/home']) this.mkdir(path, 0o755, root)
    this.chmod('/tmp', 0o1777, root)
  }

  /** Puts a file with parents, as root. */
  put(path: string, text: string | Uint8Array, mode = 0o644): void {
    const names = path.split('/').slice(1, -1)
    let at = ''
    for (const name of names) {
      at += `/${name}`
      if (!this.#lookup(this.#root, at)) this.mkdir(at, 0o755, root)
    }
    const handle = this.open(path, { write: true, create: true, truncate: true, mode }, root)
    handle.write(0, typeof text === 'string' ? new TextEncoder().encode(text) : text)
    handle.close()
  }

  /** The bytes of a file, read as root. */
  take(path: string): Uint8Array {
    const { bytes, sizeBytes } = this.#find(path, root)
    return bytes.slice(0, sizeBytes)
  }

  /** Everything at and below `path` refuses to be changed from now on: a read-only mount. */
  freeze(path: string): void {
    const node = this.#find(path, root)
    this.#frozen.add(node)
    for (const name of node.children.keys()) {
      const child = node.children.get(name)
      if (child?.kind === 'symlink') this.#frozen.add(child)
      else this.freeze(`${path}/${name}`)
    }
  }

  open(path: string, options: OpenOptions, who: Credentials): FileHandle {
    const node = this.#opened(path, options, who)
    if (options.truncate === true) this.#resize(node, 0)
    return {
      read: (position, length) =>
        node.bytes.slice(
          Math.min(position, node.sizeBytes),
          Math.min(position + length, node.sizeBytes),
        ),
      write: (position, bytes) => {
        if (position + bytes.length > node.sizeBytes) this.#resize(node, position + bytes.length)
        node.bytes.set(bytes, position)
        node.modifiedAtMs = this.#clock.nowMs()
      },
      truncate: (sizeBytes) => this.#resize(node, sizeBytes),
      stat: () => statOf(node),
      close: () => {},
    }
  }

  stat(path: string, who: Credentials): FileStat {
    return statOf(this.#find(path, who))
  }

  lstat(path: string, who: Credentials): FileStat {
    return statOf(this.#find(path, who, false))
  }

  readdir(path: string, who: Credentials): readonly string[] {
    const node = this.#find(path, who)
    if (node.kind !== 'directory') throw new FileSystemError('ENOTDIR', path)
    this.#check(node, read, who, path)
    return [...node.children.keys()]
  }

  mkdir(path: string, mode: number, who: Credentials): void {
    const { parent, name } = this.#parent(path, who)
    if (name === '' || parent.children.has(name)) throw new FileSystemError('EEXIST', path)
    this.#change(parent, who, path)
    parent.children.set(name, this.#node('directory', mode, who))
  }

  rmdir(path: string, who: Credentials): void {
    const { parent, name } = this.#parent(path, who)
    const node = this.#child(parent, name, path)
    if (node.kind !== 'directory') throw new FileSystemError('ENOTDIR', path)
    if (node.children.size > 0) throw new FileSystemError('ENOTEMPTY', path)
    this.#remove(parent, name, node, who, path)
  }

  unlink(path: string, who: Credentials): void {
    const { parent, name } = this.#parent(path, who)
    const node = this.#child(parent, name, path)
    if (node.kind === 'directory') throw new FileSystemError('EISDIR', path)
    this.#remove(parent, name, node, who, path)
  }

  rename(from: string, to: string, who: Credentials): void {
    const source = this.#parent(from, who)
    const target = this.#parent(to, who)
    const node = this.#child(source.parent, source.name, from)
    const replaced = target.parent.children.get(target.name)
    if (replaced === node) return
    if (node.kind === 'directory' && `${to}/`.startsWith(`${from}/`)) {
      throw new FileSystemError('EINVAL', to)
    }
    if (replaced !== undefined) {
      if (replaced.kind === 'directory' && node.kind !== 'directory') {
        throw new FileSystemError('EISDIR', to)
      }
      if (replaced.kind !== 'directory' && node.kind === 'directory') {
        throw new FileSystemError('ENOTDIR', to)
      }
      if (replaced.children.size > 0) throw new FileSystemError('ENOTEMPTY', to)
    }
    this.#change(source.parent, who, from)
    this.#change(target.parent, who, to)
    source.parent.children.delete(source.name)
    target.parent.children.set(target.name, node)
  }

  symlink(target: string, path: string, who: Credentials): void {
    const { parent, name } = this.#parent(path, who)
    if (name === '' || parent.children.has(name)) throw new FileSystemError('EEXIST', path)
    this.#change(parent, who, path)
    const node = this.#node('symlink', 0o777, who)
    node.target = target
    node.sizeBytes = target.length
    parent.children.set(name, node)
  }

  link(from: string, to: string, who: Credentials): void {
    const node = this.#find(from, who, false)
    if (node.kind === 'directory') throw new FileSystemError('EPERM', from)
    const { parent, name } = this.#parent(to, who)
    if (name === '' || parent.children.has(name)) throw new FileSystemError('EEXIST', to)
    this.#change(parent, who, to)
    node.links++
    parent.children.set(name, node)
  }

  readlink(path: string, who: Credentials): string {
    const node = this.#find(path, who, false)
    if (node.kind !== 'symlink') throw new FileSystemError('EINVAL', path)
    return node.target
  }

  chmod(path: string, mode: number, who: Credentials): void {
    this.#owned(path, who).mode = mode & 0o7777
  }

  chown(path: string, uid: number, gid: number, who: Credentials): void {
    if (who.uid !== 0) throw new FileSystemError('EPERM', path)
    const node = this.#owned(path, who)
    node.uid = uid
    node.gid = gid
  }

  utimes(path: string, _accessedAtMs: number, modifiedAtMs: number, who: Credentials): void {
    this.#owned(path, who).modifiedAtMs = modifiedAtMs
  }

  #node(kind: FileKind, mode: number, { uid, gid }: Credentials): Node {
    const inode = ++this.#lastInode
    const modifiedAtMs = this.#clock.nowMs()
    const bytes = new Uint8Array(0)
    const rest = { links: 1, bytes, sizeBytes: 0, target: '', children: new Map<string, Node>() }
    return { kind, inode, mode, uid, gid, modifiedAtMs, ...rest }
  }

  #opened(path: string, options: OpenOptions, who: Credentials): Node {
    const found = this.#lookup(this.#root, path, who)
    if (found !== undefined) {
      if (options.create === true && options.exclusive === true) {
        throw new FileSystemError('EEXIST', path)
      }
      if (found.kind === 'directory') {
        if (options.write === true) throw new FileSystemError('EISDIR', path)
        throw new FileSystemError('EISDIR', path)
      }
      this.#check(found, options.write === true ? write : read, who, path)
      if (options.write === true && this.#frozen.has(found))
        throw new FileSystemError('EROFS', path)
      return found
    }
    if (options.create !== true) throw new FileSystemError('ENOENT', path)
    const { parent, name } = this.#parent(path, who)
    const link = parent.children.get(name)
    if (link?.kind === 'symlink') {
      return this.#opened(absolute(path, link.target), options, who)
    }
    this.#change(parent, who, path)
    const node = this.#node('file', options.mode ?? 0o666, who)
    parent.children.set(name, node)
    return node
  }

  #resize(node: Node, sizeBytes: number): void {
    const grown = sizeBytes - node.sizeBytes
    if (this.#sizeBytes + grown > this.#sizeBytesMax) throw new FileSystemError('ENOSPC')
    if (sizeBytes > node.bytes.length) {
      const bytes = new Uint8Array(Math.max(sizeBytes, node.bytes.length * 2))
      bytes.set(node.bytes)
      node.bytes.fill(0)
      node.bytes = bytes
    } else if (sizeBytes < node.sizeBytes) {
      node.bytes.fill(0, sizeBytes)
    }
    this.#sizeBytes += grown
    node.sizeBytes = sizeBytes
  }

  #remove(parent: Node, name: string, node: Node, who: Credentials, path: string): void {
    this.#change(parent, who, path)
    if (
      (parent.mode & 0o1000) !== 0 &&
      who.uid !== 0 &&
      ![parent.uid, node.uid].includes(who.uid)
    ) {
      throw new FileSystemError('EPERM', path)
    }
    parent.children.delete(name)
    node.links--
    if (node.links === 0) this.#sizeBytes -= node.sizeBytes
  }

  #owned(path: string, who: Credentials): Node {
    const node = this.#find(path, who)
    if (this.#frozen.has(node)) throw new FileSystemError('EROFS', path)
    if (who.uid !== 0 && who.uid !== node.uid) throw new FileSystemError('EPERM', path)
    return node
  }

  #change(directory: Node, who: Credentials, path: string): void {
    if (this.#frozen.has(directory)) throw new FileSystemError('EROFS', path)
    this.#check(directory, write, who, path)
  }

  #check(node: Node, wanted: number, who: Credentials, path: string): void {
    if (who.uid === 0) return
    const shift = who.uid === node.uid ? 6 : who.gid === node.gid ? 3 : 0
    if (((node.mode >> shift) & wanted) !== wanted) throw new FileSystemError('EACCES', path)
  }

  #child(parent: Node, name: string, path: string): Node {
    const node = parent.children.get(name)
    if (node === undefined) throw new FileSystemError('ENOENT', path)
    return node
  }

  #parent(path: string, who: Credentials): { parent: Node; name: string } {
    const trimmed = path.replace(/\/+$/, '')
    const cut = trimmed.lastIndexOf('/')
    const parent = this.#find(trimmed.slice(0, cut) || '/', who)
    if (parent.kind !== 'directory') throw new FileSystemError('ENOTDIR', path)
    return { parent, name: trimmed.slice(cut + 1) }
  }

  #find(path: string, who: Credentials, isFollowing = true): Node {
    const node = this.#lookup(this.#root, path, who, isFollowing)
    if (node === undefined) throw new FileSystemError('ENOENT', path)
    return node
  }

  #lookup(start: Node, path: string, who = root, isFollowing = true): Node | undefined {
    const trail: Node[] = [start]
    let names = path.split('/').filter((name) => name !== '' && name !== '.')
    const mustBeDirectory = path.endsWith('/')
    let hops = 0
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      const directory = trail.at(-1) ?? start
      if (directory.kind !== 'directory') throw new FileSystemError('ENOTDIR', path)
      this.#check(directory, search, who, path)
      if (name === '..') {
        if (trail.length > 1) trail.pop()
        continue
      }
      const child = directory.children.get(name)
      if (child === undefined) return undefined
      if (child.kind !== 'symlink' || (names.length === 0 && !isFollowing && !mustBeDirectory)) {
        trail.push(child)
        continue
      }
      if (++hops > hopsMax) throw new FileSystemError('ELOOP', path)
      names = [...child.target.split('/').filter((part) => part !== '' && part !== '.'), ...names]
      if (child.target.startsWith('/')) trail.length = 1
    }
    const found = trail.at(-1)
    if (mustBeDirectory && found?.kind === 'file') throw new FileSystemError('ENOTDIR', path)
    return found
  }
}

const root: Credentials = { uid: 0, gid: 0 }

const absolute = (link: string, target: string): string =>
  target.startsWith('/') ? target : `${link.slice(0, link.lastIndexOf('/'))}/${target}`

const statOf = (node: Node): FileStat => ({
  kind: node.kind,
  mode: node.mode,
  uid: node.uid,
  gid: node.gid,
  sizeBytes: node.kind === 'directory' ? 4096 : node.sizeBytes,
  modifiedAtMs: node.modifiedAtMs,
  inode: node.inode,
  links: node.kind === 'directory' ? 2 : node.links,
  device: 0,
})
