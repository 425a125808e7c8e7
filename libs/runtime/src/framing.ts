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
/** How much memory is taken at once for small parts. */
const batchBytesMin = 1024
const batchBytesMax = 64 * 1024
const noBatch = Buffer.alloc(0)

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
  /** As much of the next frame's header as has arrived: how many bytes, and the number they make. */
  #headerCount = 0
  #size = 0
  #body: Gather | undefined

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax
  }

  /**
   * The frames that `piece` completes. A frame that lies whole in `piece` is a view of it.
   *
   * @throws FrameTooLarge, after which the connection cannot be read any further
   */
  *push(piece: Uint8Array): Generator<Uint8Array> {
    // Views of a Buffer are Buffers, which take longer to make, and which readers make views of again.
    const chunk =
      piece.constructor === Uint8Array
        ? piece
        : new Uint8Array(piece.buffer, piece.byteOffset, piece.length)
    let at = 0
    while (at < chunk.length) {
      if (this.#body === undefined) {
        while (this.#headerCount < headerBytes && at < chunk.length) {
          this.#size = this.#size * 0x100 + (chunk[at++] ?? 0)
          this.#headerCount++
        }
        if (this.#headerCount < headerBytes) return
        const size = this.#size
        if (size > this.#sizeMax) throw new FrameTooLarge(size, this.#sizeMax)
        this.#headerCount = 0
        this.#size = 0
        if (chunk.length - at >= size) {
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
      yield frame
    }
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
  /** What leaves with the next write: full pieces, and the batch that is being filled. */
  #pieces: Uint8Array[] = []
  #batch: Buffer = noBatch
  #batchStart = 0
  #batchEnd = 0
  #batchHintBytes = batchBytesMin
  #waitingBytes = 0
  #scheduled: NodeJS.Immediate | undefined

  constructor(socket: Writable, onRoom: () => void = () => undefined) {
    this.#socket = socket
    this.#onRoom = onRoom
    socket.on('drain', () => this.#afterWrite())
  }

  /** Bytes that the kernel has not taken yet. */
  get waitingBytes(): number {
    return this.#waitingBytes + this.#socket.writableLength
  }

  get isFull(): boolean {
    return this.waitingBytes >= highWaterBytes
  }

  /** Adds one frame made of `parts`. Those of 32 KiB and more must not change until they are written. */
  write(...parts: readonly Uint8Array[]): void {
    let size = 0
    for (const part of parts) size += part.length
    invariant(size <= 0xffff_ffff, 'a frame is shorter than 4 GiB')
    this.#room(headerBytes)
    this.#batchEnd = this.#batch.writeUInt32BE(size, this.#batchEnd)
    for (const part of parts) this.#add(part)
    this.#waitingBytes += headerBytes + size
    this.#scheduled ??= setImmediate(() => this.flush())
  }

  /** Hands this turn's batch to the socket at once. */
  flush(): void {
    if (this.#scheduled !== undefined) clearImmediate(this.#scheduled)
    this.#scheduled = undefined
    this.#cut()
    const pieces = this.#pieces
    // What was as large as this is likely to be so again, and one write of two pieces costs TLS a copy.
    const hint = Math.max(this.#waitingBytes * 1.25, this.#batchHintBytes * 0.9)
    this.#batchHintBytes = Math.ceil(Math.min(batchBytesMax, Math.max(batchBytesMin, hint)))
    this.#pieces = []
    this.#batch = noBatch
    this.#batchStart = 0
    this.#batchEnd = 0
    this.#waitingBytes = 0
    if (pieces.length === 0 || this.#socket.destroyed || this.#socket.writableEnded) return
    this.#socket.cork()
    for (const piece of pieces) this.#socket.write(piece)
    this.#socket.uncork()
    this.#afterWrite()
  }

  #add(part: Uint8Array): void {
    if (part.length >= aloneBytes) {
      this.#cut()
      this.#pieces.push(part)
    } else if (part.length > 0) {
      this.#room(part.length)
      this.#batch.set(part, this.#batchEnd)
      this.#batchEnd += part.length
    }
  }

  /** Makes a piece of what the batch holds. The rest of its memory is filled on. */
  #cut(): void {
    if (this.#batchEnd === this.#batchStart) return
    this.#pieces.push(this.#batch.subarray(this.#batchStart, this.#batchEnd))
    this.#batchStart = this.#batchEnd
  }

  #room(wanted: number): void {
    if (this.#batchEnd + wanted <= this.#batch.length) return
    this.#cut()
    this.#batch = Buffer.allocUnsafe(Math.max(wanted, this.#batchHintBytes))
    this.#batchStart = 0
    this.#batchEnd = 0
  }

  #afterWrite(): void {
    if (!this.#socket.destroyed && !this.isFull) this.#onRoom()
  }
}
