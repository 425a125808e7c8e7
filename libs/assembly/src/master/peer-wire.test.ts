import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { SystemRandom } from '@conclave/runtime'
import {
  canary,
  eventually,
  expectNoLeak,
  findCanary,
  missingServer,
  RedisServer,
  type Canary,
} from '@conclave/testkit'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { chooseAddresses } from '../cluster/addresses.ts'
import { masterDirectory } from '../cluster/layout.ts'
import { prepareCluster } from '../cluster/prepare-cluster.ts'
import { devCaller } from '../testing/test-cluster.ts'
import type { MasterOptions, MasterPlace } from './master-options.ts'
import type { RunningMaster } from './master.ts'
import { MasterRemoved } from './membership.ts'
import { isPeerWire, parsePeerWire } from './peer-wire.ts'
import { startMaster } from './start-master.ts'

const why = missingServer('redis-server')

const urlOf = ({ place }: RunningMaster, path: string): string =>
  `http://${place.host}:${place.ports.dcos}${path}`

describe.skipIf(why !== undefined)(`AS7: three masters over a Redis ${why ?? ''}`, () => {
  let redis: RedisServer
  let directory: string
  let places: readonly MasterPlace[]
  let password: string
  let running: RunningMaster[]
  let token: string

  beforeEach(async () => {
    redis = await RedisServer.start()
    directory = await mkdtemp(join(tmpdir(), 'conclave-redis-masters-'))
    const cluster = await prepareCluster(directory, { masters: 3, agents: 0 })
    password = utf8Text((cluster.password ?? new Redacted(new Uint8Array())).reveal())
    places = await chooseAddresses(cluster.manifest.masters, '127.0.0.1', new SystemRandom())
    running = await Promise.all(places.map(({ masterId }) => start(masterId)))
    await Promise.all(running.map((master) => master.ready()))
    token = await login()
  })
  afterEach(async () => {
    await Promise.all(running.map((master) => master.destroy()))
    await redis.stop()
    await rm(directory, { recursive: true, force: true })
  })

  const start = (
    masterId: string,
    replicaLimits: MasterOptions['replicaLimits'] = {},
  ): Promise<RunningMaster> =>
    startMaster({
      replicaLimits,
      directory: masterDirectory(directory, masterId),
      masters: places,
      segmentSizeBytes: 256 * 1024,
      peerWire: parsePeerWire(new Redacted(utf8(redis.unixUrl))),
    })

  const leader = (): RunningMaster | undefined =>
    running.find(({ api }) => api.status().role === 'leader')

  async function login(): Promise<string> {
    const answer = await fetch(urlOf(running[0]!, '/acs/api/v1/auth/login'), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ uid: 'dev', password }),
    })
    return ((await answer.json()) as { token: string }).token
  }

  async function put(path: string, value: string, at = running[0]!): Promise<number> {
    const answer = await fetch(urlOf(at, `/secrets/v1/secret/default/${path}`), {
      method: 'PUT',
      headers: { authorization: `token=${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ value }),
    })
    return answer.status
  }

  async function get(path: string, at: RunningMaster): Promise<string | undefined> {
    const answer = await fetch(urlOf(at, `/secrets/v1/secret/default/${path}`), {
      headers: { authorization: `token=${token}` },
    })
    if (answer.status !== 200) return undefined
    return ((await answer.json()) as { value: string }).value
  }

  /** A 503 says that nothing, or nothing known, has happened: then it is written again elsewhere. */
  async function insistOn(path: string, value: string): Promise<void> {
    for (let turn = 0; ; turn++) {
      const status = await put(path, value, running[turn % running.length])
      if (status === 201 || status === 409) return
      expect([500, 503, 504]).toContain(status)
    }
  }

  /** Which of `expected` some master does not answer. */
  async function missing(expected: ReadonlyMap<string, string>): Promise<readonly string[]> {
    const found: string[] = []
    for (const master of running) {
      for (const [path, value] of expected) {
        if ((await get(path, master)) !== value) found.push(`${path} at ${master.masterId}`)
      }
    }
    return found
  }

  test('elect, write, and read everywhere; none of them listens for peers', async () => {
    const small = new Map(Array.from({ length: 20 }, (_, n) => [`dev/${n}`, `value ${n}`]))

    await Promise.all([...small].map(([path, value]) => insistOn(path, value)))

    expect(await missing(small)).toEqual([])
    expect(running.map(({ place }) => place.ports.peers)).toEqual([0, 0, 0])
  })

  test('ask each other: any of them says who there is, and whoever was removed hears of it', async () => {
    const gone = running.find((master) => master !== leader())!
    const members = await gone.api.members.list(devCaller)
    // How far each lags changes from one look to the next.
    const told = await leader()!.api.members.list(devCaller)
    expect(members).toEqual(told.map((view) => ({ ...view, lag: expect.any(Number) })))
    expect(members.map(({ role }) => role).toSorted()).toEqual(['leader', 'voter', 'voter'])

    await running
      .find((master) => master !== gone && master !== leader())!
      .api.members.leave(devCaller, gone.masterId)

    await expect(gone.failed).resolves.toBeInstanceOf(MasterRemoved)
    await expect(start(gone.masterId)).rejects.toBeInstanceOf(MasterRemoved)
  }, 20_000)

  test('tell one that was away that it was removed', async () => {
    const gone = running.find((master) => master !== leader())!
    await gone.destroy()
    await vi.waitFor(async () => {
      const seen = await leader()!.api.members.list(devCaller)
      expect(seen.find(({ masterId }) => masterId === gone.masterId)?.isReachable).toBe(false)
    }, 10_000)
    await leader()!.api.members.remove(devCaller, gone.masterId, { force: true })

    const again = await start(gone.masterId)
    running.push(again)
    await expect(again.failed).resolves.toBeInstanceOf(MasterRemoved)
  }, 20_000)

  test('lose no acknowledged write when Redis is killed and comes back empty, and go on', async () => {
    const promised = new Map<string, string>()
    const write = async (path: string): Promise<void> => {
      await insistOn(path, `of ${path}`)
      promised.set(path, `of ${path}`)
    }
    for (let n = 0; n < 10; n++) await write(`before/${n}`)
    const terms = running.map(({ api }) => api.status().term)

    await redis.kill()
    const during = put('during/0', 'nobody may promise this')
    await eventually(() => leader() === undefined)
    await redis.restart()
    await during

    for (let n = 0; n < 10; n++) await write(`after/${n}`)
    expect(await missing(promised)).toEqual([])
    expect(Math.min(...running.map(({ api }) => api.status().term))).toBeGreaterThanOrEqual(
      Math.max(...terms),
    )
  })

  test('go on when everything in Redis is deleted', async () => {
    await insistOn('before', 'value')

    await redis.ask('FLUSHALL')
    await insistOn('after', 'value')

    expect(
      await missing(
        new Map([
          ['before', 'value'],
          ['after', 'value'],
        ]),
      ),
    ).toEqual([])
  })

  test('elect another one when the leader is killed, which catches up when it is back', async () => {
    await insistOn('before', 'value')
    const killed = leader()
    await killed?.destroy()
    running = running.filter((master) => master !== killed)

    await insistOn('without', 'it')
    running.push(await start(killed?.masterId ?? ''))
    await insistOn('with', 'it')

    expect(
      await missing(
        new Map([
          ['before', 'value'],
          ['without', 'it'],
          ['with', 'it'],
        ]),
      ),
    ).toEqual([])
  })

  test('bring a master that was away for long back by a snapshot, in pieces', async () => {
    await Promise.all(running.map((master) => master.destroy()))
    const often = { snapshotEntries: 20, trailingEntries: 1 }
    running = await Promise.all(places.map(({ masterId }) => start(masterId, often)))
    await Promise.all(running.map((master) => master.ready()))
    const away = running.find((master) => master !== leader())
    await away?.destroy()
    running = running.filter((master) => master !== away)
    const large = new Map(
      Array.from({ length: 40 }, (_, n) => [`large/${n}`, `${n}`.repeat(20_000)]),
    )
    for (const [path, value] of large) await insistOn(path, value)

    running.push(await start(away?.masterId ?? '', often))
    await running.at(-1)?.ready()

    expect(await missing(large)).toEqual([])
    expect(
      (await readdir(join(masterDirectory(directory, away?.masterId ?? ''), 'journal'))).join(),
    ).toContain('.snap')
  }, 20_000)

  test('say nothing to Redis that holds a value, a password or a key', async () => {
    const watch = await redis.watch()
    const [value, decoy] = [canary('value'), canary('decoy')]

    await insistOn('canary', value.text)
    await redis.ask('PUBLISH', 'somewhere', decoy.text)
    await eventually(() => findCanary(watch.said(), decoy).length > 0)

    const secrets: readonly Canary[] = [value]
    expectNoLeak({ redis: watch.said() }, secrets)
    expect(watch.said().includes(password)).toBe(false)
    expect(await get('canary', running[1]!)).toBe(value.text)
    watch.end()
  })
})

describe('AS7: the wire between masters', () => {
  test.each(['tcp', 'redis://localhost', 'rediss://user:pw@host:1/2', 'unix:///run/r.sock'])(
    'can be %s',
    (text) => expect(isPeerWire(text)).toBe(true),
  )

  test.each(['', 'udp', 'http://localhost', 'redis:'])('cannot be %j', (text) =>
    expect(isPeerWire(text)).toBe(false),
  )
})
