import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { Redacted, utf8Text } from '@conclave/kernel'
import { createLogger, SystemRandom } from '@conclave/runtime'
import { eventually } from '@conclave/testkit'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { chooseAddresses } from '../cluster/addresses.ts'
import { masterDirectory } from '../cluster/layout.ts'
import { prepareCluster } from '../cluster/prepare-cluster.ts'
import type { MasterPlace } from './master-options.ts'
import type { RunningMaster } from './master.ts'
import { startMaster } from './start-master.ts'

let directory: string
let places: readonly MasterPlace[]
let password: string
let running: RunningMaster[]
let lines: string[]
let logged: Writable

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'conclave-masters-'))
  const cluster = await prepareCluster(directory, { masters: 3, agents: 0 })
  password = utf8Text((cluster.password ?? new Redacted(new Uint8Array())).reveal())
  places = await chooseAddresses(cluster.manifest.masters, '127.0.0.1', new SystemRandom())
  running = []
  lines = []
  logged = new Writable({
    write: (line: Buffer, _encoding, done) => {
      lines.push(line.toString('utf8'))
      done()
    },
  })
})

afterEach(async () => {
  await Promise.all(running.map((master) => master.destroy()))
  await rm(directory, { recursive: true, force: true })
})

async function start(masterId: string): Promise<RunningMaster> {
  const master = await startMaster({
    directory: masterDirectory(directory, masterId),
    masters: places,
    segmentSizeBytes: 256 * 1024,
    log: createLogger({ level: 'trace', to: logged }),
  })
  running.push(master)
  return master
}

const startAll = (): Promise<RunningMaster[]> =>
  Promise.all(places.map(({ masterId }) => start(masterId)))

const urlOf = ({ place }: RunningMaster, path: string): string =>
  `http://${place.host}:${place.ports.dcos}${path}`

async function login(master: RunningMaster): Promise<string> {
  const answer = await fetch(urlOf(master, '/acs/api/v1/auth/login'), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ uid: 'dev', password }),
  })
  expect(answer.status).toBe(200)
  return ((await answer.json()) as { token: string }).token
}

function secretOf(
  master: RunningMaster,
  token: string,
): (method: string, value?: string) => Promise<Response> {
  return (method, value) =>
    fetch(urlOf(master, '/secrets/v1/secret/default/dev/db'), {
      method,
      headers: {
        authorization: `token=${token}`,
        ...(value !== undefined && { 'content-type': 'application/json' }),
      },
      ...(value !== undefined && { body: JSON.stringify({ value }) }),
    })
}

function roles(masters: readonly RunningMaster[]): {
  leader: RunningMaster
  followers: readonly RunningMaster[]
} {
  const leader = masters.find(({ api }) => api.status().role === 'leader')
  if (leader === undefined) throw new Error('nobody leads')
  return { leader, followers: masters.filter((master) => master !== leader) }
}

const leaderPort = ({ api }: RunningMaster): number | undefined =>
  api.status().leader?.listeners['dcos']?.port

const value = 'canary-b7d1f0c4-3a52-4f5e-9d0a-secret'

async function filesHolding(text: string, below: string): Promise<string[]> {
  const entries = await readdir(below, { recursive: true, withFileTypes: true })
  const found: string[] = []
  for (const entry of entries.filter((one) => one.isFile())) {
    const file = join(entry.parentPath, entry.name)
    const bytes = await readFile(file)
    const forms = [text, Buffer.from(text).toString('base64'), Buffer.from(text).toString('hex')]
    if (forms.some((form) => bytes.includes(form))) found.push(file)
  }
  return found
}

