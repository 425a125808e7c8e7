import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createUnlockKey, formatUnlockKey } from '@conclave/crypto'
import { utf8Text } from '@conclave/kernel'
import { splitUnlockKey, SystemRandom } from '@conclave/runtime'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ScriptedCluster } from './testing/scripted-masters.ts'

// Every test starts a process or more, which takes as long as the machine is busy.
vi.setConfig({ testTimeout: 60_000 })

let cluster: ScriptedCluster
beforeEach(async () => {
  cluster = await ScriptedCluster.start()
})
afterEach(() => cluster.stop())

const unlockKey = createUnlockKey(new SystemRandom())
const key = utf8Text(formatUnlockKey(unlockKey).reveal())
const shares = (await splitUnlockKey(unlockKey, { shares: 3, threshold: 2 })).map((share) =>
  utf8Text(share.reveal()),
)

const lockUrl = '/conclave/v1/lock'
const unlockRoute = `POST ${lockUrl}/unlock`
const health = (state: 'booting-locked' | 'running', leader: string | null = null) => ({
  body: { masterId: 'master-1', state, role: 'follower', term: 0, isReady: false, leader },
})

/** A locked master, which goes on once it was told a key. */
function opensWithAnyKey(): void {
  const told = (): boolean => cluster.requests().includes(unlockRoute)
  cluster.on('GET /health', () => health(told() ? 'running' : 'booting-locked'))
  cluster.on(unlockRoute, { body: { state: 'unlocking' } })
}

const keysTold = (): readonly string[] =>
  cluster.asked.filter(({ method }) => method === 'POST').map(({ body }) => body.toString())

