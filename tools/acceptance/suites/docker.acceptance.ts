import { statSync } from 'node:fs'
import { canary, missingServer, scanDirectory } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Conclave, runProgram, type Outcome } from '../src/index.ts'

/*
 * The beginning of the Swarm tutorial with the real docker CLI. Source: reference docker-swarm.md,
 * walkthrough.json.
 */

const why = missingServer('docker')
const secret = canary('docker')
const value = secret.text

let cluster: Conclave
let socket: string

const docker = (args: readonly string[], input = ''): Promise<Outcome> =>
  runProgram('docker', ['-H', socket, ...args], { env: cluster.home.environment, input })

/** What a command prints, once it ended well. */
async function out(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await docker(args)
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' })
  return stdout.trim()
}

describe.skipIf(why !== undefined)(`DK7: the docker CLI ${why ?? ''}`, () => {
  beforeAll(async () => {
    cluster = await Conclave.start([])
    socket = cluster.ready.masters[0]?.listeners['docker'] ?? ''
  })
  afterAll(() => cluster?.stop())

  test('finds a socket that only its owner may open', () => {
    expect(statSync(socket.replace('unix://', '')).mode & 0o777).toBe(0o600)
  })

  test('is told that there is no swarm before there is one', async () => {
    const { code, stderr } = await docker(['secret', 'ls'])
    expect(code).toBe(1)
    expect(stderr).toContain('This node is not a swarm manager.')
  })

  test('begins a swarm, once', async () => {
    const begun = await out('swarm', 'init', '--advertise-addr', '192.168.99.100')
    expect(begun).toMatch(
      /^Swarm initialized: current node \([0-9a-z]{25}\) is now a manager\.\n\nTo add a worker to this swarm, run the following command:\n\n\s+docker swarm join --token SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25} /,
    )
    const again = await docker(['swarm', 'init'])
    expect(again.code).toBe(1)
    expect(again.stderr).toContain('This node is already part of a swarm.')
  })

  test('keeps a secret and shows everything of it but its value', async () => {
    const created = await docker(['secret', 'create', 'my_secret', '-'], value)
    expect(created).toMatchObject({ code: 0, stderr: '' })
    const id = created.stdout.trim()
    expect(id).toMatch(/^[0-9a-z]{25}$/)

    const [head, row] = (await out('secret', 'ls')).split('\n')
    expect(head).toMatch(/^ID\s+NAME\s+DRIVER\s+CREATED\s+UPDATED$/)
    expect(row).toMatch(new RegExp(`^${id}\\s+my_secret\\s+.* ago\\s+.* ago$`))
    const [inspected] = JSON.parse(await out('secret', 'inspect', 'my_secret')) as object[]
    expect(inspected).toMatchObject({ ID: id, Spec: { Name: 'my_secret', Labels: {} } })
    expect(JSON.stringify(inspected)).not.toContain(value)

    const taken = await docker(['secret', 'create', 'my_secret', '-'], 'x')
    expect(taken.stderr.trim()).toBe(
      'Error response from daemon: rpc error: code = AlreadyExists desc = secret my_secret already exists',
    )
  })

  test('has the secret in common with the other faces and the other masters', async () => {
    const { stdout } = await cluster.cli(['secret', 'get', 'my_secret'])
    expect(stdout.trim()).toBe(value)
    const elsewhere = cluster.ready.masters[1]?.listeners['docker'] ?? ''
    const listed = await runProgram('docker', ['-H', elsewhere, 'secret', 'ls', '-q'], {
      env: cluster.home.environment,
      input: '',
    })
    expect(listed.stdout.trim()).toMatch(/^[0-9a-z]{25}$/)
  })

  test('sees masters and agents as nodes, and drains one of them', async () => {
    const lines = (
      await out('node', 'ls', '--format', '{{.Hostname}} {{.Status}} {{.ManagerStatus}} {{.Self}}')
    ).split('\n')
    expect(lines.filter((line) => line.includes('Leader'))).toHaveLength(1)
    expect(lines.filter((line) => line.endsWith('true'))).toHaveLength(1)
    expect(lines.every((line) => line.includes(' Ready '))).toBe(true)
    const agent = lines.find((line) => line.startsWith('agent'))?.split(' ')[0] ?? ''
    await out('node', 'update', '--availability', 'drain', agent)
    expect(await out('node', 'inspect', '--format', '{{.Spec.Availability}}', agent)).toBe('drain')
    await out('node', 'update', '--availability', 'active', agent)
  })

  test('shows what the cluster is', async () => {
    expect(await out('info', '--format', '{{.Swarm.LocalNodeState}} {{.Swarm.Managers}}')).toBe(
      'active 3',
    )
    expect(await out('version', '--format', '{{.Server.Version}}')).toMatch(/^\d+\.\d+\.\d+$/)
    expect(await out('swarm', 'join-token', '-q', 'worker')).toMatch(/^SWMTKN-1-/)
    const before = await out('swarm', 'join-token', '-q', 'worker')
    await out('swarm', 'join-token', '--rotate', '-q', 'worker')
    expect(await out('swarm', 'join-token', '-q', 'worker')).not.toBe(before)
  })

  test('removes a secret, and hears that it is gone', async () => {
    expect(await out('secret', 'rm', 'my_secret')).toBe('my_secret')
    const { code, stderr } = await docker(['secret', 'rm', 'my_secret'])
    expect(code).toBe(1)
    expect(stderr).toContain('secret my_secret not found')
  })

  test('leaves nothing of the value on any disk of the cluster', async () => {
    const { hits } = await scanDirectory(cluster.ready.directory, [secret])
    expect(hits).toEqual([])
  })
})
