import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'

/** What both shells must agree on. Words on standard error are their own affair. */
export interface Result {
  readonly stdout: string
  readonly exitCode: number
}

const path = '/bin/sh'

/** The `dash` of this system, to compare with: each script runs in an empty directory of its own. */
export class SystemShell {
  readonly #directory = mkdtempSync(join(tmpdir(), 'conclave-shell-'))

  /** Other shells than dash are not asked, since they differ from each other where POSIX leaves it open. */
  static get isThere(): boolean {
    if (!existsSync(path)) return false
    const script = 'readlink -f /proc/$$/exe'
    return spawnSync(path, ['-c', script], { encoding: 'utf8' }).stdout.endsWith('dash\n')
  }

  run(script: string): Result {
    const { status, signal, stdout } = spawnSync(path, ['-c', script], {
      cwd: mkdtempSync(join(this.#directory, 'case-')),
      env: { HOME: '/root', PATH: '/usr/bin:/bin', LC_ALL: 'C' },
      input: '',
      encoding: 'utf8',
      timeout: 20_000,
    })
    return { stdout, exitCode: status ?? 128 + constants.signals[signal ?? 'SIGKILL'] }
  }

  close(): void {
    rmSync(this.#directory, { recursive: true, force: true })
  }
}
