import { ManualClock } from '@conclave/testkit'
import { expect, test } from 'vitest'
import { LeakyCounters } from './leaky-counters.ts'

test('MA18: has room for a burst, then for one more each time it has leaked', () => {
  const clock = new ManualClock()
  const counters = new LeakyCounters(clock, { burst: 3, leakMs: 1000, keysMax: 10 })
  for (let count = 0; count < 3; count++) {
    expect(counters.waitMs('a')).toBe(0)
    counters.add('a')
  }

  expect(counters.waitMs('a')).toBe(1000)
  clock.advance(400)
  expect(counters.waitMs('a')).toBe(600)
  clock.advance(600)
  expect(counters.waitMs('a')).toBe(0)
  counters.add('a')
  expect(counters.waitMs('a')).toBe(1000)
  expect(counters.waitMs('b')).toBe(0)
})

test('MA18: is not emptied by a clock that is set back', () => {
  const clock = new ManualClock()
  const counters = new LeakyCounters(clock, { burst: 1, leakMs: 1000, keysMax: 10 })
  clock.advance(10_000)
  counters.add('a')

  expect(counters.waitMs('a')).toBe(1000)
})

test('MA18: keeps a bounded number, those that were added to last', () => {
  const counters = new LeakyCounters(new ManualClock(), { burst: 1, leakMs: 1000, keysMax: 2 })
  for (const key of ['a', 'b', 'a', 'c']) counters.add(key)

  expect(['a', 'b', 'c'].map((key) => counters.waitMs(key) > 0)).toEqual([true, false, true])
})
