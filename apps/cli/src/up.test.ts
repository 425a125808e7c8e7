import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Redacted, utf8 } from '@conclave/kernel'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { startLocalCluster } from './cluster/start-local-cluster.ts'
import { Client } from './client.ts'
import { untilReady } from './cluster/readiness.ts'
import { compileCache } from './compile-cache.ts'
import type { ReadyDocument } from './ready-document.ts'
import { Story } from './tour/story.ts'
import { snapshotEntriesOfTour, tour } from './tour/tour.ts'

// Whole clusters come and go here, on machines that may be busy.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 })

const main = fileURLToPath(new URL('main.ts', import.meta.url))

let directory: string
let environment: NodeJS.ProcessEnv
const children: ChildProcess[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'conclave-up-'))
  environment = {
    NODE_COMPILE_CACHE: compileCache,
    ...process.env,
    CONCLAVE_CONTEXT: join(directory, 'context.json'),
  }
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})

function conclave(...argv: string[]): ChildProcess {
  const child = spawn(process.execPath, [main, ...argv], { env: environment, stdio: 'pipe' })
  children.push(child)
  child.stdout?.resume()
  return child
}

async function up(...options: string[]): Promise<{ child: ChildProcess; ready: ReadyDocument }> {
  const readyFile = join(directory, 'ready.json')
  rmSync(readyFile, { force: true })
  const data = ['--data', join(directory, 'data'), '--ready-file', readyFile]
  const child = conclave('up', '--masters', '1', '--agents', '1', ...data, ...options)
  await vi.waitFor(() => expect(existsSync(readyFile)).toBe(true), 90_000)
  expect(statSync(readyFile).mode & 0o077).toBe(process.platform === 'win32' ? 0o066 : 0)
  return { child, ready: JSON.parse(readFileSync(readyFile, 'utf8')) as ReadyDocument }
}

async function ask(argv: readonly string[], input = ''): Promise<string> {
  const child = conclave(...argv)
  child.stdin?.end(input)
  const chunks: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(child, 'close')
  return Buffer.concat(chunks).toString()
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('conclave up', () => {
  test('CC7, CC8: takes its members along when it is killed, and finds everything again', async () => {
    const first = await up('--processes')
    await ask(['secret', 'put', 'kept/value'], 'still here')
    const { masters, agents, schedulers, credentials } = first.ready
    const pids = [...masters, ...agents, ...schedulers].map(({ pid = 0 }) => pid)
    expect(pids.every(isAlive)).toBe(true)

    first.child.kill('SIGKILL')
    await vi.waitFor(() => expect(pids.filter(isAlive)).toEqual([]), 30_000)
    const second = await up()

    expect(second.ready.mode).toBe('one process')
    expect(second.ready.credentials).toEqual(credentials)
    expect(await ask(['secret', 'get', 'kept/value'])).toBe('still here')

    second.child.kill('SIGINT')
    const [code] = (await once(second.child, 'exit')) as [number | null]
    expect(code).toBe(0)
    expect(existsSync(join(directory, 'context.json'))).toBe(false)
    expect(existsSync(join(directory, 'ready.json'))).toBe(false)
  })

  test.each([
    [['--agent-setting', 'faithful_leaks=true'], 'masters take no agent that leaks'],
    [['--faithful-leaks', '--once'], 'take it without --faithful-leaks'],
  ])('with %j is a mistake, and starts nothing', async (options, why) => {
    const data = join(directory, 'data')
    const child = conclave('up', '--data', data, ...options)
    const chunks: Buffer[] = []
    child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk))
    const [code] = (await once(child, 'close')) as [number | null]

    expect(code).toBe(2)
    expect(Buffer.concat(chunks).toString()).toContain(why)
    expect(existsSync(data)).toBe(false)
  })

  test('refuses a directory that is of somebody else, and leaves it alone', async () => {
    const child = conclave('up', '--data', fileURLToPath(new URL('..', import.meta.url)))
    const chunks: Buffer[] = []
    child.stderr?.on('data', (chunk: Buffer) => chunks.push(chunk))
    const [code] = (await once(child, 'close')) as [number | null]

    expect(code).toBe(2)
    expect(Buffer.concat(chunks).toString()).toContain('it is not empty and holds no cluster')
  })
})

test('every claim of the tour holds', async () => {
  const { cluster } = await startLocalCluster({
    directory: join(directory, 'data'),
    isKept: false,
    mode: 'one process',
    snapshotEntries: snapshotEntriesOfTour,
    masters: 3,
    agents: 2,
    peerWire: new Redacted(utf8('tcp')),
    onLost: (id, why) => {
      throw new Error(`${id}: ${why}`)
    },
  })
  const client = new Client(cluster.context)
  const story = new Story('silent')
  let left: { secrets: { path: string }[] }
  try {
    await untilReady(cluster, client, new AbortController().signal)
    await tour(cluster, story)
    left = await client.json('conclave', 'GET', '/conclave/v1/secrets?folder=')
  } finally {
    client.close()
    await cluster.stop()
  }

  expect(story.claims.length).toBeGreaterThan(18)
  expect(story.claims.filter(({ holds }) => !holds)).toEqual([])
  expect(left.secrets.map(({ path }) => path)).toEqual(['tour/db-password', 'tour/keystore'])
})
