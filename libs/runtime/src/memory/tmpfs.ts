import { HostFailed, type Owner } from '@conclave/isolators'
import { FileSystemError } from '@conclave/shell'
import { Storage, type Inode } from './inode.ts'

const pageSizeBytes = 4096

/** Twice what a container may be given: while one file replaces another, both are there. */
const grownSizeBytesMax = 16 * 1_048_576

/** The tmpfs of one container's secret files: a memfs volume of its own, with its own limit. */
export class SecretTmpfs {
  readonly storage: Storage
  readonly #files = new Map<string, Inode>()

  constructor(device: number, sizeBytesMax: number, inodesMax: number) {
    this.storage = new Storage(device, { sizeBytesMax, inodesMax, blockSizeBytes: pageSizeBytes })
  }

  /** Writes a new file, copying `bytes`. @throws HostFailed */
  write(name: string, bytes: Uint8Array, mode: number, owner: Owner, nowMs: number): void {
    if (this.#files.has(name)) throw new HostFailed(`there is a file ${name} in the tmpfs`)
    try {
      const inode = this.storage.create('file', mode, owner, nowMs)
      inode.write(0, bytes)
      this.#files.set(name, inode)
    } catch (refusal) {
      if (!(refusal instanceof FileSystemError)) throw refusal
      throw new HostFailed('no space left on the tmpfs', { cause: refusal })
    }
  }

  /**
   * Makes a new file in the place of another, which is the caller's to release once nobody is led to it.
   *
   * @throws HostFailed when both together are too much; then nothing has changed
   */
  replace(name: string, bytes: Uint8Array, nowMs: number): { before: Inode; after: Inode } {
    const before = this.#files.get(name)
    if (before === undefined) throw new HostFailed(`there is no file ${name} in the tmpfs`)
    this.storage.makeRoom(bytes.length, grownSizeBytesMax)
    this.#files.delete(name)
    try {
      this.write(name, bytes, before.mode, before, nowMs)
    } finally {
      if (!this.#files.has(name)) this.#files.set(name, before)
    }
    return { before, after: this.#files.get(name) ?? before }
  }

  file(name: string): Inode | undefined {
    return this.#files.get(name)
  }

  /** Overwrites every file in place, whoever has it open, and drops the volume. */
  wipe(): void {
    this.storage.wipe()
    this.#files.clear()
  }
}
