import { isProfileName, profileNames, simulate } from '@conclave/simulation'

/*
 * `node hunt.ts SECONDS`: simulates seeds until one breaks a rule or the time is over, and prints which.
 * It runs inside the copy that has the mutant.
 */

// What breaks more comes first.
const order = ['crashes', 'mixed', 'hunters', 'disk', 'lossy', 'calm'].filter(isProfileName)
const seconds = Number(process.argv[2] ?? 20)
const startedAt = performance.now()
const elapsed = (): number => (performance.now() - startedAt) / 1000

let seed = 0
while (elapsed() < seconds) {
  const profile = order[seed % profileNames.length] ?? 'mixed'
  seed++
  const { violation } = await simulate({ seed, profile })
  if (violation === undefined) continue
  const { rule, what } = violation
  process.stdout.write(`${JSON.stringify({ seed, profile, rule, what })}\n`)
  process.exit(1)
}
process.stdout.write(`${JSON.stringify({ seed })}\n`)
