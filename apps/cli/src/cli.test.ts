import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ScriptedCluster } from './testing/scripted-masters.ts'

// Every test starts a process or more, which takes as long as the machine is busy.
vi.setConfig({ testTimeout: 60_000 })

let cluster: ScriptedCluster
beforeEach(async () => {
  cluster = await ScriptedCluster.start()
})
afterEach(() => cluster.stop())

const secretUrl = '/secrets/v1/secret/default/dev/db'
const sse = (...items: object[]): string =>
  items.map((item) => `data: ${JSON.stringify(item)}\n\n`).join('')
const lines = (...items: object[]): string =>
  items.map((item) => `${JSON.stringify(item)}\n`).join('')
const base64 = (text: string): string => Buffer.from(text).toString('base64')

describe('a secret', () => {
  test('CC1: is stored from standard input, as text when it is text', async () => {
    cluster.on(`PUT ${secretUrl}`, { status: 201 })

    const { code } = await cluster.conclave(['secret', 'put', 'dev/db'], 'grüße "x"\n')

    expect(code).toBe(0)
    const put = cluster.asked.at(-1)
    expect(put?.headers).toMatchObject({
      'content-type': 'application/json',
      authorization: 'token=a.b.c',
    })
    expect(JSON.parse(put?.body.toString() ?? '')).toEqual({ value: 'grüße "x"\n' })
  })

  test('CC1: is stored byte for byte from a file when it is not', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'conclave-secret-'))
    const value = Buffer.from([0, 255, 10, 13, 128])
    writeFileSync(join(directory, 'value'), value)
    cluster.on(`PUT ${secretUrl}`, { status: 201 })

    await cluster.conclave(['secret', 'put', 'dev/db', '--file', join(directory, 'value')])
    rmSync(directory, { recursive: true })

    expect(cluster.asked.at(-1)?.body).toEqual(value)
    expect(cluster.asked.at(-1)?.headers['content-type']).toBe('application/octet-stream')
  })

  test('is replaced when it exists, unless that was not wanted', async () => {
    const body = { title: 'Conflict', description: 'the secret dev/db exists', code: 'X' }
    cluster.on(`PUT ${secretUrl}`, { status: 409, body })
    cluster.on(`PATCH ${secretUrl}`, { status: 204 })

    const replaced = await cluster.conclave(['secret', 'put', 'dev/db'], 'v')
    expect(replaced.code).toBe(0)
    expect(cluster.requests()).toEqual([`PUT ${secretUrl}`, `PATCH ${secretUrl}`])

    const refused = await cluster.conclave(['secret', 'put', '--create', 'dev/db'], 'v')
    expect(refused.code).toBe(6)
    expect(refused.stderr).toBe('conclave: the secret dev/db exists\n')
  })

  test('CC1: is never taken from the command line, and what stood there is not repeated', async () => {
    const { code, stdout, stderr } = await cluster.conclave(['secret', 'put', 'dev/db', 'hunter2'])

    expect(code).toBe(2)
    expect(stderr).toContain('pipe it in, or use --file')
    expect(stdout + stderr).not.toContain('hunter2')
    expect(cluster.asked).toEqual([])
  })

  test('keeps its size and every byte when it is larger than a pipe', async () => {
    cluster.on(`PUT ${secretUrl}`, { status: 201 })
    const value = Buffer.alloc(1_000_000, 'ä')

    await cluster.conclave(['secret', 'put', '--binary', 'dev/db'], value)

    expect(cluster.asked.at(-1)?.body.equals(value)).toBe(true)
  })

  test('is replaced only where it is what was expected, and read as it was', async () => {
    cluster.on(`PATCH ${secretUrl}`, { status: 204 })
    cluster.on(`GET ${secretUrl}?version=3`, { body: 'old' })

    await cluster.conclave(['secret', 'put', 'dev/db', '--if-version', '3'], 'new')
    const { stdout } = await cluster.conclave(['secret', 'get', 'dev/db', '--version', '3'])

    expect(cluster.requests()).toEqual([`PATCH ${secretUrl}`, `GET ${secretUrl}?version=3`])
    expect(cluster.asked.find(({ method }) => method === 'PATCH')?.headers['if-match']).toBe('"3"')
    expect(stdout).toBe('old')
  })

  test.each(['../db', 'a//b', '', 'a/./b'])('cannot be kept at %j', async (path) => {
    const { code, stderr } = await cluster.conclave(['secret', 'put', path], 'v')

    expect(code).toBe(2)
    expect(stderr).toContain('path')
    expect(cluster.asked).toEqual([])
  })

  test('CC1: is written to standard output byte for byte', async () => {
    const value = Buffer.from([0, 255, 10, 13, 128])
    cluster.on(`GET ${secretUrl}`, { body: value })

    const { code, bytes } = await cluster.conclave(['secret', 'get', 'dev/db'])

    expect(code).toBe(0)
    expect(bytes).toEqual(value)
  })

  test('is listed without its value, as a table or as JSON', async () => {
    const metadata = { path: 'dev/db', version: 3, kind: 'text', sizeBytes: 9, updatedAtMs: 0 }
    cluster.on('GET /conclave/v1/secrets?folder=', { body: { secrets: [metadata] } })

    const shown = await cluster.conclave(['secret', 'ls'])
    const json = await cluster.conclave(['secret', 'ls', '--json'])

    expect(shown.stdout.split('\n')[0]).toMatch(/^PATH {3,}VERSION {2}KIND {2}BYTES {2}UPDATED$/)
    expect(shown.stdout.split('\n')[1]).toMatch(/^dev\/db +3 +text +9 +\d+d ago$/)
    expect(JSON.parse(json.stdout)).toEqual([metadata])
  })
})

