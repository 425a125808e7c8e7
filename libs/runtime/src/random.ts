import { randomFillSync } from 'node:crypto'

import { invariant, type Random } from '@conclave/kernel'

/** One call of the operating system costs as much for 16 bytes as for 4 KiB. */
const poolBytes = 4096

/**
 * The operating system's dice, drawn ahead in blocks for speed. What was handed out is overwritten
 * in the block, so a key drawn here exists once.
 */
export class SystemRandom implements Random {
  readonly #pool = new Uint8Array(poolBytes)
  #used = poolBytes

  bytes(length: number): Uint8Array {
    if (length > poolBytes / 4) return randomFillSync(new Uint8Array(length))

    if (this.#used + length > poolBytes) {
      randomFillSync(this.#pool)
      this.#used = 0
    }
    const drawn = this.#pool.slice(this.#used, this.#used + length)
    this.#pool.fill(0, this.#used, this.#used + length)
    this.#used += length
    return drawn
  }

  /** Without bias: draws at or above the largest multiple of `bound` are thrown again. */
  below(bound: number): number {
    invariant(
      Number.isInteger(bound) && bound >= 1 && bound <= 2 ** 48,
      'a bound from 1 to 2^48 is needed',
    )
    const width = bound <= 2 ** 32 ? 4 : 6
    const range = 2 ** (8 * width)
    const fair = range - (range % bound)
    for (;;) {
      const drawn = Buffer.from(this.bytes(width).buffer).readUIntBE(0, width)
      if (drawn < fair) return drawn % bound
    }
  }
}
