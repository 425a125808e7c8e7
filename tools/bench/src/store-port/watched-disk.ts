import { setTimeout as sleep } from 'node:timers/promises'
import {
  NodeDisk,
  type Disk,
  type DiskFile,
  type DiskLock,
  type DiskReader,
} from '@conclave/journal'

const pageSizeBytes = 4096

/**
 * This machine's disk, watched, and made as slow as one that turns: each sync takes `delayMs` longer.
 *
 * It counts whole pages, because that is what a write costs a disk. The system's own count says more: it
 * takes what was reserved in one piece for one page, however little of it is written.
 */
export class WatchedDisk implements Disk {
  readonly #disk = new NodeDisk()
  readonly #delayMs: number
  #writtenBytes = 0

  constructor(delayMs: number) {
    this.#delayMs = delayMs
  }

  makeDirectory(path: string): Promise<void> {
    return this.#disk.makeDirectory(path)
  }

  lock(directory: string): Promise<DiskLock> {
    return this.#disk.lock(directory)
  }

  list(directory: string): Promise<readonly string[]> {
    return this.#disk.list(directory)
  }

  read(path: string): Promise<Uint8Array> {
    return this.#disk.read(path)
  }

  openToRead(path: string): Promise<DiskReader> {
    return this.#disk.openToRead(path)
  }

  /** In whole pages, since this disk was made. */
  get writtenBytes(): number {
    return this.#writtenBytes
  }

  async create(path: string): Promise<DiskFile> {
    return this.#watched(await this.#disk.create(path))
  }

  async open(path: string): Promise<DiskFile> {
    return this.#watched(await this.#disk.open(path))
  }

  rename(from: string, to: string): Promise<void> {
    return this.#disk.rename(from, to)
  }

  unlink(path: string): Promise<void> {
    return this.#disk.unlink(path)
  }

  syncDirectory(path: string): Promise<void> {
    return this.#disk.syncDirectory(path)
  }

  #watched(file: DiskFile): DiskFile {
    return {
      write: (bytes, position) => {
        const first = Math.floor(position / pageSizeBytes)
        const end = Math.ceil((position + bytes.length) / pageSizeBytes)
        this.#writtenBytes += (end - first) * pageSizeBytes
        return file.write(bytes, position)
      },
      truncate: (sizeBytes) => file.truncate(sizeBytes),
      sync: async () => {
        await file.sync()
        if (this.#delayMs > 0) await sleep(this.#delayMs)
      },
      close: () => file.close(),
    }
  }
}
