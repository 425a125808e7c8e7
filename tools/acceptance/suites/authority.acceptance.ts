import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { canary } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  Conclave,
  conclaveProgram,
  Program,
  reference,
  taskSpec,
  until,
  variable,
  type Outcome,
} from '../src/index.ts'

/*
 * Membership by token, through the command line and real processes: what the tokens, the authority's
 * key and the KEK must never be found in is searched at the end.
 */

let cluster: Conclave
beforeAll(async () => {
  cluster = await Conclave.start(['--agents', '1'])
})
afterAll(() => cluster?.stop())

interface Known {
  readonly root: string
  readonly rotation?: { readonly waitingFor: readonly string[] }
  readonly holders: readonly {
    readonly role: string
    readonly id: string
    readonly isCurrent: boolean
  }[]
}

async function cli(...args: string[]): Promise<Outcome> {
  const outcome = await cluster.cli(args)
  expect({ args, code: outcome.code, stderr: outcome.stderr }).toMatchObject({ args, code: 0 })
  return outcome
}

const known = async (): Promise<Known> =>
  JSON.parse((await cli('cluster', 'ca', '--json')).stdout) as Known

async function tokenFile(name: string): Promise<{ file: string; token: string; address: string }> {
  const { stdout } = await cli('cluster', 'join-token', 'agent')
  const address = /--address (\S+)/.exec(stdout)?.[1] ?? ''
  const token = stdout.trimEnd().split('\n').at(-1) ?? ''
  expect(token).toMatch(/^SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}$/)
  const file = cluster.home.file(name)
  writeFileSync(file, `${token}\n`)
  chmodSync(file, 0o600)
  return { file, token, address }
}

const join = (...args: string[]): Program =>
  new Program(process.execPath, [conclaveProgram, 'agent', 'join', ...args], {
    env: cluster.home.environment,
  })

const isReady = (program: Program): Promise<boolean> =>
  until(
    'the agent is ready, or has ended',
    () => program.stdout.includes('"ready":true') || program.hasEnded,
  ).then(() => !program.hasEnded)

describe('membership by token', () => {
  const tokens: string[] = []

  test('an agent joins, runs a task that reads a secret, and comes back without a token', async () => {
    const value = canary('joined')
    const { file, token, address } = await tokenFile('token')
    tokens.push(token)
    const data = cluster.home.file('joined')
    const joining = ['--data', data, '--address', address, '--token-file', file]
    const agent = join(...joining)
    expect({ isReady: await isReady(agent), said: agent.stderr }).toMatchObject({ isReady: true })
    const argv = readFileSync(`/proc/${agent.child.pid}/cmdline`, 'utf8')
    expect(argv).toContain('--token-file')
    expect(argv).not.toContain(token)

    // The other one goes, so that the task can only be where the token led.
    await cluster.kill('agent-1')
    await cluster.cli(['secret', 'put', 'joined/db'], value.text)
    const spec = taskSpec('joined', 'test -n "$DB" && printf %s "$DB" | wc -c', {
      variables: [variable('DB', reference('joined/db'))],
    })
    const specFile = cluster.home.file('joined.json')
    writeFileSync(specFile, JSON.stringify(spec))
    const run = await cli('run', specFile)
    expect(run.stdout).toContain('32')

    await agent.end()
    const again = join('--data', data)
    expect({ isReady: await isReady(again), said: again.stderr }).toMatchObject({ isReady: true })
    await until('it is registered again', async () =>
      (await cli('agent', 'ls')).stdout.includes('active'),
    )
  })

  test('a wrong token and a token of another cluster are refused in words that tell nothing', async () => {
    const { token, address } = await tokenFile('kept')
    const wrong = cluster.home.file('wrong')
    writeFileSync(wrong, `${token.slice(0, -1)}${token.endsWith('0') ? '1' : '0'}`)
    const data = cluster.home.file('refused')
    const refused = await join(
      '--data',
      data,
      '--address',
      address,
      '--token-file',
      wrong,
    ).outcome()
    expect(refused.code).not.toBe(0)
    expect(refused.stderr).toContain('invalid join token')

    const other = `SWMTKN-1-${'0'.repeat(50)}-${token.slice(-25)}`
    writeFileSync(wrong, other)
    const foreign = await join(
      '--data',
      data,
      '--address',
      address,
      '--token-file',
      wrong,
    ).outcome()
    expect(foreign.code).not.toBe(0)
    expect(foreign.stderr).toContain('is not of the cluster that this token is of')
    for (const { stderr, stdout } of [refused, foreign]) {
      expect(stderr + stdout).not.toContain(token.slice(-25))
    }
  })

  test('the root is replaced while all go on; the agent that is gone is waited for, or removed', async () => {
    const before = await known()
    const { file, token, address } = await tokenFile('old-token')
    tokens.push(token)
    await cli('cluster', 'ca', '--rotate', '--detach')
    await until('only the agent that was killed is waited for', async () => {
      const { rotation } = await known()
      return rotation?.waitingFor.join() === 'agent-1'
    })

    expect((await cli('agent', 'rm', 'agent-1')).stdout).toBe('Agent agent-1 removed.\n')

    await until('the new root is alone', async () => (await known()).rotation === undefined)
    const after = await known()
    expect(after.root).not.toBe(before.root)
    expect(after.holders.every(({ isCurrent }) => isCurrent)).toBe(true)
    expect(after.holders.map(({ role }) => role)).toEqual(['master', 'master', 'master', 'agent'])
    const late = await join(
      '--data',
      cluster.home.file('late'),
      '--address',
      address,
      '--token-file',
      file,
    ).outcome()
    expect(late.stderr).toContain('is not of the cluster that this token is of')
    expect((await cluster.cli(['secret', 'get', 'joined/db'])).code).toBe(0)
  })

  test('a token is replaced, and the one before counts no more', async () => {
    const { token } = await tokenFile('before')
    const { stdout } = await cli('cluster', 'join-token', 'agent', '--rotate', '--quiet')
    tokens.push(token, stdout.trim())

    expect(stdout.trim()).not.toBe(token)
    expect((await cli('cluster', 'join-token', 'agent', '--quiet')).stdout).toBe(stdout)
  })

  test('no secret of any token is in a log or a file of the cluster, nor in what it tells', async () => {
    const { masters, agents } = cluster.ready
    const secrets = tokens.map((token) => token.slice(-25))
    expect(secrets.length).toBeGreaterThanOrEqual(4)
    for (const { masterId, directory } of masters) {
      const audit = readFileSync(`${directory}/audit.log`, 'utf8')
      const text = cluster.logOf(masterId) + audit
      for (const secret of secrets) expect(text).not.toContain(secret)
    }
    for (const { id } of agents) {
      for (const secret of secrets) expect(cluster.logOf(id)).not.toContain(secret)
    }
  })
})
