import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { machine, tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { canary, missingServer, scanDirectory } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Conclave, Program, runProgram, until, type Outcome } from '../src/index.ts'

/*
 * Containers of a swarm's tasks with the real docker CLI. Source: reference docker-swarm.md A5, A7, A10.
 */

const why = missingServer('docker')
const secret = canary('containers')

let cluster: Conclave
let socket: string
/** Of the service `app`, whose task prints, ends with 3 when it is asked to, and has a secret. */
let container: string

const prints = 'echo one; echo two >&2; trap "exit 3" TERM; while :; do sleep 0.1; done'

const docker = (args: readonly string[], input: string | Uint8Array = ''): Promise<Outcome> =>
  runProgram('docker', ['-H', socket, ...args], { env: cluster.home.environment, input })

const started = (...args: string[]): Program =>
  new Program('docker', ['-H', socket, ...args], { env: cluster.home.environment })

async function copied(...args: string[]): Promise<void> {
  const { code, stderr } = await docker(['cp', ...args])
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' })
}

/** What a command prints, once it ended well. */
async function out(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await docker(args)
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' })
  return stdout.trim()
}

const running = (service: string): Promise<string> =>
  until(`a container of ${service} runs`, async () => {
    const ids = await out(
      'ps',
      '-q',
      '--no-trunc',
      '-f',
      `label=com.docker.swarm.service.name=${service}`,
    )
    return ids.split('\n')[0] || undefined
  })

