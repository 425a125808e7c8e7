import { SeededRandom } from '@conclave/testkit'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { Frame } from './frame.ts'
import { LargeIn } from './large-in.ts'
import { LargeOut } from './large-out.ts'

const sizeBytesMax = 4 * 1024 * 1024

/** Both ends, and between them a wire that loses what the dice say. */
class Wire {
  readonly arrived: number[] = []
  readonly settled: boolean[] = []
  readonly #dice: SeededRandom
  readonly #lossPercent: number
  readonly #there: Frame[] = []
  readonly #back: Frame[] = []
  readonly out: LargeOut
  readonly #in: LargeIn

  constructor(seed: number, lossPercent: number) {
    this.#dice = new SeededRandom(seed)
    this.#lossPercent = lossPercent
    this.out = new LargeOut(
      (frame) => this.#carry(this.#there, frame),
      (onSettled, isDelivered) => onSettled?.(isDelivered),
    )
    this.#in = new LargeIn(sizeBytesMax, (frame) => this.#carry(this.#back, frame))
  }

  send(sizeBytes: number): void {
    this.out.queue(new Uint8Array(sizeBytes), (isDelivered) => this.settled.push(isDelivered))
  }

  turn(): void {
    for (let frame = this.#there.shift(); frame !== undefined; frame = this.#there.shift()) {
      if (frame.kind !== 'begin' && frame.kind !== 'piece') continue
      const whole = this.#in.take(frame)
      if (whole !== undefined) this.arrived.push(whole.length)
    }
    for (let frame = this.#back.shift(); frame !== undefined; frame = this.#back.shift()) {
      if (frame.kind === 'taken') this.out.taken(frame.stream, frame.count)
    }
    this.out.turn(2)
  }

  #carry(queue: Frame[], frame: Frame): void {
    if (this.#dice.below(100) >= this.#lossPercent) queue.push(frame)
  }
}

describe('PR4: a large message', () => {
  test('arrives once and whole over a wire that loses, and its sender hears of it', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.array(fc.nat(3 * 1024 * 1024), { minLength: 1, maxLength: 3 }),
        (seed, sizes) => {
          // Of ten tries in a row none comes to nothing, whatever the seed.
          const wire = new Wire(seed, 8)
          for (const size of sizes) wire.send(size)

          for (let turns = 0; turns < 5000 && wire.settled.length < sizes.length; turns++) {
            wire.turn()
          }

          expect(wire.arrived).toEqual(sizes)
          expect(wire.settled).toEqual(sizes.map(() => true))
          expect(wire.out.queuedBytes).toBe(0)
        },
      ),
      { numRuns: 30 },
    )
  })

  test('that nobody takes is given up, and so is one that is too large for the other side', () => {
    const deaf = new Wire(1, 100)
    deaf.send(100)
    const large = new Wire(1, 0)
    large.send(sizeBytesMax + 1)
    for (let turns = 0; turns < 50; turns++) {
      deaf.turn()
      large.turn()
    }

    expect(deaf.settled).toEqual([false])
    expect(large.settled).toEqual([false])
    expect(large.arrived).toEqual([])
    expect(large.out.queuedBytes).toBe(0)
  })
})
