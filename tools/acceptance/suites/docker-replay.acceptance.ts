import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  conclaveProgram,
  DockerEngine,
  EngineClient,
  furnish,
  Home,
  Identities,
  isExcused,
  listedDifferences,
  recordedCount,
  replayErrors,
  replayWalkthrough,
  runProgram,
  unfurnished,
  until,
  verdictOf,
  type Replayed,
} from '../src/index.ts'

/*
 * Every exchange that was recorded of a real Engine, asked again of ours and compared by its shape. Source:
 * reference docker-swarm.md, walkthrough.json and errors.json.
 */

const hostname = 'secrets-testing'
/** The address of the recorded machine, and one that this machine has. */
const elsewhere = [['192.168.99.100', '127.0.0.1']] as const
const replayed: Replayed[] = []
const verdict = (): ReturnType<typeof verdictOf> => verdictOf(replayed, listedDifferences)
const isSettled = (exchange: Replayed): boolean => isExcused(exchange, listedDifferences)

async function ask(engine: EngineClient, path: string, body?: object): Promise<void> {
  const answer = await engine.ask('POST', path, body === undefined ? {} : { body })
  if (answer.status !== 200) throw new Error(`${path} answered ${answer.body.toString()}`)
}

describe('DK7: what a real Engine answered, a machine by itself answers', () => {
  let home: Home
  let machine: DockerEngine
  let engine: EngineClient

  beforeAll(async () => {
    home = new Home()
    machine = await DockerEngine.start(home, 'alone', { args: ['--hostname', hostname] })
    engine = new EngineClient(machine.socket)
  })
  afterAll(async () => {
    engine?.close()
    await machine?.stop()
    home?.remove()
  })

  test('in the tutorial', async () => {
    replayed.push(...(await replayWalkthrough(engine, new Identities(elsewhere), isSettled)))
    expect(verdict().unlisted).toEqual([])
  })

  test('where it refuses', async () => {
    replayed.push(...(await replayErrors(engine, 'manager', await furnish(engine))))
    expect(verdict().unlisted).toEqual([])
  })
})

describe('DK7: what a real Engine answered, a machine answers', () => {
  let home: Home
  const machines: DockerEngine[] = []
  const clients: EngineClient[] = []
  let manager: EngineClient

  /** A machine of the name that all of the recorded ones had. */
  async function start(name: string): Promise<EngineClient> {
    const machine = await DockerEngine.start(home, name, { args: ['--hostname', hostname] })
    const client = new EngineClient(machine.socket)
    machines.push(machine)
    clients.push(client)
    return client
  }

  /** Where a machine finds the swarm, and what it has to show. */
  async function invitation(role: 'Worker' | 'Manager'): Promise<{
    readonly RemoteAddrs: readonly string[]
    readonly JoinToken: string
  }> {
    const { JoinTokens } = await manager.json<{ JoinTokens: Readonly<Record<string, string>> }>(
      'GET',
      '/swarm',
    )
    const { Swarm } = await manager.json<{
      Swarm: { RemoteManagers: readonly { Addr: string }[] }
    }>('GET', '/info')
    return {
      RemoteAddrs: Swarm.RemoteManagers.map(({ Addr }) => Addr),
      JoinToken: JoinTokens[role] ?? '',
    }
  }

  /** Whether the manager has sealed its own keys with the unlock key. */
  async function hasNewestKey(): Promise<boolean> {
    const { stdout } = await runProgram(
      process.execPath,
      [conclaveProgram, 'cluster', 'keys', '--json'],
      {
        env: { ...home.environment, CONCLAVE_CONTEXT: `${machines[0]?.directory}/context.json` },
      },
    )
    return (JSON.parse(stdout) as { waitingFor: readonly string[] }).waitingFor.length === 0
  }

  const join = async (client: EngineClient, role: 'Worker' | 'Manager'): Promise<void> =>
    ask(client, '/swarm/join', {
      ListenAddr: '0.0.0.0:2377',
      AdvertiseAddr: '127.0.0.1',
      ...(await invitation(role)),
    })

  beforeAll(async () => {
    home = new Home()
    manager = await start('one')
    const wanted = { ListenAddr: '0.0.0.0:2377', AdvertiseAddr: '127.0.0.1', Spec: {} }
    await ask(manager, '/swarm/init', wanted)
  })
  afterAll(async () => {
    for (const client of clients) client.close()
    await Promise.all(machines.map((machine) => machine.stop()))
    home?.remove()
  })

  test('where it refuses, outside of a swarm and as a worker', async () => {
    const outsider = await start('two')
    const { RemoteAddrs, JoinToken } = await invitation('Worker')
    const wrong = { wrongToken: `${JoinToken.slice(0, -5)}aaaaa`, address: RemoteAddrs[0] ?? '' }
    replayed.push(...(await replayErrors(outsider, 'outside', { ...unfurnished, join: wrong })))
    await join(outsider, 'Worker')
    replayed.push(...(await replayErrors(outsider, 'worker', unfurnished)))
    replayed.push(...(await replayErrors(manager, 'twins', { ...unfurnished, hostname })))
    expect(verdict().unlisted).toEqual([])
  })

  test('where it refuses, because it is locked', async () => {
    const { Version, Spec } = await manager.json<{ Version: { Index: number }; Spec: object }>(
      'GET',
      '/swarm',
    )
    const EncryptionConfig = { AutoLockManagers: true }
    await ask(manager, `/swarm/update?version=${Version.Index}`, { ...Spec, EncryptionConfig })
    const { UnlockKey } = await manager.json<{ UnlockKey: string }>('GET', '/swarm/unlockkey')
    await until('the key is at work', hasNewestKey)
    await machines[0]?.kill()
    await machines[0]?.restart()
    replayed.push(...(await replayErrors(manager, 'locked', unfurnished)))
    await ask(manager, '/swarm/unlock', { UnlockKey })
    expect(verdict().unlisted).toEqual([])
  })

  test('where it refuses, because nobody leads', async () => {
    await join(await start('three'), 'Manager')
    await machines[2]?.kill()
    replayed.push(...(await replayErrors(manager, 'leaderless', unfurnished)))
    expect(verdict().unlisted).toEqual([])
  })
})

test('all that was recorded was replayed, and nothing is listed that agrees', () => {
  const { agreeing, total, excused, unused } = verdict()
  process.stdout.write(`docker replay: agree ${agreeing} of ${total}\n`)
  for (const line of excused) process.stdout.write(`  ${line}\n`)
  expect(total).toBe(recordedCount)
  expect(unused).toEqual([])
})
