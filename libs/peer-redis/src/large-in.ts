import { Gather } from '@conclave/runtime'

import type { Frame } from './frame.ts'

/** Puts one large message together again: pieces in their order, and each only once. */
export class LargeIn {
  readonly #sizeBytesMax: number
  readonly #say: (frame: Frame) => void
  #under: { readonly stream: number; readonly gather: Gather } | undefined
  /** Streams count up, so what is not newer than this one is whole already. */
  #finished: { readonly stream: number; readonly sizeBytes: number } | undefined

  constructor(sizeBytesMax: number, say: (frame: Frame) => void) {
    this.#sizeBytesMax = sizeBytesMax
    this.#say = say
  }

  /** The message, when this was its last part. */
  take(frame: Extract<Frame, { kind: 'begin' | 'piece' }>): Uint8Array | undefined {
    const { stream } = frame
    if (this.#finished !== undefined && stream <= this.#finished.stream) {
      // What we said of it was lost.
      if (frame.kind === 'begin' && stream === this.#finished.stream) {
        this.#say({ kind: 'taken', stream, count: this.#finished.sizeBytes })
      }
      return undefined
    }
    if (frame.kind === 'begin') {
      if (frame.sizeBytes > this.#sizeBytesMax) return undefined
      if (this.#under?.stream !== stream) this.#begin(stream, frame.sizeBytes)
    } else {
      const gather = this.#under?.stream === stream ? this.#under.gather : undefined
      if (gather === undefined) return undefined
      if (frame.offset === gather.length) gather.take(frame.bytes)
    }
    return this.#answer()
  }

  #begin(stream: number, sizeBytes: number): void {
    this.#under = { stream, gather: new Gather(sizeBytes) }
  }

  #answer(): Uint8Array | undefined {
    if (this.#under === undefined) return undefined
    const { stream, gather } = this.#under
    this.#say({ kind: 'taken', stream, count: gather.length })
    if (!gather.isComplete) return undefined
    this.#finished = { stream, sizeBytes: gather.length }
    this.#under = undefined
    return gather.bytes()
  }
}
