import { invariant } from '@conclave/kernel'

/**
 * The append messages that were sent and not yet acknowledged: a ring that bounds their number and
 * the bytes they carry. The last message may go beyond the byte limit; after it the window is full.
 */
export class Inflights {
  readonly #countMax: number
  readonly #bytesMax: number
  /** The last index of each message, and its bytes. Grown on demand, because most stay small. */
  #indexes: number[] = []
  #sizes: number[] = []
  #start = 0
  #count = 0
  #bytes = 0

  /** @param bytesMax 0 for no limit */
  constructor(countMax: number, bytesMax: number) {
    this.#countMax = countMax
    this.#bytesMax = bytesMax
  }

  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#bytes
  }

  get isFull(): boolean {
    return this.#count === this.#countMax || (this.#bytesMax !== 0 && this.#bytes >= this.#bytesMax)
  }

  /** @param index the last index that the message carries: never smaller than the one before */
  add(index: number, bytes: number): void {
    invariant(!this.isFull, 'a message is added to a full window')
    if (this.#count === this.#indexes.length) this.#grow()
    const at = (this.#start + this.#count) % this.#indexes.length
    this.#indexes[at] = index
    this.#sizes[at] = bytes
    this.#count++
    this.#bytes += bytes
  }

  /** Frees every message up to the one that ends at `index`. */
  freeTo(index: number): void {
    while (this.#count > 0 && (this.#indexes[this.#start] ?? 0) <= index) {
      this.#bytes -= this.#sizes[this.#start] ?? 0
      this.#start = (this.#start + 1) % this.#indexes.length
      this.#count--
    }
  }

  reset(): void {
    this.#start = 0
    this.#count = 0
    this.#bytes = 0
  }

  #grow(): void {
    const capacity = Math.min(Math.max(8, this.#indexes.length * 2), this.#countMax)
    const indexes: number[] = Array.from({ length: capacity }, () => 0)
    const sizes: number[] = Array.from({ length: capacity }, () => 0)
    for (let offset = 0; offset < this.#count; offset++) {
      const at = (this.#start + offset) % this.#indexes.length
      indexes[offset] = this.#indexes[at] ?? 0
      sizes[offset] = this.#sizes[at] ?? 0
    }
    this.#indexes = indexes
    this.#sizes = sizes
    this.#start = 0
  }
}
