import type { OutputChunk } from '@conclave/actors'
import { utf8, wipe } from '@conclave/kernel'

interface Piece {
  readonly stream: OutputChunk['stream']
  /** Counted from the first byte ever written. */
  readonly from: number
  readonly room: Uint8Array
  sizeBytes: number
}

/** What is read at once: a message to a master holds no more. */
const chunkSizeBytesMax = 65_536
/** Short writes are gathered in pieces of this size: a byte a piece would cost a hundred. */
const pieceSizeBytes = 1024

/**
 * The newest bytes that a program wrote, both streams in the order of its writes. Readers hold a
 * position and no queue, so one that never reads costs nothing; it is told what it missed.
 */
export class OutputLog {
  readonly #sizeBytesMax: number
  #pieces: Piece[] = []
  #sizeBytes = 0
  #end = 0
  #isEnded = false
  readonly #waiting = new Set<() => void>()

  constructor(sizeBytesMax: number) {
    this.#sizeBytesMax = sizeBytesMax
  }

  /** Copies `bytes`. */
  append(stream: OutputChunk['stream'], bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#isEnded) return
    const last = this.#pieces.at(-1)
    if (last?.stream === stream && last.room.length - last.sizeBytes >= bytes.length) {
      last.room.set(bytes, last.sizeBytes)
      last.sizeBytes += bytes.length
    } else {
      const room = new Uint8Array(Math.max(bytes.length, pieceSizeBytes))
      room.set(bytes)
      this.#pieces.push({ stream, from: this.#end, room, sizeBytes: bytes.length })
    }
    this.#end += bytes.length
    this.#sizeBytes += bytes.length
    this.#dropOldest()
    this.#wake()
  }

  /** Nothing is written any more: readers end when they have read all. */
  end(): void {
    this.#isEnded = true
    this.#wake()
  }

  /** Overwrites all of it, and ends. */
  forget(): void {
    for (const piece of this.#pieces) wipe(piece.room)
    this.#pieces = []
    this.#sizeBytes = 0
    this.end()
  }

  async *read(follow: boolean, signal: AbortSignal): AsyncGenerator<OutputChunk> {
    let position = this.#floor
    const lastWanted = follow ? Infinity : this.#end
    while (!signal.aborted && position < lastWanted) {
      if (position < this.#floor) {
        const missed = this.#floor - position
        position = this.#floor
        yield { stream: 'stderr', bytes: utf8(`\n[${missed} bytes of output are gone]\n`) }
        continue
      }
      const chunk = this.#chunkAt(position)
      if (chunk !== undefined) {
        position += chunk.bytes.length
        yield chunk
      } else if (this.#isEnded) {
        return
      } else {
        await this.#grown(signal)
      }
    }
  }

  get #floor(): number {
    return this.#pieces[0]?.from ?? this.#end
  }

  #chunkAt(position: number): OutputChunk | undefined {
    const index = this.#pieces.findLastIndex(({ from }) => from <= position)
    const piece = this.#pieces[index]
    if (piece === undefined) return undefined
    const start = position - piece.from
    const end = Math.min(piece.sizeBytes, start + chunkSizeBytesMax)
    return start < end ? { stream: piece.stream, bytes: piece.room.slice(start, end) } : undefined
  }

  #dropOldest(): void {
    while (this.#sizeBytes > this.#sizeBytesMax && this.#pieces.length > 1) {
      const oldest = this.#pieces.shift()
      if (oldest === undefined) return
      this.#sizeBytes -= oldest.sizeBytes
      wipe(oldest.room)
    }
  }

  #wake(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }

  #grown(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#waiting.add(wake)
      signal.addEventListener('abort', wake)
    })
  }
}
