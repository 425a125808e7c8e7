import type { OutputChunk } from '@conclave/actors'
import { OutputGate } from '@conclave/shell'

/**
 * What one program that was executed in a container says, for one reader. A reader that is slow makes the
 * program wait; while there is none, the newest bytes are kept.
 */
export class ExecOutput {
  /** For the program's machine. */
  readonly gate = new OutputGate()
  readonly #sizeBytesMax: number
  #chunks: OutputChunk[] = []
  #sizeBytes = 0
  #reader: 'none' | 'there' | 'gone' = 'none'
  #isEnded = false
  #wake: () => void = () => {}

  constructor(sizeBytesMax: number) {
    this.#sizeBytesMax = sizeBytesMax
  }

  /** The bytes are this output's own from now on. */
  append(stream: OutputChunk['stream'], bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#isEnded || this.#reader === 'gone') return
    this.#chunks.push({ stream, bytes })
    this.#sizeBytes += bytes.length
    if (this.#sizeBytes > this.#sizeBytesMax) {
      if (this.#reader === 'there') this.gate.shut()
      else this.#take()
    }
    this.#wake()
  }

  end(): void {
    this.#isEnded = true
    this.#wake()
  }

  async *read(signal: AbortSignal): AsyncGenerator<OutputChunk> {
    this.#reader = 'there'
    const onAbort = (): void => this.#wake()
    signal.addEventListener('abort', onAbort)
    try {
      while (!signal.aborted) {
        const chunk = this.#take()
        if (chunk !== undefined) {
          if (this.#sizeBytes <= this.#sizeBytesMax / 2) this.gate.open()
          yield chunk
        } else if (this.#isEnded) return
        else await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
      this.#reader = 'gone'
      this.#chunks = []
      this.gate.open()
    }
  }

  #take(): OutputChunk | undefined {
    const chunk = this.#chunks.shift()
    if (chunk !== undefined) this.#sizeBytes -= chunk.bytes.length
    return chunk
  }
}
