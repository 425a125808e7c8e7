import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  conclaveProgram,
  flipByte,
  foundCluster,
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

const firstIdentitiesIn = (data: string): readonly string[] =>
  ['master-1', 'master-2', 'master-3'].map((id) =>
    join(data, 'masters', id, 'first-identities.json'),
  )

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
      /[1-9]\d* files of the cluster: .*: nothing/,
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
    const data = home.file('data')
    await foundCluster(home, data, [])
    for (const file of firstIdentitiesIn(data)) {
      const known = JSON.parse(readFileSync(file, 'utf8')) as { permissions: { rid: string }[] }
      const permissions = known.permissions.filter(({ rid }) => !rid.startsWith('dcos:secrets:'))
      expect(permissions.length).toBeLessThan(known.permissions.length)
      writeFileSync(file, JSON.stringify({ ...known, permissions }))
    }

    // Its scheduler may not give anybody a secret.
    const wrong = await conclave('up', '--once', '--data', data)
    expect(wrong.code).toBe(1)
    expect(wrong.stderr).toMatch(
      /^conclave: a claim did not hold: env-secret\.json found exactly the bytes in \$DB_PASSWORD/m,
    )
    expect(wrong.stdout).toMatch(/✗ env-secret\.json found exactly the bytes/)

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
