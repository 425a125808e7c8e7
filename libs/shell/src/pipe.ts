import { Description } from './description.ts'
import { FileSystemError } from './file-system.ts'
import { WaitSet } from './wait-set.ts'

/** How much a pipe holds before its writer waits: what Linux gives one. */
export const pipeSizeBytesMax = 65_536

// POSIX PIPE_BUF: writes up to this size are not torn apart by other writers.
const atomicSizeBytes = 4096

const nothing = new Uint8Array(0)

class PipeBuffer {
  readonly label: string
  readonly chunks: Uint8Array[] = []
  sizeBytes = 0
  hasReader = true
  hasWriter = true
  /** Bytes came, or the last writer went. */
  readonly readable = new WaitSet()
  /** Room came, or the last reader went. */
  readonly writable = new WaitSet()

  constructor(id: number) {
    this.label = `pipe:[${id}]`
  }
}

class PipeReader extends Description {
  readonly label: string
  readonly #buffer: PipeBuffer

  constructor(buffer: PipeBuffer) {
    super()
    this.#buffer = buffer
    this.label = buffer.label
  }

  read(length: number): Uint8Array | WaitSet {
    const buffer = this.#buffer
    const first = buffer.chunks[0]
    if (first === undefined) return buffer.hasWriter ? buffer.readable : nothing
    let bytes = first
    if (first.length > length) {
      bytes = first.subarray(0, length)
      buffer.chunks[0] = first.subarray(length)
    } else {
      buffer.chunks.shift()
    }
    buffer.sizeBytes -= bytes.length
    buffer.writable.wake()
    return bytes
  }

  override readLine(): Uint8Array | WaitSet {
    const [first] = this.#buffer.chunks
    const end = first === undefined ? 0 : first.indexOf(10) + 1
    return this.read(end === 0 ? pipeSizeBytesMax : end)
  }

  write(): number {
    throw new FileSystemError('EBADF')
  }

  protected override closed(): void {
    this.#buffer.hasReader = false
    this.#buffer.chunks.length = 0
    this.#buffer.writable.wake()
  }
}

class PipeWriter extends Description {
  readonly label: string
  readonly #buffer: PipeBuffer

  constructor(buffer: PipeBuffer) {
    super()
    this.#buffer = buffer
    this.label = buffer.label
  }

  read(): Uint8Array {
    throw new FileSystemError('EBADF')
  }

  write(bytes: Uint8Array): number | WaitSet {
    const buffer = this.#buffer
    if (!buffer.hasReader) throw new FileSystemError('EPIPE')
    const room = pipeSizeBytesMax - buffer.sizeBytes
    if (room <= 0 || (bytes.length > room && bytes.length <= atomicSizeBytes)) {
      return buffer.writable
    }
    const taken = bytes.length > room ? bytes.subarray(0, room) : bytes
    buffer.chunks.push(taken)
    buffer.sizeBytes += taken.length
    buffer.readable.wake()
    return taken.length
  }

  protected override closed(): void {
    this.#buffer.hasWriter = false
    this.#buffer.readable.wake()
  }
}

let pipes = 0

/** A new pipe: what is written to `writer` is read from `reader`. */
export function createPipe(): { readonly reader: Description; readonly writer: Description } {
  const buffer = new PipeBuffer(++pipes)
  return { reader: new PipeReader(buffer), writer: new PipeWriter(buffer) }
}

/** The standard input of a process that is written from outside the machine. */
export class HostPipe {
  readonly reader: Description
  readonly #buffer: PipeBuffer

  constructor() {
    this.#buffer = new PipeBuffer(++pipes)
    this.reader = new PipeReader(this.#buffer)
  }

  /** Takes all of `bytes`, even above the size of a pipe; false asks the caller to slow down. */
  write(bytes: Uint8Array): boolean {
    const buffer = this.#buffer
    if (!buffer.hasReader || !buffer.hasWriter || bytes.length === 0) return buffer.hasReader
    buffer.chunks.push(bytes.slice())
    buffer.sizeBytes += bytes.length
    buffer.readable.wake()
    return buffer.sizeBytes < pipeSizeBytesMax
  }

  /** Calls back once, when the process has read some of it or reads no more. */
  onTaken(tell: () => void): void {
    if (this.#buffer.hasReader) this.#buffer.writable.add({ wake: tell })
    else tell()
  }

  end(): void {
    this.#buffer.hasWriter = false
    this.#buffer.readable.wake()
  }
}
