import { ManualClock } from '@conclave/testkit'
import { expect, test } from 'vitest'
import { FailedLogins } from './failed-logins.ts'

test('MA7: twenty of a source are on record in a minute, and how many more there were', () => {
  const clock = new ManualClock()
  const failed = new FailedLogins(clock)

  const recorded = Array.from({ length: 50 }, () => failed.isRecorded('10.0.0.1'))
  expect(recorded.filter(Boolean)).toHaveLength(20)
  expect(failed.isRecorded('10.0.0.2')).toBe(true)
  expect(failed.takeSummaries()).toEqual([])

  clock.advance(60_000)
  expect(failed.takeSummaries()).toEqual([{ source: '10.0.0.1', count: 30 }])
  expect(failed.takeSummaries()).toEqual([])
  expect(failed.isRecorded('10.0.0.1')).toBe(true)
})

test('MA7: from very many sources no more are on record, all the same', () => {
  const failed = new FailedLogins(new ManualClock())

  const recorded = Array.from({ length: 5000 }, (_, source) =>
    failed.isRecorded(`source-${source}`),
  )

  expect(recorded.filter(Boolean).length).toBeLessThan(1100)
  const told = failed.takeSummaries(true).reduce((sum, { count }) => sum + count, 0)
  expect(told + recorded.filter(Boolean).length).toBe(5000)
})

test('MA7: what could not be told is told later', () => {
  const failed = new FailedLogins(new ManualClock())
  failed.count('10.0.0.1')
  const summaries = failed.takeSummaries(true)

  failed.putBack(summaries)

  expect(failed.takeSummaries()).toEqual(summaries)
})
