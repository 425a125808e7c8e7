/*
 * How the Engine puts two streams on one connection. Each frame: one byte for the stream, three zeros, the
 * length of the payload as four bytes, big-endian, the payload. Source: docker-swarm.md A7.
 */

export const streamNumbers = { stdin: 0, stdout: 1, stderr: 2 } as const
export type StreamName = keyof typeof streamNumbers

const headBytes = 8

export function stdcopyFrame(stream: StreamName, payload: Uint8Array): Buffer {
  const frame = Buffer.alloc(headBytes + payload.length)
  frame[0] = streamNumbers[stream]
  frame.writeUInt32BE(payload.length, 4)
  frame.set(payload, headBytes)
  return frame
}

export interface StdcopyFrame {
  readonly stream: StreamName
  readonly payload: Buffer
}

/** Frames out of pieces of any size, for tests and clients. @throws RangeError for what is no frame */
export class StdcopyReader {
  #rest = Buffer.alloc(0)

  push(piece: Uint8Array): readonly StdcopyFrame[] {
    this.#rest = Buffer.concat([this.#rest, piece])
    const frames: StdcopyFrame[] = []
    while (this.#rest.length >= headBytes) {
      const stream = streamOf(this.#rest)
      const end = headBytes + this.#rest.readUInt32BE(4)
      if (this.#rest.length < end) break
      frames.push({ stream, payload: this.#rest.subarray(headBytes, end) })
      this.#rest = this.#rest.subarray(end)
    }
    return frames
  }

  /** Bytes of a frame whose end has not come. */
  get pendingBytes(): number {
    return this.#rest.length
  }
}

function streamOf(head: Buffer): StreamName {
  const names = ['stdin', 'stdout', 'stderr'] as const
  const name = names[head[0] ?? 3]
  if (name === undefined || head.readUIntBE(1, 3) !== 0)
    throw new RangeError('no frame begins here')
  return name
}
