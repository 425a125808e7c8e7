import { describe, expect, test } from 'vitest'
import type { Answer, Operation, Question } from './history.ts'
import { judge } from './linearizability.ts'

const put = (value: string): Question => ({ do: 'put', key: 'k', value })
const swap = (expected: string | undefined, value: string): Question => ({
  do: 'swap',
  key: 'k',
  expected,
  value,
})
const get: Question = { do: 'get', key: 'k' }
const done: Answer = { is: 'done', revision: 0, hasChanged: true }
const failed: Answer = { is: 'done', revision: 0, hasChanged: false }
const found = (value: string | undefined): Answer => ({ is: 'found', revision: 0, value })
const unknown: Answer = { is: 'unknown' }

/** Called at, answered at, question, answer. */
const history = (...lines: readonly (readonly [number, number, Question, Answer])[]): Operation[] =>
  lines.map(([calledAt, answeredAt, question, answer]) => ({
    client: 1,
    question,
    calledAt,
    answeredAt,
    answer,
    atLeast: 0,
  }))

describe('a history is linearizable', () => {
  test.each([
    ['when each sees the one before', history([0, 1, put('a'), done], [2, 3, get, found('a')])],
    [
      'when a read beside a write sees it or not',
      history([0, 5, put('a'), done], [1, 2, get, found(undefined)], [3, 4, get, found('a')]),
    ],
    [
      'when a write of unknown outcome happens late',
      history(
        [0, 1, put('a'), unknown],
        [2, 3, get, found(undefined)],
        [4, 5, put('b'), done],
        [6, 7, get, found('a')],
      ),
    ],
    [
      'when a swap failed because of a write that nobody saw',
      history([0, 1, put('a'), unknown], [2, 3, swap(undefined, 'b'), failed]),
    ],
    [
      'when keys disagree',
      [
        ...history([0, 1, put('a'), done]),
        ...history([2, 3, { do: 'get', key: 'other' }, found(undefined)]),
      ],
    ],
  ] as const)('%s', (_, operations) => {
    expect(judge(operations)).toBe('linearizable')
  })
})

describe('a history is not linearizable', () => {
  test.each([
    ['when a read misses a write', history([0, 1, put('a'), done], [2, 3, get, found(undefined)])],
    [
      'when a read goes back',
      history(
        [0, 1, put('a'), done],
        [2, 9, put('b'), done],
        [3, 4, get, found('b')],
        [5, 6, get, found('a')],
      ),
    ],
    ['when a value comes from nowhere', history([0, 1, get, found('a')])],
    [
      'when two swaps of one value both succeed',
      history([0, 1, put('a'), done], [2, 5, swap('a', 'b'), done], [3, 4, swap('a', 'c'), done]),
    ],
    [
      'when a refused write is seen',
      history([0, 1, put('a'), { is: 'refused' }], [2, 3, get, found('a')]),
    ],
  ] as const)('%s', (_, operations) => {
    expect(judge(operations)).toBe('not linearizable')
  })
})
