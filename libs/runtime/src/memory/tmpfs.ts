import { HostFailed, type Owner } from '@conclave/isolators'
import { FileSystemError } from '@conclave/shell'
import { Storage, type Inode } from './inode.ts'

const pageSizeBytes = 4096

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

  file(name: string): Inode | undefined {
    return this.#files.get(name)
  }

  /** Overwrites every file in place, whoever has it open, and drops the volume. */
  wipe(): void {
    this.storage.wipe()
    this.#files.clear()
  }
}