describe('conclave cluster unlock', () => {
  test('CC9: tells the key to a master that is locked, logs in nowhere, and waits until it runs', async () => {
    opensWithAnyKey()

    const { code, stdout } = await cluster.conclave(['cluster', 'unlock'], `${key}\n`)

    expect(code).toBe(0)
    expect(stdout).toMatch(/^master-1 +unlocked$/m)
    expect(keysTold()).toEqual([key])
  })

  test('reads the key from a file', async () => {
    opensWithAnyKey()
    const directory = mkdtempSync(join(tmpdir(), 'conclave-unlock-'))
    writeFileSync(join(directory, 'key'), `  ${key}\r\n`)

    const { code } = await cluster.conclave(['cluster', 'unlock', '--file', join(directory, 'key')])
    rmSync(directory, { recursive: true })

    expect(code).toBe(0)
    expect(keysTold()).toEqual([key])
  })

  test('takes shares in any order, and no more than are needed', async () => {
    opensWithAnyKey()
    const typed = `\n${shares[2]}\n\n ${shares[0]} \nwhatever\n`

    const { code } = await cluster.conclave(['cluster', 'unlock', '--shares'], typed)

    expect(code).toBe(0)
    expect(keysTold()).toEqual([key])
  })

  test.each([
    ['no shares at all', '', 'shares of this key are needed'],
    ['too few of them', `${shares[0]}\n`, '1 more shares of this key are needed'],
    ['one of them twice', `${shares[0]}\n${shares[0]}\n`, 'given already'],
    ['one with a letter off', `${shares[0]?.slice(0, -1)}_\n`, 'typed exactly'],
    ['a key where shares are wanted', `${key}\n`, 'CNSHARE-1-'],
  ])('CC9: sends nothing when it is given %s', async (_what, typed, why) => {
    opensWithAnyKey()

    const { code, stderr } = await cluster.conclave(['cluster', 'unlock', '--shares'], typed)

    expect(code).not.toBe(0)
    expect(stderr).toContain(why)
    for (const share of shares) expect(stderr).not.toContain(share.slice(12))
    expect(keysTold()).toEqual([])
  })

  test.each([
    ['nothing', ''],
    ['another word', 'hunter2'],
    ['a key without its end', key.slice(0, -1)],
    ['a key and more', `${key}A`],
  ])('sends nothing when it is given %s', async (_what, text) => {
    opensWithAnyKey()

    const { code, stderr } = await cluster.conclave(['cluster', 'unlock'], text)

    expect(code).toBe(2)
    expect(stderr).toContain('SWMKEY-1- and 43')
    expect(stderr).not.toContain('hunter2')
    expect(keysTold()).toEqual([])
  })

  test('CC9: never takes a key as an argument, and does not repeat what stood there', async () => {
    const { code, stdout, stderr } = await cluster.conclave(['cluster', 'unlock', key])

    expect(code).toBe(2)
    expect(stderr).toContain('pipe it in')
    expect(stdout + stderr).not.toContain(key)
    expect(cluster.asked).toEqual([])
  })

  test.each([
    [403, 4, 'refused by master-1'],
    [429, 5, 'too many wrong keys'],
  ])('says what %i means', async (status, exit, why) => {
    cluster.on('GET /health', health('booting-locked'))
    cluster.on(unlockRoute, { status, body: { error: { code: 'x', message: 'y' } } })

    const { code, stdout, stderr } = await cluster.conclave(['cluster', 'unlock'], key)

    expect(code).toBe(exit)
    expect(stderr).toContain(why)
    expect(stdout).toMatch(/^master-1 +(refused|throttled)$/m)
    expect(stdout + stderr).not.toContain(key)
  })

  test('finds that another operator was faster', async () => {
    const told = (): boolean => cluster.requests().includes(unlockRoute)
    cluster.on('GET /health', () => health(told() ? 'running' : 'booting-locked'))
    cluster.on(unlockRoute, { status: 409, body: { error: { code: 'lock.not-locked' } } })

    const { code } = await cluster.conclave(['cluster', 'unlock'], key)

    expect(code).toBe(0)
  })

  test('has nothing to do where nothing is locked, and tells nobody the key', async () => {
    cluster.on('GET /health', health('running', 'master-1'))

    const { code, stdout } = await cluster.conclave(['cluster', 'unlock', '--json'], key)

    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual([{ masterId: 'master-1', outcome: 'not locked' }])
    expect(keysTold()).toEqual([])
  })

  describe('while a master does not answer', () => {
    beforeEach(() => {
      opensWithAnyKey()
      cluster.deadMasters = 1
    })

    test('CC9: unlocks the others, names it, and has done what it could', async () => {
      const { code, stdout, stderr } = await cluster.conclave(['cluster', 'unlock', '--json'], key)

      expect(code).toBe(0)
      expect(JSON.parse(stdout)).toEqual([
        { masterId: 'dead-0', outcome: 'unreachable' },
        { masterId: 'master-1', outcome: 'unlocked' },
      ])
      expect(stderr).toContain('dead-0 does not answer')
    })

    test('CC9: fails when it was named, and unlocks the others that were', async () => {
      const named = ['--master', 'dead-0', 'master-1']
      const { code, stdout, stderr } = await cluster.conclave(['cluster', 'unlock', ...named], key)

      expect(code).toBe(5)
      expect(stdout).toMatch(/^master-1 +unlocked$/m)
      expect(stderr).toContain('dead-0 does not answer')
    })

    test('asks only those that were named', async () => {
      const { code, stdout } = await cluster.conclave(
        ['cluster', 'unlock', '--master', 'master-1'],
        key,
      )

      expect(code).toBe(0)
      expect(stdout).not.toContain('dead-0')
    })

    test('fails when none answers', async () => {
      cluster.leave()

      const { code, stderr } = await cluster.conclave(['cluster', 'unlock'], key)

      expect(code).toBe(5)
      expect(stderr).toContain('no master answers')
    })

    test('says which masters there are, to who names another', async () => {
      const { code, stderr } = await cluster.conclave(['cluster', 'unlock', '--master', 'm9'], key)

      expect(code).toBe(3)
      expect(stderr).toContain('dead-0, master-1')
    })
  })
})

describe('conclave cluster autolock', () => {
  test('prints the key alone, and the advice beside it', async () => {
    cluster.on(`PUT ${lockUrl}`, { body: key })

    const { code, stdout, stderr } = await cluster.conclave(['cluster', 'autolock', 'on'])

    expect({ code, stdout }).toEqual({ code: 0, stdout: `${key}\n` })
    expect(stderr).toContain('conclave cluster unlock')
    expect(stderr).not.toContain(key)
    expect(JSON.parse(cluster.asked.at(-1)?.body.toString() ?? '')).toEqual({ isOn: true })
  })

  test('is turned off, and prints nothing', async () => {
    cluster.on(`PUT ${lockUrl}`, { status: 204 })

    const { code, stdout } = await cluster.conclave(['cluster', 'autolock', 'off'])

    expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
    expect(JSON.parse(cluster.asked.at(-1)?.body.toString() ?? '')).toEqual({ isOn: false })
  })

  test('is told that it is so already', async () => {
    const error = { code: 'lock.unchanged', message: 'autolock is on already' }
    cluster.on(`PUT ${lockUrl}`, { status: 409, body: { error } })

    const { code, stderr } = await cluster.conclave(['cluster', 'autolock', 'on'])

    expect(code).toBe(6)
    expect(stderr).toBe('conclave: autolock is on already\n')
  })
})

