import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { TestPlugin } from '@conclave/secret-plugins/testing'
import { canary, missingServer, scanDirectory, type Canary } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Conclave, runProgram, until, type Outcome } from '../src/index.ts'

/*
 * What is in a container of a Docker service, with the real docker CLI: secrets and configs as files, templates,
 * drivers, and new contents while it runs. Source: reference docker-swarm.md A6, B4, B5, B8; resolvers.md §5.1.
 */

const why = missingServer('docker')
const first = canary('content-first')
const second = canary('content-second')
const third = canary('content-third')
const driven = canary('content-driven')
const all: readonly Canary[] = [first, second, third, driven]

let cluster: Conclave
let socket: string
let plugin: TestPlugin

const docker = (args: readonly string[], input = ''): Promise<Outcome> =>
  runProgram('docker', ['-H', socket, ...args], { env: cluster.home.environment, input })

/** What a command prints, once it ended well. */
async function out(args: readonly string[], input = ''): Promise<string> {
  const { code, stdout, stderr } = await docker(args, input)
  expect({ args, code, stderr: code === 0 ? '' : stderr }).toEqual({ args, code: 0, stderr: '' })
  return stdout.trim()
}

interface ShownTask {
  readonly id: string
  readonly desired: string
  readonly current: string
}

async function tasksOf(service: string): Promise<readonly ShownTask[]> {
  const format = '{{.ID}} {{.DesiredState}} {{.CurrentState}}'
  const text = await out(['service', 'ps', '--no-trunc', '--format', format, service])
  return text.split('\n').map((line) => {
    const [id = '', desired = '', current = ''] = line.split(' ')
    return { id, desired, current }
  })
}

const taskOf = (service: string): Promise<ShownTask> =>
  until(`a task of ${service} runs`, async () =>
    (await tasksOf(service)).find(
      ({ current, desired }) => current === 'Running' && desired === 'Running',
    ),
  )

/** What a script says in the container of a service. */
async function inside(service: string, script: string): Promise<string> {
  const taskId = `${service}.1.${(await taskOf(service)).id}`
  const { stdout, stderr } = await cluster.cli(['task', 'exec', taskId, '--', 'sh', '-c', script])
  return stdout + stderr
}

/** The service's error, once a task of it could not be started. */
const errorOf = (service: string): Promise<string> =>
  until(`a task of ${service} has failed`, async () => {
    const text = await out(['service', 'ps', '--no-trunc', '--format', '{{.Error}}', service])
    return text.split('\n').find((line) => line !== '')
  })

const secret = (name: string, value: string, ...more: string[]): Promise<string> =>
  out(['secret', 'create', ...more, name, '-'], value)
const config = (name: string, value: string, ...more: string[]): Promise<string> =>
  out(['config', 'create', ...more, name, '-'], value)

const service = (name: string, ...more: string[]): Promise<string> =>
  out(['service', 'create', '-d', '--no-resolve-image', '--name', name, ...more])

const run = ['busybox', 'sleep', '3600']

/** Has a value for each secret that says where, and none for others. */
function answerOfVault({ SecretName, SecretLabels }: Readonly<Record<string, unknown>>) {
  const { path } = (SecretLabels ?? {}) as { path?: string }
  if (path === undefined) return { status: 500, body: { Err: 'backend says no' } }
  const Value = Buffer.from(`${SecretName as string} ${driven.text}`).toString('base64')
  return { body: { Value, Err: '', DoNotReuse: true } }
}

