import { setTimeout as sleep } from 'node:timers/promises'
import {
  NodeDisk,
  type Disk,
  type DiskFile,
  type DiskLock,
  type DiskReader,
} from '@conclave/journal'

/** This machine's disk, made as slow as one that turns: each sync takes `delayMs` longer. */
export class DelayedDisk implements Disk {
  readonly #disk = new NodeDisk()
  readonly #delayMs: number

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

  async create(path: string): Promise<DiskFile> {
    return new DelayedFile(await this.#disk.create(path), this.#delayMs)
  }

  async open(path: string): Promise<DiskFile> {
    return new DelayedFile(await this.#disk.open(path), this.#delayMs)
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
}

class DelayedFile implements DiskFile {
  readonly #file: DiskFile
  readonly #delayMs: number

  constructor(file: DiskFile, delayMs: number) {
    this.#file = file
    this.#delayMs = delayMs
  }

  write(bytes: Uint8Array, position: number): Promise<void> {
    return this.#file.write(bytes, position)
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#file.truncate(sizeBytes)
  }

  async sync(): Promise<void> {
    await this.#file.sync()
    await sleep(this.#delayMs)
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}
