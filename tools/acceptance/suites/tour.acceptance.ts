import { readdirSync } from 'node:fs'
import { basename } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  Conclave,
  conclaveProgram,
  flipByte,
  Home,
  journalFiles,
  runProgram,
  writtenLength,
  type Outcome,
} from '../src/index.ts'

let home: Home
beforeEach(() => {
  home = new Home()
})
afterEach(() => home.remove())

const conclave = (...args: string[]): Promise<Outcome> =>
  runProgram(process.execPath, [conclaveProgram, ...args], { env: home.environment })

interface Tour {
  readonly holds: boolean
  readonly claims: readonly { readonly text: string; readonly holds: boolean }[]
}

/** The documents that `--json` prints one after the other: the ready document, then the tour. */
const documentsIn = (text: string): readonly unknown[] =>
  text
    .split(/(?<=^\})\n/m)
    .filter((document) => document.trim() !== '')
    .map((document) => JSON.parse(document) as unknown)

describe('the tour', () => {
  test('of npm start --once holds every claim it prints, exits 0 and leaves nothing behind', async () => {
    const { code, stdout, stderr } = await runProgram('npm', ['start', '--', '--once'], {
      env: home.environment,
    })

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const kept = stdout.match(/^ +✓ .+$/gm) ?? []
    expect(stdout).not.toContain('✗')
    expect(stdout).toContain(`All ${kept.length} claims held.`)
    for (const claim of [
      /env-secret\.json found exactly the bytes in \$DB_PASSWORD/,
      /file-secret\.json found exactly the bytes in keys\/keystore/,
      /every one of [1-9]\d* acknowledged writes is there/,
      /nothing of them is in what agent-\d left behind/,
      /the search finds a value that it planted itself/,
      /[1-9]\d* files: journals, snapshots, keys, logs: nothing/,
    ]) {
      expect(
        kept.some((line) => claim.test(line)),
        `${claim}`,
      ).toBe(true)
    }
    expect(readdirSync(home.temporary).filter((name) => name.startsWith('conclave-'))).toEqual([])
  })

  test('of members that are processes, with kill -9 of a leader and an agent, holds, too', async () => {
    const { code, stdout, stderr } = await conclave('up', '--processes', '--once', '--json')

    const [ready, told] = documentsIn(stdout) as [{ mode: string }, { tour: Tour }]
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(ready.mode).toBe('processes')
    expect(told.tour.holds).toBe(true)
    expect(told.tour.claims.length).toBeGreaterThanOrEqual(20)
    expect(told.tour.claims.filter(({ holds }) => !holds)).toEqual([])
    expect(readdirSync(home.temporary).filter((name) => name.startsWith('conclave-'))).toEqual([])
  })

  test('ends with 1 and the reason when a claim does not hold, or a master cannot be trusted', async () => {
    const cluster = await Conclave.start([], { home })
    const { code: stored } = await cluster.cli(['secret', 'put', 'tour/no-such-secret'], 'it is')
    await cluster.stop()
    expect(stored).toBe(0)
    const data = home.file('data')

    const wrong = await conclave('up', '--once', '--data', data)
    expect(wrong.code).toBe(1)
    expect(wrong.stderr).toMatch(
      /^conclave: a claim did not hold: env-secret-missing\.json failed before it started/m,
    )
    expect(wrong.stdout).toMatch(/✗ env-secret-missing\.json failed before it started/)

    const [journal = ''] = journalFiles(`${data}/masters/master-2`, '.wal')
    flipByte(journal, Math.floor(writtenLength(journal) / 2))
    const damaged = await conclave('up', '--once', '--data', data)
    expect(damaged.code).toBe(1)
    expect(damaged.stderr).toMatch(
      /^conclave: master-2 did not start: WAL_CORRUPT: [\da-f-]+\.wal at byte [1-9]\d*: /m,
    )
    expect(damaged.stderr).toContain(basename(journal))
    expect(damaged.stdout).not.toContain('✓')
  })
})
