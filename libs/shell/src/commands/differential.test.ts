import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runScript } from '../testing/index.ts'

const read = (name: string): string =>
  readFileSync(new URL(`testdata/${name}`, import.meta.url), 'utf8')

const prelude = read('prelude.sh')

const directories = ['/usr/bin', '/bin', '/usr/sbin', '/sbin']

/** Tools that shells have inside are there without a file. */
const isThere = (tool: string): boolean =>
  ['printf', 'test', 'pwd', 'kill'].includes(tool) ||
  directories.some((directory) => existsSync(join(directory, tool)))

const rows = read('differential.txt')
  .split(/^### /m)
  .slice(1)
  .map((section) => {
    const cut = section.indexOf('\n')
    const title = section.slice(0, cut)
    const tool = /^\[(.*?)\]/.exec(title)?.[1] ?? ''
    return { title, tool, script: section.slice(cut + 1) }
  })

interface Result {
  readonly stdout: string
  readonly exitCode: number
}

/** What the tools of this system make of a script, in a directory with the files of the prelude. */
function runInSystem(script: string, directory: string): Result {
  const cwd = mkdtempSync(join(directory, 'row-'))
  const { status, stdout } = spawnSync('/bin/sh', ['-c', prelude + script], {
    cwd,
    env: { HOME: '/root', PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
    input: '',
    encoding: 'utf8',
    timeout: 20_000,
  })
  return { stdout, exitCode: status ?? -1 }
}

function runHere(script: string): Result {
  const env = new Map([
    ['HOME', '/root'],
    ['PATH', '/usr/bin:/bin'],
    ['LC_ALL', 'C'],
  ])
  const { stdout, exitCode } = runScript(prelude + script, { env, cwd: '/tmp' })
  return { stdout, exitCode }
}

// The rows say what GNU coreutils, grep, sed, findutils and mawk do; other tools differ on purpose.
const version = spawnSync('ls', ['--version'], { encoding: 'utf8' })

const isGnu = existsSync('/bin/sh') && version.status === 0 && version.stdout.includes('coreutils')

const reason = isGnu ? '' : ' (skipped: this system has no GNU tools to compare with)'

describe.skipIf(!isGnu)(`simulated programs and those of this system agree${reason}`, () => {
  let directory = ''

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'conclave-commands-'))
  })

  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  for (const { title, tool, script } of rows) {
    const isMissing = !isThere(tool)
    test.skipIf(isMissing)(`${title}${isMissing ? ` (skipped: no ${tool} here)` : ''}`, () => {
      expect(runHere(script)).toEqual(runInSystem(script, directory))
    })
  }
})

test('there are at least 300 rows to agree on', () => {
  expect(rows.length).toBeGreaterThanOrEqual(300)
})
