import { canary, missingServer, scanDirectory } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Conclave, DockerCli, until } from '../src/index.ts'

/*
 * Services as a person keeps them with the real docker CLI. Commands do not wait (`-d`) but where it is the
 * waiting that is looked at: tests wait for what they need to be so.
 */

const why = missingServer('docker')
const first = canary('first')
const second = canary('second')

const rotation = ['--secret-rm', 'first', '--secret-add', 'source=second,target=password']

let cluster: Conclave
let docker: DockerCli

const create = (...args: readonly string[]): Promise<string> =>
  docker.out('service', 'create', '-d', '--no-resolve-image', ...args)

/** `1/1`, as `docker service ls` shows it. */
const replicas = (name: string): Promise<string> =>
  docker.out('service', 'ls', '-f', `name=${name}`, '--format', '{{.Replicas}}')

const haveRun = (name: string, count: string): Promise<unknown> =>
  until(`${name} has ${count}`, async () => (await replicas(name)).startsWith(count))

const tasks = (name: string, ...more: readonly string[]): Promise<readonly string[]> =>
  docker.lines(
    'service',
    'ps',
    '--no-trunc',
    '--format',
    '{{.ID}} {{.Name}} {{.Node}} {{.DesiredState}} {{.CurrentState}} {{.Error}}',
    ...more,
    name,
  )

const updateState = (name: string): Promise<string> =>
  docker.out('service', 'inspect', '-f', '{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}', name)

