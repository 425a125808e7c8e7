import type { Writable } from 'node:stream'

import { ConclaveError, invariant } from '@conclave/kernel'

import { Gather } from './gather.ts'

/*
 * A frame on a socket: u32 length (big-endian), then that many bytes (docs/formats/links.md).
 */

const headerBytes = 4
/** Parts from this size on are handed to the socket as they are; smaller ones are copied together. */
const aloneBytes = 32 * 1024
/** What a writer lets wait in front of the kernel before it says that it is full. */
const highWaterBytes = 256 * 1024

/** A peer announced a frame that is larger than this connection allows. */
export class FrameTooLarge extends ConclaveError {
  readonly code = 'frame.too-large'

  constructor(announcedBytes: number, sizeMax: number) {
    super(`a frame of ${announcedBytes} bytes was announced, ${sizeMax} are allowed`)
  }
}

/** Cuts a stream of bytes into frames, however the stream was cut into chunks on its way. */
export class FrameReader {
  readonly #sizeMax: number
  #header = new Gather(headerBytes)
  #body: Gather | undefined

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax
  }

  /**
   * The frames that `chunk` completes. A frame that lies whole in `chunk` is a view of it.
   *
   * @throws FrameTooLarge, after which the connection cannot be read any further
   */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    let at = 0
    while (at < chunk.length) {
      if (this.#body === undefined) {
        at += this.#header.take(chunk, at)
        if (!this.#header.isComplete) return
        const size = this.#size()
        if (chunk.length - at >= size) {
          this.#header = new Gather(headerBytes)
          yield chunk.subarray(at, at + size)
          at += size
          continue
        }
        this.#body = new Gather(size)
      }
      at += this.#body.take(chunk, at)
      if (!this.#body.isComplete) return
      const frame = this.#body.bytes()
      this.#body = undefined
      this.#header = new Gather(headerBytes)
      yield frame
    }
  }

  #size(): number {
    const header = this.#header.bytes()
    const size = new DataView(header.buffer, header.byteOffset).getUint32(0)
    if (size > this.#sizeMax) throw new FrameTooLarge(size, this.#sizeMax)
    return size
  }
}

/**
 * Writes frames in batches: whatever is handed over within one turn of the event loop leaves in one
 * write (reference raft.md §9.1). It never grows by itself: whoever writes asks {@link isFull} first
 * or watches {@link waitingBytes}, and goes on when `onRoom` is called.
 */
export class FrameWriter {
  readonly #socket: Writable
  readonly #onRoom: () => void
  #parts: Uint8Array[] = []
  #partsBytes = 0
  #scheduled: NodeJS.Immediate | undefined

  constructor(socket: Writable, onRoom: () => void = () => undefined) {
    this.#socket = socket
    this.#onRoom = onRoom
    socket.on('drain', () => this.#afterWrite())
  }

  /** Bytes that the kernel has not taken yet. */
  get waitingBytes(): number {
    return this.#partsBytes + this.#socket.writableLength
  }

  get isFull(): boolean {
    return this.waitingBytes >= highWaterBytes
  }

  /** Adds one frame made of `parts`, which must not change until they are written. */
  write(...parts: readonly Uint8Array[]): void {
    const size = parts.reduce((sum, part) => sum + part.length, 0)
    invariant(size <= 0xffff_ffff, 'a frame is shorter than 4 GiB')
    const header = new Uint8Array(headerBytes)
    new DataView(header.buffer).setUint32(0, size)
    this.#parts.push(header, ...parts)
    this.#partsBytes += headerBytes + size
    this.#scheduled ??= setImmediate(() => this.flush())
  }

  /** Hands this turn's batch to the socket at once. */
  flush(): void {
    if (this.#scheduled !== undefined) clearImmediate(this.#scheduled)
    this.#scheduled = undefined
    const parts = this.#parts
    this.#parts = []
    this.#partsBytes = 0
    if (parts.length === 0 || this.#socket.destroyed || this.#socket.writableEnded) return
    this.#socket.cork()
    for (const piece of together(parts)) this.#socket.write(piece)
    this.#socket.uncork()
    this.#afterWrite()
  }

  #afterWrite(): void {
    if (!this.#socket.destroyed && !this.isFull) this.#onRoom()
  }
}

/** Joins neighbouring small parts into one buffer, and leaves large parts alone. */
function together(parts: readonly Uint8Array[]): Uint8Array[] {
  const pieces: Uint8Array[] = []
  let small: Uint8Array[] = []
  const join = (): void => {
    if (small.length > 0) pieces.push(small.length === 1 ? small[0]! : Buffer.concat(small))
    small = []
  }
  for (const part of parts) {
    if (part.length < aloneBytes) {
      if (part.length > 0) small.push(part)
    } else {
      join()
      pieces.push(part)
    }
  }
  join()
  return pieces
}
