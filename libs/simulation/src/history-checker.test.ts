import { utf8 } from '@conclave/kernel'
import { encodeCommand, StoreMachine } from '@conclave/store'
import { describe, expect, test } from 'vitest'
import { checkHistory } from './history-checker.ts'
import { History, type Answer, type Question } from './history.ts'
import { StateChecker, valueText } from './state-checker.ts'
import { World } from './world.ts'

const text = (value: string): string => valueText(utf8(value)) ?? ''
const put = (value: string): Question => ({ do: 'put', key: 'k', value: text(value) })

/** Which rule a history breaks, when the log came to these values of one key. */
function brokenBy(log: readonly string[], ...told: readonly (readonly [Question, Answer])[]) {
  const world = new World()
  const state = new StateChecker(world, 10)
  const store = new StoreMachine()
  for (const [at, value] of log.entries()) {
    const success = [{ do: 'put', key: 'k', value: utf8(value) }] as const
    const data = encodeCommand({ nowMs: 0, compare: [], success })
    state.applied(1, at + 2, data, store.apply(data))
  }
  const history = new History(world)
  for (const [question, answer] of told) history.answer(history.call(1, question), answer)
  checkHistory(world, history, state)
  return world.violation?.rule
}

const done = (revision: number, hasChanged = true): Answer => ({ is: 'done', revision, hasChanged })
const found = (revision: number, value?: string): Answer => ({
  is: 'found',
  revision,
  value: value === undefined ? undefined : text(value),
})
const get: Question = { do: 'get', key: 'k' }

describe('a history', () => {
  test('agrees with the log that it came from', () => {
    expect(
      brokenBy(['a', 'b'], [put('a'), done(1)], [get, found(1, 'a')], [put('b'), done(2)]),
    ).toBe(undefined)
  })

  test.each([
    ['an acknowledged write is not there', brokenBy(['a'], [put('b'), done(1)])],
    ['an acknowledged write was lost with its revision', brokenBy(['a'], [put('b'), done(2)])],
    ['a refused write happened', brokenBy(['a'], [put('a'), { is: 'refused' }])],
    ['a write happened twice', brokenBy(['a', 'a'], [put('a'), { is: 'unknown' }])],
    ['a put did nothing', brokenBy(['a'], [put('a'), done(1, false)])],
  ])('breaks SI8 when %s', (_, rule) => {
    expect(rule).toBe('SI8')
  })

  test.each([
    ['a read found something else', brokenBy(['a', 'b'], [get, found(1, 'b')])],
    ['a read found too little', brokenBy(['a', 'b'], [put('b'), done(2)], [get, found(1, 'a')])],
    [
      'a swap failed for no reason',
      brokenBy(
        ['a'],
        [{ do: 'swap', key: 'k', expected: text('a'), value: text('c') }, done(1, false)],
      ),
    ],
  ])('breaks SI7 when %s', (_, rule) => {
    expect(rule).toBe('SI7')
  })
})
