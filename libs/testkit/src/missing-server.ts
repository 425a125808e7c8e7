import { spawnSync } from 'node:child_process'

/**
 * Why a test that speaks to a real server has to be skipped here; undefined when the server can be
 * started. With CONCLAVE_REQUIRE_PEERS=1, as in CI, a missing one is a failure instead.
 *
 * @param program such as `redis-server`; it must know `--version`
 */
export function missingServer(program: string): string | undefined {
  const { error } = spawnSync(program, ['--version'], { stdio: 'ignore' })
  if (error === undefined) return undefined
  const why = `skipped: this machine has no ${program}`
  if (process.env['CONCLAVE_REQUIRE_PEERS'] === '1') throw new Error(why)
  return why
}