const status = (kept: readonly number[], left: number, waitingFor: readonly string[] = []) => ({
  body: {
    isOn: true,
    kekVersion: 2,
    waitingFor,
    keys: { newest: kept.at(-1), kept, rewrapped: 8 - left, left },
  },
})

describe('conclave cluster unlock-key', () => {
  test('prints so many shares, of which so many make the key', async () => {
    cluster.on(`GET ${lockUrl}/key`, { body: key })
    opensWithAnyKey()

    const plan = ['--shares', '5', '--threshold', '3']
    const { code, stdout } = await cluster.conclave(['cluster', 'unlock-key', ...plan])

    expect(code).toBe(0)
    const printed = stdout.trim().split('\n')
    expect(printed).toHaveLength(5)
    expect(stdout).not.toContain(key)
    const typed = printed.slice(2).join('\n')
    expect((await cluster.conclave(['cluster', 'unlock', '--shares'], typed)).code).toBe(0)
    expect(keysTold().at(-1)).toBe(key)
  })

  test.each([
    ['--shares', '3'],
    ['--threshold', '3'],
    ['--shares', '2', '--threshold', '3'],
    ['--shares', '1', '--threshold', '1'],
    ['--shares', '256', '--threshold', '2'],
  ])('replaces no key that could not be shown in such shares: %s %s', async (...plan) => {
    const { code } = await cluster.conclave(['cluster', 'unlock-key', '--rotate', ...plan])

    expect(code).toBe(2)
    expect(cluster.requests()).toEqual([])
  })

  test('names masters that were away when it was replaced, since these still need the one before', async () => {
    cluster.on(`POST ${lockUrl}/key/rotate`, { body: key })
    cluster.on(`GET ${lockUrl}`, status([1], 0, ['master-3']))

    const { code, stdout, stderr } = await cluster.conclave(['cluster', 'unlock-key', '--rotate'])

    expect({ code, stdout }).toEqual({ code: 0, stdout: `${key}\n` })
    expect(stderr).toContain('master-3 may still need it')
  })
})

describe('conclave cluster rotate-keys', () => {
  test('tells how far it is until the old key is gone', async () => {
    const seen = [status([1, 2], 3), status([1, 2], 0), status([2], 0)]
    cluster.on('POST /conclave/v1/keyring/rotate', status([1, 2], 8))
    cluster.on(`GET ${lockUrl}`, () => seen.shift() ?? status([2], 0))

    const { code, stdout, stderr } = await cluster.conclave(['cluster', 'rotate-keys'])

    expect(code).toBe(0)
    const told = [...stderr.matchAll(/(\d) of 8 sealed records are under key 2/g)]
    expect(told.map(([, moved]) => moved)).toEqual(['0', '5', '8'])
    expect(stderr).toContain('the keys before 2 are destroyed')
    expect(stdout).toMatch(/^data keys kept, by number +2$/m)
  })

  test('does not wait when it is told so', async () => {
    cluster.on('POST /conclave/v1/keyring/rotate', status([1, 2], 8))

    const { code, stdout } = await cluster.conclave([
      'cluster',
      'rotate-keys',
      '--detach',
      '--json',
    ])

    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ keys: { kept: [1, 2], left: 8 } })
    expect(cluster.requests()).toEqual(['POST /conclave/v1/keyring/rotate'])
  })
})

describe('conclave master ls', () => {
  test('shows who is locked and what to type, where nobody can log in', async () => {
    cluster.on('GET /health', health('booting-locked'))
    cluster.deadMasters = 1

    const { code, stdout, stderr } = await cluster.conclave(['master', 'ls'])

    expect(code).toBe(0)
    expect(stdout).toMatch(/^dead-0 +unreachable$/m)
    expect(stdout).toMatch(/^master-1 +locked$/m)
    expect(stderr).toContain('conclave cluster unlock')
    expect(stderr).toContain('nobody leads')
    expect(cluster.asked.map(({ path }) => path)).toEqual(['/health'])
  })
})
