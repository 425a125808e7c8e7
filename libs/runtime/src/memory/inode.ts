import { FileSystemError, type Credentials, type FileKind, type FileStat } from '@conclave/shell'
import { ContentStore, type Content } from './content.ts'

export interface StorageLimits {
  readonly sizeBytesMax: number
  readonly inodesMax: number
  /** What sizes are rounded up to before they are counted: a page for a tmpfs, 1 for the rest. */
  readonly blockSizeBytes: number
}

/** One file system of a container: its own device number, its own limits, its own memfs volume. */
export class Storage {
  readonly device: number
  readonly contents = new ContentStore()
  #limits: StorageLimits
  readonly #inodes = new Set<Inode>()
  #usedBytes = 0
  #lastInode = 1

  constructor(device: number, limits: StorageLimits) {
    this.device = device
    this.#limits = limits
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  get limits(): StorageLimits {
    return this.#limits
  }

  /** Grows, if it must, until one more file of that size fits, but not beyond `sizeBytesMax`. */
  makeRoom(sizeBytes: number, sizeBytesMax: number): void {
    const needed = Math.min(this.#usedBytes + this.#blocks(sizeBytes), sizeBytesMax)
    if (needed <= this.#limits.sizeBytesMax) return
    this.#limits = { ...this.#limits, sizeBytesMax: needed }
  }

  /** @throws FileSystemError ENOSPC when there are too many */
  create(kind: FileKind, mode: number, { uid, gid }: Credentials, nowMs: number): Inode {
    if (this.#inodes.size >= this.limits.inodesMax) throw new FileSystemError('ENOSPC')
    const inode = new Inode(this, ++this.#lastInode, kind, mode, uid, gid, nowMs)
    this.#inodes.add(inode)
    return inode
  }

  forget(inode: Inode): void {
    this.#inodes.delete(inode)
  }

  /** @throws FileSystemError ENOSPC */
  charge(fromBytes: number, toBytes: number): void {
    const grown = this.#blocks(toBytes) - this.#blocks(fromBytes)
    if (grown > 0 && this.#usedBytes + grown > this.limits.sizeBytesMax) {
      throw new FileSystemError('ENOSPC')
    }
    this.#usedBytes += grown
  }

  /** Overwrites every file, whoever still has it open. */
  wipe(): void {
    for (const inode of this.#inodes) inode.wipe()
    this.#inodes.clear()
    this.#usedBytes = 0
  }

  #blocks(sizeBytes: number): number {
    const { blockSizeBytes } = this.limits
    return Math.ceil(sizeBytes / blockSizeBytes) * blockSizeBytes
  }
}

/** A file, directory or symbolic link, whatever names it has. */
export class Inode {
  readonly storage: Storage
  readonly number: number
  readonly kind: FileKind
  mode: number
  uid: number
  gid: number
  modifiedAtMs: number
  links = 1
  /** Open handles: a file without a name lives on while it has one. */
  handles = 0
  /** Of a symbolic link. */
  target = ''
  #children: Map<string, Inode> | undefined
  #content: Content | undefined
  /** Bytes that many containers share, until this one writes. They count for nobody's quota. */
  #shared: Uint8Array | undefined
  #sizeBytes = 0
  #isGone = false

  constructor(
    storage: Storage,
    number: number,
    kind: FileKind,
    mode: number,
    uid: number,
    gid: number,
    nowMs: number,
  ) {
    this.storage = storage
    this.number = number
    this.kind = kind
    this.mode = mode
    this.uid = uid
    this.gid = gid
    this.modifiedAtMs = nowMs
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get names(): readonly string[] {
    return [...(this.#children?.keys() ?? [])]
  }

  get isEmpty(): boolean {
    return (this.#children?.size ?? 0) === 0
  }

  child(name: string): Inode | undefined {
    return this.#children?.get(name)
  }

  setChild(name: string, child: Inode): void {
    this.#children ??= new Map()
    this.#children.set(name, child)
  }

  deleteChild(name: string): void {
    this.#children?.delete(name)
  }

  /** Gives a new file bytes that it shares with others. */
  share(bytes: Uint8Array): void {
    this.#shared = bytes
    this.#sizeBytes = bytes.length
  }

  read(position: number, length: number): Uint8Array {
    this.#beThere()
    const from = Math.min(position, this.#sizeBytes)
    const to = Math.min(position + length, this.#sizeBytes)
    if (this.#shared !== undefined) return this.#shared.slice(from, to)
    return this.#content?.read(from, to - from) ?? new Uint8Array(0)
  }

  /** @throws FileSystemError ENOSPC, having written nothing */
  write(position: number, bytes: Uint8Array): void {
    this.#beThere()
    if (position + bytes.length > this.#sizeBytes) this.resize(position + bytes.length)
    this.#own(this.#sizeBytes).write(position, bytes)
  }

  /** What is cut off is overwritten; what is added is zero. */
  resize(sizeBytes: number): void {
    this.#beThere()
    const content = this.#own(this.#sizeBytes)
    this.storage.charge(this.#sizeBytes, sizeBytes)
    if (sizeBytes < this.#sizeBytes) content.zero(sizeBytes, this.#sizeBytes)
    else this.#roomFor(content, sizeBytes)
    this.#sizeBytes = sizeBytes
  }

  /** Overwrites the bytes. Nothing can be read or written any more. */
  wipe(): void {
    this.#content?.free()
    this.#content = undefined
    this.#shared = undefined
    this.#isGone = true
    this.#children = undefined
  }

  /** Drops the inode when it has neither a name nor a handle left. */
  releaseIfUnused(): void {
    if (this.links > 0 || this.handles > 0 || this.#isGone) return
    if (this.#shared === undefined) this.storage.charge(this.#sizeBytes, 0)
    this.wipe()
    this.storage.forget(this)
  }

  /** The file's own content, with what it shared copied into it. */
  #own(sizeBytes: number): Content {
    if (this.#content !== undefined) return this.#content
    const shared = this.#shared
    if (shared !== undefined) this.storage.charge(0, sizeBytes)
    this.#content = this.storage.contents.allocate(sizeBytes)
    if (shared !== undefined) this.#content.write(0, shared)
    this.#shared = undefined
    return this.#content
  }

  #roomFor(content: Content, sizeBytes: number): void {
    if (sizeBytes <= content.capacity) return
    const larger = this.storage.contents.allocate(sizeBytes)
    const bytes = content.read(0, this.#sizeBytes)
    larger.write(0, bytes)
    bytes.fill(0)
    content.free()
    this.#content = larger
  }

  #beThere(): void {
    if (this.#isGone) throw new FileSystemError('EIO')
  }

  /** Each of which has `..`, a link to this one. */
  #directories(): number {
    let count = 0
    for (const { kind } of this.#children?.values() ?? []) if (kind === 'directory') count++
    return count
  }

  stat(): FileStat {
    const isDirectory = this.kind === 'directory'
    const ownSizeBytes = this.kind === 'symlink' ? Buffer.byteLength(this.target) : this.#sizeBytes
    return {
      kind: this.kind,
      mode: this.mode,
      uid: this.uid,
      gid: this.gid,
      sizeBytes: isDirectory ? 4096 : ownSizeBytes,
      modifiedAtMs: this.modifiedAtMs,
      inode: this.number,
      links: isDirectory ? 2 + this.#directories() : this.links,
      device: this.storage.device,
    }
  }
}
