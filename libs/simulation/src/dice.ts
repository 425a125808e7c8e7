import type { Random } from '@conclave/kernel'
import { SeededRandom } from '@conclave/testkit'

/**
 * Dice for one concern of one run. Each concern has dice of its own, so that one that throws more
 * often, or less, does not move what the others throw: a plan of faults can be made smaller, and the
 * rest of the run stays as alike as it can.
 */
export class Dice implements Random {
  readonly #random: SeededRandom

  constructor(seed: number, concern: string) {
    this.#random = new SeededRandom(mixed(seed, concern))
  }

  below(bound: number): number {
    return this.#random.below(bound)
  }

  bytes(length: number): Uint8Array {
    return this.#random.bytes(length)
  }

  /** An integer from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  /** True so many times in a thousand. */
  permille(chance: number): boolean {
    return this.below(1000) < chance
  }

  pick<const Items extends readonly [unknown, ...unknown[]]>(items: Items): Items[number] {
    return items[this.below(items.length)]
  }

  /** Small most of the time, and now and then several times `mean`. */
  around(mean: number): number {
    return Math.floor(-Math.log(1 - this.below(1_000_000) / 1_000_000) * mean)
  }
}

/** FNV-1a over the concern, mixed with the seed. */
function mixed(seed: number, concern: string): number {
  let value = 0x811c9dc5 ^ seed
  for (let at = 0; at < concern.length; at++) {
    value = Math.imul(value ^ concern.charCodeAt(at), 0x01000193)
  }
  return Math.imul(value ^ (value >>> 15), 0x2c1b3c6d) >>> 0
}
