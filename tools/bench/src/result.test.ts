import { describe, expect, test } from 'vitest'
import { against, lineOf, median, quantile } from './result.ts'

describe('results', () => {
  test('take the nearest rank for a quantile', () => {
    expect(median([5, 1, 3])).toBe(3)
    expect(quantile([1, 2, 3, 4], 0.95)).toBe(4)
    expect(quantile([7], 0.5)).toBe(7)
  })

  test('print a ratio beside the peer it was measured against', () => {
    expect(lineOf(against('reads', 300, '/s', 'bare server', 600))).toMatch(
      /^reads +300 \/s   0\.5× bare server \(600 \/s\)$/,
    )
  })

  test('print what must be known to read them', () => {
    expect(lineOf({ name: 'reads', value: 2, unit: 's', note: 'machine not quiet' })).toMatch(
      / 2 s   \[machine not quiet\]$/,
    )
  })
})
