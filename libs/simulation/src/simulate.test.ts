import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { formatHistoryFile, parseHistoryFile, replay } from './history-file.ts'
import { profileNames } from './profiles.ts'
import { shrink } from './shrink.ts'
import { simulate } from './simulate.ts'
import { sabotage } from './testing/sabotage.ts'

const seeds = join(import.meta.dirname, '../seeds')
const brief = { setting: { durationMs: 5_000, clients: 2 } }

describe('a run', () => {
  test.each(profileNames)(
    'of the profile %s breaks no rule, and says what it did',
    async (profile) => {
      let crashCount = 0
      for (const seed of [1, 2, 3]) {
        const { violation, counts } = await simulate({
          seed,
          profile,
          setting: { durationMs: 9_000, clients: 2 },
          isBlackBox: true,
        })

        expect({ seed, violation }).toEqual({ seed, violation: undefined })
        // One in which nothing happens would prove nothing.
        expect(counts.answered).toBeGreaterThan(5)
        crashCount += counts.crashes
      }
      expect(crashCount > 0).toBe(profile !== 'calm' && profile !== 'lossy')
    },
  )

  test('D1: is the same for the same seed, line by line, and another for another', async () => {
    const once = await simulate({ seed: 7, ...brief, keepsTrace: true })
    const twice = await simulate({ seed: 7, ...brief, keepsTrace: true })
    const other = await simulate({ seed: 8, ...brief })

    expect(twice.trace).toEqual(once.trace)
    expect(twice.traceHash).toBe(once.traceHash)
    expect(other.traceHash).not.toBe(once.traceHash)
  })

  test('D1: is the same when it is replayed from a file', async () => {
    const once = await simulate({ seed: 9, ...brief })

    const again = await replay(parseHistoryFile(formatHistoryFile(once)))

    expect(again.traceHash).toBe(once.traceHash)
  })
})

describe('a run that breaks', () => {
  test('is made smaller, and the smaller one breaks the same rule when it is replayed', async () => {
    const parts = sabotage['reads are not confirmed']
    const failing = await simulate({ seed: 3, profile: 'mixed', parts })
    expect(failing.violation?.rule).toBe('SI7')

    const { file, verdict } = await shrink(failing, { parts, runsMax: 40 })

    expect(file.plan.length).toBeLessThan(failing.plan.length)
    const replayed = await replay(parseHistoryFile(formatHistoryFile(file)), { parts })
    expect(replayed.violation).toEqual(verdict.violation)
    expect(replayed.violation?.rule).toBe('SI7')
  })
})

describe('what once broke', () => {
  test.each(readdirSync(seeds).filter((name) => name.endsWith('.txt')))(
    '%s breaks no more',
    async (name) => {
      const { violation } = await replay(parseHistoryFile(readFileSync(join(seeds, name), 'utf8')))

      expect(violation).toBeUndefined()
    },
  )
})
