import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { deriveKek, parseUnlockKey } from '@conclave/crypto'
import { Redacted, utf8 } from '@conclave/kernel'
import { canary, holdsKey } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Conclave, until, type Outcome } from '../src/index.ts'

/*
 * The lock, through the command line and real processes. Every unlock key that is shown is searched
 * for at the end: in files, logs and arguments, as it is and as what is derived from it.
 */

let cluster: Conclave
const unlockKeys: string[] = []
const commandLines: string[] = []
/** What rested on disks before the lock, and must not be found there after it. */
const rested: Uint8Array[] = []
const value = canary('locked away')

beforeAll(async () => {
  cluster = await Conclave.start(['--agents', '1'])
  await done(cluster.cli(['secret', 'put', 'locked/db'], value.text))
})
afterAll(() => cluster?.stop())

async function done(asked: Promise<Outcome>): Promise<string> {
  const { code, stdout, stderr } = await asked
  expect({ code, stderr }).toMatchObject({ code: 0 })
  return stdout
}

function shown(text: string): string {
  expect(text).toMatch(/^SWMKEY-1-[\w+/]{43}\n$/)
  unlockKeys.push(text.trim())
  return text.trim()
}

interface LockShown {
  readonly isOn: boolean
  readonly waitingFor: readonly string[]
  readonly keys: {
    readonly newest: number
    readonly kept: readonly number[]
    readonly left: number
  }
}

const lock = async (): Promise<LockShown> =>
  JSON.parse(await done(cluster.cli(['cluster', 'keys', '--json']))) as LockShown

const settled = (): Promise<unknown> =>
  until('every master keeps the newest key', async () => (await lock()).waitingFor.length === 0)

const unlock = (text: string, ...flags: string[]): Promise<Outcome> =>
  cluster.cli(['cluster', 'unlock', ...flags], `${text}\n`)

const masters = (): readonly string[] => cluster.ready.masters.map(({ masterId }) => masterId)

const kekFiles = (): readonly string[] =>
  cluster.ready.masters
    .map(({ directory }) => join(directory, 'kek.key'))
    .filter((file) => existsSync(file))

