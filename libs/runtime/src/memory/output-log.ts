import type { OutputChunk, OutputWanted } from '@conclave/actors'
import { utf8, wipe } from '@conclave/kernel'

interface Piece {
  readonly stream: OutputChunk['stream']
  /** Counted from the first byte ever written. */
  readonly from: number
  readonly room: Uint8Array
  sizeBytes: number
  /** When what begins at an offset was written; in order, the first at 0. */
  readonly marks: { readonly offset: number; readonly atMs: number }[]
}

/** What is read at once: a message to a master holds no more. */
const chunkSizeBytesMax = 65_536
/** Short writes are gathered in pieces of this size: a byte a piece would cost a hundred. */
const pieceSizeBytes = 1024
/** A piece notes no more times than this: later bytes of it have the last one. */
const marksMax = 64

const newline = 10

/**
 * The newest bytes that a program wrote, both streams in the order of its writes. Readers hold a
 * position and no queue, so one that never reads costs nothing; it is told what it missed.
 */
export class OutputLog {
  readonly #sizeBytesMax: number
  readonly #nowMs: () => number
  #pieces: Piece[] = []
  #sizeBytes = 0
  #end = 0
  #isEnded = false
  readonly #waiting = new Set<() => void>()

  constructor(sizeBytesMax: number, nowMs: () => number) {
    this.#sizeBytesMax = sizeBytesMax
    this.#nowMs = nowMs
  }

  /** Copies `bytes`. */
  append(stream: OutputChunk['stream'], bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#isEnded) return
    const atMs = this.#nowMs()
    const last = this.#pieces.at(-1)
    if (last?.stream === stream && last.room.length - last.sizeBytes >= bytes.length) {
      last.room.set(bytes, last.sizeBytes)
      if (last.marks.length < marksMax && last.marks.at(-1)?.atMs !== atMs) {
        last.marks.push({ offset: last.sizeBytes, atMs })
      }
      last.sizeBytes += bytes.length
    } else {
      const room = new Uint8Array(Math.max(bytes.length, pieceSizeBytes))
      room.set(bytes)
      const marks = [{ offset: 0, atMs }]
      this.#pieces.push({ stream, from: this.#end, room, sizeBytes: bytes.length, marks })
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

  async *read(wanted: OutputWanted, signal: AbortSignal): AsyncGenerator<OutputChunk> {
    let position = Math.max(this.#beginOfLast(wanted.tail), this.#beginSince(wanted.sinceMs))
    const lastWanted = wanted.follow ? Infinity : this.#end
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
    const next = piece.marks.find(({ offset }) => offset > start)?.offset ?? piece.sizeBytes
    const end = Math.min(next, start + chunkSizeBytesMax)
    if (start >= end) return undefined
    const mark = piece.marks.findLast(({ offset }) => offset <= start)
    const { stream, room } = piece
    return { stream, bytes: room.slice(start, end), ...(mark && { atMs: mark.atMs }) }
  }

  /** Where the last `lines` lines begin, of those that are there. A line without an end is one, too. */
  #beginOfLast(lines: number | undefined): number {
    if (lines === undefined) return this.#floor
    if (lines === 0) return this.#end
    let found = 0
    for (const piece of this.#pieces.toReversed()) {
      for (let at = piece.sizeBytes - 1; at >= 0; at--) {
        const isLineEnd = piece.room[at] === newline
        const begin = piece.from + at + 1
        if (isLineEnd && begin !== this.#end && ++found === lines) return begin
      }
    }
    return this.#floor
  }

  #beginSince(sinceMs: number | undefined): number {
    if (sinceMs === undefined) return this.#floor
    for (const { from, marks } of this.#pieces) {
      const first = marks.find(({ atMs }) => atMs >= sinceMs)
      if (first !== undefined) return from + first.offset
    }
    return this.#end
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