describe('the exit code', () => {
  test('CC2, CC3: of a refusal follows from its status, and its message is the words of the master', async () => {
    const body = { description: 'in the words of the master' }
    cluster.on(`GET ${secretUrl}`, { status: 404, body })

    const { code, stderr, stdout } = await cluster.conclave(['secret', 'get', 'dev/db'])

    expect(code).toBe(3)
    expect(stderr).toBe('conclave: in the words of the master\n')
    expect(stdout).toBe('')
  })

  test('CC2, CC3: is 5 when no master is there, and the message says how to start one', async () => {
    cluster.leave()

    const { code, stderr } = await cluster.conclave(['agent', 'ls'])

    expect(code).toBe(5)
    expect(stderr).toContain('npm start')
  })

  test.each([[['nope']], [['secret', 'get']], [['run']], [['up', '--masters', '2']], [['secret']]])(
    'of %j is 2',
    async (argv) => {
      const { code, stderr } = await cluster.conclave(argv)

      expect(code).toBe(2)
      expect(stderr).not.toBe('')
    },
  )

  test.each([[['--help']], [['secret', '--help']], [['--version']], [['complete', 'bash']]])(
    'of %j is 0',
    async (argv) => {
      expect((await cluster.conclave(argv)).code).toBe(0)
    },
  )
})

test('CC4: a command goes on to the next master when one is not there', async () => {
  cluster.deadMasters = 2
  cluster.on('GET /conclave/v1/agents', { body: { agents: [] } })

  const { code, stdout } = await cluster.conclave(['agent', 'ls', '--json'])

  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toEqual([])
})

test('CC2: a login that was turned away for a while is worth another try, and says when', async () => {
  const description = 'too many failed logins; try again in 12 s'
  cluster.on('POST /acs/api/v1/auth/login', { status: 429, body: { description } })

  const { code, stderr } = await cluster.conclave(['task', 'ls'])

  expect(code).toBe(5)
  expect(stderr).toContain(description)
})

test('a token that no longer holds is replaced by a new login, once', async () => {
  cluster.on('GET /conclave/v1/tasks', { status: 401 })

  const { code } = await cluster.conclave(['task', 'ls'])

  expect(code).toBe(4)
  const logins = cluster.asked.filter(({ path }) => path.endsWith('/auth/login'))
  expect(logins).toHaveLength(2)
})

