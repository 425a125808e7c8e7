import { expect, test } from 'vitest'
import { heapGrowthPercent } from './heap-growth.ts'

const mebibyte = 2 ** 20

test.each([
  [10, 100],
  [52, 100],
  [65, 60],
  [80, 30],
  [400, 25],
])('a heap of which %i MiB live may grow by %i %%', (living, percent) => {
  expect(heapGrowthPercent(living * mebibyte)).toBe(percent)
})