describe.skipIf(why !== undefined)(`DK9: services by the docker CLI ${why ?? ''}`, () => {
  beforeAll(async () => {
    cluster = await Conclave.start([])
    docker = new DockerCli(cluster, await cluster.leader())
    await docker.out('swarm', 'init', '--advertise-addr', '192.168.99.100')
    await docker.secret('first', first.text)
    await docker.secret('second', second.text)
  })
  afterAll(() => cluster?.stop())

  test('are created with a secret, run, and are listed and inspected', async () => {
    const id = await create(
      '--name',
      'app',
      '--secret',
      'source=first,target=password',
      'busybox',
      'sleep',
      '1000',
    )
    expect(id).toMatch(/^[0-9a-z]{25}$/)
    await haveRun('app', '1/1')
    expect(
      await docker.out('service', 'ls', '--format', '{{.Name}} {{.Mode}} {{.Replicas}} {{.Image}}'),
    ).toBe('app replicated 1/1 busybox:latest')
    const [line] = await tasks('app')
    expect(line).toMatch(/^[0-9a-z]{25} app\.1 agent-\d Running Running .* ago/)
    const [service] = await docker.inspected<{ ID: string; Spec: object }>(
      'service',
      'inspect',
      'app',
    )
    expect(service).toMatchObject({
      ID: id,
      Spec: {
        Name: 'app',
        TaskTemplate: {
          ContainerSpec: {
            Secrets: [{ File: { Name: 'password', Mode: 0o444 }, SecretName: 'first' }],
          },
        },
      },
    })
    expect(await docker.out('service', 'inspect', '--pretty', 'app')).toContain(
      'Service Mode:\tReplicated',
    )
    expect(await docker.inside('app', 'cat', '/run/secrets/password')).toEqual([first.text])
  })

  test('are waited for by the CLI, which says how far they are', async () => {
    const said = await docker.out(
      'service',
      'create',
      '--no-resolve-image',
      '--update-monitor',
      '1ms',
      '--name',
      'waited',
      'busybox',
      'sleep',
      '1000',
    )
    expect(said).toContain('overall progress: 1 out of 1 tasks')
    expect(said).toMatch(/verify: Service \S+ converged$/)
    await docker.out('service', 'rm', 'waited')
  })

  test('are scaled', async () => {
    await docker.out('service', 'scale', '-d', 'app=3')
    await haveRun('app', '3/3')
    expect((await tasks('app')).map((line) => line.split(' ')[1])).toEqual([
      'app.1',
      'app.2',
      'app.3',
    ])
  })

  test('rotate a secret, and let the old one go only then', async () => {
    expect(await docker.fault('secret', 'rm', 'first')).toContain(
      "secret 'first' is in use by the following service: app",
    )
    await docker.out(
      'service',
      'update',
      '-d',
      '--no-resolve-image',
      '--update-parallelism',
      '0',
      '--update-monitor',
      '1ms',
      ...rotation,
      'app',
    )
    await until('the update is over', async () => (await updateState('app')) === 'completed')
    await haveRun('app', '3/3')
    expect(await docker.inside('app', 'cat', '/run/secrets/password')).toEqual([
      second.text,
      second.text,
      second.text,
    ])
    expect(await docker.out('secret', 'rm', 'first')).toBe('first')
  })

  test('are warned of a way back that needs what is gone', async () => {
    const back = await docker.run(['service', 'rollback', '-d', 'app'])
    expect(back.code).toBe(0)
    expect(back.stderr.trim()).toBe(
      'secret first was removed, and the spec that is rolled back to needs it: its tasks will not start',
    )
    await until(
      'the way back has failed',
      async () => (await updateState('app')) === 'rollback_paused',
    )
    // As in the original, nothing can be said of a service any more that names what is gone.
    expect(await docker.fault('service', 'rollback', '-d', 'app')).toContain(
      'secret not found: first',
    )
    await docker.out('service', 'update', '-d', '--no-resolve-image', ...rotation, 'app')
    await haveRun('app', '3/3')
  })

  test('say why a task failed, and stop an update that does', async () => {
    await create(
      '--name',
      'failing',
      '--restart-condition',
      'none',
      'busybox',
      'sh',
      '-c',
      'exit 3',
    )
    await until('it has failed', async () =>
      (await tasks('failing')).some(
        (line) => line.includes('Failed') && line.endsWith('"task: non-zero exit (3)"'),
      ),
    )
    await docker.out(
      'service',
      'update',
      '-d',
      '--no-resolve-image',
      '--args',
      'sh -c "exit 4"',
      'app',
    )
    await until('the update is paused', async () => (await updateState('app')) === 'paused')
    const message = await docker.out('service', 'inspect', '-f', '{{.UpdateStatus.Message}}', 'app')
    expect(message).toMatch(
      /^update paused due to failure or early termination of task [0-9a-z]{25}$/,
    )
    await docker.out('service', 'rollback', '-d', 'app')
    await haveRun('app', '3/3')
    await docker.out('service', 'rm', 'failing')
  })

  test('DK14: run as whom and where they say, and fail to start without their program', async () => {
    await create('--name', 'whose', '--user', 'nginx', '--workdir', '/srv/of/mine', 'nginx')
    await haveRun('whose', '1/1')
    expect(await docker.inside('whose', 'sh', '-c', 'echo "$(id -un) $(pwd)"')).toEqual([
      'nginx /srv/of/mine',
    ])
    await docker.out('service', 'rm', 'whose')

    const once = ['--restart-condition', 'none', '--name']
    for (const [name, args, text] of [
      ['lacking', ['busybox', 'nosuch'], 'exec: "nosuch": executable file not found in $PATH'],
      ['stranger', ['--user', 'nginx', 'busybox', 'sleep', '9'], 'unable to find user nginx'],
    ] as const) {
      await create(...once, name, ...args)
      await until(`${name} has failed`, async () => {
        const shown = await docker.out('service', 'ps', '--no-trunc', name)
        return shown.includes('"starting container failed: ') && shown.includes(text)
      })
      await docker.out('service', 'rm', name)
    }
  })

  test('wait where no node may have them, and say why', async () => {
    await create(
      '--name',
      'homeless',
      '--constraint',
      'node.labels.zone==nowhere',
      'busybox',
      'sleep',
      '1000',
    )
    await until('it says why', async () =>
      (await tasks('homeless')).some((line) =>
        line.endsWith('"no suitable node (scheduling constraints not satisfied on 2 nodes)"'),
      ),
    )
    await docker.out('node', 'update', '--label-add', 'zone=nowhere', 'agent-2')
    await haveRun('homeless', '1/1')
    expect((await tasks('homeless', '-f', 'desired-state=running'))[0]).toContain(' agent-2 ')
    await docker.out('service', 'rm', 'homeless')
  })

  test('with a health check are starting until they were healthy', async () => {
    const health = [
      '--health-cmd',
      'test -e /tmp/well',
      '--health-interval',
      '1s',
      '--health-retries',
      '1000',
    ]
    await create('--name', 'checked', ...health, 'busybox', 'sleep', '1000')
    await until('it starts', async () =>
      (await tasks('checked')).some((line) => line.includes(' Starting ')),
    )
    expect(await replicas('checked')).toBe('0/1')
    await docker.inside('checked', 'touch', '/tmp/well')
    await haveRun('checked', '1/1')
    await docker.out('service', 'rm', 'checked')
  })

  test('leave a node that is drained, and come to all nodes that are not', async () => {
    await create('--name', 'everywhere', '--mode', 'global', 'busybox', 'sleep', '1000')
    await haveRun('everywhere', '2/2')
    await docker.out('node', 'update', '--availability', 'drain', 'agent-1')
    const runs = ['--format', '{{.Name}}', '-f', 'desired-state=running']
    await until(
      'nothing is on the drained node',
      async () => (await docker.lines('node', 'ps', ...runs, 'agent-1')).length === 0,
    )
    await haveRun('app', '3/3')
    await haveRun('everywhere', '1/1')
    expect((await docker.lines('node', 'ps', ...runs, 'agent-2')).length).toBe(4)
    await docker.out('node', 'update', '--availability', 'active', 'agent-1')
    await haveRun('everywhere', '2/2')
    await docker.out('service', 'rm', 'everywhere')
  })

  test('show what their containers print', async () => {
    const script = 'echo out; echo err >&2; sleep 1000'
    await create('--name', 'talking', 'busybox', 'sh', '-c', script)
    const logs = await until('both lines are there', async () => {
      const said = await docker.run(['service', 'logs', 'talking'])
      return said.stdout.includes('out') && said.stderr.includes('err') ? said : undefined
    })
    expect(logs.stdout).toMatch(/^talking\.1\.[0-9a-z]{12}@agent-\d\s+\| out$/m)
    expect(logs.stderr).toMatch(/^talking\.1\.[0-9a-z]{12}@agent-\d\s+\| err$/m)
    const raw = await docker.run(['service', 'logs', '--raw', '--timestamps', 'talking'])
    expect(raw.stdout).toMatch(/^\d{4}-\d\d-\d\dT\S+Z out$/m)
    expect(await docker.fault('service', 'logs', 'nosuch')).toBe('no such task or service: nosuch')
    await docker.out('service', 'rm', 'talking')
  })

  test('are removed with their tasks, and leave nothing of a secret on any disk', async () => {
    expect(await docker.out('service', 'rm', 'app')).toBe('app')
    expect(await docker.out('service', 'ls', '-q')).toBe('')
    const inspected = await docker.run(['service', 'inspect', 'app'])
    expect([inspected.code, inspected.stdout.trim()]).toEqual([1, '[]'])
    expect(await docker.out('secret', 'rm', 'second')).toBe('second')
    const { hits } = await scanDirectory(cluster.ready.directory, [first, second])
    expect(hits).toEqual([])
  })
})
