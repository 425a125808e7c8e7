import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { archiveOf } from '@conclave/registry'
import { canary, expectNoLeak, scanDirectory } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  Conclave,
  Home,
  ImageRegistry,
  reference,
  repository,
  taskSpec,
  variable,
} from '../src/index.ts'

/*
 * What opens images and files from elsewhere, through real processes: a registry of two tenants, a server
 * that wants a token, a resolver module, and at the end the search for what none of them may leave.
 */

const alice = canary('alice')
const bob = canary('bob')
const token = canary('uri token')
const ofModule = canary('module')
const all = [alice, bob, token]

const exampleOf = (name: string): string =>
  readFileSync(join(repository, 'examples/mesos', name, 'task.json'), 'utf8')

let cluster: Conclave
let registry: ImageRegistry
let files: Server
let filesHost = ''

beforeAll(async () => {
  cluster = await Conclave.start(['--agents', '1', '--agent-setting', 'image_providers=docker'])
  registry = await ImageRegistry.start(cluster.home, [
    { name: 'alice', password: alice.text, mayPull: 'tenant-a/*' },
    { name: 'bob', password: bob.text, mayPull: 'tenant-b/*' },
  ])
  const archive = gzipSync(
    await archiveOf([
      { name: 'model/', type: 'directory', mode: 0o755 },
      { name: 'model/weights.txt', content: '0.1 0.2\n' },
    ]),
  )
  files = createServer((request, response) => {
    const isRight = request.headers.authorization === `Bearer ${token.text}`
    response.writeHead(isRight ? 200 : 401).end(isRight ? archive : '')
  })
  await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve))
  filesHost = `127.0.0.1:${(files.address() as AddressInfo).port}`
  await cluster.put('registry/alice', registry.configOf('alice', alice.text))
  const ofBob = JSON.parse(registry.configOf('bob', bob.text)) as { auths: object }
  // In the old form, without `auths`.
  await cluster.put('registry/bob', JSON.stringify(ofBob.auths))
  await cluster.put('files/token', `Bearer ${token.text}`)
})
afterAll(async () => {
  files?.closeAllConnections()
  files?.close()
  await registry?.end()
  await cluster?.stop()
})

/** Runs a spec; what the task said, and what was said of it. */
async function run(
  spec: string,
): Promise<{ readonly said: string; readonly of: string; readonly code: number | null }> {
  const file = cluster.home.file('spec.json')
  writeFileSync(file, spec)
  const { stdout, stderr, code } = await cluster.cli(['run', file])
  return { said: stdout, of: stdout + stderr, code }
}

const imageSpec = (repositoryName = 'tenant-a/app:1', config = 'registry/alice'): string =>
  exampleOf('image-pull')
    .replace('127.0.0.1:5000/tenant-a/app:1', `${registry.host}/${repositoryName}`)
    .replace('registry/alice', config)

describe('an image pull secret', () => {
  test("opens its tenant's image, of either format, with a docker config of either form", async () => {
    const ofAlice = await run(imageSpec())
    expect(ofAlice.of).toContain('only tenant-a may read this')
    expect(ofAlice.code).toBe(0)
    const ofBob = await run(imageSpec('tenant-b/app:1', 'registry/bob'))
    expect(ofBob.of).toContain('only tenant-b may read this')
  })

  test("opens nobody else's image, although the agent has it by now", async () => {
    const { of, code } = await run(imageSpec('tenant-a/app:1', 'registry/bob'))
    expect(of).toContain(
      "Failed to launch container: Unexpected HTTP response '401 Unauthorized' when trying to get the manifest",
    )
    expect(code).not.toBe(0)
  })

  test('is not in the container', async () => {
    const spec = JSON.parse(imageSpec()) as { command: object }
    const command = {
      shell: true,
      value: 'env; cat /proc/self/environ; ls -aR / 2>/dev/null; cat /etc/* 2>/dev/null',
    }
    const { of, code } = await run(JSON.stringify({ ...spec, command }))
    expect(code).toBe(0)
    expect(of).toContain('TENANT=tenant-a')
    expectNoLeak({ of }, all)
    expect(of).not.toContain('auths')
  })

  test('that holds no docker config is refused, and not repeated', async () => {
    const broken = canary('broken config')
    await cluster.put('registry/broken', `{"auths": ${broken.text}`)
    const { of } = await run(imageSpec('tenant-a/app:1', 'registry/broken'))
    expect(of).toContain('Failed to parse docker config: JSON parse failed')
    expectNoLeak({ of }, [broken])
  })
})

describe('AG24: a URI with a secret', () => {
  test('is fetched into the sandbox, and nothing of the secret is', async () => {
    const spec = exampleOf('uri').replace('127.0.0.1:8000', filesHost)
    const { of, code } = await run(spec)
    expect({ of, code }).toMatchObject({ code: 0 })
    expect(of).toContain('0.1 0.2')
    expectNoLeak({ of }, all)
  })

  test('without the right one, its task does not start', async () => {
    await cluster.put('files/wrong', 'Bearer no')
    const spec = exampleOf('uri')
      .replace('127.0.0.1:8000', filesHost)
      .replace('files/token', 'files/wrong')
    const { of, code } = await run(spec)
    expect(code).not.toBe(0)
    expect(of).toMatch(
      /Failed to launch container: Failed to fetch all URIs for container '.*': .*HTTP 401/,
    )
  })
})

describe('a resolver module', () => {
  test('answers references in the place of the masters', async () => {
    const home = new Home()
    const directory = home.file('secrets')
    mkdirSync(join(directory, 'db'), { recursive: true })
    writeFileSync(join(directory, 'db/password'), ofModule.text)
    const name = 'org_example_DirectoryResolver'
    const modules = JSON.stringify({
      libraries: [
        {
          file: join(repository, 'examples/resolver-module/directory-resolver.ts'),
          modules: [{ name, parameters: [{ key: 'directory', value: directory }] }],
        },
      ],
    })
    writeFileSync(home.file('modules.json'), modules)
    const other = await Conclave.start(
      [
        '--agents',
        '1',
        '--agent-setting',
        `modules=${home.file('modules.json')}`,
        `secret_resolver=${name}`,
      ],
      { home },
    )
    try {
      const file = home.file('spec.json')
      const runSpec = async (spec: object): Promise<string> => {
        writeFileSync(file, JSON.stringify(spec))
        const { stdout, stderr } = await other.cli(['run', file])
        return stdout + stderr
      }
      const secret = reference('db/password')
      const found = await runSpec(
        taskSpec('by-module', 'printf %s "$DB" | wc -c', { variables: [variable('DB', secret)] }),
      )
      expect(found).toContain('32')
      const missing = await runSpec(
        taskSpec('missing', 'true', { variables: [variable('DB', reference('db/none'))] }),
      )
      expect(missing).toContain(
        `Failed to launch container: Collect failed: Secret resolver '${name}' says: there is no such file (secret 'db/none')`,
      )
      const { hits } = await scanDirectory(other.directory, [ofModule])
      expect(hits).toEqual([])
    } finally {
      await other.stop()
    }
  })
})

test('nothing of any of them is in a file, a log or a listing of the cluster', async () => {
  const { hits, files: searched } = await scanDirectory(cluster.directory, all)
  expect(searched).toBeGreaterThan(0)
  expect(hits).toEqual([])
  const leader = await cluster.leader()
  const state = await cluster.ask(leader, 'mesos', '/state')
  const listed = await cluster.cli(['task', 'ls', '--json'])
  expectNoLeak({ state: state.body, listed, registry: registry.said }, all)
})
