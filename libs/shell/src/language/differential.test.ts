import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runScript } from '../testing/index.ts'

const systemShell = '/bin/sh'

const text = readFileSync(new URL('../../testdata/differential.txt', import.meta.url), 'utf8')

const cases = text
  .split(/^### /m)
  .slice(1)
  .map((section) => {
    const cut = section.indexOf('\n')
    return { name: section.slice(0, cut), script: section.slice(cut + 1) }
  })

interface Result {
  readonly stdout: string
  readonly exitCode: number
}

/** What the shell of this system makes of a script, in an empty directory. */
function runInSystem(script: string, directory: string): Result {
  const cwd = mkdtempSync(join(directory, 'case-'))
  const { status, signal, stdout } = spawnSync(systemShell, ['-c', script], {
    cwd,
    env: { HOME: '/root', PATH: '/usr/bin:/bin', LC_ALL: 'C' },
    input: '',
    encoding: 'utf8',
    timeout: 20_000,
  })
  return { stdout, exitCode: status ?? exitCodes[signal ?? ''] ?? -1 }
}

const exitCodes: Readonly<Record<string, number>> = { SIGKILL: 137, SIGTERM: 143, SIGINT: 130 }

function runHere(script: string): Result {
  const env = new Map([
    ['HOME', '/root'],
    ['PATH', '/usr/bin:/bin'],
    ['LC_ALL', 'C'],
  ])
  const { stdout, exitCode } = runScript(script, { env, cwd: '/tmp' })
  return { stdout, exitCode }
}

const isDash =
  existsSync(systemShell) &&
  spawnSync(systemShell, ['-c', 'readlink -f /proc/$$/exe'], { encoding: 'utf8' }).stdout.endsWith(
    'dash\n',
  )

const reason = isDash ? '' : ' (skipped: this system has no dash as /bin/sh to compare with)'

describe.skipIf(!isDash)(`SH1: this shell and the system's agree${reason}`, () => {
  let directory = ''

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'conclave-shell-'))
  })

  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  test.each(cases)('$name', ({ script }) => {
    expect(runHere(script)).toEqual(runInSystem(script, directory))
  })
})

test('SH1: there are at least 150 scripts to agree on', () => {
  expect(cases.length).toBeGreaterThanOrEqual(150)
})
