import { randomBytes } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { eventsOf, type SseEvent } from '@conclave/runtime'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  Conclave,
  conclaveProgram,
  Program,
  reference,
  runProgram,
  stranger,
  taskSpec,
  until,
  untilTerm,
  variable,
  volume,
  type Master,
  type Outcome,
} from '../src/index.ts'

let cluster: Conclave
beforeAll(async () => {
  cluster = await Conclave.start([], { people: [stranger] })
})
afterAll(() => cluster?.stop())

const conclave = (...args: string[]): Promise<Outcome> => cluster.cli(args)

const put = (path: string, value: string | Uint8Array, ...flags: string[]): Promise<Outcome> =>
  cluster.cli(['secret', 'put', path, ...flags], value)

/** What a command prints as JSON, once it ended well. */
async function json<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await conclave(...args, '--json')
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' })
  return JSON.parse(stdout) as T
}

/** A command as somebody else, or with masters elsewhere. */
async function inContext(
  change: (context: Record<string, unknown>) => Record<string, unknown>,
  ...args: string[]
): Promise<Outcome> {
  const known = JSON.parse(readFileSync(cluster.home.context, 'utf8')) as Record<string, unknown>
  const file = cluster.home.file('other-context.json')
  writeFileSync(file, JSON.stringify(change(known)), { mode: 0o600 })
  return runProgram(process.execPath, [conclaveProgram, ...args], {
    env: { ...cluster.home.environment, CONCLAVE_CONTEXT: file },
    input: 'x',
  })
}

const asStranger = (...args: string[]): Promise<Outcome> =>
  inContext((context) => ({ ...context, ...stranger }), ...args)

function specFile(name: string, spec: object): string {
  const file = cluster.home.file(`${name}.json`)
  writeFileSync(file, JSON.stringify(spec))
  return file
}

/** Starts a task that stays, and waits until it runs. @returns its id */
async function running(name: string, command = untilTerm): Promise<string> {
  const started = await conclave('run', '--detach', specFile(name, taskSpec(name, command)))
  expect({ code: started.code, stderr: started.stderr }).toEqual({ code: 0, stderr: '' })
  const taskId = started.stdout.trim()
  await until(`${name} runs`, async () => (await stateOf(taskId)) === 'TASK_RUNNING')
  return taskId
}

interface TaskShown {
  readonly taskId: string
  readonly name: string
  readonly state: string
}

async function stateOf(taskId: string): Promise<string | undefined> {
  const tasks = await json<readonly TaskShown[]>('task', 'ls')
  return tasks.find((task) => task.taskId === taskId)?.state
}

describe('secrets', () => {
  test('go in through standard input and come out through standard output, byte for byte', async () => {
    const value = randomBytes(64 * 1024)

    const stored = await put('cli/binary', value)
    const read = await conclave('secret', 'get', 'cli/binary')

    expect(stored).toMatchObject({ code: 0, stdout: '', stderr: '' })
    expect(read).toMatchObject({ code: 0, stderr: '' })
    expect(read.bytes.equals(value)).toBe(true)
  })

  test('are replaced, versioned, read at a version, listed and deleted', async () => {
    const file = cluster.home.file('value.txt')
    writeFileSync(file, 'three\n')
    await put('cli/text', 'one')
    await put('cli/text', 'two', '--if-version', '1')
    await conclave('secret', 'put', 'cli/text', '--file', file)

    const now = await conclave('secret', 'get', 'cli/text')
    const first = await conclave('secret', 'get', 'cli/text', '--version', '1')
    const versions = await json<readonly { version: number; sizeBytes: number }[]>(
      'secret',
      'versions',
      'cli/text',
    )
    expect([now.stdout, first.stdout]).toEqual(['three\n', 'one'])
    expect(versions.map(({ version, sizeBytes }) => [version, sizeBytes])).toEqual([
      [3, 6],
      [2, 3],
      [1, 3],
    ])

    const listed = await json<readonly { path: string; kind: string }[]>('secret', 'ls', 'cli')
    expect(listed.map(({ path, kind }) => [path, kind])).toEqual([
      ['cli/binary', 'binary'],
      ['cli/text', 'text'],
    ])
    const shown = await conclave('secret', 'ls')
    expect(shown.stdout).toMatch(/^PATH +VERSION +KIND +BYTES +UPDATED\n/)
    expect(shown.stdout).toMatch(/^cli\/text +3 +text +6 +\d+s ago$/m)

    expect(await json('secret', 'rm', 'cli/text')).toEqual({ deleted: ['cli/text'] })
    expect((await conclave('secret', 'get', 'cli/text')).code).toBe(3)
  })

  test('are printed as JSON when that is asked for', async () => {
    const metadata = await cluster.cli(['secret', 'put', 'cli/json', '--json'], 'é "x"')

    expect(JSON.parse(metadata.stdout)).toMatchObject({
      path: 'cli/json',
      version: 1,
      kind: 'text',
    })
    expect(await json('secret', 'get', 'cli/json')).toEqual({ value: 'é "x"' })
    const { data } = await json<{ data: string }>('secret', 'get', 'cli/binary')
    expect(Buffer.from(data, 'base64')).toHaveLength(64 * 1024)
  })
})

