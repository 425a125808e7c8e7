import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SimulatedDisk, systemError } from '@conclave/journal/testing'
import { utf8Text } from '@conclave/kernel'
import { createLogger, SystemRandom, type AuditDisk } from '@conclave/runtime'
import { eventually, LogLines } from '@conclave/testkit'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { chooseAddresses } from '../cluster/addresses.ts'
import { masterDirectory } from '../cluster/layout.ts'
import { prepareCluster } from '../cluster/prepare-cluster.ts'
import { commonSettings, runApp } from '../process/run-app.ts'
import type { MasterOptions, MasterPlace } from './master-options.ts'
import type { RunningMaster } from './master.ts'
import { startMaster } from './start-master.ts'

let directory: string
let places: readonly MasterPlace[]
let password: string
let running: RunningMaster[]
let log: LogLines

async function prepare(masters: number): Promise<void> {
  const cluster = await prepareCluster(directory, { masters, agents: 0 })
  password = utf8Text(cluster.password?.reveal() ?? new Uint8Array())
  places = await chooseAddresses(cluster.manifest.masters, '127.0.0.1', new SystemRandom())
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'conclave-disks-'))
  running = []
  log = new LogLines()
})

afterEach(async () => {
  await Promise.all(running.map((master) => master.destroy()))
  await rm(directory, { recursive: true, force: true })
})

async function start(
  masterId: string,
  disks: NonNullable<MasterOptions['disks']>,
): Promise<RunningMaster> {
  const master = await startMaster({
    directory: masterDirectory(directory, masterId),
    masters: places,
    segmentSizeBytes: 256 * 1024,
    disks,
    log: createLogger({ level: 'info', to: log }),
  })
  running.push(master)
  return master
}

const urlOf = ({ place }: RunningMaster, path: string): string =>
  `http://${place.host}:${place.ports.dcos}${path}`

async function login(master: RunningMaster): Promise<string> {
  const answer = await fetch(urlOf(master, '/acs/api/v1/auth/login'), {
    method: 'POST',
    body: JSON.stringify({ uid: 'dev', password }),
  })
  return ((await answer.json()) as { token: string }).token
}

/** The status of the answer, or `cut` when none came. */
const put = async (master: RunningMaster, token: string, path: string): Promise<number | string> =>
  fetch(urlOf(master, `/secrets/v1/secret/default/${path}`), {
    method: 'PUT',
    headers: { authorization: `token=${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ value: 'a value' }),
  }).then(
    ({ status }) => status,
    () => 'cut',
  )

const isThere = async (master: RunningMaster, token: string, path: string): Promise<boolean> => {
  const url = urlOf(master, `/secrets/v1/secret/default/${path}`)
  return (await fetch(url, { headers: { authorization: `token=${token}` } })).ok
}

/** An audit log that is kept nowhere, and fails once told to. */
class ForgetfulDisk implements AuditDisk {
  isFull = false

  async append(): Promise<void> {
    if (this.isFull) throw systemError('ENOSPC')
  }

  async sync(): Promise<void> {}
  async close(): Promise<void> {}
}

describe('a master whose disk fails', () => {
  test('AS6 threat:ST-15: says so, stops, and acknowledges nothing more', async () => {
    await prepare(1)
    const disk = new SimulatedDisk()
    const master = await start('master-1', { journal: disk })
    await master.ready()
    const token = await login(master)
    expect(await put(master, token, 'before')).toBe(201)

    disk.failWhen((operation) => (operation === 'sync' ? systemError('EIO') : undefined))
    const answers = await Promise.all(['a', 'b', 'c'].map((path) => put(master, token, path)))

    expect(answers.filter((answer) => answer === 201)).toEqual([])
    expect(await master.failed).toMatchObject({ code: 'journal.failed' })
    await master.destroy()
    expect(await put(master, token, 'after')).toBe('cut')
    const said = log.text.split('\n').filter((line) => line.includes('the journal failed'))
    expect(said).toHaveLength(1)
    expect(said[0]).toContain('EIO')

    disk.failWhen(undefined)
    const again = await start('master-1', { journal: disk.crash() })
    await again.ready()
    expect(await isThere(again, token, 'before')).toBe(true)
  })

  test('AS6 threat:ST-15: ends its process with exit code 1', async () => {
    await prepare(1)
    const disk = new SimulatedDisk()
    const never = new Promise<never>(() => undefined)
    const exitCode = runApp(
      {
        name: 'conclave-master',
        summary: 'a master with a disk that fails',
        source: 'master',
        example: 'conclave-master',
        settings: commonSettings,
        start: async () => {
          const master = await start('master-1', { journal: disk })
          const ready = master.ready().then(() => ({}))
          return { ready, failed: master.failed, stop: () => master.stop() }
        },
      },
      {
        argv: ['--log-level=silent'],
        environment: {},
        out: () => disk.failWhen(() => systemError('EIO')),
        err: () => undefined,
        ended: () => never,
      },
    )
    await eventually(() => running.length === 1)
    const [master] = running
    await master?.ready()
    if (master !== undefined) void login(master).then((token) => put(master, token, 'a'), String)

    expect(await exitCode).toBe(1)
  })

  test('AS6: leaves the cluster to the others', async () => {
    await prepare(3)
    const disks = places.map(() => new SimulatedDisk())
    const masters = await Promise.all(
      places.map(({ masterId }, index) => {
        const journal = disks[index]
        return start(masterId, journal === undefined ? {} : { journal })
      }),
    )
    await Promise.all(masters.map((master) => master.ready()))
    const at = masters.findIndex(({ api }) => api.status().role === 'leader')
    const others = masters.filter((_, index) => index !== at)
    const [other = masters[0]] = others
    if (other === undefined) throw new Error('there are no masters')
    const token = await login(other)

    disks[at]?.failWhen(() => systemError('EIO'))
    void put(other, token, 'a')

    expect(await masters[at]?.failed).toMatchObject({ code: 'journal.failed' })
    await eventually(() => others.some(({ api }) => api.status().role === 'leader'))
    let answer: number | string = 'none'
    for (let tries = 0; answer !== 201; tries++) answer = await put(other, token, `b-${tries}`)
  })

  test('AS6 threat:OB-01: stops as well when it can put nothing on record', async () => {
    await prepare(1)
    const disk = new ForgetfulDisk()
    const master = await start('master-1', { audit: disk })
    await master.ready()
    const token = await login(master)
    expect(await put(master, token, 'before')).toBe(201)

    disk.isFull = true

    expect(await put(master, token, 'after')).not.toBe(201)
    expect(await master.failed).toMatchObject({ code: 'audit.unavailable' })
    expect(log.text).toContain('the audit log failed: this master stops')
  })
})