describe('conclave run', () => {
  const run = { runId: 'r', taskId: 't', state: 'PENDING', isTerminal: false }
  const spec = '{"name":"x"}'
  const logs = 'GET /conclave/v1/tasks/t/logs?follow=true'

  test("CC2: prints what the task writes, and ends with the task's own exit code", async () => {
    cluster.on('POST /conclave/v1/runs', { status: 201, body: run })
    cluster.on('GET /conclave/v1/runs/r/watch', {
      body: sse(
        run,
        { ...run, state: 'TASK_RUNNING' },
        { ...run, state: 'TASK_FAILED', isTerminal: true, exitCode: 42, message: 'it broke' },
      ),
    })
    cluster.on(logs, {
      body: lines(
        { stream: 'stdout', data: base64('hello\n') },
        { stream: 'stderr', data: base64('oh no\n') },
        { end: { exitCode: 42, error: null } },
      ),
    })

    const { code, stdout, stderr } = await cluster.conclave(['run', '-'], spec)

    expect(code).toBe(42)
    expect(stdout).toBe('hello\n')
    expect(stderr).toContain('oh no\n')
    expect(stderr).toContain('TASK_FAILED: it broke')
  })

  test('CC2: says why the cluster would not have a task, and fails', async () => {
    const why = { reason: 'REASON_TASK_UNAUTHORIZED', message: 'Task is not authorized' }
    cluster.on('POST /conclave/v1/runs', { status: 201, body: run })
    cluster.on('GET /conclave/v1/runs/r/watch', {
      body: sse(run, { ...run, state: 'TASK_ERROR', isTerminal: true, ...why }),
    })
    cluster.on(logs, { status: 404, body: { error: { code: 'task.not-found', message: '' } } })

    const { code, stderr } = await cluster.conclave(['run', '-'], spec)

    expect(code).toBe(1)
    expect(stderr).toBe('TASK_ERROR: Task is not authorized (REASON_TASK_UNAUTHORIZED)\n')
  })

  test('prints the run at its end with --json, and nothing else', async () => {
    const end = { ...run, state: 'TASK_FINISHED', isTerminal: true, exitCode: 0 }
    cluster.on('POST /conclave/v1/runs', { status: 201, body: run })
    cluster.on('GET /conclave/v1/runs/r/watch', { body: sse(end) })

    const { code, stdout } = await cluster.conclave(['run', '--json', '-'], spec)

    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual(end)
  })

  test.skipIf(process.platform === 'win32')(
    'leaves the task alone at Ctrl-C, and says how to end it',
    async () => {
      cluster.on('POST /conclave/v1/runs', { status: 201, body: run })
      cluster.on('GET /conclave/v1/runs/r/watch', { body: sse(run) })

      let child: ChildProcess | undefined
      const running = cluster.conclave(['run', '-'], spec, (started) => (child = started))
      await vi.waitFor(
        () => expect(cluster.requests()).toContain('GET /conclave/v1/runs/r/watch'),
        30_000,
      )
      child?.kill('SIGINT')
      const { code, stderr } = await running

      expect(code).toBe(130)
      expect(stderr).toContain('t goes on; end it with: conclave task kill t')
    },
  )

  test('does not submit what is no JSON, or not there', async () => {
    expect((await cluster.conclave(['run', '-'], '{')).code).toBe(2)
    expect((await cluster.conclave(['run', '/no/such/file'])).code).toBe(3)
    expect(cluster.asked).toEqual([])
  })

  test('says which field of a spec is wrong, in the words of the master', async () => {
    const message = 'spec.command.environment.variables[0].secret.reference.name must not be empty'
    cluster.on('POST /conclave/v1/runs', {
      status: 422,
      body: { error: { code: 'spec.invalid', message } },
    })

    const { code, stderr } = await cluster.conclave(['run', '-'], spec)

    expect(code).toBe(2)
    expect(stderr).toBe(`conclave: ${message}\n`)
  })
})

