import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { usualResources } from '../cluster/member-agent.ts'
import { askSocket, type SocketAnswer } from '../testing/ask-socket.ts'
import { loadEngineFile } from './engine-file.ts'
import { startDockerEngine, type RunningDockerEngine } from './start-docker-engine.ts'

let root: string
const running = new Map<string, RunningDockerEngine>()

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'conclave-engine-'))
})
afterEach(async () => {
  await Promise.all([...running.values()].map((engine) => engine.destroy()))
  running.clear()
  await rm(root, { recursive: true, force: true })
})

const directoryOf = (name: string): string => join(root, name)
const socketOf = (name: string): string => join(root, `${name}.sock`)

async function start(name: string): Promise<RunningDockerEngine> {
  const engine = await startDockerEngine({
    directory: directoryOf(name),
    doors: { uid: 'dev', path: socketOf(name) },
    hostname: name,
    agent: { resources: usualResources },
  })
  running.set(name, engine)
  return engine
}

/** As `kill -9` leaves it. */
async function crash(name: string): Promise<void> {
  await running.get(name)?.destroy()
  running.delete(name)
}

const ask = (name: string, method: string, path: string, body?: unknown): Promise<SocketAnswer> =>
  askSocket(socketOf(name), method, path, body)

const init = (name: string): Promise<SocketAnswer> =>
  ask(name, 'POST', '/swarm/init', { ListenAddr: '0.0.0.0:2377', AdvertiseAddr: '127.0.0.1' })

interface NodeShown {
  readonly ID: string
  readonly Spec: { readonly Role: string; readonly Availability: string }
  readonly Description: { readonly Hostname: string }
  readonly Status: { readonly State: string }
  readonly ManagerStatus?: {
    readonly Leader?: boolean
    readonly Addr: string
    readonly Reachability: string
  }
}
const nodes = async (name: string): Promise<readonly NodeShown[]> =>
  (await ask(name, 'GET', '/nodes')).body as readonly NodeShown[]
const node = async (at: string, hostname: string): Promise<NodeShown | undefined> =>
  (await nodes(at)).find(({ Description }) => Description.Hostname === hostname)

const stateOf = async (name: string): Promise<string> => {
  const { Swarm } = (await ask(name, 'GET', '/info')).body as {
    Swarm: { LocalNodeState: string; ControlAvailable: boolean }
  }
  return `${Swarm.LocalNodeState}${Swarm.ControlAvailable ? ' manager' : ''}`
}

async function until(what: string, attempt: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 30_000; performance.now() < end;) {
    if (await attempt().catch(() => false)) return
    await setTimeout(50)
  }
  throw new Error(`in vain waited until ${what}`)
}

async function joinAs(role: 'Manager' | 'Worker', name: string, at: string): Promise<SocketAnswer> {
  const { JoinTokens } = (await ask(at, 'GET', '/swarm')).body as {
    JoinTokens: Record<'Manager' | 'Worker', string>
  }
  const address = (await nodes(at)).find(({ ManagerStatus }) => ManagerStatus?.Leader === true)
  return ask(name, 'POST', '/swarm/join', {
    ListenAddr: '0.0.0.0:2377',
    AdvertiseAddr: '127.0.0.1',
    RemoteAddrs: [address?.ManagerStatus?.Addr],
    JoinToken: JoinTokens[role],
  })
}

