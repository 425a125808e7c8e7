import { isProfileName, simulate } from '@conclave/simulation'

/*
 * `node hunt.ts SECONDS`: simulates seeds until one breaks a rule or so much processor time was used, and
 * prints which, and how much it took. It runs inside the copy that has the mutant.
 */

// What breaks more comes first, and hunters find what others do not.
const order = [
  'crashes',
  'hunters',
  'members',
  'hunters',
  'mixed',
  'hunters',
  'disk',
  'hunters',
  'lossy',
  'hunters',
  'calm',
]
const profiles = order.filter(isProfileName)
const seconds = Number(process.argv[2] ?? 20)
const used = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000_000
}

let runs = 0
/** Of each profile by itself: so many hunters, so many runs of theirs have them all. */
const seeds = new Map<string, number>()
while (used() < seconds) {
  const profile = profiles[runs++ % profiles.length] ?? 'mixed'
  const seed = (seeds.get(profile) ?? 0) + 1
  seeds.set(profile, seed)
  const { violation } = await simulate({ seed, profile })
  if (violation === undefined) continue
  const { rule, what } = violation
  process.stdout.write(`${JSON.stringify({ seed, profile, rule, what, used: used() })}\n`)
  process.exit(1)
}
process.stdout.write(`${JSON.stringify({ seed: runs, used: used() })}\n`)
