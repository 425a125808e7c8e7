const firstBytes = 64 * 1024

/**
 * Collects a known number of bytes that arrive in pieces. Memory grows with what has arrived, so an
 * announced size costs its sender as much as it costs us.
 */
export class Gather {
  readonly #size: number
  #buffer: Buffer
  #length = 0

  constructor(size: number) {
    this.#size = size
    this.#buffer = Buffer.allocUnsafeSlow(Math.min(size, firstBytes))
  }

  /** How many bytes were taken so far. */
  get length(): number {
    return this.#length
  }

  get isComplete(): boolean {
    return this.#length === this.#size
  }

  /** Takes what is still missing from `bytes`, beginning at `from`. Answers how many it took. */
  take(bytes: Uint8Array, from = 0): number {
    const count = Math.min(bytes.length - from, this.#size - this.#length)
    this.#room(count)
    this.#buffer.set(bytes.subarray(from, from + count), this.#length)
    this.#length += count
    return count
  }

  /** What was collected so far, without a copy. */
  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length)
  }

  #room(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#buffer.length) return
    const size = Math.min(this.#size, Math.max(needed, this.#buffer.length * 2))
    const larger = Buffer.allocUnsafeSlow(size)
    larger.set(this.bytes())
    this.#buffer = larger
  }
}
