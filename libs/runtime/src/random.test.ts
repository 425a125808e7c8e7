import { InvariantViolated } from '@conclave/kernel'
import { describe, expect, test } from 'vitest'

import { SystemRandom } from './random.ts'

describe('the dice of the operating system', () => {
  test.each([0, 1, 16, 1024, 1025, 100_000])(
    'RT2: hand out %i bytes that nobody else has',
    (size) => {
      const random = new SystemRandom()

      const first = random.bytes(size)
      const second = random.bytes(size)

      expect([first.length, first.byteOffset, first.buffer.byteLength]).toEqual([size, 0, size])
      expect(first.buffer).not.toBe(second.buffer)
      expect(size >= 16 && Buffer.from(first).equals(second)).toBe(false)
    },
  )

  test.each([1, 2, 3, 36, 1000, 2 ** 32, 2 ** 32 + 1, 2 ** 48])('RT2: stay below %i', (bound) => {
    const random = new SystemRandom()
    for (let count = 0; count < 200; count++) {
      const drawn = random.below(bound)
      expect(Number.isInteger(drawn) && drawn >= 0 && drawn < bound).toBe(true)
    }
  })

  test('RT2: favour no face', () => {
    const random = new SystemRandom()
    const counts = Array.from({ length: 6 }, () => 0)
    for (let count = 0; count < 60_000; count++) counts[random.below(6)]!++

    // Nine standard deviations: an honest die fails this once in 10^18 runs.
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(830)
  })

  test.each([0, -1, 1.5, Number.NaN, 2 ** 48 + 1])('RT2: know no bound of %d', (bound) => {
    expect(() => new SystemRandom().below(bound)).toThrow(InvariantViolated)
  })
})
