import { canary, expectNoLeak, missingServer, scanDirectory } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Conclave, runProgram, until, type Outcome } from '../src/index.ts'

/*
 * Images, networks and the machine as the real docker CLI shows them, and services that run simulated images.
 * Source: reference docker-swarm.md A5, A8.
 */

const why = missingServer('docker')
const password = canary('postgres')

let cluster: Conclave
let socket: string

const docker = (args: readonly string[], input = ''): Promise<Outcome> =>
  runProgram('docker', ['-H', socket, ...args], { env: cluster.home.environment, input })

/** What a command prints, once it ended well and complained about nothing. */
async function out(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await docker(args)
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' })
  return stdout.trim()
}

async function refusal(...args: string[]): Promise<string> {
  const { code, stderr } = await docker(args)
  expect({ args, code }).toEqual({ args, code: 1 })
  return stderr.trim()
}

/** The tasks of a service, one a line. */
const tasksOf = (service: string): Promise<string> =>
  out('service', 'ps', '--no-trunc', '--format', '{{.CurrentState}} {{.Error}}', service)

describe.skipIf(why !== undefined)(`DK25 to DK29: the docker CLI ${why ?? ''}`, () => {
  beforeAll(async () => {
    cluster = await Conclave.start([
      '--masters',
      '1',
      '--agents',
      '1',
      '--simulated-images',
      'known',
    ])
    socket = cluster.ready.masters[0]?.listeners['docker'] ?? ''
  })
  afterAll(() => cluster?.stop())

  test('lists images that say that they are simulated', async () => {
    const names = await out('images', '--format', '{{.Repository}}:{{.Tag}}')
    expect(names.split('\n').toSorted()).toEqual([
      'alpine:latest',
      'busybox:latest',
      'eon01/infinite:latest',
      'nginx:latest',
      'postgres:latest',
      'redis:latest',
    ])
    const label = '{{index .Config.Labels "io.conclave.simulated"}} {{json .Config.Cmd}}'
    expect(await out('image', 'inspect', '--format', label, 'eon01/infinite')).toBe(
      'true ["/bin/sh","-c","tail -f /dev/null"]',
    )
    expect(await out('history', '--format', '{{.Comment}}', 'redis')).toContain('simulated')
    expect(await out('search', '--format', '{{.Name}}', 'redis')).toBe('redis')
  })

  test('pulls one of them, and is told that nothing is fetched', async () => {
    expect(await out('pull', 'redis:7')).toMatch(
      /^7: Pulling from library\/redis\nredis is simulated by Conclave: nothing is fetched\nDigest: sha256:[0-9a-f]{64}\nStatus: Downloaded newer image for redis:7\ndocker.io\/library\/redis:7$/,
    )
    expect(await out('rmi', 'redis:7')).toBe('Untagged: redis:7')
    expect(await refusal('pull', 'nosuchimage:1')).toContain('pull access denied for nosuchimage:1')
    expect(await refusal('rmi', 'redis')).toContain('it is simulated, and always there')
  })

  test('looks for a name among all kinds of things, and finds that it is none', async () => {
    await out('swarm', 'init', '--advertise-addr', '192.168.99.100')
    const { code, stdout, stderr } = await docker(['inspect', 'nosuchthing'])
    expect({ code, stdout: stdout.trim() }).toEqual({ code: 1, stdout: '[]' })
    expect(stderr.trim()).toMatch(/no such object: nosuchthing$/i)
    expect(await out('inspect', '--format', '{{index .RepoTags 0}}', 'redis')).toBe('redis:latest')
    expect(await out('inspect', '--format', '{{.Driver}}', 'ingress')).toBe('overlay')
  })

  test('makes, finds and removes networks', async () => {
    const id = await out('network', 'create', '--driver', 'overlay', '--label', 'a=b', 'backend')
    expect(id).toMatch(/^[0-9a-z]{25}$/)
    const line = '{{.Name}} {{.Driver}} {{.Scope}}'
    expect(await out('network', 'ls', '--filter', 'label=a=b', '--format', line)).toBe(
      'backend overlay swarm',
    )
    expect(await out('network', 'inspect', '--format', '{{.Id}}', 'backend')).toBe(id)
    expect(await refusal('network', 'create', '--driver', 'overlay', 'backend')).toContain(
      'network with name backend already exists',
    )
    expect(await refusal('network', 'rm', 'bridge')).toContain('cannot be removed')
    expect(await out('network', 'rm', 'backend')).toBe('backend')
    const all = await out('network', 'ls', '--format', line)
    expect(all.split('\n').toSorted()).toEqual([
      'bridge bridge local',
      'docker_gwbridge bridge local',
      'host host local',
      'ingress overlay swarm',
      'none null local',
    ])
  })

  test('runs a simulated image as a service, pinned to its digest, with its secret', async () => {
    await docker(['secret', 'create', 'db', '-'], password.text)
    // No warning that a registry could not be asked.
    await out(
      'service',
      'create',
      '--detach',
      '--name=database',
      '--secret=db',
      '--env=POSTGRES_PASSWORD_FILE=/run/secrets/db',
      'postgres:17',
    )
    expect(
      await out(
        'service',
        'inspect',
        '--format',
        '{{.Spec.TaskTemplate.ContainerSpec.Image}}',
        'database',
      ),
    ).toMatch(/^postgres:17@sha256:[0-9a-f]{64}$/)
    await until('it runs', async () => (await tasksOf('database')).startsWith('Running'))
    const { stdout: tasks } = await cluster.cli(['task', 'ls', '--json'])
    const said = await until('it is ready', async () => {
      const [id = ''] = /database\.1\.\w+/.exec(tasks) ?? []
      const { stdout } = await cluster.cli(['task', 'logs', id])
      return stdout.includes('ready to accept connections') && stdout
    })
    expect(said).toContain(
      'The password was taken from POSTGRES_PASSWORD_FILE, which is /run/secrets/db.',
    )
    expectNoLeak({ said }, [password])
  })

  test('is told why a service of an image that nobody has does not run', async () => {
    const created = await docker(['service', 'create', '--detach', '--name=none', 'nosuchimage:1'])
    expect(created.code).toBe(0)
    expect(created.stderr).toContain('could not be accessed on a registry to record')
    const rejected = /^Rejected .* "No such image: nosuchimage:1"$/m
    await until('it is rejected', async () => rejected.test(await tasksOf('none')))
    await out('service', 'rm', 'none')
  })

  test('shows what the machine is, has and uses', async () => {
    const info = '{{.ContainersRunning}} {{.Driver}} {{.DefaultRuntime}} {{.Swarm.LocalNodeState}}'
    expect(await out('info', '--format', info)).toBe('1 conclave conclave active')
    const { stdout } = await docker(['info'])
    expect(stdout).toContain('io.conclave.simulated-images=known')
    expect(await out('version', '--format', '{{.Server.APIVersion}} {{.Server.Os}}')).toBe(
      '1.47 linux',
    )
    const df = await out('system', 'df', '--format', '{{.Type}} {{.Active}}')
    expect(df.split('\n')).toEqual(['Images 1', 'Containers 1', 'Local Volumes 0', 'Build Cache 0'])
    expect(await out('volume', 'ls', '--quiet')).toBe('')
    expect(await out('plugin', 'ls', '--quiet')).toBe('')
  })

  test('is refused what is not here, in words that say why', async () => {
    expect(await refusal('volume', 'create', 'data')).toContain('volumes are not kept here')
    expect(await refusal('push', 'redis')).toContain('images are not pushed here')
    const login = await docker(['login', '--username=a', '--password-stdin'], 'b')
    expect(login.stderr).toContain('nobody logs in to a registry here')
  })

  test('leaves nothing of a value on any disk of the cluster', async () => {
    const { hits } = await scanDirectory(cluster.ready.directory, [password])
    expect(hits).toEqual([])
  })
})
