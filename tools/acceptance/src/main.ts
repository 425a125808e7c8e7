import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

/*
 * `npm run acceptance [-- NAME…]`: the end-to-end suites, against real processes and real clients. A
 * suite that needs a client which this machine lacks is skipped with the reason; with
 * CONCLAVE_REQUIRE_PEERS=1, as CI has it, that is a failure.
 */

const room = join(import.meta.dirname, '..')
const suites = readdirSync(join(room, 'suites'))
  .filter((file) => file.endsWith('.acceptance.ts'))
  .map((file) => file.replace('.acceptance.ts', ''))
const wanted = process.argv.slice(2)

if (wanted.includes('--help') || wanted.some((name) => !suites.includes(name))) {
  const unknown = wanted.filter((name) => name !== '--help' && !suites.includes(name))
  if (unknown.length > 0)
    process.stderr.write(`acceptance: no suite is called ${unknown.join(', ')}\n`)
  process.stdout.write(`npm run acceptance [-- NAME…]\n\nSuites: ${suites.join(', ')}\n`)
  process.exit(unknown.length > 0 ? 2 : 0)
}

const vitest = join(room, '../../node_modules/vitest/vitest.mjs')
const filters = wanted.map((name) => `suites/${name}.acceptance.ts`)
const { status } = spawnSync(
  process.execPath,
  [vitest, 'run', '--config', join(room, 'acceptance.config.ts'), ...filters],
  { cwd: room, stdio: 'inherit' },
)
process.exit(status ?? 1)
