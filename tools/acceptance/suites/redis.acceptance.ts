import { createPrivateKey, randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { canary, findCanary, holdsKey, missingServer, RedisServer } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Conclave, DockerCli, Load, missingFrom, until } from '../src/index.ts'

const why = missingServer('redis-server')

describe.skipIf(why !== undefined)(`masters that speak over Redis ${why ?? ''}`, () => {
  let redis: RedisServer
  let cluster: Conclave
  /** All that was ever acknowledged: in the end it must be at every master. */
  const promised = new Map<string, string>()

  beforeAll(async () => {
    redis = await RedisServer.start()
    cluster = await Conclave.start(['--peer-wire', redis.url])
  })
  afterAll(async () => {
    await cluster?.stop()
    await redis.stop()
  })

  function promise(load: Load): void {
    for (const [path, value] of load.acknowledged) promised.set(path, value)
  }

  test('find each other by the name of the cluster: no master listens for another', async () => {
    const { clusterId, masters } = cluster.ready

    expect((await cluster.cli(['secret', 'put', 'redis/first'], 'value')).code).toBe(0)

    for (const { listeners } of masters) expect(Object.keys(listeners)).not.toContain('peers')
    for (const nodeId of [1, 2, 3]) {
      const announcement = await redis.ask('GET', `conclave:${clusterId}:peer:${nodeId}`)
      expect(announcement).toContain(`"node":${nodeId}`)
    }
  })

  test('lose no acknowledged write when Redis is killed under load and comes back empty, twice', async () => {
    for (const round of [1, 2]) {
      const load = new Load(cluster, `redis/killed/${round}`)
      await until('fifty writes are acknowledged', () => load.acknowledged.size >= 50)

      await redis.kill()
      const atKill = load.acknowledged.size
      await redis.restart()
      await until('fifty more are acknowledged', () => load.acknowledged.size >= atKill + 50)
      await load.end()
      promise(load)

      for (const master of cluster.ready.masters) {
        expect(await missingFrom(cluster, master, promised)).toEqual([])
      }
    }
  })

  test('go on under load when Redis stands still for a while, and when it is emptied', async () => {
    const load = new Load(cluster, 'redis/still')
    await until('fifty writes are acknowledged', () => load.acknowledged.size >= 50)

    await redis.freeze(true)
    await new Promise((resolve) => setTimeout(resolve, 1500))
    const atThaw = load.acknowledged.size
    await redis.freeze(false)
    await redis.ask('FLUSHALL')
    await until('fifty more are acknowledged', () => load.acknowledged.size >= atThaw + 50)
    await load.end()
    promise(load)

    expect(await missingFrom(cluster, await cluster.leader(), promised)).toEqual([])
  })

  test('elect another one when the leader is killed with -9, which comes back', async () => {
    const load = new Load(cluster, 'redis/leader')
    await until('fifty writes are acknowledged', () => load.acknowledged.size >= 50)
    const { masterId } = await cluster.leader()

    await cluster.kill(masterId)
    const atKill = load.acknowledged.size
    await until('fifty more are acknowledged', () => load.acknowledged.size >= atKill + 50)
    await cluster.restart(masterId)
    await load.end()
    promise(load)

    for (const master of cluster.ready.masters) {
      await until('it has caught up', async () => {
        const missing = await missingFrom(cluster, master, promised)
        return missing.length === 0
      })
    }
    expect(promised.size).toBeGreaterThanOrEqual(400)
  })

  test.skipIf(missingServer('docker') !== undefined)(
    'lead into containers from every socket of Docker, whoever leads',
    async () => {
      const secret = canary('in a container')
      const sockets = cluster.ready.masters.map((master) => new DockerCli(cluster, master))
      const [first] = sockets as [DockerCli]
      await first.out('swarm', 'init')
      await first.secret('over-redis', secret.text)
      const said = 'cat; echo said; sleep 1000'
      const image = ['busybox', 'sh', '-c', said]
      await first.out(
        'service',
        'create',
        '-q',
        '--name',
        'web',
        '--secret',
        'over-redis',
        ...image,
      )
      const [container = ''] = await first.lines('ps', '-q')
      expect(container).not.toBe('')
      const watch = await redis.watch()
      const big = Buffer.alloc(3_000_000, 'x')

      for (const docker of sockets) {
        expect(await docker.out('exec', container, 'cat', '/run/secrets/over-redis')).toBe(
          secret.text,
        )
        expect((await docker.run(['exec', '-i', container, 'wc', '-c'], big)).stdout.trim()).toBe(
          '3000000',
        )
        const yes = await docker.run(['exec', container, 'sh', '-c', 'yes | head -c 5000000'])
        expect(yes).toMatchObject({ code: 0, stderr: '' })
        expect(yes.stdout).toHaveLength(5_000_000)
        expect((await docker.run(['exec', container, 'sh', '-c', 'exit 7'])).code).toBe(7)
        expect(await docker.out('logs', container)).toContain('said')
        expect(await docker.out('service', 'logs', '--raw', 'web')).toContain('said')
        expect(await docker.out('top', container)).toContain('sleep')
        expect(await docker.out('kill', '-s', 'WINCH', container)).toBe(container)
        const nodes = await docker.out('node', 'ls', '--format', '{{.ManagerStatus}}')
        expect(nodes.split('\n').filter(Boolean).toSorted()).toEqual([
          'Leader',
          'Reachable',
          'Reachable',
        ])
      }
      expect(findCanary(watch.said(), secret)).toEqual([])
      watch.end()
      await first.out('service', 'rm', 'web')
    },
  )

  test('end the process of a master that was removed, and take it in no more', async () => {
    const gone = cluster.ready.masters.find(({ masterId }) => masterId === 'master-3')
    expect((await cluster.cli(['master', 'leave', 'master-3'])).code).toBe(0)
    await until('it is gone', async () => {
      const { stdout } = await cluster.cli(['master', 'ls', '--json'])
      return !stdout.includes('master-3')
    })
    await until('its process has ended', async () => {
      const file = join(gone?.directory ?? '', 'removed.json')
      return existsSync(file)
    })
    expect((await cluster.cli(['secret', 'put', 'redis/two'], 'value')).code).toBe(0)
  })

  test('show who sees all of Redis no value and no password', async () => {
    const watch = await redis.watch()
    const [value, control] = [canary('value'), canary('control')]

    expect((await cluster.cli(['secret', 'put', 'redis/canary'], value.text)).code).toBe(0)
    await redis.ask('PUBLISH', 'somewhere', control.text)
    await until('the control is seen', () => findCanary(watch.said(), control).length > 0)

    expect(findCanary(watch.said(), value)).toEqual([])
    expect(watch.said().includes(cluster.ready.credentials.password)).toBe(false)
    watch.end()
  })

  test('show them no key either: not what wraps all others, nor what proves who a master is', async () => {
    const watch = await redis.watch()
    const keys = cluster.ready.masters.flatMap(({ directory }) => keysIn(directory))
    const control = randomBytes(32)
    expect(keys).toHaveLength(6)

    expect((await cluster.cli(['secret', 'put', 'redis/keys'], 'value')).code).toBe(0)
    // A wire that begins anew agrees on everything anew.
    await cluster.kill('master-1')
    await cluster.restart('master-1')
    await redis.ask('PUBLISH', 'somewhere', control)
    await until('the control is seen', () => holdsKey(bytesOf(watch.said()), control))

    const said = bytesOf(watch.said())
    expect(keys.filter((key) => holdsKey(said, key))).toEqual([])
    watch.end()
  })

  test('refuse a wire that is none, without repeating it', async () => {
    const { code, stderr } = await cluster.cli(['up', '--peer-wire', 'http://user:hunter2@host'])

    expect(code).toBe(2)
    expect(stderr).toContain('redis://host:6379')
    expect(stderr).not.toContain('hunter2')
  })
})

/** The KEK that rests beside a master, and the private half of its certificate's key. */
function keysIn(directory: string): readonly Uint8Array[] {
  const identity = readFileSync(join(directory, 'identity.pem'))
  const privateKey = identity.subarray(identity.indexOf('-----BEGIN PRIVATE KEY-----'))
  const { d = '' } = createPrivateKey(privateKey).export({ format: 'jwk' })
  return [readFileSync(join(directory, 'kek.key')), Buffer.from(d, 'base64url')]
}

/** MONITOR prints what is no letter as `\\xNN`, or by one letter behind a backslash. */
function bytesOf(said: Buffer): Buffer {
  const letters: Readonly<Record<string, string>> = {
    n: '\n',
    r: '\r',
    t: '\t',
    a: '\x07',
    b: '\b',
  }
  const text = said
    .toString('latin1')
    .replace(/\\(?:x([0-9a-f]{2})|(.))/g, (_, hex: string | undefined, letter: string) =>
      hex === undefined
        ? (letters[letter] ?? letter)
        : String.fromCharCode(Number.parseInt(hex, 16)),
    )
  return Buffer.from(text, 'latin1')
}