describe('the exit code says what came of it:', () => {
  test('2 for what was asked wrongly, without repeating a value', async () => {
    const wrongly = await Promise.all([
      conclave('secret', 'put', 'cli/x', 'a-value-in-argv'),
      conclave('no-such-command'),
      conclave('secret', 'get', 'a//b'),
      conclave('run', specFile('wrong', taskSpec('', 'true'))),
    ])

    expect(wrongly.map(({ code }) => code)).toEqual([2, 2, 2, 2])
    expect(wrongly.map(({ stdout }) => stdout).join('')).toBe('')
    const [value, command, path, spec] = wrongly.map(({ stderr }) => stderr)
    expect(value).toMatch(/a value is never an argument.*pipe it in, or use --file/)
    expect(value).not.toContain('a-value-in-argv')
    expect(command).toMatch(/unknown command 'no-such-command'[^]*--help/)
    expect(path).toMatch(/empty segment/)
    expect(spec).toMatch(/^conclave: name: is empty; give the task a name$/m)
  })

  test('3 for what is not there', async () => {
    for (const args of [
      ['secret', 'get', 'cli/nothing'],
      ['secret', 'rm', 'cli/nothing'],
      ['task', 'logs', 'no-such-task'],
      ['run', cluster.home.file('no-such-file.json')],
    ]) {
      const { code, stderr } = await conclave(...args)
      expect({ args, code, stderr }).toEqual({
        args,
        code: 3,
        stderr: expect.stringMatching(/^conclave: .+/),
      })
    }
  })

  test('4 for what this user may not do, and for a password that is wrong', async () => {
    await put('cli/denied', 'x')

    const read = await asStranger('secret', 'get', 'cli/denied')
    const written = await asStranger('secret', 'put', 'cli/denied')
    const run = await asStranger('run', specFile('denied', taskSpec('denied', 'true')))
    const wrong = await inContext((known) => ({ ...known, password: 'wrong' }), 'secret', 'ls')

    expect([read.code, written.code, run.code, wrong.code]).toEqual([4, 4, 4, 4])
    expect(read.stderr).toBe(
      'conclave: user stranger may not read dcos:secrets:default:/cli/denied\n',
    )
    expect(wrong.stderr).toMatch(/login as dev was refused/)
  })

  test('5 when nobody answers, with what to do next', async () => {
    const nobody = { masterId: 'm', conclave: 'http://127.0.0.1:9', dcos: 'http://127.0.0.1:9' }
    const masters = [{ ...nobody, mesos: 'http://127.0.0.1:9' }]

    const unreachable = await inContext((known) => ({ ...known, masters }), 'secret', 'ls')
    const unknown = await runProgram(process.execPath, [conclaveProgram, 'task', 'ls'], {
      env: { ...cluster.home.environment, CONCLAVE_CONTEXT: cluster.home.file('none.json') },
    })

    expect([unreachable.code, unknown.code]).toEqual([5, 5])
    expect(unreachable.stderr).toMatch(/no master answers at .* Start one with: npm start/)
    expect(unknown.stderr).toMatch(/no cluster is known here .* Start one with: npm start/)
  })

  test('6 when somebody else was first', async () => {
    await put('cli/conflict', 'x')

    const created = await put('cli/conflict', 'y', '--create')
    const updated = await put('cli/conflict', 'y', '--if-version', '7')

    expect([created.code, updated.code]).toEqual([6, 6])
    expect(created.stderr).toMatch(/secret cli\/conflict exists already/)
    expect(updated.stderr).toMatch(/is at version 1, not 7; read it again first/)
    expect((await conclave('secret', 'get', 'cli/conflict')).stdout).toBe('x')
  })
})

