import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EtcdClient, EtcdStore } from '@conclave/engine-etcd'
import { utf8 } from '@conclave/kernel'
import { secretSizeBytesMax } from '@conclave/model'
import { SystemRandom } from '@conclave/runtime'
import {
  canary,
  EtcdCluster,
  findCanaries,
  missingServer,
  scanDirectory,
  type Canary,
} from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import {
  Conclave,
  conclaveProgram,
  Home,
  isAlive,
  Load,
  missingFrom,
  Program,
  reference,
  taskSpec,
  until,
  variable,
  volume,
  type Master,
} from '../src/index.ts'

const why = missingServer('etcd')
const [value, later, control] = [canary('value'), canary('later'), canary('control')]
const path = 'dev/db/password'

interface Shown {
  readonly masterId: string
  readonly listeners: Readonly<Record<string, { readonly host: string; readonly port: number }>>
}

const secretUrl = (at: string): string => `/secrets/v1/secret/default/${at}`

async function done(cluster: Conclave, args: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await cluster.cli(args, input)
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' })
  return stdout
}

const followersOf = (cluster: Conclave, leader: Master): readonly Master[] =>
  cluster.ready.masters.filter(({ masterId }) => masterId !== leader.masterId)

const masterIds = (cluster: Conclave): readonly string[] =>
  cluster.ready.masters.map(({ masterId }) => masterId)

/** Runs a task that has the secret as a variable and as a file, and ends well if both are `text`. */
async function runTask(cluster: Conclave, name: string, text: string): Promise<void> {
  const file = cluster.home.file(`${name}.json`)
  // Of something before the value, too: the search of etcd would know the value's own digest.
  const digest = createHash('sha256').update(`${name} ${text}`).digest('hex')
  const command = `[ "$PASSWORD" = "$(cat secrets/password)" ] && printf '%s %s' ${name} "$PASSWORD" | sha256sum | grep -q ${digest}`
  const spec = taskSpec(name, command, {
    variables: [variable('PASSWORD', reference(path))],
    volumes: [volume('secrets/password', reference(path))],
  })
  writeFileSync(file, JSON.stringify(spec))
  const { code, stderr } = await cluster.cli(['run', file])
  expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining('FINISHED') })
}

/** Who is a master, and where each listens, as the leader says. */
async function membersOf(cluster: Conclave): Promise<readonly Shown[]> {
  const { body } = await cluster.ask(await cluster.leader(), 'conclave', '/conclave/v1/masters')
  return (JSON.parse(Buffer.from(body).toString()) as { members: readonly Shown[] }).members
}

/** All that etcd holds, as one who may read everything in it sees it. */
async function dumpOf(etcd: EtcdCluster): Promise<Buffer> {
  const client = new EtcdClient({ endpoints: etcd.endpoints })
  try {
    const { kvs } = await client.range({ key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) })
    return Buffer.concat(kvs.flatMap(({ key, value: bytes }) => [key, Buffer.from('\n'), bytes]))
  } finally {
    client.close()
  }
}

/** Where a value can be read off: etcd's files, what it answers, and the directories of all members. */
async function placesOf(
  cluster: Conclave,
  etcd: EtcdCluster,
  canaries: readonly Canary[],
): Promise<readonly string[]> {
  const inFiles = await Promise.all(
    [etcd.directory, cluster.directory].map((directory) => scanDirectory(directory, canaries)),
  )
  const answered = findCanaries(await dumpOf(etcd), canaries)
  return [
    ...inFiles.flatMap(({ hits }) => hits.map(({ place, form }) => `${place} ${form}`)),
    ...answered.map(({ form }) => `an answer ${form}`),
  ]
}

