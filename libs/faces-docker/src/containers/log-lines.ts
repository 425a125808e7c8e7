import type { SessionOutput } from '@conclave/actors'
import { rfc3339Nano } from '../times.ts'
import { stdcopyFrame } from './stdcopy.ts'

type Data = Extract<SessionOutput, { kind: 'data' }>
type Stream = Data['stream']

/** How lines of a log are written to a client. Source: docker-swarm.md A10. */
export interface LogWriting {
  readonly streams: ReadonlySet<Stream>
  /** Of a container with a terminal: no frames around the lines. */
  readonly isRaw: boolean
  readonly hasTimes: boolean
  /** Stands before each line, behind its time: `com.docker.swarm.task.id=..,...`. */
  readonly details?: string | undefined
  readonly untilMs?: number | undefined
}

/** The Engine cuts longer lines, too: 16 KiB. */
const lineBytesMax = 16 * 1024
const newline = 10

interface Unended {
  readonly pieces: Uint8Array[]
  sizeBytes: number
  readonly atMs: number
}

/** Makes frames out of output as it comes, one for each line, and knows when the time that is wanted is over. */
export class LogLines {
  readonly #writing: LogWriting
  readonly #unended = new Map<Stream, Unended>()
  #isOver = false

  constructor(writing: LogWriting) {
    this.#writing = writing
  }

  /** What comes now is later than anybody asked for. */
  get isOver(): boolean {
    return this.#isOver
  }

  write({ stream, bytes, atMs = 0 }: Data): readonly Buffer[] {
    const { streams, untilMs } = this.#writing
    if (untilMs !== undefined && atMs > untilMs) this.#isOver = true
    if (this.#isOver || !streams.has(stream)) return []
    const lines: Buffer[] = []
    for (let from = 0; from < bytes.length;) {
      const unended = this.#unendedOf(stream, atMs)
      const room = Math.min(bytes.length, from + lineBytesMax - unended.sizeBytes)
      const at = bytes.subarray(0, room).indexOf(newline, from)
      const end = at < 0 ? room : at + 1
      unended.pieces.push(bytes.subarray(from, end))
      unended.sizeBytes += end - from
      if (at >= 0 || unended.sizeBytes === lineBytesMax) lines.push(this.#take(stream, unended))
      from = end
    }
    return lines
  }

  /** Lines that nothing ended. */
  end(): readonly Buffer[] {
    return [...this.#unended].map(([stream, unended]) => this.#take(stream, unended))
  }

  #unendedOf(stream: Stream, atMs: number): Unended {
    const found = this.#unended.get(stream)
    if (found !== undefined) return found
    const begun: Unended = { pieces: [], sizeBytes: 0, atMs }
    this.#unended.set(stream, begun)
    return begun
  }

  #take(stream: Stream, { pieces, atMs }: Unended): Buffer {
    this.#unended.delete(stream)
    const { hasTimes, details, isRaw } = this.#writing
    const time = hasTimes ? `${rfc3339Nano(atMs)} ` : ''
    const line = Buffer.concat([
      Buffer.from(details === undefined ? time : `${time}${details} `),
      ...pieces,
    ])
    return isRaw ? line : stdcopyFrame(stream, line)
  }
}