describe.skipIf(why !== undefined)(`DK14: a container of a service ${why ?? ''}`, () => {
  beforeAll(async () => {
    cluster = await Conclave.start(['--agents', '1'])
    socket = cluster.ready.masters[0]?.listeners['docker'] ?? ''
    plugin = await TestPlugin.start(cluster.home.file('vault.sock'), answerOfVault)
    for (const { directory } of cluster.ready.masters) {
      mkdirSync(join(directory, 'plugins'), { recursive: true })
      writeFileSync(join(directory, 'plugins', 'vault.spec'), `unix://${plugin.path}\n`)
    }
    await out(['swarm', 'init', '--advertise-addr', '192.168.99.100'])
    await secret('db', first.text)
  })
  afterAll(async () => {
    await plugin?.close()
    await cluster?.stop()
  })

  test('DK15: keeps a config, shows its data, and removes it when nobody uses it', async () => {
    const id = await config('app', 'cfg=1\n', '-l', 'a=b')
    expect(id).toMatch(/^[0-9a-z]{25}$/)
    const [inspected] = JSON.parse(await out(['config', 'inspect', 'app'])) as object[]
    expect(inspected).toMatchObject({
      ID: id,
      Spec: { Name: 'app', Labels: { a: 'b' }, Data: Buffer.from('cfg=1\n').toString('base64') },
    })
    expect(await out(['config', 'inspect', '--pretty', 'app'])).toContain('cfg=1')
    expect(await out(['config', 'ls', '--format', '{{.Name}}', '-f', 'label=a'])).toBe('app')
    await config('unused', 'x')
    expect(await out(['config', 'rm', 'unused'])).toBe('unused')
  })

  test('has files with modes and owners of their own, where they were asked for', async () => {
    await service(
      'files',
      '--secret',
      'db',
      '--secret',
      'source=db,target=sub/mine,uid=1000,gid=1001,mode=0400',
      '--secret',
      'source=db,target=../up',
      '--config',
      'source=app,target=/etc/app.conf,mode=0440',
      '--config',
      'app',
      ...run,
    )
    const files = '/run/secrets/db /run/secrets/sub/mine /run/up /etc/app.conf /app'
    const looks = [
      `stat -c "%n %a %u:%g" ${files}`,
      'stat -c "%a %F" /run/secrets',
      'mount | grep secrets/db',
      'ls -l /run/secrets/db | cut -c 1-10',
      'cat /run/secrets/db /app',
    ]
    expect(await inside('files', looks.join('; '))).toBe(
      '/run/secrets/db 444 0:0\n/run/secrets/sub/mine 400 1000:1001\n/run/up 444 0:0\n' +
        '/etc/app.conf 440 0:0\n/app 444 0:0\n755 directory\n' +
        `tmpfs on /run/secrets/db type tmpfs (ro,relatime)\n-r--r--r--\n${first.text}cfg=1\n`,
    )
    expect(await inside('files', 'echo x > /run/secrets/db')).toContain('Read-only file system')
    const inUse = await docker(['config', 'rm', 'app'])
    expect(inUse.stderr).toContain("config 'app' is in use by the following service: files")
  })

  test('is not made with an owner who is a name', async () => {
    const refused = await docker([
      'service',
      'create',
      '-d',
      '--no-resolve-image',
      '--name',
      'named',
      '--secret',
      'source=db,target=x,uid=app',
      ...run,
    ])
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain("UID 'app' is no number")
  })

  test('expands what is a template: files, variables and its hostname', async () => {
    const golang = ['--template-driver', 'golang']
    await secret('t', '{{.Service.Name}} {{env "WHO"}} {{secret "db"}} {{config "app"}}', ...golang)
    await config('c', 'pw={{ secret "db" }} {{.Service.Labels.tier}}\n', ...golang)
    await service(
      'templates',
      '--secret',
      't',
      '--secret',
      'db',
      '--config',
      'c',
      '--config',
      'app',
      '-l',
      'tier=front',
      '--hostname',
      '{{.Service.Name}}-{{.Task.Slot}}',
      '-e',
      'WHO={{.Task.Name}}',
      ...run,
    )
    const { id } = await taskOf('templates')
    expect(await inside('templates', 'cat /run/secrets/t /c; hostname; echo $WHO')).toBe(
      `templates templates.1.${id} ${first.text} cfg=1\n` +
        `pw=${first.text} front\ntemplates-1\ntemplates.1.${id}\n`,
    )
  })

  test.each([
    ['jinja', 'x', 'unrecognized template type'],
    ['golang', '{{secret "nosuch"}}', 'error calling secret: secret target nosuch not found'],
  ])('is not started with a %s template that cannot be: %s', async (driver, text, message) => {
    const name = `bad-${driver}`
    const id = await secret(name, text, '--template-driver', driver)
    await service(name, '--secret', name, '--restart-condition', 'none', ...run)
    const error = await errorOf(name)
    expect(error).toContain(
      `starting container failed: unable to get secret from secret store: failed to expand templated secret ${id}: `,
    )
    expect(error).toContain(message)
  })

  test('DK16: gets from a driver what the cluster does not have, or its reason', async () => {
    await out(['secret', 'create', '--driver', 'vault', '-l', 'path=x', 'drv'])
    expect(await out(['secret', 'ls', '--format', '{{.Driver}}', '-f', 'name=drv'])).toBe('vault')
    const unknown = await docker(['secret', 'create', '--driver', 'nosuch', 'other'])
    expect(unknown.stderr).toContain('plugin "nosuch" not found')
    await service('driven', '--secret', 'drv', ...run)
    expect(await inside('driven', 'cat /run/secrets/drv')).toBe(`drv ${driven.text}`)
    const { id } = await taskOf('driven')
    const asked = plugin.calls.find(({ path }) => path === '/SecretProvider.GetSecret')
    expect(JSON.parse(asked?.body ?? '')).toMatchObject({
      SecretName: 'drv',
      SecretLabels: { path: 'x' },
      ServiceName: 'driven',
      TaskID: id,
      TaskName: `driven.1.${id}`,
      NodeID: expect.stringMatching(/^[0-9a-z]{25}$/) as string,
    })

    const failing = await out(['secret', 'create', '--driver', 'vault', 'broken'])
    await service('undriven', '--secret', 'broken', '--restart-condition', 'none', ...run)
    expect(await errorOf('undriven')).toContain(
      `unable to get secret from secret store: secret ${failing} not found: plugin vault: backend says no`,
    )
  })

  test('DK17: gets the new value of a secret in place, whole, and goes on', async () => {
    await secret('rotated', first.text)
    const label = ['-l', 'conclave.rotate=in-place']
    await service('kept', ...label, '--secret', 'source=rotated,target=pw', ...run)
    const before = await taskOf('kept')
    expect(await inside('kept', 'cat /run/secrets/pw')).toBe(first.text)

    await cluster.cli(['secret', 'put', 'rotated'], second.text)
    await until('the file is new', async () => {
      const seen = await inside('kept', 'cat /run/secrets/pw')
      expect([first.text, second.text]).toContain(seen)
      return seen === second.text
    })
    expect((await taskOf('kept')).id).toBe(before.id)

    // Another secret at the same place.
    await secret('rotated2', third.text)
    await out([
      'service',
      'update',
      '-d',
      '--no-resolve-image',
      '--secret-rm',
      'rotated',
      '--secret-add',
      'source=rotated2,target=pw',
      'kept',
    ])
    await until(
      'the file is of the other secret',
      async () => (await inside('kept', 'cat /run/secrets/pw')) === third.text,
    )
    expect((await taskOf('kept')).id).toBe(before.id)
    expect(await tasksOf('kept')).toHaveLength(1)
    expect(await out(['secret', 'rm', 'rotated'])).toBe('rotated')
  })

  test('DK17: is replaced where it cannot be: a template that is none any more', async () => {
    await secret('shaky', 'one {{.Service.Name}}', '--template-driver', 'golang')
    await service('replaced', '-l', 'conclave.rotate=in-place', '--secret', 'shaky', ...run)
    const before = await taskOf('replaced')
    expect(await inside('replaced', 'cat /run/secrets/shaky')).toBe('one replaced')

    await cluster.cli(['secret', 'put', 'shaky'], 'two {{nosuch "x"}}')
    expect(await errorOf('replaced')).toContain('function "nosuch" not defined')
    await until('the task was replaced', async () =>
      (await tasksOf('replaced')).some(
        ({ id, desired, current }) =>
          id === before.id && desired === 'Shutdown' && current === 'Shutdown',
      ),
    )
  })

  test('DK17: keeps what it has without the label', async () => {
    await secret('fixed', first.text)
    await service('plain', '--secret', 'fixed', ...run)
    const before = await taskOf('plain')
    await cluster.cli(['secret', 'put', 'fixed'], second.text)
    await out(['service', 'update', '-d', '--no-resolve-image', '--force', 'plain'])
    await until('another task runs', async () => {
      const { id } = await taskOf('plain')
      return id !== before.id
    })
    expect(await inside('plain', 'cat /run/secrets/fixed')).toBe(second.text)
  })

  test('DK14: leaves nothing of any value on a disk, in a log or in a list', async () => {
    for (const value of all) {
      const { hits } = await scanDirectory(cluster.ready.directory, [value])
      expect(hits).toEqual([])
    }
    const shown = await Promise.all([
      out(['secret', 'ls']),
      out(['service', 'inspect', 'templates']),
      out(['secret', 'inspect', 't', 'drv']),
      cluster.cli(['app', 'inspect', 'templates']).then(({ stdout }) => stdout),
    ])
    for (const value of all) expect(shown.join('\n')).not.toContain(value.text)
  })
})
