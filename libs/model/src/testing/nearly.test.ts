import { expect, test } from 'vitest'
import { CallMalformed, parse } from '../mesos/message.ts'
import { SchedulerCall } from '../mesos/scheduler.ts'
import { dice, nearly } from './nearly.ts'

const made = (seed: number, wrongPercent: number): unknown =>
  nearly(SchedulerCall, dice(seed), { texts: ['a', 'b'], wrongPercent })

function isRead(json: unknown): boolean {
  try {
    parse(SchedulerCall, json)
    return true
  } catch (error) {
    if (error instanceof CallMalformed) return false
    throw error
  }
}

test('what is nearly a message is often one, and often not', () => {
  const seeds = Array.from({ length: 300 }, (_, seed) => seed)
  const read = seeds.filter((seed) => isRead(made(seed, 1)))

  expect(read.length).toBeGreaterThan(20)
  expect(read.length).toBeLessThan(280)
})

test('the same seed makes the same', () => {
  expect(made(5, 3)).toEqual(made(5, 3))
  expect(made(5, 3)).not.toEqual(made(6, 3))
})