test('exec passes its arguments and its input on, and ends with the exit code it is told', async () => {
  cluster.on('GET /conclave/v1/masters', { body: { leader: { masterId: 'master-1' } } })
  cluster.on('POST /conclave/v1/tasks/t/exec', {
    body: lines({ stream: 'stdout', data: base64('HI') }, { end: { exitCode: 3, error: null } }),
  })

  const argv = ['task', 'exec', '-i', 't', '--', 'tr', 'a-z', '--upper']
  const { code, stdout } = await cluster.conclave(argv, 'hi')

  expect(code).toBe(3)
  expect(stdout).toBe('HI')
  const sent = cluster.asked.at(-1)?.body.toString().trimEnd().split('\n')
  expect(sent?.map((line) => JSON.parse(line) as unknown)).toEqual([
    { argv: ['tr', 'a-z', '--upper'] },
    { data: base64('hi') },
    { eof: true },
  ])
})

test('events are those of all masters, one line each, until none answers', async () => {
  cluster.followers = 1
  cluster.on('GET /conclave/v1/masters', { body: {} })
  const event = {
    id: 'master-1:b:1',
    atMs: 0,
    source: 'master-1',
    type: 'secret.stored',
    path: 'p',
  }
  cluster.on('GET /events', { body: `id: ${event.id}\n${sse(event)}` })
  cluster.on('follower', { body: {} })
  cluster.on('follower GET /events', {
    body: sse({ ...event, id: 'master-2:b:7', source: 'agent-1' }),
  })

  const running = cluster.conclave(['events', '--json', '--after', 'master-1:b:0'])
  await vi.waitFor(() => expect(cluster.asked.length).toBeGreaterThan(3), 30_000)
  cluster.leave()
  const { code, stdout } = await running

  expect(code).toBe(5)
  const told = stdout.trimEnd().split('\n')
  const sources = told.map((line) => (JSON.parse(line) as { source: string }).source)
  expect(new Set(sources)).toEqual(new Set(['master-1', 'agent-1']))
  const positions = cluster.asked
    .filter(({ path }) => path === '/events')
    .map(({ headers }) => headers['last-event-id'])
  expect(positions.slice(0, 2)).toEqual(['master-1:b:0', 'master-1:b:1'])
})

test('CC6: what a task says of itself cannot command the terminal', async () => {
  const task = { taskId: 't', agentId: 'a', name: '\u001b[2Jx', state: 'S', updatedAtMs: 0 }
  cluster.on('GET /conclave/v1/tasks', { body: { tasks: [task] } })

  const { stdout } = await cluster.conclave(['task', 'ls'])

  expect(stdout).toContain('\\u001b[2Jx')
})

test('CC4: a command that only the leader does goes where a follower sends it', async () => {
  const run = { runId: 'r', taskId: 't' }
  const location = `//127.0.0.1:${cluster.port}/conclave/v1/runs`
  cluster.followers = 1
  cluster.on('follower', { status: 307, headers: { location } })
  cluster.on('POST /conclave/v1/runs', { status: 201, body: run })

  const { code, stdout } = await cluster.conclave(['run', '--detach', '-'], '{}')

  expect(code).toBe(0)
  expect(stdout).toBe('t\n')
})

test('CC4: a command is asked of another master when a follower cannot say who leads', async () => {
  const body = { error: { code: 'cluster.not-leader', message: 'this master does not lead' } }
  cluster.followers = 1
  cluster.on('follower', { status: 503, body })
  cluster.on('POST /conclave/v1/runs', { status: 201, body: { runId: 'r', taskId: 't' } })

  const { code } = await cluster.conclave(['run', '--detach', '-'], '{}')

  expect(code).toBe(0)
})

test('CC4: a command is not asked again of another master when the first may have done it', async () => {
  const body = { error: { code: 'cluster.outcome-unknown', message: 'lost touch' } }
  cluster.followers = 1
  cluster.on('follower', { status: 503, body })

  const { code } = await cluster.conclave(['run', '--detach', '-'], '{}')

  expect(code).toBe(5)
  expect(cluster.requests()).toEqual([])
})

test('CC5: an operator read goes where the master sends it only if the context knows that place', async () => {
  cluster.on('POST /api/v1', { status: 307, headers: { location: '//example.org/api/v1' } })

  const { code } = await cluster.conclave(['state'])

  expect(code).toBe(5)
})
