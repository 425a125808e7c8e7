import { LogLines } from '@conclave/testkit'
import { afterEach, expect, test, vi } from 'vitest'
import { createLogger, silentLog, type LogLevel } from './log.ts'
import { LogVerbosity } from './log-verbosity.ts'

afterEach(() => void vi.useRealTimers())

const logAt = (level: LogLevel) => {
  const lines = new LogLines()
  const log = createLogger({ level, to: lines })
  const heard = (): string => {
    const from = lines.text.length
    log.debug({}, 'a detail')
    log.trace({}, 'a trifle')
    return [...lines.text.slice(from).matchAll(/detail|trifle/g)].join(' ')
  }
  return { log, heard }
}

test('RT22: a log tells more for a while, and then what it told before', () => {
  vi.useFakeTimers()
  const { log, heard } = logAt('info')
  const verbosity = new LogVerbosity(log)
  expect([verbosity.level, heard()]).toEqual([0, ''])

  verbosity.set(1, 1000)
  expect([verbosity.level, heard()]).toEqual([1, 'detail'])
  verbosity.set(3, 1000)
  expect([verbosity.level, heard()]).toEqual([3, 'detail trifle'])
  vi.advanceTimersByTime(999)
  expect(verbosity.level).toBe(3)
  vi.advanceTimersByTime(1)
  expect([verbosity.level, heard()]).toEqual([0, ''])

  verbosity.set(2, 1e300)
  vi.advanceTimersByTime(1e6)
  expect(heard()).toBe('detail trifle')
  verbosity.set(0, 1000)
  expect([verbosity.level, heard()]).toEqual([0, ''])
})

test('RT22: one that tells more already goes on, and one without levels is left alone', () => {
  const { log, heard } = logAt('trace')
  const verbosity = new LogVerbosity(log)
  verbosity.set(1, 1000)
  expect(heard()).toBe('detail trifle')
  verbosity.reset()
  expect(heard()).toBe('detail trifle')

  const none = new LogVerbosity(silentLog)
  none.set(3, 1000)
  expect(none.level).toBe(0)
})
