import type { Random } from '@conclave/kernel'

/**
 * How long to wait before trying again: twice as long each time up to `maxMs`, and at random between
 * half of it and all of it, so that whoever lost the same master does not come back together.
 */
export class Backoff {
  readonly #random: Random
  readonly #firstMs: number
  readonly #maxMs: number
  #failures = 0

  constructor(random: Random, firstMs: number, maxMs: number) {
    this.#random = random
    this.#firstMs = firstMs
    this.#maxMs = maxMs
  }

  nextMs(): number {
    const wholeMs = Math.min(this.#maxMs, this.#firstMs * 2 ** Math.min(this.#failures++, 20))
    const halfMs = Math.floor(wholeMs / 2)
    return halfMs + this.#random.below(wholeMs - halfMs + 1)
  }

  reset(): void {
    this.#failures = 0
  }
}
