import type { Disk, DiskFile, DiskLock, DiskReader } from '@conclave/journal'
import {
  PowerCut,
  systemError,
  type DiskOperation,
  type SimulatedDisk,
} from '@conclave/journal/testing'
import type { Dice } from './dice.ts'
import type { World } from './world.ts'

/** How long a disk takes. */
export interface DiskManners {
  readonly writeUs: number
  readonly syncUs: number
  /** Some syncs take much longer. */
  readonly latePermille: number
  readonly lateUs: number
}

export const quickDisk: DiskManners = { writeUs: 20, syncUs: 200, latePermille: 0, lateUs: 0 }

export interface ProcessDiskOptions {
  readonly world: World
  readonly dice: Dice
  readonly manners: () => DiskManners
  /** The power went in the middle of a step. */
  readonly onPowerCut: () => void
  /** The disk has done this; its process has not heard of it yet. */
  readonly onDone: (operation: DiskOperation, path: string) => void
  /** The next operation of this kind fails; asked once for each. */
  readonly takeFault: (operation: DiskOperation) => string | undefined
  /** Resolves when the process is awake to hear of it. */
  readonly awake: () => Promise<void>
  /** Where in each file the last write that was synced began: what is before it was promised long ago. */
  readonly lastSyncedWrites: Map<string, number>
}

/**
 * The disk as one process sees it: it takes its time, and once the process is gone nothing that it
 * asked for is done any more. The disk beneath stays, and another process may go on with it.
 */
export class ProcessDisk implements Disk {
  readonly #disk: SimulatedDisk
  readonly #options: ProcessDiskOptions
  /** What is open goes by its newest name. */
  readonly #open = new Set<{ path: string }>()
  #isDead = false

  constructor(disk: SimulatedDisk, options: ProcessDiskOptions) {
    this.#disk = disk
    this.#options = options
  }

  /** The process is gone. */
  kill(): void {
    this.#isDead = true
  }

  makeDirectory(path: string): Promise<void> {
    return this.#do('make-directory', path, () => this.#disk.makeDirectory(path))
  }

  /** A lock goes with its process, and whoever starts one has seen the other end. */
  lock(): Promise<DiskLock> {
    return Promise.resolve({ release: () => Promise.resolve() })
  }

  list(directory: string): Promise<readonly string[]> {
    return this.#do('list', directory, () => this.#disk.list(directory))
  }

  read(path: string): Promise<Uint8Array> {
    return this.#do('read', path, () => this.#disk.read(path))
  }

  async openToRead(path: string): Promise<DiskReader> {
    const file = await this.#do('open', path, () => this.#disk.openToRead(path))
    return {
      sizeBytes: file.sizeBytes,
      read: (position, length) => this.#do('read', path, () => file.read(position, length)),
      close: () => file.close(),
    }
  }

  async create(path: string): Promise<DiskFile> {
    return this.#file(path, await this.#do('create', path, () => this.#disk.create(path)))
  }

  async open(path: string): Promise<DiskFile> {
    return this.#file(path, await this.#do('open', path, () => this.#disk.open(path)))
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#do('rename', from, () => this.#disk.rename(from, to))
    for (const open of this.#open) if (open.path === from) open.path = to
    const { lastSyncedWrites } = this.#options
    const at = lastSyncedWrites.get(from)
    lastSyncedWrites.delete(from)
    if (at !== undefined) lastSyncedWrites.set(to, at)
  }

  async unlink(path: string): Promise<void> {
    await this.#do('unlink', path, () => this.#disk.unlink(path))
    this.#options.lastSyncedWrites.delete(path)
  }

  syncDirectory(path: string): Promise<void> {
    return this.#do('sync-directory', path, () => this.#disk.syncDirectory(path))
  }

  #file(path: string, file: DiskFile): DiskFile {
    const open = { path }
    this.#open.add(open)
    let written: number | undefined
    return {
      write: async (bytes, position) => {
        await this.#do('write', open.path, () => file.write(bytes, position))
        written = position
      },
      truncate: (sizeBytes) => this.#do('truncate', open.path, () => file.truncate(sizeBytes)),
      sync: async () => {
        await this.#do('sync', open.path, () => file.sync())
        if (written !== undefined) this.#options.lastSyncedWrites.set(open.path, written)
      },
      close: () => Promise.resolve(void this.#open.delete(open)),
    }
  }

  async #do<T>(operation: DiskOperation, path: string, act: () => Promise<T>): Promise<T> {
    const { world, awake, onDone, onPowerCut, takeFault } = this.#options
    await world.sleep(this.#durationUs(operation))
    if (this.#isDead) throw new PowerCut()
    const fault = takeFault(operation)
    if (fault !== undefined) {
      await awake()
      throw systemError(fault)
    }
    try {
      const result = await act()
      if (this.#isDead) throw new PowerCut()
      onDone(operation, path)
      await awake()
      return result
    } catch (error) {
      if (error instanceof PowerCut && !this.#isDead) onPowerCut()
      throw error
    }
  }

  #durationUs(operation: DiskOperation): number {
    const { dice, manners } = this.#options
    const { writeUs, syncUs, latePermille, lateUs } = manners()
    if (operation !== 'sync' && operation !== 'sync-directory') return dice.around(writeUs)
    return dice.around(syncUs) + (dice.permille(latePermille) ? dice.around(lateUs) : 0)
  }
}