describe('EN1: an engine', () => {
  test(
    'is in no swarm, founds one, and is in it again after a crash',
    { timeout: 60_000 },
    async () => {
      await start('one')
      expect(await stateOf('one')).toBe('inactive')

      const { status, body: id } = await init('one')
      expect([status, id]).toEqual([200, expect.stringMatching(/^[0-9a-z]{25}$/)])
      expect(await nodes('one')).toEqual([
        expect.objectContaining({
          ID: id,
          Spec: { Labels: {}, Role: 'manager', Availability: 'active' },
          Status: expect.objectContaining({ State: 'ready' }) as unknown,
        }),
      ])
      const secret = { Name: 'kept', Data: Buffer.from('s').toString('base64') }
      expect((await ask('one', 'POST', '/secrets/create', secret)).status).toBe(201)

      await crash('one')
      await start('one')
      await until('it is a manager again', async () => (await stateOf('one')) === 'active manager')
      expect((await ask('one', 'GET', '/secrets')).body).toMatchObject([{ Spec: { Name: 'kept' } }])
      expect(await node('one', 'one')).toMatchObject({ ID: id })
    },
  )

  test(
    'joins as the token says, and leaves without a trace on its disk',
    { timeout: 120_000 },
    async () => {
      await Promise.all(['one', 'two', 'three'].map(start))
      await init('one')
      expect(await joinAs('Manager', 'two', 'one')).toEqual({ status: 200, body: '' })
      expect(await joinAs('Worker', 'three', 'one')).toEqual({ status: 200, body: '' })
      expect(await Promise.all(['one', 'two', 'three'].map(stateOf))).toEqual([
        'active manager',
        'active manager',
        'active',
      ])
      expect(
        (await nodes('two')).map(({ Description, Spec }) => [Description.Hostname, Spec.Role]),
      ).toEqual(
        expect.arrayContaining([
          ['one', 'manager'],
          ['two', 'manager'],
          ['three', 'worker'],
        ]),
      )

      expect((await ask('three', 'POST', '/swarm/leave')).status).toBe(200)
      expect(await stateOf('three')).toBe('inactive')
      expect(await readdir(directoryOf('three'))).toEqual(['lock'])
      await until('it is shown as down', async () => {
        return (await node('one', 'three'))?.Status.State === 'down'
      })
      expect((await ask('one', 'DELETE', '/nodes/three')).status).toBe(200)
      expect(await node('one', 'three')).toBeUndefined()
      expect(await joinAs('Worker', 'three', 'one')).toEqual({ status: 200, body: '' })
    },
  )
})

/** As `docker node promote` and `demote` do it. */
async function give(role: 'manager' | 'worker', name: string, at: string): Promise<SocketAnswer> {
  const { body } = await ask(at, 'GET', `/nodes/${name}`)
  const { ID, Version, Spec } = body as NodeShown & { readonly Version: { readonly Index: number } }
  return ask(at, 'POST', `/nodes/${ID}/update?version=${Version.Index}`, { ...Spec, Role: role })
}

describe('EN3: an engine that joined as a worker', () => {
  test(
    'becomes a manager when it shall be one, and a worker again, without a trace of it',
    { timeout: 180_000 },
    async () => {
      await Promise.all(['one', 'two'].map(start))
      await init('one')
      expect((await joinAs('Worker', 'two', 'one')).status).toBe(200)
      const asWorker = await node('one', 'two')
      const before = await readdir(directoryOf('two'), { recursive: true })

      expect(await give('manager', 'two', 'one')).toEqual({ status: 200, body: '' })
      expect(await node('one', 'two')).toMatchObject({
        ID: asWorker?.ID,
        Spec: { Role: 'manager' },
      })
      expect(await nodes('one')).toHaveLength(2)
      await until('two is a manager', async () => (await stateOf('two')) === 'active manager')
      expect((await nodes('two')).map(({ ID }) => ID)).toContain(asWorker?.ID)
      expect(await node('two', 'two')).toMatchObject({
        ManagerStatus: { Reachability: 'reachable' },
      })
      expect(await nodes('two')).toHaveLength(2)

      await crash('two')
      await start('two')
      await until('it is a manager again', async () => (await stateOf('two')) === 'active manager')

      expect(await give('worker', 'two', 'one')).toEqual({ status: 200, body: '' })
      await until('two is a worker', async () => (await stateOf('two')) === 'active')
      const after = await node('one', 'two')
      expect(after).toMatchObject({ ID: asWorker?.ID, Spec: { Role: 'worker' } })
      expect(after).not.toHaveProperty('ManagerStatus')
      await until('nothing of the master is left', async () => {
        const left = await readdir(directoryOf('two'), { recursive: true })
        return left.every((name) => before.includes(name) || name.endsWith('scheduler'))
      })
      expect(await give('worker', 'one', 'one')).toMatchObject({
        status: 400,
        body: {
          message: expect.stringContaining('attempting to demote the last manager') as unknown,
        },
      })
    },
  )

  test(
    'takes over from the founder, which is demoted, and comes back while it is away',
    { timeout: 180_000 },
    async () => {
      await Promise.all(['one', 'two', 'three'].map(start))
      await init('one')
      await joinAs('Worker', 'two', 'one')
      await joinAs('Worker', 'three', 'one')
      for (const name of ['two', 'three']) await give('manager', name, 'one')
      await until('all three are', async () =>
        (await nodes('two')).every((one) => one.ManagerStatus),
      )

      await crash('three')
      await until('three is missed', async () => {
        return (await node('two', 'three'))?.ManagerStatus?.Reachability === 'unreachable'
      })
      // Fewer than a quorum would answer.
      expect(await give('worker', 'one', 'two')).toMatchObject({
        status: 400,
        body: { message: expect.stringContaining('result in a loss of quorum') as unknown },
      })
      expect(await give('worker', 'three', 'two')).toEqual({ status: 200, body: '' })
      await start('three')
      await until('three hears that it is a worker', async () => {
        return (await stateOf('three')) === 'active'
      })
      await give('manager', 'three', 'two')
      await until('three is a manager', async () => (await stateOf('three')) === 'active manager')

      expect(await give('worker', 'one', 'one')).toEqual({ status: 200, body: '' })
      await until('one is a worker', async () => (await stateOf('one')) === 'active')
      expect(await give('manager', 'one', 'two')).toEqual({ status: 200, body: '' })
      await until('one is a manager again', async () => (await stateOf('one')) === 'active manager')
      expect(await nodes('one')).toHaveLength(3)
    },
  )
})