describe('tasks', () => {
  test('are followed to their end: output as it comes, and the exit code is theirs', async () => {
    await put('cli/db', '{"password":"correct horse"}')
    const spec = taskSpec(
      'followed',
      'printf %s "$PASSWORD" | sha256sum; cat keys/whole; echo oh >&2; until [ -e go ]; do sleep 0.1; done; echo gone; exit 7',
      {
        variables: [variable('PASSWORD', reference('cli/db', 'password'))],
        volumes: [volume('keys/whole', reference('cli/db'))],
      },
    )
    const run = new Program(
      process.execPath,
      [conclaveProgram, 'run', specFile('followed', spec)],
      { env: cluster.home.environment },
    )

    await until('its first output is here', () => run.stdout.includes('correct horse'))
    expect(run.hasEnded).toBe(false)
    const tasks = await json<readonly TaskShown[]>('task', 'ls')
    const taskId = tasks.find(({ name }) => name === 'followed')?.taskId ?? ''
    const { code } = await conclave('task', 'exec', taskId, '--', 'touch', 'go')
    const end = await run.outcome()

    expect(code).toBe(0)
    expect(end.code).toBe(7)
    // sha256 of "correct horse".
    expect(end.stdout).toBe(
      `4104d36f8da2c254349f85836793ebe029e0c957063a34c91c2e9203187b5631  -\n{"password":"correct horse"}gone\n`,
    )
    expect(end.stderr).toMatch(/^oh$/m)
    expect(end.stderr).toMatch(/^TASK_FAILED: Command exited with status 7$/m)
  })

  test('that cannot have their secrets say why and end with 1', async () => {
    const spec = taskSpec('failing', 'true', {
      variables: [variable('X', reference('cli/not-there'))],
    })

    const plain = await conclave('run', specFile('failing', spec))
    const asJson = await conclave('run', '--json', specFile('failing', spec))

    expect([plain.code, asJson.code]).toEqual([1, 1])
    expect(plain.stderr).toMatch(/^TASK_FAILED: .*no secret cli\/not-there$/m)
    expect(JSON.parse(asJson.stdout)).toMatchObject({
      state: 'TASK_FAILED',
      isTerminal: true,
      reason: 'REASON_CONTAINER_LAUNCH_FAILED',
    })
  })

  test('may be left alone, looked at, entered and killed', async () => {
    const taskId = await running('left', `echo hello; echo there >&2; ${untilTerm}`)

    const shown = await conclave('task', 'ls')
    expect(shown.stdout).toMatch(/^TASK +NAME +STATE +AGENT +UPDATED +MESSAGE\n/)
    expect(shown.stdout).toContain(taskId)
    const logs = await until('both lines are in its logs', async () => {
      const seen = await conclave('task', 'logs', taskId.slice(0, -1))
      return seen.stdout === 'hello\n' && seen.stderr === 'there\n' && seen
    })
    expect(logs.code).toBe(0)
    const lines = await conclave('task', 'logs', '--json', taskId)
    const streams = lines.stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { stream?: string }).stream ?? 'end')
    expect(streams.toSorted()).toEqual(['end', 'stderr', 'stdout'])

    const inside = await conclave('task', 'exec', taskId, '--', 'sh', '-c', 'echo in; exit 5')
    expect(inside).toMatchObject({ code: 5, stdout: 'in\n' })
    const piped = await cluster.cli(['task', 'exec', '-i', taskId, '--', 'tr', 'a-z', 'A-Z'], 'up')
    expect(piped).toMatchObject({ code: 0, stdout: 'UP' })

    expect((await conclave('task', 'kill', taskId)).code).toBe(0)
    await until('it has ended', async () => /KILLED|FINISHED/.test((await stateOf(taskId)) ?? ''))
    const late = await conclave('task', 'exec', taskId, '--', 'true')
    expect(late.code).toBe(6)
    expect(late.stderr).toContain('is not running')
  })
})

