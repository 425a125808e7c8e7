import { posix } from 'node:path'
import type { Random } from '@conclave/kernel'
import type { Disk, DiskFile, DiskLock, DiskReader } from '../disk.ts'
import { JournalLocked } from '../errors.ts'

/** Everything that can be asked of a disk, by the names that faults are set on. */
export type DiskOperation =
  | 'create'
  | 'list'
  | 'lock'
  | 'make-directory'
  | 'open'
  | 'read'
  | 'rename'
  | 'sync'
  | 'sync-directory'
  | 'truncate'
  | 'unlink'
  | 'write'

/** The power went: this process hears of nothing any more. What survives, {@link SimulatedDisk.crash} says. */
export class PowerCut extends Error {}

/** An error as the operating system reports it, such as `ENOSPC` or `EIO`. */
export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: simulated`), { code })
}

/** Sectors are written whole or not at all. */
const sectorSizeBytes = 512

type Change =
  | { readonly do: 'write'; readonly bytes: Uint8Array; readonly position: number }
  | { readonly do: 'truncate'; readonly sizeBytes: number }

/** A file's content, whatever its name is. */
class Inode {
  content = new Uint8Array()
  durable = new Uint8Array()
  /** What happened since the last sync. */
  changes: Change[] = []

  apply(change: Change): void {
    this.content = changedBy(this.content, change)
    this.changes.push(change)
  }

  sync(): void {
    this.durable = this.content
    this.changes = []
  }
}

type NameChange =
  | { readonly do: 'link'; readonly path: string; readonly inode: Inode }
  | { readonly do: 'rename'; readonly from: string; readonly to: string; readonly inode: Inode }
  | { readonly do: 'unlink'; readonly path: string }

/**
 * The twin of a machine's disk, with the faults that disks have. What was not synced survives a crash
 * in any part: a prefix of the writes or any of their sectors, some of the names or none.
 */
export class SimulatedDisk implements Disk {
  readonly #names = new Map<string, Inode>()
  #durableNames = new Map<string, Inode>()
  #nameChanges: NameChange[] = []
  readonly #locks = new Set<string>()
  readonly #counts = new Map<DiskOperation, number>()
  #fault: ((operation: DiskOperation, path: string) => Error | undefined) | undefined
  #stepsLeft = Number.POSITIVE_INFINITY
  #isDown = false

  /** How often this was done, since the disk was made. */
  count(operation: DiskOperation): number {
    return this.#counts.get(operation) ?? 0
  }

  /** How many steps were taken that a power cut can come in between. */
  get stepCount(): number {
    let count = 0
    for (const [operation, times] of this.#counts) if (isStep(operation)) count += times
    return count
  }

  /** From now on operations fail for which `fault` has an error. A failed one changes nothing. */
  failWhen(
    fault: ((operation: DiskOperation, path: string) => Error | undefined) | undefined,
  ): void {
    this.#fault = fault
  }

  /** The power goes in the middle of the step after the next `stepCount`. */
  cutPowerAfter(stepCount: number): void {
    this.#stepsLeft = stepCount
  }

  /** What is left after a crash; this disk is gone for good. Without dice, exactly what was synced. */
  crash(random?: Random): SimulatedDisk {
    this.#isDown = true
    const kept = new Map(this.#durableNames)
    for (const change of chosen(this.#nameChanges, random)) changeNames(kept, change)
    const left = new SimulatedDisk()
    for (const [path, inode] of kept) left.overwrite(path, survivingContent(inode, random))
    return left
  }

  /** The paths of all files, sorted. */
  paths(): readonly string[] {
    return [...this.#names.keys()].sort()
  }

  /** A copy of a file's bytes. */
  bytes(path: string): Uint8Array {
    return this.#inode(path).content.slice()
  }

  /** Puts other bytes into a file, or makes one, as somebody with a hex editor would. */
  overwrite(path: string, bytes: Uint8Array): void {
    const inode = this.#names.get(path) ?? new Inode()
    inode.content = bytes.slice()
    inode.sync()
    this.#names.set(path, inode)
    this.#durableNames.set(path, inode)
  }

  remove(path: string): void {
    this.#names.delete(path)
    this.#durableNames.delete(path)
  }

  /** The same files on a disk of their own. */
  copy(): SimulatedDisk {
    const copy = new SimulatedDisk()
    for (const path of this.paths()) copy.overwrite(path, this.bytes(path))
    return copy
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#step('make-directory', path, () => undefined)
  }

  async lock(directory: string): Promise<DiskLock> {
    return this.#step('lock', directory, () => {
      if (this.#locks.has(directory)) throw new JournalLocked(directory, 'this process')
      this.#locks.add(directory)
      return { release: () => Promise.resolve(void this.#locks.delete(directory)) }
    })
  }

  async list(directory: string): Promise<readonly string[]> {
    return this.#step('list', directory, () =>
      this.paths()
        .filter((path) => posix.dirname(path) === directory)
        .map((path) => posix.basename(path)),
    )
  }

  async read(path: string): Promise<Uint8Array> {
    return this.#step('read', path, () => this.bytes(path))
  }

  async openToRead(path: string): Promise<DiskReader> {
    return this.#step('open', path, () => {
      const inode = this.#inode(path)
      return {
        sizeBytes: inode.content.length,
        read: (position, length) =>
          this.#step('read', path, () => inode.content.slice(position, position + length)),
        close: () => Promise.resolve(),
      }
    })
  }

  async create(path: string): Promise<DiskFile> {
    return this.#step('create', path, () => {
      if (this.#names.has(path)) throw systemError('EEXIST')
      const inode = new Inode()
      this.#changeNames({ do: 'link', path, inode })
      return this.#file(path, inode)
    })
  }

  async open(path: string): Promise<DiskFile> {
    return this.#step('open', path, () => this.#file(path, this.#inode(path)))
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#step('rename', from, () => {
      this.#changeNames({ do: 'rename', from, to, inode: this.#inode(from) })
    })
  }

  async unlink(path: string): Promise<void> {
    await this.#step('unlink', path, () => {
      this.#inode(path)
      this.#changeNames({ do: 'unlink', path })
    })
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#step('sync-directory', path, () => {
      this.#durableNames = new Map(this.#names)
      this.#nameChanges = []
    })
  }

  #file(path: string, inode: Inode): DiskFile {
    return {
      write: (bytes, position) =>
        this.#step('write', path, () => {
          inode.apply({ do: 'write', bytes: bytes.slice(), position })
        }),
      truncate: (sizeBytes) =>
        this.#step('truncate', path, () => inode.apply({ do: 'truncate', sizeBytes })),
      sync: () => this.#step('sync', path, () => inode.sync()),
      close: () => Promise.resolve(),
    }
  }

  /**
   * Does one thing, later, as a disk does. A write that the power cut interrupts is among those of which
   * any part may survive; a sync that it interrupts has promised nothing.
   */
  async #step<T>(operation: DiskOperation, path: string, act: () => T): Promise<T> {
    await Promise.resolve()
    if (this.#isDown) throw new PowerCut()
    const fault = this.#fault?.(operation, path)
    if (fault !== undefined) throw fault
    this.#counts.set(operation, this.count(operation) + 1)
    if (isStep(operation) && this.#stepsLeft-- <= 0) {
      this.#isDown = true
      if (operation !== 'sync' && operation !== 'sync-directory') act()
      throw new PowerCut()
    }
    return act()
  }

  #inode(path: string): Inode {
    const inode = this.#names.get(path)
    if (inode === undefined) throw systemError('ENOENT')
    return inode
  }

  #changeNames(change: NameChange): void {
    changeNames(this.#names, change)
    this.#nameChanges.push(change)
  }
}

const reads: ReadonlySet<DiskOperation> = new Set([
  'list',
  'lock',
  'make-directory',
  'open',
  'read',
])
const isStep = (operation: DiskOperation): boolean => !reads.has(operation)

function changeNames(names: Map<string, Inode>, change: NameChange): void {
  switch (change.do) {
    case 'link':
      names.set(change.path, change.inode)
      break
    case 'rename':
      names.delete(change.from)
      names.set(change.to, change.inode)
      break
    case 'unlink':
      names.delete(change.path)
  }
}

/** Some of `changes`, in their order: none without dice, otherwise a prefix or any of them. */
function chosen<Item>(changes: readonly Item[], random: Random | undefined): readonly Item[] {
  if (random === undefined) return []
  if (random.below(2) === 0) return changes.slice(0, random.below(changes.length + 1))
  return changes.filter(() => random.below(2) === 0)
}

function survivingContent(
  { durable, changes }: Inode,
  random: Random | undefined,
): Uint8Array<ArrayBuffer> {
  let content = durable
  for (const change of chosen(changes.flatMap(sectorsOf), random)) {
    content = changedBy(content, change)
  }
  return content
}

/** A write sector by sector: each of them survives alone, but whole. */
function sectorsOf(change: Change): readonly Change[] {
  if (change.do === 'truncate') return [change]
  const { bytes, position } = change
  const sectors: Change[] = []
  for (let at = 0; at < bytes.length;) {
    const room = sectorSizeBytes - ((position + at) % sectorSizeBytes)
    const part = bytes.subarray(at, at + room)
    sectors.push({ do: 'write', bytes: part, position: position + at })
    at += part.length
  }
  return sectors
}

function changedBy(content: Uint8Array<ArrayBuffer>, change: Change): Uint8Array<ArrayBuffer> {
  const sizeBytes =
    change.do === 'truncate'
      ? change.sizeBytes
      : Math.max(content.length, change.position + change.bytes.length)
  const next = new Uint8Array(sizeBytes)
  next.set(content.subarray(0, sizeBytes), 0)
  if (change.do === 'write') next.set(change.bytes, change.position)
  return next
}