describe('three masters on real disks and sockets', () => {
  test('answers in the words of each face before any route is found', async () => {
    const master = await start('master-1')
    const { host, ports } = master.place
    const said = async (port: number): Promise<unknown> => {
      const answer = await fetch(`http://${host}:${port}/a%`)
      expect(answer.status).toBe(400)
      return answer.text()
    }

    expect(await said(ports.dcos)).toMatch(/the path cannot be decoded.*"code":"ERR_INVALID_PATH"/)
    expect(await said(ports.conclave)).toMatch(/^{"error":{"code":"request\.invalid"/)
    expect(await said(ports.mesos)).not.toMatch(/FST_|%/)
  })

  test('keep a secret that a follower took, and any of them gives it back', async () => {
    const masters = await startAll()
    await Promise.all(masters.map((master) => master.ready()))
    const { leader, followers } = roles(masters)
    const [follower = leader] = followers
    const token = await login(follower)

    expect((await secretOf(follower, token)('PUT', value)).status).toBe(201)

    for (const master of masters) {
      const answer = await secretOf(master, token)('GET')
      expect(answer.status).toBe(200)
      expect(await answer.json()).toEqual({ value })
    }
  })

  test('AS4: write no value, password or token to a file or a line of the log', async () => {
    const masters = await startAll()
    await Promise.all(masters.map((master) => master.ready()))
    const { leader } = roles(masters)
    const token = await login(leader)
    expect((await secretOf(leader, token)('PUT', value)).status).toBe(201)
    expect((await secretOf(leader, token)('PUT', value)).status).toBe(409)
    expect((await secretOf(leader, `${token}x`)('PUT', value)).status).toBe(401)
    expect((await secretOf(leader, token)('GET')).status).toBe(200)
    await leader.stop()

    for (const text of [value, password, token]) {
      expect(await filesHolding(text, directory)).toEqual([])
      expect(lines.filter((line) => line.includes(text))).toEqual([])
    }
    expect(lines.join('')).toContain('this master has stopped')
    expect(await filesHolding('dev/db', directory)).toHaveLength(1) // the audit log of one master
  })

  test('AS3: find each other on ports that nobody had chosen', async () => {
    const free = { peers: 0, agents: 0, join: 0, conclave: 0, dcos: 0, mesos: 0 }
    places = places.map((place) => ({ ...place, ports: free }))
    const masters = await startAll()
    const found = masters.map(({ place }) => place)
    for (const master of masters) master.setPeers(found)
    await Promise.all(masters.map((master) => master.ready()))

    const { leader, followers } = roles(masters)
    expect(leader.place.ports.dcos).not.toBe(0)
    await eventually(() => followers.every((one) => leaderPort(one) === leader.place.ports.dcos))
  })

  test('AS1: go on after the leader is killed, and bring it back with all it missed', async () => {
    const masters = await startAll()
    await Promise.all(masters.map((master) => master.ready()))
    const { leader, followers } = roles(masters)
    const [follower = leader] = followers
    const token = await login(follower)
    expect((await secretOf(follower, token)('PUT', 'before')).status).toBe(201)

    await leader.destroy()
    expect((await secretOf(follower, token)('PATCH', value)).status).toBe(204)

    const again = await start(leader.masterId)
    await again.ready()
    const answer = await secretOf(again, token)('GET')
    expect(await answer.json()).toEqual({ value })
  })

  test('AS1: keep everything when all of them are killed at once', async () => {
    const masters = await startAll()
    await Promise.all(masters.map((master) => master.ready()))
    const token = await login(roles(masters).leader)
    expect((await secretOf(roles(masters).leader, token)('PUT', value)).status).toBe(201)

    await Promise.all(masters.map((master) => master.destroy()))
    const again = await startAll()
    await Promise.all(again.map((master) => master.ready()))

    const answer = await secretOf(roles(again).leader, token)('GET')
    expect(await answer.json()).toEqual({ value })
  })

  test('AS2: hand leadership on when the leader is stopped', async () => {
    const masters = await startAll()
    await Promise.all(masters.map((master) => master.ready()))
    const { leader, followers } = roles(masters)
    const { term } = leader.api.status()

    await leader.stop()

    await eventually(() => followers.some(({ api }) => api.status().role === 'leader'))
    expect(roles(followers).leader.api.status().term).toBe(term + 1)
  })

  test('AS5 threat:NT-06: do not speak plain HTTP beyond this machine unless they are told to', async () => {
    places = places.map((place) => ({ ...place, host: '0.0.0.0' }))

    await expect(start('master-1')).rejects.toMatchObject({ code: 'face.exposed' })

    expect(await readdir(masterDirectory(directory, 'master-1'))).not.toContain('journal')
  })

  test('turn away whoever has no token, or a wrong password', async () => {
    const masters = await startAll()
    await Promise.all(masters.map((master) => master.ready()))
    const { leader } = roles(masters)

    expect((await secretOf(leader, 'no.real.token')('GET')).status).toBe(401)
    const refused = await fetch(urlOf(leader, '/acs/api/v1/auth/login'), {
      method: 'POST',
      body: JSON.stringify({ uid: 'dev', password: `${password}x` }),
    })
    expect(refused.status).toBe(401)
  })
})