describe('the cluster', () => {
  test('shows its agents, its masters and its state', async () => {
    const agents = await json<readonly { hostname: string; isActive: boolean }[]>('agent', 'ls')
    expect(agents.map(({ hostname }) => hostname).toSorted()).toEqual(['agent-1', 'agent-2'])
    expect(agents.every(({ isActive }) => isActive)).toBe(true)
    expect((await conclave('agent', 'ls')).stdout).toMatch(/^AGENT +HOST +STATE +RUNTIME/)

    const masters = await json<readonly { masterId: string; role: string }[]>('master', 'ls')
    expect(masters.map(({ masterId }) => masterId)).toEqual(['master-1', 'master-2', 'master-3'])
    expect(masters.map(({ role }) => role).toSorted()).toEqual(['follower', 'follower', 'leader'])
    expect((await conclave('master', 'ls')).stdout).toMatch(/^master-1 +(leader|follower) +\d/m)

    expect(await json('state')).toMatchObject({ type: 'GET_STATE', get_state: {} })
  })

  test('tells what happens, on the command line', async () => {
    const events = new Program(process.execPath, [conclaveProgram, 'events', '--json'], {
      env: cluster.home.environment,
    })
    try {
      // It may listen to a master that seals nothing: any of them seals what it is sent.
      await until('a change is told', async () => {
        for (const master of cluster.ready.masters) await write(master, 'cli/told')
        return events.stdout.includes('"cli/told"')
      })
    } finally {
      await events.end()
    }
    const told = events.stdout.trimEnd().split('\n').slice(0, -1)
    expect(told.every((line) => (JSON.parse(line) as { id?: string }).id !== undefined)).toBe(true)
  })

  test('tells events over HTTP from where a listener was cut off', async () => {
    const leader = await cluster.leader()
    await write(leader, 'cli/resumed')
    const first = await eventsUntil(leader, undefined, 'cli/resumed')
    const at = Math.floor(first.length / 2)

    const again = await eventsUntil(leader, first[at]?.id, 'cli/resumed')

    expect(first.length).toBeGreaterThan(10)
    expect(again.slice(0, first.length - at - 1)).toEqual(first.slice(at + 1))
    expect(new Set(first.map(({ id }) => id)).size).toBe(first.length)
    const gap = await eventsUntil(leader, 'nobody:ever-said:7', 'cli/resumed')
    expect(gap[0]?.event).toBe('events.gap')
  })

  test('says where it is to its owner alone', () => {
    const { ready, home } = cluster
    for (const file of [home.file('ready.json'), home.context]) {
      expect(statSync(file).mode & 0o777).toBe(0o600)
    }
    for (const { listeners, pid } of ready.masters) {
      expect(Object.keys(listeners).toSorted()).toEqual([
        'agents',
        'conclave',
        'dcos',
        'docker',
        'mesos',
        'peers',
      ])
      expect(pid).toBeGreaterThan(0)
    }
    expect(ready.credentials).toEqual({ uid: 'dev', password: expect.stringMatching(/^.{24}$/) })
  })
})

describe('help', () => {
  test('is there for every command, with examples where they help', async () => {
    const whole = await conclave('--help')
    expect(whole.code).toBe(0)
    expect(whole.stdout).toMatch(/Exit codes: 0 done[^]*Completion:/)
    for (const command of ['up', 'run', 'secret put', 'task exec']) {
      const { code, stdout } = await conclave(...command.split(' '), '--help')
      expect({ command, code, hasExample: /Examples?:\n {2}/.test(stdout) }).toEqual({
        command,
        code: 0,
        hasExample: true,
      })
    }
    expect((await conclave('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  test('completes commands in the shell', async () => {
    for (const shell of ['bash', 'zsh', 'fish', 'powershell']) {
      const { code, stdout } = await conclave('complete', shell)
      expect({ shell, code, isScript: /conclave/.test(stdout) }).toEqual({
        shell,
        code: 0,
        isScript: true,
      })
    }
    const { stdout } = await conclave('complete', '--', 'secret', '')
    expect(stdout.match(/^\w+/gm)).toEqual(
      expect.arrayContaining(['put', 'get', 'ls', 'versions', 'rm']),
    )
  })
})

/** A new version of a secret, by way of one master. */
async function write(master: Master, path: string): Promise<void> {
  const url = `/secrets/v1/secret/default/${path}`
  const body = { value: 'x' }
  const { status } = await cluster.ask(master, 'dcos', url, { method: 'PATCH', body })
  if (status === 404) await cluster.ask(master, 'dcos', url, { method: 'PUT', body })
}

/** All that a master tells up to, and with, the last event of what is known of `path` by now. */
async function eventsUntil(
  master: Master,
  lastId: string | undefined,
  path: string,
): Promise<readonly SseEvent[]> {
  const headers = lastId === undefined ? {} : { 'last-event-id': lastId }
  const after = lastId === undefined ? '?after=' : ''
  const stream = await cluster.stream(master, 'conclave', `/events${after}`, { headers })
  const seen: SseEvent[] = []
  await write(master, path)
  const [newest] = await json<readonly { version: number }[]>('secret', 'versions', path)
  for await (const event of eventsOf(stream.body)) {
    seen.push(event)
    const { type, version } = JSON.parse(event.data) as { type: string; version?: number }
    if (type === 'secret.stored' && event.data.includes(path) && version === newest?.version) break
  }
  return seen
}
