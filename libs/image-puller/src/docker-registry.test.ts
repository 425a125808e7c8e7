import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { sampleImage, type BuiltImage } from '@conclave/registry'
import { missingServer } from '@conclave/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ImagePuller } from './index.ts'

/* The registry of Debian (docker-registry): somebody else's idea of the protocol. */

const missing = missingServer('docker-registry')
const password = 'pull-with-this-password'
/** bcrypt, the only kind that it reads. */
const hash = '$2b$04$kPGDajbJEcxvmRWkWpO5ReQgWLoEzp1AWYPuHQsyGsnI1o5HOMeh.'
const basic = (word: string): string => Buffer.from(`puller:${word}`).toString('base64')

let directory: string
let server: ChildProcess | undefined
let host = ''

const configOf = (port: number): string => `version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: ${directory}/data } }
http: { addr: "127.0.0.1:${port}" }
auth: { htpasswd: { realm: test, path: ${directory}/htpasswd } }
`

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  return port
}

const ask = (
  path: string,
  init: { method?: string; headers?: Record<string, string>; body?: Buffer<ArrayBuffer> } = {},
): Promise<Response> =>
  fetch(path.startsWith('http') ? path : `http://${host}${path}`, {
    ...init,
    headers: { authorization: `Basic ${basic(password)}`, ...init.headers },
  })

async function push(repository: string, tag: string, image: BuiltImage): Promise<void> {
  for (const [digest, bytes] of image.blobs) {
    const begun = await ask(`/v2/${repository}/blobs/uploads/`, { method: 'POST' })
    const at = new URL(begun.headers.get('location') ?? '', `http://${host}`)
    at.searchParams.set('digest', digest)
    const headers = { 'content-type': 'application/octet-stream' }
    const put = await ask(at.href, { method: 'PUT', headers, body: Buffer.from(bytes) })
    expect(put.status).toBe(201)
  }
  const put = await ask(`/v2/${repository}/manifests/${tag}`, {
    method: 'PUT',
    headers: { 'content-type': image.mediaType },
    body: Buffer.from(image.manifest),
  })
  expect(put.status).toBe(201)
}

beforeAll(async () => {
  if (missing !== undefined) return
  directory = mkdtempSync(join(tmpdir(), 'conclave-registry-'))
  const port = await freePort()
  host = `127.0.0.1:${port}`
  writeFileSync(join(directory, 'htpasswd'), `puller:${hash}\n`)
  writeFileSync(join(directory, 'config.yml'), configOf(port))
  server = spawn('docker-registry', ['serve', join(directory, 'config.yml')], { stdio: 'ignore' })
  for (;;) {
    const answered = await ask('/v2/').catch(() => undefined)
    if (answered?.status === 200) break
    if (server.exitCode !== null) throw new Error('docker-registry has ended')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
})
afterAll(() => {
  server?.kill('SIGKILL')
  if (missing === undefined) rmSync(directory, { recursive: true })
})

describe.skipIf(missing !== undefined)(`docker-registry ${missing ?? ''}`, () => {
  test.each(['oci', 'docker'] as const)(
    'IP3: gives an image of format %s away for a password',
    async (format) => {
      await push(`team/${format}`, '1', await sampleImage('tenant-a', format))
      const puller = new ImagePuller()
      const name = `${host}/team/${format}:1`
      const provision = (word: string): ReturnType<ImagePuller['provision']> => {
        const config = JSON.stringify({ auths: { [host]: { auth: basic(word) } } })
        const dockerConfig = new Redacted(utf8(config))
        return puller.provision(
          { name, isCached: true, dockerConfig },
          new AbortController().signal,
        )
      }

      const { entries } = await provision(password)
      const motd = entries.find(({ path }) => path === '/app/motd')

      expect(motd?.kind === 'file' && utf8Text(motd.bytes)).toBe('only tenant-a may read this\n')
      await expect(provision('wrong')).rejects.toThrow('401 Unauthorized')
      expect((await provision(password)).entries).toBe(entries)
      puller.close()
    },
  )
})