/** Autolock is on from then on, also at `name`. */
async function lock(name: string): Promise<void> {
  const { body } = await ask('one', 'GET', '/swarm')
  const { Version, Spec } = body as { Version: { Index: number }; Spec: object }
  const locking = { ...Spec, EncryptionConfig: { AutoLockManagers: true } }
  const path = `/swarm/update?version=${Version.Index}`
  expect((await ask('one', 'POST', path, locking)).status).toBe(200)
  await until('no key rests there', async () => {
    const files = await readdir(directoryOf(name), { recursive: true })
    return !files.some((file) => file.endsWith('kek.key'))
  })
}

describe('EN3: a manager of a swarm that is locked', () => {
  test(
    'becomes a worker when it was demoted while it was down, without the unlock key',
    { timeout: 180_000 },
    async () => {
      await Promise.all(['one', 'two', 'three'].map(start))
      await init('one')
      await joinAs('Manager', 'two', 'one')
      await joinAs('Manager', 'three', 'one')
      await lock('three')
      const id = (await node('one', 'three'))?.ID
      await crash('three')
      await until('three is missed', async () => {
        return (await node('one', 'three'))?.ManagerStatus?.Reachability === 'unreachable'
      })
      await start('three')
      expect(await stateOf('three')).toBe('locked')
      await crash('three')
      expect(await give('worker', 'three', 'one')).toEqual({ status: 200, body: '' })

      await start('three')
      await until('three is a worker', async () => (await stateOf('three')) === 'active')
      expect(await node('one', 'three')).toMatchObject({ ID: id, Spec: { Role: 'worker' } })
      await until('its agent is there', async () => {
        return (await node('one', 'three'))?.Status.State === 'ready'
      })
    },
  )
})

describe('EN6: a manager that is locked', () => {
  test('leaves by force, and no master of it is left behind', { timeout: 60_000 }, async () => {
    await Promise.all(['one', 'two', 'three'].map(start))
    await init('one')
    await joinAs('Manager', 'two', 'one')
    await joinAs('Manager', 'three', 'one')
    await lock('three')
    await crash('three')
    await start('three')
    expect(await stateOf('three')).toBe('locked')
    expect((await ask('three', 'POST', '/swarm/leave')).status).toBe(503)

    expect((await ask('three', 'POST', '/swarm/leave?force=1')).status).toBe(200)
    expect(await stateOf('three')).toBe('inactive')
    expect(await node('one', 'three')).toMatchObject({ Spec: { Role: 'worker' } })
    const managers = (await nodes('one')).filter(({ ManagerStatus }) => ManagerStatus)
    expect(managers).toHaveLength(2)
  })
})

describe('EN6: a worker that leaves in the middle of its promotion', () => {
  test.each([0, 150, 400])(
    'after %i ms of it leaves no master behind',
    { timeout: 60_000 },
    async (ms) => {
      await Promise.all(['one', 'two'].map(start))
      await init('one')
      await joinAs('Worker', 'two', 'one')
      expect(await give('manager', 'two', 'one')).toEqual({ status: 200, body: '' })
      await until('it has begun', async () => {
        return (await loadEngineFile(directoryOf('two')))?.masterIn !== undefined
      })
      await setTimeout(ms)
      expect((await ask('two', 'POST', '/swarm/leave?force=1')).status).toBe(200)
      expect(await readdir(directoryOf('two'))).toEqual(['lock'])

      // Whatever it was about to be, it is not let in any more.
      await setTimeout(3000)
      const managers = (await nodes('one')).filter(({ ManagerStatus }) => ManagerStatus)
      expect(managers.map(({ Description }) => Description.Hostname)).toEqual(['one'])
      expect((await node('one', 'two'))?.Spec.Role).toBe('worker')
      const later = { Name: 'later', Data: Buffer.from('s').toString('base64') }
      expect((await ask('one', 'POST', '/secrets/create', later)).status).toBe(201)
      expect((await ask('one', 'DELETE', '/nodes/two?force=1')).status).toBe(200)
      expect(await nodes('one')).toHaveLength(1)
    },
  )
})