describe.skipIf(why !== undefined)(`masters in front of an etcd cluster ${why ?? ''}`, () => {
  let etcd: EtcdCluster
  let cluster: Conclave
  const promised = new Map<string, string>()

  beforeAll(async () => {
    etcd = await EtcdCluster.start()
    cluster = await Conclave.start(['--agents', '1', '--engine', etcd.url('conclave/prod')])
  })
  afterAll(async () => {
    await cluster?.stop()
    await etcd?.stop()
  })

  function promise(load: Load): void {
    for (const [at, text] of load.acknowledged) promised.set(at, text)
  }

  async function expectAllThere(): Promise<void> {
    for (const master of cluster.ready.masters) {
      await until(`${master.masterId} is ready`, async () => {
        const { body } = await cluster.ask(master, 'conclave', '/health')
        return Buffer.from(body).toString().includes('"isReady":true')
      })
      expect(await missingFrom(cluster, master, promised)).toEqual([])
    }
  }

  test('keep secrets there, and run tasks with them', async () => {
    await done(cluster, ['secret', 'put', path], value.text)

    expect(await done(cluster, ['secret', 'get', path])).toBe(value.text)
    await runTask(cluster, 'first', value.text)
  })

  test('take the largest secret there may be by way of any master', async () => {
    const large = Buffer.alloc(secretSizeBytesMax, 'x')
    for (const [at, master] of cluster.ready.masters.entries()) {
      const url = secretUrl(`dev/large/${at}`)
      const headers = { 'content-type': 'application/octet-stream' }
      const put = await cluster.ask(master, 'dcos', url, { method: 'PUT', headers, body: large })
      expect(put.status).toBe(201)
    }
    const got = await cluster.ask(await cluster.leader(), 'dcos', secretUrl('dev/large/1'))
    expect(Buffer.from(got.body).equals(large)).toBe(true)
  })

  test('go on when the one that leads is killed with -9, and it comes back', async () => {
    const load = new Load(cluster, 'engine/leader')
    await until('fifty writes are acknowledged', () => load.acknowledged.size >= 50)
    const leader = await cluster.leader()

    await cluster.kill(leader.masterId)
    const next = await cluster.leader(followersOf(cluster, leader))
    const atKill = load.acknowledged.size
    await until('fifty more are acknowledged', () => load.acknowledged.size >= atKill + 50)
    await cluster.restart(leader.masterId)
    await load.end()
    promise(load)

    expect(next.masterId).not.toBe(leader.masterId)
    await expectAllThere()
    await runTask(cluster, 'after-the-leader', value.text)
  })

  test('go on when a member of etcd is killed with -9, whichever it is', async () => {
    for (const name of etcd.names) {
      const load = new Load(cluster, `engine/${name}`)
      await until('twenty writes are acknowledged', () => load.acknowledged.size >= 20)
      await etcd.kill(name)
      const atKill = load.acknowledged.size
      await until('fifty more are acknowledged', () => load.acknowledged.size >= atKill + 50)
      await etcd.restart(name)
      await load.end()
      promise(load)
    }
    await expectAllThere()
    expect(promised.size).toBeGreaterThanOrEqual(200)
  })

  test('answer 503 while etcd has no quorum, end by none of it, and go on by themselves', async () => {
    const [one = '', two = ''] = etcd.names
    await etcd.kill(one)
    await etcd.kill(two)
    const [master] = cluster.ready.masters
    if (master === undefined) throw new Error('there is no master')

    const headers = { 'content-type': 'application/octet-stream' }
    const [read, write] = await Promise.all([
      cluster.ask(master, 'dcos', secretUrl(path)),
      cluster.ask(master, 'dcos', secretUrl('dev/lost'), { method: 'PUT', headers, body: 'x' }),
    ])
    expect([read.status, write.status]).toEqual([503, 503])
    for (const each of cluster.ready.masters) {
      await until('nobody leads any more', async () => {
        const { body } = await cluster.ask(each, 'conclave', '/health')
        return Buffer.from(body).toString().includes('"isReady":false')
      })
    }
    expect(masterIds(cluster).map((id) => isAlive(cluster.pidOf(id)))).toEqual([true, true, true])

    await etcd.restart(one)
    await etcd.restart(two)
    await cluster.leader()
    await until('a secret is stored again', async () => {
      const { code } = await cluster.cli(['secret', 'put', 'dev/after'], 'x')
      return code === 0
    })
    await expectAllThere()
  })

  test('hold nothing of it: killed all at once and started again they have it all', async () => {
    await cluster.kill(...masterIds(cluster))
    for (const id of masterIds(cluster)) {
      const directory = join(cluster.directory, 'masters', id)
      expect(existsSync(join(directory, 'journal'))).toBe(false)
      expect(readFileSync(join(directory, 'engine.json'), 'utf8')).toContain('/conclave/prod')
    }

    await Promise.all(masterIds(cluster).map((id) => cluster.restart(id)))
    await cluster.leader()

    expect(await done(cluster, ['secret', 'get', path])).toBe(value.text)
    await expectAllThere()
    await runTask(cluster, 'after-all', value.text)
  })

  test('refuse to be another cluster, or to begin a second one, and say what to do', async () => {
    const { masterId } = (await cluster.leader()) satisfies Master
    await cluster.kill(masterId)

    const alone = await cluster.startInVain(masterId, ['--engine', 'embedded'])
    expect(alone).toMatchObject({
      code: 1,
      said: expect.stringContaining('start it with --engine'),
    })
    const moved = await cluster.startInVain(masterId, ['--engine', etcd.url('elsewhere')])
    expect(moved).toMatchObject({ code: 1, said: expect.stringContaining('not below /elsewhere') })
    const wrong = await cluster.startInVain(masterId, ['--engine', 'etcd://user:pw@host'])
    expect(wrong.code).toBe(2)
    await cluster.restart(masterId)

    const home = new Home()
    onTestFinished(() => home.remove())
    const url = etcd.url('conclave/prod')
    await expect(Conclave.start(['--engine', url], { home })).rejects.toThrow('give another prefix')
  })

  test('refuse to promote or remove each other, and say how it is done here', async () => {
    const { code, stderr } = await cluster.cli(['master', 'rm', 'master-3', '--force'])

    expect(code).not.toBe(0)
    expect(stderr).toContain('their store in etcd')
    expect(await done(cluster, ['master', 'ls'])).toContain('master-3')
  })

  test('become one more by a token, which then leads when the others are gone', async () => {
    const home = cluster.home
    const token = home.file('token')
    const made = await done(cluster, ['cluster', 'join-token', 'master', '--quiet'])
    writeFileSync(token, made, { mode: 0o600 })
    const [first] = await membersOf(cluster)
    const { host, port } = first?.listeners['join'] ?? { host: '', port: 0 }
    const joining = ['--address', `${host}:${port}`, '--token-file', token]
    const engine = ['--engine', etcd.url('conclave/prod')]
    const data = ['--data', home.file('fourth')]
    const fourth = new Program(
      process.execPath,
      [conclaveProgram, 'master', 'join', ...data, ...joining, ...engine],
      { env: home.environment },
    )
    onTestFinished(() => void fourth.child.kill('SIGKILL'))

    await until('it is one of them', async () =>
      (await membersOf(cluster)).some(({ masterId }) => masterId === 'master-4'),
    )
    // So that the command line has heard of it.
    await done(cluster, ['master', 'ls'])
    await cluster.kill(...masterIds(cluster))
    const got = await until('it answers for all', async () => {
      const outcome = await cluster.cli(['secret', 'get', path])
      return outcome.code === 0 && outcome
    })
    expect(got.stdout).toBe(value.text)
    await Promise.all(masterIds(cluster).map((id) => cluster.restart(id)))
  })

  test('are locked by autolock as ever: nothing on their disks opens what is in etcd', async () => {
    const leader = await cluster.leader()
    const lock = (isOn: boolean) =>
      cluster.ask(leader, 'conclave', '/conclave/v1/lock', {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ isOn }),
      })
    const { status, body } = await lock(true)
    expect(status).toBe(200)
    const unlockKey = Buffer.from(body)
    const kekOf = (id: string): string => join(cluster.directory, 'masters', id, 'kek.key')
    await until('no KEK rests anywhere', () =>
      masterIds(cluster).every((id) => !existsSync(kekOf(id))),
    )

    await cluster.kill(...masterIds(cluster))
    await Promise.all(masterIds(cluster).map((id) => cluster.restart(id)))
    const [first] = cluster.ready.masters
    if (first === undefined) throw new Error('there is no master')
    const locked = await cluster.ask(first, 'dcos', secretUrl(path), {}, 'nobody')
    expect(locked.status).toBe(503)
    for (const master of cluster.ready.masters) {
      const headers = { 'content-type': 'text/plain' }
      const wanted = { method: 'POST', headers, body: unlockKey } as const
      const answer = await cluster.ask(
        master,
        'conclave',
        '/conclave/v1/lock/unlock',
        wanted,
        'nobody',
      )
      expect(answer.status).toBe(200)
    }
    await cluster.leader()

    expect(await done(cluster, ['secret', 'get', path])).toBe(value.text)
    expect((await lock(false)).status).toBe(204)
  })

  test('EE6, S1, S2: nobody who has all of etcd, its files or theirs can read a value off', async () => {
    await done(cluster, ['secret', 'put', path], later.text)
    const client = new EtcdClient({ endpoints: etcd.endpoints })
    const beside = new EtcdStore({ client, prefix: '/beside', random: new SystemRandom() })
    onTestFinished(() => beside.close())
    await beside.put('control', utf8(control.text))

    expect(await placesOf(cluster, etcd, [value, later])).toEqual([])
    // The search would have found it.
    const found = await placesOf(cluster, etcd, [control])
    expect(found.some((place) => place.startsWith('an answer'))).toBe(true)
    expect(found.some((place) => !place.startsWith('an answer'))).toBe(true)
  })
})