describe.skipIf(why !== undefined)(`DK40: containers and the docker CLI ${why ?? ''}`, () => {
  beforeAll(async () => {
    cluster = await Conclave.start(['--masters', '1', '--agents', '1'])
    socket = cluster.ready.masters[0]?.listeners['docker'] ?? ''
    await out('swarm', 'init')
    await docker(['secret', 'create', 'my_secret', '-'], secret.text)
    const flags = [
      '--detach',
      '--no-resolve-image',
      '--secret',
      'my_secret',
      '--env',
      'COLOR=green',
    ]
    await out('service', 'create', '-q', ...flags, '--name', 'app', 'busybox', 'sh', '-c', prints)
    container = await running('app')
  })
  afterAll(() => cluster?.stop())

  test('are listed under the names of their tasks, and found by them', async () => {
    const format =
      '{{.ID}} {{.Image}} {{.Names}} {{.State}} {{.Label "com.docker.swarm.service.name"}}'
    const [line = ''] = (await out('ps', '--format', format)).split('\n')
    expect(line).toMatch(/^[0-9a-f]{12} busybox:latest app\.1\.[0-9a-z]{25} running app$/)
    const name = line.split(' ')[2] ?? ''
    for (const asked of [name, `/${name}`, container, container.slice(0, 8)]) {
      expect(await out('inspect', '--type', 'container', '--format', '{{.Id}}', asked)).toBe(
        container,
      )
    }
    expect(await out('ps', '-q', '-f', 'name=ap')).toBe(container.slice(0, 12))
    expect(await out('ps', '-q', '-f', 'name=other')).toBe('')
    const none = await docker(['exec', 'nosuch', 'ls'])
    expect(none.stderr.trim()).toBe('Error response from daemon: No such container: nosuch')
    expect(none.code).toBe(1)
  })

  test('are filtered and measured as dockerd does it', async () => {
    const byName = async (...filters: readonly string[]): Promise<string> =>
      out('ps', '-a', '--format', '{{.Image}}', ...filters.flatMap((one) => ['-f', one]))
    for (const filter of ['network=bridge', 'ancestor=busybox', 'is-task=true', 'health=none']) {
      expect(`${filter} ${await byName(filter)}`).toBe(`${filter} busybox:latest`)
    }
    for (const filter of [
      'network=none',
      'ancestor=redis',
      'expose=80',
      'volume=data',
      'publish=80',
    ]) {
      expect(`${filter} ${await byName(filter)}`).toBe(`${filter} `)
    }
    for (const [filter, text] of [
      ['foo=bar', "invalid filter 'foo'"],
      ['exited=x', `invalid filter 'exited=x': strconv.Atoi: parsing "x": invalid syntax`],
      ['publish=80:80', "filter for 'publish' should not contain ':': 80:80"],
      ['since=nosuch', 'No such container: nosuch'],
    ] as const) {
      const { code, stderr } = await docker(['ps', '-f', filter])
      expect([code, stderr.trim()]).toEqual([1, `Error response from daemon: ${text}`])
    }
    await out('exec', container, 'sh', '-c', 'head -c 50000 /dev/zero > /tmp/some')
    const size = await out('ps', '-s', '--format', '{{.Size}}')
    expect(size).toMatch(/^5\d\.?\d*kB \(virtual \d+.*B\)$/)
    await out('exec', container, 'rm', '/tmp/some')
  })

  test('run where their service may be, by what a machine is', async () => {
    const format = '{{.Description.Platform.OS}}/{{.Description.Platform.Architecture}}'
    expect(await out('node', 'inspect', '--format', format, 'agent-1')).toBe(`linux/${machine()}`)
    const constraint = `node.platform.arch==${machine()}`
    const flags = ['-qd', '--no-resolve-image', '--constraint', constraint, '--name', 'placed']
    await out('service', 'create', ...flags, 'busybox', 'sleep', '3600')
    expect(await running('placed')).toMatch(/^[0-9a-f]{64}$/)
    await out('service', 'rm', 'placed')
  })

  test('run programs, with their output, input, exit codes, user, directory and variables', async () => {
    expect(await docker(['exec', container, 'cat', '/run/secrets/my_secret'])).toMatchObject({
      code: 0,
      stdout: secret.text,
      stderr: '',
    })
    expect(
      await docker(['exec', container, 'sh', '-c', 'echo out; echo err >&2; exit 7']),
    ).toMatchObject({ code: 7, stdout: 'out\n', stderr: 'err\n' })
    expect(
      await docker(['exec', '-i', container, 'wc', '-c'], Buffer.alloc(3_000_000)),
    ).toMatchObject({
      code: 0,
      stdout: '3000000\n',
    })
    const flags = ['-u', '77:88', '-w', '/tmp', '-e', 'EXTRA=more']
    const script = 'echo $(id -u) $(id -g) $(pwd) $COLOR $EXTRA'
    expect(await out('exec', ...flags, container, 'sh', '-c', script)).toBe('77 88 /tmp green more')
    const missing = await docker(['exec', container, 'nosuchcmd'])
    expect(missing.code).toBe(127)
    expect(missing.stdout + missing.stderr).toContain(
      'OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuchcmd": executable file not found in $PATH: unknown',
    )
  })

  test('run several programs at once, and say all that they have to say', async () => {
    const counts = await Promise.all(
      [1, 2, 3, 4].map((count) =>
        docker(['exec', container, 'sh', '-c', `head -c ${count}000000 /dev/zero`]),
      ),
    )
    expect(counts.map(({ bytes }) => bytes.length)).toEqual([1e6, 2e6, 3e6, 4e6])
  })

  test('run programs that nobody waits for', async () => {
    expect(await out('exec', '-d', container, 'sh', '-c', 'echo done > /tmp/detached')).toBe('')
    await until('it has run', async () => {
      const { stdout } = await docker(['exec', container, 'cat', '/tmp/detached'])
      return stdout === 'done\n'
    })
  })

  test('have terminals', async () => {
    const command = `docker -H ${socket} exec -it ${container} sh`
    const session = new Program('script', ['-qfec', command, '/dev/null'], {
      env: { ...cluster.home.environment, TERM: 'xterm' },
      stdin: 'pipe',
    })
    const { stdin } = session.child
    await until('there is a prompt', () => /[#$] $/.test(session.stdout))
    stdin?.write('stty size; tty; cat\r')
    await until('cat reads', () => session.stdout.includes('/dev/pts/0'))
    stdin?.write('typd\x7fed\r')
    await until('it is echoed by the terminal and by cat', () =>
      session.stdout.replaceAll('\r', '').includes('typd\b \bed\ntyped\n'),
    )
    stdin?.write('\x03')
    await until('there is a prompt again', () => /\^C\r+\n.*[#$] $/s.test(session.stdout))
    stdin?.write('exit 9\r')
    expect((await session.outcome()).code).toBe(9)
  })

  test('are attached to: typed to, resized, left by keys, and their exit code is told', async () => {
    // A trap ends a `read`; the end of the input does so, too, with another status.
    const reads = 'while read line || [ $$? -gt 128 ]; do echo "<$$line>"; done; exit 5'
    const script = `trap "stty size" WINCH; ${reads}`
    const shell = { image: 'busybox', command: ['sh', '-c', script], stdin_open: true }
    const deploy = { restart_policy: { condition: 'none' } }
    const services = { piped: { ...shell, deploy }, typed: { ...shell, deploy, tty: true } }
    const compose = JSON.stringify({ version: '3.8', services })
    const file = cluster.home.file('compose.json')
    writeFileSync(file, compose)
    await out(
      'stack',
      'deploy',
      '--detach=true',
      '--resolve-image',
      'never',
      '-c',
      file,
      'attached',
    )

    const piped = await running('attached_piped')
    // The end of a client's input is its own; the client then waits for the program's end.
    const client = new Program('docker', ['-H', socket, 'attach', piped], {
      env: cluster.home.environment,
      stdin: 'pipe',
    })
    client.child.stdin?.end('hello\n')
    await until('it has read', async () => (await out('logs', piped)) === '<hello>')
    await out('kill', piped)
    expect((await client.outcome()).code).toBe(137)

    const typed = await running('attached_typed')
    const attach = (): Program =>
      new Program(
        'script',
        ['-qfec', `stty rows 33 cols 77; docker -H ${socket} attach ${typed}`, '/dev/null'],
        {
          env: { ...cluster.home.environment, TERM: 'xterm' },
          stdin: 'pipe',
        },
      )
    const first = attach()
    await until('it has been resized', () => first.stdout.includes('33 77'))
    first.child.stdin?.write('one\r')
    await until('it answers', () => first.stdout.includes('<one>'))
    first.child.stdin?.write('\x10\x11')
    expect(await first.outcome()).toMatchObject({ code: 1 })
    expect(first.stdout).toContain('read escape sequence')

    const second = attach()
    await until('it is attached again', () => second.stdout.includes('33 77'))
    second.child.stdin?.write('two\r')
    await until('it answers again', () => second.stdout.includes('<two>'))
    second.child.stdin?.write('\x04')
    expect((await second.outcome()).code).toBe(5)
    await out('stack', 'rm', 'attached')
  })

  test('show their output, from its beginning, its end, and as it comes', async () => {
    const { stdout, stderr } = await docker(['logs', container])
    expect({ stdout, stderr }).toEqual({ stdout: 'one\n', stderr: 'two\n' })
    const tail = await docker(['logs', '--tail', '1', '-t', container])
    expect(tail.stdout + tail.stderr).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z two\n$/)
    const script = 'for i in 1 2 3; do echo line $i; sleep 0.1; done; sleep 3600'
    await out(
      'service',
      'create',
      '-qd',
      '--no-resolve-image',
      '--name',
      'talker',
      'busybox',
      'sh',
      '-c',
      script,
    )
    const followed = started('logs', '-f', await running('talker'))
    await until('all lines have come', () => followed.stdout.includes('line 3\n'))
    expect(followed.stdout).toBe('line 1\nline 2\nline 3\n')
    await out('service', 'rm', 'talker')
    expect((await followed.outcome()).code).toBe(0)
  })

  test('show their processes and what they are allowed', async () => {
    const [head = '', ...rows] = (await out('top', container)).split('\n')
    expect(head).toMatch(/^UID\s+PID\s+PPID\s+C\s+STIME\s+TTY\s+TIME\s+CMD$/)
    expect(rows.join('\n')).toContain('sh -c echo one')
    expect(rows.join('\n')).not.toContain('ps -ef')
    const [columns = '', ...commands] = (await out('top', container, '-eo', 'pid,comm')).split('\n')
    expect(columns).toMatch(/^PID\s+COMMAND$/)
    expect(commands.map((row) => row.split(/\s+/)[1])).not.toContain('ps')
    expect(await out('stats', '--no-stream', '--format', '{{.Container}}', container)).toBe(
      container,
    )
  })

  test('show what they use', async () => {
    const format = '{{.MemUsage}}|{{.PIDs}}|{{.BlockIO}}|{{.NetIO}}'
    const script = 'head -c 3000000 /dev/zero > /tmp/three; cat /tmp/three | wc -c'
    await out('exec', container, 'sh', '-c', script)
    const [memory = '', pids, blocks, net] = (
      await out('stats', '--no-stream', '--format', format, container)
    ).split('|')
    expect(memory).toMatch(/^[23]\.\d+MiB \/ 8\.\d+MiB$/)
    expect(Number(pids)).toBeGreaterThanOrEqual(1)
    expect(blocks).toMatch(/^3\.?\d*MB \/ 3\.?\d*MB$/)
    expect(net).toBe('0B / 0B')
    await out('exec', container, 'rm', '/tmp/three')
  })

  test('are asked to end as their image says, or their service', async () => {
    for (const [name, flags, said] of [
      ['of-image', [], 'signal 3 (SIGQUIT) received'],
      ['of-service', ['--stop-signal', 'SIGINT'], 'signal 15 (SIGTERM) received'],
    ] as const) {
      const flagsOf = ['--no-resolve-image', '--restart-condition', 'none', ...flags]
      await out('service', 'create', '-qd', ...flagsOf, '--name', name, 'nginx')
      const one = await running(name)
      await until('it is up', async () => {
        const { stderr } = await docker(['logs', one])
        return stderr.includes('start worker')
      })
      await out('stop', one)
      expect((await docker(['logs', one])).stderr).toContain(said)
      await out('service', 'rm', name)
    }
  })

  test('say what they are, and nothing of their secrets', async () => {
    const inspected = await out('inspect', container)
    expect(inspected).not.toContain(secret.text)
    expect(JSON.parse(inspected)).toMatchObject([
      {
        Id: container,
        State: { Status: 'running', Running: true, ExitCode: 0 },
        Config: {
          Env: expect.arrayContaining(['COLOR=green']) as string[],
          Image: 'busybox:latest',
          Tty: false,
        },
      },
    ])
  })

  test('DK48: are copied into and out of, files, directories and links', async () => {
    const there = mkdtempSync(join(tmpdir(), 'conclave-cp-'))
    const here = (name: string): string => join(there, name)
    try {
      mkdirSync(here('site/deep'), { recursive: true })
      writeFileSync(here('site/index.html'), '<p>hello</p>')
      writeFileSync(here('site/deep/big'), Buffer.alloc(1024 * 1024, 'b'))
      symlinkSync('index.html', here('site/link'))
      chmodSync(here('site/index.html'), 0o640)

      await copied(here('site'), `${container}:/site`)
      await copied(here('site/index.html'), `${container}:/site/named`)
      await copied(`${here('site')}/.`, `${container}:/tmp`)
      expect(await out('exec', container, 'stat', '-c', '%a %s', '/site/index.html')).toBe('640 12')
      expect(await out('exec', container, 'readlink', '/site/link')).toBe('index.html')
      expect(await out('exec', container, 'cat', '/site/named', '/tmp/link')).toBe(
        '<p>hello</p><p>hello</p>',
      )

      await copied(`${container}:/site`, here('back'))
      expect(readFileSync(here('back/deep/big')).equals(readFileSync(here('site/deep/big')))).toBe(
        true,
      )
      expect(readlinkSync(here('back/link'))).toBe('index.html')
      await copied(`${container}:/site/named`, here('file'))
      expect(readFileSync(here('file'), 'utf8')).toBe('<p>hello</p>')
      await copied('-L', `${container}:/site/link`, here('followed'))
      expect(readFileSync(here('followed'), 'utf8')).toBe('<p>hello</p>')

      const archive = await docker(['cp', `${container}:/site/.`, '-'])
      expect(archive.stdout).toContain('<p>hello</p>')
      const packed = gzipSync(archive.bytes)
      await out('exec', container, 'mkdir', '/packed')
      const given = await docker(['cp', '-', `${container}:/packed`], packed)
      expect(given).toMatchObject({ code: 0, stderr: '' })
      expect(await out('exec', container, 'cat', '/packed/index.html')).toBe('<p>hello</p>')

      const over = await docker(['cp', here('site/index.html'), `${container}:/site/deep/big/x`])
      expect(over.stderr).toContain('extraction point is not a directory')
      expect(over.code).not.toBe(0)
    } finally {
      rmSync(there, { recursive: true, force: true })
    }
  })

  test('DK48: give away no secret when they are copied', async () => {
    const copies = await Promise.all(
      ['/', '/run/secrets', '/run/secrets/my_secret', '/run'].map(async (path) => {
        const { code, stdout, stderr } = await docker(['cp', `${container}:${path}`, '-'])
        expect({ path, code, stderr }).toEqual({ path, code: 0, stderr: '' })
        return stdout
      }),
    )
    expect(copies.join('').length).toBeGreaterThan(10_000)
    expect(copies.join('')).toContain('run/secrets/my_secret')
    expect(copies.join('')).not.toContain(secret.text)
    // It is there for the program, before and after somebody tries to put another in its place.
    const put = await docker(['cp', import.meta.filename, `${container}:/run/secrets/my_secret`])
    expect([put.code === 0, put.stderr]).toEqual([
      false,
      expect.stringContaining('Device or resource busy') as string,
    ])
    expect(await out('exec', container, 'cat', '/run/secrets/my_secret')).toBe(secret.text)
  })

  test('are refused what only containers of dockerd can do', async () => {
    const refused = [
      [['run', '--rm', 'busybox', 'true'], 'docker service create'],
      [['pause', container], 'cannot be paused'],
      [['rename', container, 'x'], 'is called by its service'],
      [
        ['export', container],
        'docker cp CONTAINER:/ -'.replace('CONTAINER', container.slice(0, 12)),
      ],
      [['cp', `${container}:/nosuch`, '-'], 'Could not find the file /nosuch in container'],
      [['rm', container], 'container is running'],
      [['commit', container, 'image'], 'no image is made of them here'],
      [['exec', '-d', container, 'nosuchcmd'], 'executable file not found in $PATH'],
      [['kill', '-s', 'FOO', container], 'invalid signal: FOO'],
    ] as const
    for (const [args, text] of refused) {
      const { code, stderr } = await docker(args)
      expect({ args, failed: code !== 0, stderr }).toEqual({
        args,
        failed: true,
        stderr: expect.stringContaining(text) as string,
      })
    }
  })

  test('end when they are stopped or killed, and the swarm starts others', async () => {
    const waited = started('wait', container)
    await until('it waits', () => waited.child.pid !== undefined)
    expect(await out('stop', container)).toBe(container)
    expect((await waited.outcome()).stdout).toBe('3\n')
    const state = '{{.State.Status}} {{.State.ExitCode}}'
    expect(await out('inspect', '--format', state, container)).toBe('exited 3')
    expect(await out('ps', '-aq', '--no-trunc', '-f', 'exited=3')).toBe(container)
    expect((await docker(['exec', container, 'true'])).stderr).toContain('is not running')

    const second = await running('app')
    expect(second).not.toBe(container)
    expect(await out('kill', second)).toBe(second)
    expect(await out('inspect', '--format', state, second)).toBe('exited 137')
    const again = await docker(['kill', second])
    expect(again.stderr).toContain(`container ${second} is not running`)
    expect(await running('app')).not.toBe(second)
  })

  test('are told of as events, with the services and secrets of the swarm', async () => {
    const format = '{{.Type}} {{.Action}} {{.Actor.Attributes.name}}'
    const told = await out('events', '--since', '1h', '--until', '0s', '--format', format)
    expect(told).toContain('secret create my_secret')
    expect(told).toContain('service create app')
    expect(told).toMatch(/container start app\.1\.[0-9a-z]{25}/)
    expect(told).toMatch(/container die app\.1\.[0-9a-z]{25}/)
    expect(told).not.toContain(secret.text)
    const dead = await out(
      'events',
      '--since',
      '1h',
      '--until',
      '0s',
      '-f',
      'event=die',
      '--format',
      '{{.Type}}',
    )
    expect(new Set(dead.split('\n'))).toEqual(new Set(['container']))
    const asked = ['--since', '1h', '--until', '0s', '-f', `container=${container}`]
    const acts = await out('events', ...asked, '--format', '{{.Action}}')
    const cat = 'cat /run/secrets/my_secret'
    expect(acts).toContain(`\nexec_create: ${cat}\nexec_start: ${cat}\nexec_die\n`)
    expect(acts).toContain('\ntop\n')
    expect(acts).toMatch(/\nkill\ndie\nstop$/)
  })

  test('of a service that was removed are stopped and destroyed, and that is told', async () => {
    const flags = ['--detach', '--quiet', '--no-resolve-image', '--name', 'brief']
    const since = String(Math.floor(Date.now() / 1000))
    await out('service', 'create', ...flags, 'busybox', 'sleep', '60')
    const label = 'label=com.docker.swarm.service.name=brief'
    const asked = ['--since', since, '--until', '0s', '-f', label, '--format', '{{.Action}}']
    const told = async (action: string): Promise<string> =>
      until(`its ${action} was told`, async () => {
        const actions = await out('events', ...asked)
        return actions.includes(action) ? actions : undefined
      })
    await told('start')
    await out('service', 'rm', 'brief')
    expect(await told('destroy')).toBe('create\nstart\nkill\ndie\nstop\ndestroy')
  })

  test('leave nothing of a secret on any disk of the cluster', async () => {
    const { hits } = await scanDirectory(cluster.ready.directory, [secret])
    expect(hits).toEqual([])
  })
})
