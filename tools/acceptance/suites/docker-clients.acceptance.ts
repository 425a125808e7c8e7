import { spawnSync } from 'node:child_process'
import { canary } from '@conclave/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  DockerEngine,
  EngineClient,
  Home,
  installClient,
  mustHavePeers,
  runProgram,
  whereValuesAre,
  type Keeper,
} from '../src/index.ts'

/*
 * Clients of Docker's that share no code with its CLI: npm's dockerode and Debian's python3-docker, each
 * with a script as a user would write it.
 */

const programs = new URL('../programs/', import.meta.url)
const dockerodeVersion = '5.0.1'

let home: Home
let machine: DockerEngine
let engine: EngineClient
let socketPath: string

beforeAll(async () => {
  home = new Home()
  machine = await DockerEngine.start(home, 'clients')
  socketPath = machine.socket.replace('unix://', '')
  engine = new EngineClient(machine.socket)
  const wanted = { ListenAddr: '0.0.0.0:2377', AdvertiseAddr: '127.0.0.1', Spec: {} }
  const { status, body } = await engine.ask('POST', '/swarm/init', { body: wanted })
  if (status !== 200) throw new Error(body.toString())
})
afterAll(async () => {
  engine?.close()
  await machine?.stop()
  home?.remove()
})

const keeper = (): Keeper => ({
  directory: machine.directory,
  pids: [machine.pid],
  log: machine.log,
})

const inUse = (secret: string, service: string): string =>
  `rpc error: code = InvalidArgument desc = secret '${secret}' is in use by the following service: ${service}`

/** Runs a script to its end, and gives what it saw. */
async function seenBy(program: string, args: readonly string[], value: string): Promise<unknown> {
  const { code, stdout, stderr } = await runProgram(program, args, {
    env: home.environment,
    input: value,
  })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

test('npm dockerode keeps secrets, gives one to a service, and reads it there', async (context) => {
  const client = await installClient(home, 'dockerode', dockerodeVersion)
  if ('why' in client) {
    if (mustHavePeers) throw new Error(client.why)
    context.skip(client.why)
    return
  }
  const secret = canary('dockerode')
  const script = new URL('dockerode.mjs', programs).pathname

  expect(
    await seenBy(process.execPath, [script, client.directory, socketPath], secret.text),
  ).toEqual({
    secret: { Name: 'dockerode_secret', Labels: { client: 'dockerode' } },
    listed: ['dockerode_secret'],
    relabelled: { client: 'dockerode', new: 'yes' },
    container: ['/dockerode_app.1.ID', 'running'],
    exec: { isValue: true, stderr: 'complaint\n', exitCode: 7 },
    stdin: 'typed',
    logs: { stdout: 'to out\n', stderr: 'to err\n' },
    serviceLogs: true,
    refused: [400, inUse('dockerode_secret', 'dockerode_app')],
    gone: 404,
  })
  expect(await whereValuesAre(keeper(), engine, [secret])).toEqual([])
})

/** Debian installs it for its own Python, which need not be the first on the PATH. */
function pythonWithDocker(): { readonly python: string } | { readonly why: string } {
  const python = ['/usr/bin/python3', 'python3'].find(
    (one) => spawnSync(one, ['-c', 'import docker'], { stdio: 'ignore' }).status === 0,
  )
  return python === undefined
    ? { why: 'no python3 here has docker (Debian: python3-docker)' }
    : { python }
}

test("Debian's python3-docker keeps secrets, gives one to a service, and reads it there", async (context) => {
  const found = pythonWithDocker()
  if ('why' in found) {
    if (mustHavePeers) throw new Error(found.why)
    context.skip(found.why)
    return
  }
  const secret = canary('python')
  const script = new URL('python-docker.py', programs).pathname

  expect(await seenBy(found.python, [script, socketPath], secret.text)).toEqual({
    secret: { Name: 'python_secret', Labels: { client: 'python' } },
    listed: ['python_secret'],
    container: ['python_app.1', 'running'],
    ps: [true],
    exec: { isValue: true, stderr: 'complaint\n', exitCode: 7 },
    tty: { isValue: true, exitCode: 0 },
    logs: ['to out\n', 'to err\n'],
    serviceLogs: true,
    refused: [400, inUse('python_secret', 'python_app')],
    gone: 404,
  })
  expect(await whereValuesAre(keeper(), engine, [secret])).toEqual([])
})