describe.skipIf(why !== undefined)(`a cluster that outgrew its own log ${why ?? ''}`, () => {
  test('moves to etcd with all it has, and goes on there', async () => {
    const etcd = await EtcdCluster.start()
    onTestFinished(() => etcd.stop())
    const home = new Home()
    onTestFinished(() => home.remove())
    const url = etcd.url('conclave/moved')

    const before = await Conclave.start(['--agents', '1'], { home })
    await done(before, ['secret', 'put', path], 'older')
    await done(before, ['secret', 'put', path], value.text)
    await done(before, ['store', 'migrate', '--from', 'conclave:', '--to', url])
    await before.stop()
    // Not anywhere else: it has a state of its own.
    const elsewhere = Conclave.start(['--engine', etcd.url('empty')], { home })
    await expect(elsewhere).rejects.toThrow('store migrate')

    const after = await Conclave.start(['--engine', url], { home })
    onTestFinished(async () => void (await after.stop()))

    expect(after.ready.clusterId).toBe(before.ready.clusterId)
    expect(await done(after, ['secret', 'get', path])).toBe(value.text)
    expect(await done(after, ['secret', 'get', path, '--version', '1'])).toBe('older')
    await done(after, ['secret', 'put', path], later.text)
    await runTask(after, 'moved', later.text)
    expect(readdirSync(join(after.directory, 'masters'))).toHaveLength(3)
  })
})
