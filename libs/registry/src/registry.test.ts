import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redacted, utf8 } from '@conclave/kernel'
import { afterEach, describe, expect, test } from 'vitest'
import {
  buildImage,
  ImageLibrary,
  loadLayout,
  RegistryServer,
  RegistryUsers,
  sampleImage,
  type RegistryOptions,
} from './index.ts'

const running: RegistryServer[] = []
afterEach(() => Promise.all(running.splice(0).map((registry) => registry.close())))

const password = (text: string): Redacted<Uint8Array> => new Redacted(utf8(text))
const users = (): RegistryUsers =>
  new RegistryUsers([
    { name: 'a', password: password('pa'), repositories: ['tenant-a/*'] },
    { name: 'b', password: password('pb'), repositories: ['tenant-b/app'] },
  ])
const basic = (text: string): Record<string, string> => ({ authorization: `Basic ${btoa(text)}` })

async function start(
  options: Partial<RegistryOptions> = {},
): Promise<(path: string, headers?: Record<string, string>) => Promise<Response>> {
  const library = new ImageLibrary()
  library.add('tenant-a/app', '1', await sampleImage('tenant-a'))
  library.add('tenant-b/app', '1', await sampleImage('tenant-b'))
  const registry = await RegistryServer.start({ library, users: users(), ...options })
  running.push(registry)
  return (path, headers = {}) => fetch(`http://${registry.host}${path}`, { headers })
}

test('RG1: an image is the same bytes each time, and another when anything in it differs', async () => {
  const layers = [[{ name: 'x', content: 'y' }]]
  const { digest } = await buildImage({ layers })
  expect((await buildImage({ layers })).digest).toBe(digest)
  expect((await buildImage({ layers, command: ['z'] })).digest).not.toBe(digest)
})

describe('RG2 RG3: who may pull what', () => {
  test.each([
    ['/v2/tenant-a/app/manifests/1', 'a:pa', 200],
    ['/v2/tenant-a/app/manifests/1', 'a:pb', 401],
    ['/v2/tenant-a/app/manifests/1', 'b:pb', 403],
    ['/v2/tenant-b/app/manifests/1', 'b:pb', 200],
    ['/v2/tenant-a/other/manifests/1', 'a:pa', 404],
    ['/v2/tenant-a/app/tags/list', 'a:pa', 200],
    ['/v2/', 'a:pa', 200],
    ['/v2/../token', 'a:pa', 401],
    ['/v1/', 'a:pa', 404],
  ])('with a password: %s as %s is %i', async (path, credential, status) => {
    const ask = await start({ scheme: 'basic' })
    expect((await ask(path, basic(credential))).status).toBe(status)
    expect((await ask(path)).status).not.toBe(200)
  })

  test('with a token, which opens what its user may pull', async () => {
    const ask = await start()
    const challenge = (await ask('/v2/tenant-a/app/manifests/1')).headers.get('www-authenticate')
    expect(challenge).toMatch(
      /^Bearer realm="http:.*\/token",service="conclave-registry",scope="repository:tenant-a\/app:pull"$/,
    )
    expect((await ask('/token?service=conclave-registry', basic('a:no'))).status).toBe(401)
    const answer = await ask('/token?service=conclave-registry', basic('a:pa'))
    const { token } = (await answer.json()) as { token: string }
    const bearer = { authorization: `Bearer ${token}` }
    expect((await ask('/v2/tenant-a/app/manifests/1', bearer)).status).toBe(200)
    expect((await ask('/v2/tenant-b/app/manifests/1', bearer)).status).toBe(401)
    const forged = { authorization: `Bearer ${token.slice(0, -2)}xx` }
    expect((await ask('/v2/tenant-a/app/manifests/1', forged)).status).toBe(401)
  })

  test("to know another's digest opens nothing", async () => {
    const ask = await start({ scheme: 'basic' })
    const { digest, blobs } = await sampleImage('tenant-a')
    const own = await sampleImage('tenant-b')
    const foreign = [...blobs.keys()].filter((name) => !own.blobs.has(name))
    expect(foreign.length).toBeGreaterThan(1)
    for (const name of [...foreign, digest]) {
      expect((await ask(`/v2/tenant-b/app/blobs/${name}`, basic('b:pb'))).status).toBe(404)
    }
    expect((await ask(`/v2/tenant-b/app/manifests/${digest}`, basic('b:pb'))).status).toBe(404)
  })
})

test('RG2: users that cannot be are refused', () => {
  const user = { name: 'a', password: password('x'), repositories: [] }
  expect(() => new RegistryUsers([user, user])).toThrow('one name')
  expect(() => new RegistryUsers([{ ...user, name: 'a:b' }])).toThrow('colon')
  expect(() => new RegistryUsers([{ ...user, password: password('') }])).toThrow('no password')
})

test('RG4: an OCI layout is served as it lies, and not when it is damaged', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'conclave-layout-'))
  try {
    const image = await sampleImage('tenant-a')
    mkdirSync(join(directory, 'blobs', 'sha256'), { recursive: true })
    const file = (digest: string): string => join(directory, 'blobs', 'sha256', digest.slice(7))
    for (const [digest, bytes] of [...image.blobs, [image.digest, image.manifest] as const]) {
      writeFileSync(file(digest), bytes)
    }
    const annotations = { 'org.opencontainers.image.ref.name': '1.2' }
    const manifests = [{ mediaType: image.mediaType, digest: image.digest, annotations }]
    writeFileSync(join(directory, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }))
    const library = new ImageLibrary()

    expect(await loadLayout(directory, 'team/app', library)).toEqual(['1.2'])
    expect(library.manifest('team/app', '1.2')?.digest).toBe(image.digest)

    writeFileSync(file(image.digest), '{}')
    await expect(loadLayout(directory, 'team/app', library)).rejects.toThrow(
      'not what its name says',
    )
  } finally {
    rmSync(directory, { recursive: true })
  }
})
