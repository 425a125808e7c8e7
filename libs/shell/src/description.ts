import { FileSystemError, type FileHandle, type FileStat } from './file-system.ts'
import type { OutputGate } from './output-gate.ts'
import type { Terminal } from './terminal.ts'
import type { WaitSet } from './wait-set.ts'

/**
 * An open file description: what a descriptor number of one or more processes points to. Bytes given
 * to `write` belong to the description from then on, bytes that `read` answers to the reader.
 */
export abstract class Description {
  #references = 0

  /** What `ls -l /proc/self/fd` shows. */
  abstract readonly label: string

  /** There for what is the programs' side of a terminal. */
  get terminal(): Terminal | undefined {
    return undefined
  }

  retain(): this {
    this.#references++
    return this
  }

  release(): void {
    if (--this.#references === 0) this.closed()
  }

  /** Up to `length` bytes; none at the end; or what to wait for before trying again. */
  abstract read(length: number): Uint8Array | WaitSet

  /** How many bytes were taken, at least one; or what to wait for before trying again. */
  abstract write(bytes: Uint8Array): number | WaitSet

  /**
   * As {@link read}, but never beyond a newline: what `read` and a shell on its standard input use,
   * so that whoever shares the descriptor finds the rest.
   */
  readLine(): Uint8Array | WaitSet {
    return this.read(1)
  }

  stat(): FileStat | undefined {
    return undefined
  }

  /** The last descriptor is gone. */
  protected closed(): void {}
}

const newline = 10

const lineSizeBytes = 256

const nothing = new Uint8Array(0)

/** An open file of the file system, with the one offset that all its descriptors share. */
export class FileDescription extends Description {
  readonly label: string
  readonly handle: FileHandle
  readonly #append: boolean
  readonly #readable: boolean
  readonly #writable: boolean
  offset = 0

  constructor(
    path: string,
    handle: FileHandle,
    mode: { readonly readable: boolean; readonly writable: boolean; readonly append: boolean },
  ) {
    super()
    this.label = path
    this.handle = handle
    this.#append = mode.append
    this.#readable = mode.readable
    this.#writable = mode.writable
  }

  read(length: number): Uint8Array {
    if (!this.#readable) throw new FileSystemError('EBADF')
    const bytes = this.handle.read(this.offset, length)
    this.offset += bytes.length
    return bytes
  }

  write(bytes: Uint8Array): number {
    if (!this.#writable) throw new FileSystemError('EBADF')
    if (this.#append) this.offset = this.handle.stat().sizeBytes
    this.handle.write(this.offset, bytes)
    this.offset += bytes.length
    return bytes.length
  }

  override readLine(): Uint8Array {
    const bytes = this.read(lineSizeBytes)
    const end = bytes.indexOf(newline) + 1
    if (end === 0) return bytes
    this.offset -= bytes.length - end
    return bytes.subarray(0, end)
  }

  override stat(): FileStat {
    return this.handle.stat()
  }

  protected override closed(): void {
    this.handle.close()
  }
}

/** Bytes that are all there already: a here-document, or a file of `/proc`. */
export class TextDescription extends Description {
  readonly label: string
  readonly #bytes: Uint8Array
  #offset = 0

  constructor(label: string, bytes: Uint8Array) {
    super()
    this.label = label
    this.#bytes = bytes
  }

  read(length: number): Uint8Array {
    const bytes = this.#bytes.slice(this.#offset, this.#offset + length)
    this.#offset += bytes.length
    return bytes
  }

  write(): number {
    throw new FileSystemError('EACCES')
  }

  override readLine(): Uint8Array {
    const bytes = this.read(lineSizeBytes)
    const end = bytes.indexOf(newline) + 1
    if (end === 0) return bytes
    this.#offset -= bytes.length - end
    return bytes.subarray(0, end)
  }
}

/** Output that leaves the machine. */
export class SinkDescription extends Description {
  readonly label = 'pipe:[host]'
  readonly #deliver: (bytes: Uint8Array) => void
  readonly #gate: OutputGate | undefined

  constructor(deliver: (bytes: Uint8Array) => void, gate?: OutputGate) {
    super()
    this.#deliver = deliver
    this.#gate = gate
  }

  read(): Uint8Array {
    return nothing
  }

  write(bytes: Uint8Array): number | WaitSet {
    if (this.#gate?.isShut === true) return this.#gate.room
    this.#deliver(bytes)
    return bytes.length
  }
}

/** `/dev/null`, and the standard input of whoever was given none. */
export class NullDescription extends Description {
  readonly label = '/dev/null'

  read(): Uint8Array {
    return nothing
  }

  write(bytes: Uint8Array): number {
    return bytes.length
  }
}

/** `/dev/zero`, `/dev/urandom`, `/dev/full`: what is read is made, what is written is lost. */
export class DeviceDescription extends Description {
  readonly label: string
  readonly #make: (length: number) => Uint8Array
  readonly #isFull: boolean

  constructor(label: string, make: (length: number) => Uint8Array, isFull = false) {
    super()
    this.label = label
    this.#make = make
    this.#isFull = isFull
  }

  read(length: number): Uint8Array {
    return this.#make(length)
  }

  write(bytes: Uint8Array): number {
    if (this.#isFull) throw new FileSystemError('ENOSPC')
    return bytes.length
  }
}
