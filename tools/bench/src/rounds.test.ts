import { expect, test } from 'vitest'
import { alternate, noteOf } from './rounds.ts'

const contender = (name: string, rates: readonly number[], ran: string[]) => {
  let at = 0
  return {
    pids: [],
    run: async () => {
      ran.push(name)
      const perSecond = rates[at++] ?? 0
      return { perSecond, latenciesMs: [1, 2, 3], answered: 1 }
    },
  }
}

test('contenders take turns, and the median of each is what counts', async () => {
  const ran: string[] = []
  const rounds = await alternate(
    [contender('ours', [10, 30, 20], ran), contender('theirs', [1, 3, 2], ran)],
    { seconds: 0, rounds: 3, roundsMax: 3 },
  )

  expect(ran).toEqual(['ours', 'theirs', 'ours', 'theirs', 'ours', 'theirs'])
  expect(rounds.measured.map(({ perSecond }) => perSecond)).toEqual([20, 2])
  expect(rounds.measured[0]?.p50Ms).toBe(2)
})

test('a note says what was loud, or how much was thrown away', () => {
  const measured = [] as const
  expect(noteOf({ measured, discarded: 0, disturbance: undefined })).toBeUndefined()
  expect(noteOf({ measured, discarded: 2, disturbance: undefined })).toBe('2 loud rounds discarded')
  expect(noteOf({ measured, discarded: 0, disturbance: { steal: 0.01, foreign: 0.5 } })).toBe(
    'not quiet: others 50 %, steal 1 %',
  )
})