const filesBelow = (directory: string): readonly string[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

async function rolesOf(...members: readonly string[]): Promise<readonly (string | undefined)[]> {
  const listed = JSON.parse(await done(cluster.cli(['master', 'ls', '--json']))) as {
    masterId: string
    role: string
  }[]
  return members.map((member) => listed.find(({ masterId }) => masterId === member)?.role)
}

/** Starts masters that wait for a key; they are up once they were unlocked. */
async function restartLocked(...members: readonly string[]): Promise<readonly Promise<void>[]> {
  const starts = members.map((member) => cluster.restart(member))
  for (const start of starts) start.catch(() => undefined)
  await until('they say that they are locked', async () =>
    (await rolesOf(...members)).every((role) => role === 'locked'),
  )
  for (const pid of cluster.pids) commandLines.push(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
  return starts
}

const readable = (): Promise<unknown> =>
  until('the secret can be read', async () => {
    const { code, stdout } = await cluster.cli(['secret', 'get', 'locked/db'])
    return code === 0 && stdout === value.text
  })

describe('a cluster that is locked', () => {
  test('prints its key once it is, and no master keeps a key that opens its files', async () => {
    expect(kekFiles()).toHaveLength(3)
    rested.push(...kekFiles().map((file) => readFileSync(file)))

    shown(await done(cluster.cli(['cluster', 'autolock', 'on'])))

    await settled()
    expect(kekFiles()).toEqual([])
    expect(await lock()).toMatchObject({ isOn: true })
    await readable()
  })

  test('says after a restart that it is locked, and gives nothing before it has the key', async () => {
    await cluster.kill(...masters())
    const starts = await restartLocked(...masters())

    for (const master of cluster.ready.masters) {
      for (const [face, path] of [
        ['conclave', '/conclave/v1/secrets?folder='],
        ['dcos', '/secrets/v1/secret/default/locked/db'],
        ['mesos', '/api/v1'],
      ] as const) {
        const { status, body } = await cluster.ask(master, face, path, {}, 'nobody')
        expect({ face, status }).toEqual({ face, status: 503 })
        expect(Buffer.from(body).toString()).not.toContain(value.text)
      }
    }
    const asked = await cluster.cli(['secret', 'get', 'locked/db'])
    expect(asked).toMatchObject({ code: 5, stdout: '' })
    expect(asked.stderr).toContain('conclave cluster unlock')
    const refused = await unlock(`SWMKEY-1-${'A'.repeat(43)}`)
    expect(refused.code).toBe(4)
    expect(refused.stderr).toContain(`refused by ${masters().join(', ')}`)
    expect(await unlock('no key at all')).toMatchObject({ code: 2, stdout: '' })

    // One alone cannot lead, for those that are locked elect nobody.
    const [first = '', ...others] = masters()
    await done(unlock(unlockKeys[0] ?? '', '--master', first))
    await starts[0]
    expect(await rolesOf(...others)).toEqual(['locked', 'locked'])
    expect(await rolesOf(first)).not.toContain('leader')
    await done(unlock(unlockKeys[0] ?? ''))

    await Promise.all(starts)
    await readable()
  })

  test('never takes a key as an argument', async () => {
    const { code, stderr } = await cluster.cli(['cluster', 'unlock', 'something'])
    expect(code).toBe(2)
    expect(stderr).toContain('never an argument')
    expect(stderr).not.toContain('something')
  })

  test('shows its key, and another one in its place while a master is down', async () => {
    const [, , third = ''] = masters()
    const before = unlockKeys[0] ?? ''
    expect(await done(cluster.cli(['cluster', 'unlock-key']))).toBe(`${before}\n`)
    await cluster.kill(third)
    await cluster.leader(cluster.ready.masters.filter(({ masterId }) => masterId !== third))

    const after = shown(await done(cluster.cli(['cluster', 'unlock-key', '--rotate'])))

    expect(after).not.toBe(before)
    await until('only the master that is down keeps the key before', async () => {
      const { waitingFor } = await lock()
      return waitingFor.length === 1 && waitingFor[0] === third
    })
    // It was down, so what it keeps still opens with the key before.
    const [start] = await restartLocked(third)
    await done(unlock(before))
    await start
    await settled()

    await cluster.kill(third)
    const [again] = await restartLocked(third)
    expect((await unlock(before)).code).toBe(4)
    await done(unlock(after))
    await again
  })

  test('is unlocked with two of three shares, and not with one of them twice', async () => {
    const [, second = ''] = masters()
    const text = await done(
      cluster.cli(['cluster', 'unlock-key', '--shares', '3', '--threshold', '2']),
    )
    const shares = text.trim().split('\n')
    expect(shares).toHaveLength(3)
    await cluster.kill(second)
    const [start] = await restartLocked(second)

    const twice = await unlock(`${shares[0]}\n${shares[0]}`, '--shares')
    expect(twice.code).not.toBe(0)
    expect(twice.stderr).toContain('given already')
    await done(unlock(`${shares[2]}\n${shares[0]}`, '--shares'))

    await start
  })

  test('moves all its secrets under another key, and lets the old one go', async () => {
    const before = await lock()

    await done(cluster.cli(['cluster', 'rotate-keys']))

    const { keys } = await lock()
    expect(keys.newest).toBeGreaterThan(before.keys.newest)
    expect(keys).toMatchObject({ kept: [keys.newest], left: 0 })
    await readable()
  })

  test('keeps no unlock key, and none that is derived from one, anywhere', () => {
    expect(unlockKeys).toHaveLength(2)
    const typed = unlockKeys.flatMap((text) => {
      const unlockKey = parseUnlockKey(new Redacted(utf8(text)))
      return [unlockKey.reveal(), deriveKek(unlockKey).key.bytes()]
    })
    const keys = [...typed, ...rested]
    const files = filesBelow(cluster.directory)
    expect(files.length).toBeGreaterThan(10)
    const holding = files.filter((file) => {
      const bytes = readFileSync(file)
      return keys.some((key) => holdsKey(bytes, key)) || bytes.includes(value.text)
    })
    expect(holding).toEqual([])
    for (const text of unlockKeys) expect(commandLines.join('\n')).not.toContain(text)
  })

  test('starts by itself again once it is not', async () => {
    await done(cluster.cli(['cluster', 'autolock', 'off']))
    await settled()
    expect(kekFiles()).toHaveLength(3)
    await cluster.kill(...masters())

    await Promise.all(masters().map((member) => cluster.restart(member)))

    await readable()
  })
})
