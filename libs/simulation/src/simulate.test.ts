import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { formatHistoryFile, parseHistoryFile, replay } from './history-file.ts'
import { faultKinds } from './fault.ts'
import { profileNames, type ProfileName } from './profiles.ts'
import { shrink } from './shrink.ts'
import { simulate, type Verdict } from './simulate.ts'
import { sabotage } from './testing/sabotage.ts'
import type { Traced } from './trace.ts'

const seeds = join(import.meta.dirname, '../seeds')
const brief = { setting: { durationMs: 5_000, clients: 2 } }

/** A few runs of each profile, which more than one test looks at. */
const runs = new Map<ProfileName, Promise<readonly Verdict[]>>()

function runsOf(profile: ProfileName): Promise<readonly Verdict[]> {
  const run = async (): Promise<readonly Verdict[]> => {
    const verdicts: Verdict[] = []
    for (const seed of [1, 2, 3]) {
      const setting = { durationMs: 9_000, clients: 2 }
      verdicts.push(await simulate({ seed, profile, setting, isBlackBox: true }))
    }
    return verdicts
  }
  const known = runs.get(profile) ?? run()
  runs.set(profile, known)
  return known
}

describe('a run', () => {
  test.each(profileNames)(
    'of the profile %s breaks no rule, and something happens',
    async (profile) => {
      for (const { seed, violation, counts } of await runsOf(profile)) {
        expect({ seed, violation }).toEqual({ seed, violation: undefined })
        expect(counts.answered).toBeGreaterThan(5)
      }
    },
  )

  test('of one profile or another has everything that can go wrong', async () => {
    const happened = new Set<string>()
    for (const profile of profileNames) {
      for (const { tally } of await runsOf(profile))
        for (const name of tally.keys()) happened.add(name)
    }

    const wanted = [
      ...faultKinds.map((kind) => `fault ${kind}`),
      ...['written', 'synced', 'writing', 'saving', 'committing', 'recovering'].map(
        (moment) => `crash ${moment}`,
      ),
      'journal failed',
      'journal torn-tail-cut',
      'raft.snapshot-installed',
      'refuses to start',
      'put refused',
      ...['add-learner', 'promote', 'demote', 'remove'].map((step) => `change ${step}`),
      'put unknown',
      'swap done',
    ]
    expect(wanted.filter((name) => !happened.has(name))).toEqual([])
  })

  test('D1: is the same for the same seed, line by line, and another for another', async () => {
    const once = await simulate({ seed: 7, ...brief, keepsTrace: true })
    const twice = await simulate({ seed: 7, ...brief, keepsTrace: true })
    const other = await simulate({ seed: 8, ...brief })

    expect(twice.trace).toEqual(once.trace)
    expect(twice.traceHash).toBe(once.traceHash)
    expect(other.traceHash).not.toBe(once.traceHash)
  })

  test('D1: tells as data what its trace says in words, and is the same run', async () => {
    const told: Traced[] = []
    const onTrace = (traced: Traced): void => void told.push(traced)
    const setting = { durationMs: 5_000, clients: 2 }
    const quiet = await simulate({ seed: 7, profile: 'mixed', setting, keepsTrace: true })
    const traced = await simulate({ seed: 7, profile: 'mixed', setting, onTrace })

    expect(traced.traceHash).toBe(quiet.traceHash)
    const ofWords = told.filter(({ event }) => event !== 'state')
    expect(ofWords.map(({ atUs }) => atUs)).toEqual(
      quiet.trace.map((line) => Number(line.split(' ')[0])),
    )
    expect(new Set(told.map(({ event }) => event))).toEqual(
      new Set(['state', 'message', 'member', 'fault', 'heal', 'answer']),
    )
    const inOrder = told.map(({ atUs }) => atUs)
    expect(inOrder).toEqual(inOrder.toSorted((a, b) => a - b))
    for (const state of told) {
      if (state.event !== 'state') continue
      expect(state.appliedIndex).toBeLessThanOrEqual(state.commitIndex)
      expect(state.durableIndex).toBeLessThanOrEqual(state.lastIndex)
    }
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
    let failing = await simulate({ seed: 1, profile: 'lossy', parts })
    for (let seed = 2; failing.violation?.rule !== 'SI7' && seed < 20; seed++) {
      failing = await simulate({ seed, profile: 'lossy', parts })
    }
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