describe('EN5: a manager that has lost its quorum for good', () => {
  test(
    'goes on alone with all that it has, and listens to none of the others again',
    { timeout: 180_000 },
    async () => {
      await Promise.all(['one', 'two', 'three'].map(start))
      await init('one')
      await joinAs('Manager', 'two', 'one')
      await joinAs('Manager', 'three', 'one')
      const kept = { Name: 'kept', Data: Buffer.from('s').toString('base64') }
      expect((await ask('two', 'POST', '/secrets/create', kept)).status).toBe(201)
      const id = (await node('one', 'one'))?.ID
      await crash('two')
      await crash('three')

      const again = { ForceNewCluster: true, ListenAddr: '0.0.0.0:2377' }
      expect(await ask('one', 'POST', '/swarm/init', again)).toEqual({ status: 200, body: id })
      expect((await ask('one', 'GET', '/secrets')).body).toMatchObject([{ Spec: { Name: 'kept' } }])
      expect((await node('one', 'one'))?.ManagerStatus).toMatchObject({ Leader: true })
      expect(await node('one', 'two')).not.toHaveProperty('ManagerStatus')
      const later = { Name: 'later', Data: Buffer.from('s').toString('base64') }
      expect((await ask('one', 'POST', '/secrets/create', later)).status).toBe(201)

      for (const name of ['two', 'three']) {
        await start(name)
        await until('it hears that it is a manager no more', async () => {
          return (await stateOf(name)) === 'active'
        })
      }
      expect((await node('one', 'one'))?.ManagerStatus).toMatchObject({ Leader: true })
      await crash('one')
      await start('one')
      await until('it is what it was', async () => (await stateOf('one')) === 'active manager')
      expect((await ask('one', 'GET', '/secrets')).body).toHaveLength(2)
      expect(await give('manager', 'two', 'one')).toEqual({ status: 200, body: '' })
      await until('two is a manager', async () => (await stateOf('two')) === 'active manager')
    },
  )
})

const file = (): string => join(directoryOf('one'), 'swarm.json')

test('EN7: two engines never have one directory', async () => {
  const one = await start('one')
  await expect(start('one')).rejects.toMatchObject({ code: 'journal.locked' })
  expect((await init('one')).status).toBe(200)
  await one.stop()
  await start('one')
  await until('it is a manager again', async () => (await stateOf('one')) === 'active manager')
})

describe('EN2: what was cut off', () => {
  const kept = { version: 1, directory: 'swarm-0a1b2c3d', how: 'founded', role: 'master' } as const

  test.each(['beginning', 'leaving'])('while it was %s is erased', async (stage) => {
    const own = join(directoryOf('one'), kept.directory, 'cluster/masters/master-1')
    await mkdir(own, { recursive: true })
    await writeFile(join(own, 'kek.key'), 'k'.repeat(32), { mode: 0o600 })
    await writeFile(file(), JSON.stringify({ ...kept, stage }), { mode: 0o600 })
    await start('one')
    expect(await stateOf('one')).toBe('inactive')
    expect(await readdir(directoryOf('one'))).toEqual(['lock'])
  })

  test('comes to an error that says so when it cannot go on, and can be left', async () => {
    await mkdir(directoryOf('one'))
    await writeFile(file(), JSON.stringify({ ...kept, stage: 'member' }), { mode: 0o600 })
    await start('one')
    expect(await stateOf('one')).toBe('error')
    expect((await ask('one', 'POST', '/swarm/leave?force=1')).status).toBe(200)
    expect(await stateOf('one')).toBe('inactive')
    await expect(stat(file())).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('in the middle of a byte is no membership, and is said to be damaged', async () => {
    await mkdir(directoryOf('one'))
    await writeFile(file(), '{"version":1,"sta', { mode: 0o600 })
    await expect(start('one')).rejects.toMatchObject({ code: 'member.file-unusable' })
    expect(await readFile(file(), 'utf8')).toContain('sta')
    await expect(loadEngineFile(directoryOf('one'))).rejects.toThrow(/swarm\.json/)
  })

  test('by an address that is no place of this machine leaves nothing', async () => {
    await start('one')
    const refused = await ask('one', 'POST', '/swarm/init', { AdvertiseAddr: '192.0.2.1:4000' })
    expect(refused.status).toBeGreaterThanOrEqual(400)
    expect(await stateOf('one')).toBe('inactive')
    expect(await readdir(directoryOf('one'))).toEqual(['lock'])
  })
})
