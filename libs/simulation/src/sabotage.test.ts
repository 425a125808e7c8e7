import { describe, expect, test } from 'vitest'
import { hunterOf } from './hunters.ts'
import type { ProfileName } from './profiles.ts'
import { simulate } from './simulate.ts'
import { sabotage } from './testing/sabotage.ts'

const cases: readonly (readonly [string, keyof typeof sabotage, ProfileName])[] = [
  ['SI1', 'everybody who asks gets a vote', 'crashes'],
  ['SI2', 'followers write something else', 'calm'],
  ['SI3', 'heartbeats count as acknowledgements', 'lossy'],
  ['SI4', 'stores come to something else', 'calm'],
  ['SI5', 'answers leave before the disk is written', 'calm'],
  ['SI5', 'syncs do nothing', 'crashes'],
  ['SI5', 'journals go on after they failed', 'disk'],
  ['SI6', 'the commit index falls', 'calm'],
  ['SI6', 'what is committed is not written down', 'calm'],
  ['SI7', 'reads are not confirmed', 'lossy'],
  ['SI8', 'unknown is told as failed', 'lossy'],
  ['SI9', 'something throws', 'calm'],
  ['SI10', 'entries are written down beside the journal', 'calm'],
  ['SI12', 'changes of members are not made', 'members'],
  ['SI11', 'snapshots are not taken', 'crashes'],
  ['SI13', 'journals keep their keys', 'disk'],
]

/** What else breaks may be seen first, so a few seeds are tried. */
async function breaks(
  rule: string,
  name: keyof typeof sabotage,
  profile: ProfileName,
): Promise<readonly string[]> {
  const broken: string[] = []
  for (let seed = 1; seed <= 12 && !broken.includes(rule); seed++) {
    const run = { seed, profile, setting: { durationMs: 8_000 }, parts: sabotage[name] }
    const { violation } = await simulate(run)
    if (violation !== undefined) broken.push(violation.rule)
  }
  return broken
}

describe('a run is found to break', () => {
  test.each(cases)('%s when %s', { timeout: 60_000 }, async (rule, name, profile) => {
    expect(await breaks(rule, name, profile)).toContain(rule)
  })

  test('SI14 when nobody stands for a leader that is gone', { timeout: 60_000 }, async () => {
    const seeds = Array.from({ length: 100 }, (_, seed) => seed)
    const aboutKilledLeaders = seeds.find((seed) => hunterOf(seed) === 'killed-leader') ?? 0
    const parts = sabotage['nobody stands for a leader that is gone']

    const { violation } = await simulate({ seed: aboutKilledLeaders, profile: 'hunters', parts })

    expect(violation?.rule).toBe('SI14')
  })
})
