import { readFileSync, writeFileSync } from 'node:fs'
import { join as pathOf } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import {
  Conclave,
  conclaveProgram,
  Home,
  Load,
  missingFrom,
  Program,
  until,
  type Master,
} from '../src/index.ts'

interface Shown {
  readonly masterId: string
  readonly role: string
  readonly isReachable?: boolean
}

let home: Home
let cluster: Conclave
const programs: Program[] = []

beforeAll(async () => {
  home = new Home()
  cluster = await Conclave.start([], { home })
})
afterAll(async () => {
  for (const { child } of programs) child.kill('SIGKILL')
  await cluster?.stop()
  home.remove()
})

async function list(): Promise<readonly Shown[]> {
  const { stdout, code } = await cluster.cli(['master', 'ls', '--json'])
  return code === 0 ? (JSON.parse(stdout) as readonly Shown[]) : []
}

const known = (): string => readFileSync(home.context, 'utf8')

const roleOf = async (id: string): Promise<string | undefined> =>
  (await list()).find(({ masterId }) => masterId === id)?.role

const cli = async (...args: string[]): Promise<void> => {
  const { code, stderr } = await cluster.cli(args)
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' })
}

/** `conclave master join`, as a process of its own. */
async function join(directory: string): Promise<Program> {
  const token = await cluster.cli(['cluster', 'join-token', 'master', '--quiet'])
  expect(token.code).toBe(0)
  const file = home.file('token')
  writeFileSync(file, token.stdout, { mode: 0o600 })
  const at = await cluster.leader()
  const status = await cluster.ask(at, 'conclave', '/conclave/v1/masters')
  const { members } = JSON.parse(Buffer.from(status.body).toString()) as {
    members: { listeners: Record<string, { host: string; port: number }> }[]
  }
  const address = members[0]?.listeners['join']
  return again(directory, '--address', `${address?.host}:${address?.port}`, '--token-file', file)
}

function again(directory: string, ...more: string[]): Program {
  const args = [conclaveProgram, 'master', 'join', '--data', home.file(directory), ...more]
  const program = new Program(process.execPath, args, { env: home.environment })
  programs.push(program)
  return program
}

const left = (...gone: string[]): readonly Master[] =>
  cluster.ready.masters.filter(({ masterId }) => !gone.includes(masterId))

describe('masters that come and go, each a process of its own', () => {
  test('three become four and three again under load, the leader among those who go', async () => {
    const load = new Load(cluster, 'members/load')
    await until('fifty writes are acknowledged', () => load.acknowledged.size >= 50)

    await join('fourth')
    await until('the fourth votes', async () =>
      ['follower', 'leader'].includes((await roleOf('master-4')) ?? ''),
    )
    const { masterId: first } = await cluster.leader()
    await cli('master', 'leave', first)
    await until('its process has ended', async () => (await roleOf(first)) === undefined)
    const atChange = load.acknowledged.size
    await until('fifty more are acknowledged', () => load.acknowledged.size >= atChange + 50)
    await load.end()

    const others = left(first)
    await cluster.leader(others).catch(() => undefined)
    for (const master of others) {
      expect(await missingFrom(cluster, master, load.acknowledged)).toEqual([])
    }
  })

  test('SwarmKit’s refusals, in its words', async () => {
    const voter = (await list()).find(({ role }) => role === 'follower')?.masterId ?? ''

    const removed = await cluster.cli(['master', 'rm', '--force', voter])
    const unknown = await cluster.cli(['master', 'promote', 'master-77'])

    expect(removed).toMatchObject({ code: 6 })
    expect(removed.stderr).toContain('It must be demoted before removal')
    expect(unknown.stderr).toContain('node master-77 not found')
  })

  test('a joined one goes on where it was after kill -9, and is refused once it has left', async () => {
    programs.at(-1)?.child.kill('SIGKILL')
    await until('it is missed', async () =>
      (await list()).some((one) => one.masterId === 'master-4' && one.isReachable === false),
    )
    again('fourth')
    await until('it is back', async () =>
      (await list()).some((one) => one.masterId === 'master-4' && one.isReachable === true),
    )

    expect(known()).toContain('master-4')
    await cli('master', 'leave', 'master-4')
    expect(known()).not.toContain('master-4')
    await until('its process has ended', () => programs.at(-1)?.hasEnded === true)
    const refused = await again('fourth').outcome()

    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('was removed from the cluster')
  })
})

describe('one master of three whose others are lost for good', () => {
  test('goes on alone once it is told to, also after a crash, and tells the others that they are none', async () => {
    const alone = new Home()
    const lost = await Conclave.start([], { home: alone })
    onTestFinished(async () => {
      await lost.stop()
      alone.remove()
    })
    const load = new Load(lost, 'anew/load')
    await until('fifty writes are acknowledged', () => load.acknowledged.size >= 50)
    await load.end()
    const { masterId } = await lost.leader()
    const others = lost.ready.masters.map((one) => one.masterId).filter((id) => id !== masterId)
    await lost.kill(masterId, ...others)
    const data = pathOf(lost.directory, 'masters', masterId)

    const asked = await lost.cli(['master', 'begin-anew', '--data', data])
    expect([asked.code, asked.stderr]).toEqual([2, expect.stringContaining('--help') as string])
    const told = await lost.cli(['master', 'begin-anew', '--data', data, '--force'])
    expect([told.code, told.stdout]).toEqual([
      0,
      `Master ${masterId} begins anew without the others when it starts next.\n`,
    ])
    await lost.restart(masterId)
    const master = await lost.leader()
    expect(await missingFrom(lost, master, load.acknowledged)).toEqual([])
    const names = async (): Promise<readonly string[]> => {
      const { stdout } = await lost.cli(['master', 'ls', '--json'])
      return (JSON.parse(stdout) as readonly Shown[]).map((one) => one.masterId)
    }
    expect(await names()).toEqual([masterId])

    // One that comes back, which once had a say with this one, has none now, and ends.
    const [other = ''] = others
    await lost.restart(other).catch(() => undefined)
    await until('it hears that it was removed', () => {
      return lost.logOf(other).includes('was removed from the cluster')
    })
    await lost.kill(masterId)
    await lost.restart(masterId)
    await lost.leader()
    expect(await names()).toEqual([masterId])
    expect((await lost.cli(['secret', 'put', 'anew/after'], 'x')).code).toBe(0)
  })
})
