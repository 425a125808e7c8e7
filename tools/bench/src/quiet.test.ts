import { describe, expect, test } from 'vitest'
import { isQuiet, parseMachineTime, watchDisturbance } from './quiet.ts'

describe('the quiet check', () => {
  test('reads what proc(5) says of all cores', () => {
    const text = 'cpu  100 1 50 800 20 3 6 20 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n'

    expect(parseMachineTime(text)).toEqual({ all: 10_000_000, busy: 1_600_000, steal: 200_000 })
  })

  test('calls a round disturbed from more than a fifth of either on', () => {
    expect(isQuiet({ steal: 0.2, foreign: 0.2 })).toBe(true)
    expect(isQuiet({ steal: 0.21, foreign: 0 })).toBe(false)
    expect(isQuiet({ steal: 0, foreign: 0.21 })).toBe(false)
  })

  test('does not take its own work for that of others', () => {
    const disturbance = watchDisturbance([])
    const until = performance.now() + 100
    while (performance.now() < until);
    const { steal, foreign } = disturbance()

    expect(steal).toBeGreaterThanOrEqual(0)
    expect(foreign).toBeGreaterThanOrEqual(0)
    expect(steal + foreign).toBeLessThanOrEqual(1)
  })
})
