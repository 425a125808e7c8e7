import { expect, test } from 'vitest'
import { isExcused, verdictOf, type Listed } from './listed.ts'

const difference = (path: string) => ({ path, expected: '1', got: '2' })
const list: readonly Listed[] = [
  { exchange: /^0\.1 GET/, path: /^\.a$/, reason: 'ours has no a' },
  { exchange: /^0\.2/, path: /^\.b/, reason: 'ours has no b' },
]

test('what agrees, what is listed, what is not, and what is listed for nothing', () => {
  const replayed = [
    { exchange: '0.0 HEAD /_ping', differences: [] },
    { exchange: '0.1 GET /nodes', differences: [difference('.a'), difference('.c')] },
  ]
  expect(verdictOf(replayed, list)).toEqual({
    agreeing: 1,
    total: 2,
    unlisted: ['0.1 GET /nodes at .c: expected 1, got 2'],
    unused: ['/^0\\.2/ at /^\\.b/: ours has no b'],
    excused: ['0.1 GET /nodes: ours has no a'],
  })
})

test('an exchange is excused when all its differences are', () => {
  const excused = { exchange: '0.1 GET /nodes', differences: [difference('.a')] }
  expect(isExcused(excused, list)).toBe(true)
  const more = [...excused.differences, difference('.b')]
  expect(isExcused({ ...excused, differences: more }, list)).toBe(false)
})
