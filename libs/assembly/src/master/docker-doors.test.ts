import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request as plainRequest } from 'node:http'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeMaster } from '@conclave/actors/testing'
import { utf8Text } from '@conclave/kernel'
import {
  createAuthority,
  issueCertificate,
  silentLog,
  type Authority,
  type TlsIdentity,
} from '@conclave/runtime'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DockerHostInvalid, listenForDocker, parseDockerHost } from './docker-doors.ts'
import type { FaceListener } from './face-listener.ts'

let directory: string
let authority: Authority
let listeners: readonly FaceListener[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'conclave-doors-'))
  authority = await createAuthority({ clusterId: 'docker' })
})
afterEach(async () => {
  await Promise.all(listeners.map((listener) => listener.destroy()))
  listeners = []
  await rm(directory, { recursive: true, force: true })
})

const pem = ({ privateKey }: TlsIdentity): string => utf8Text(privateKey.reveal())

async function listen(mode = 0o600): Promise<number> {
  const server = await issueCertificate(authority, { id: 'docker', role: 'conclave-master' })
  const files = {
    caFile: join(directory, 'ca.pem'),
    certFile: join(directory, 'cert.pem'),
    keyFile: join(directory, 'key.pem'),
  }
  await writeFile(files.caFile, authority.certificatePem)
  await writeFile(files.certFile, server.certificatePem)
  await writeFile(files.keyFile, pem(server), { mode })
  const ports = [{ host: '127.0.0.1', port: 0, tls: files }]
  listeners = await listenForDocker({
    doors: { uid: 'admin', ports },
    master: new FakeMaster(),
    log: silentLog,
  })
  return listeners[0]?.port ?? 0
}

interface Answer {
  readonly status: number
  readonly text: string
}

function ask(port: number, path: string, as: TlsIdentity | undefined): Promise<Answer> {
  const own = as && { cert: as.certificatePem, key: pem(as) }
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: '127.0.0.1', port, path, ca: authority.certificatePem, agent: false, ...own },
      (response) => {
        const pieces: Buffer[] = []
        response.on('data', (piece: Buffer) => pieces.push(piece))
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: utf8Text(Buffer.concat(pieces)) }),
        )
      },
    )
    asked.on('error', reject)
    asked.end()
  })
}

const clientOf = (id: string, of = authority): Promise<TlsIdentity> =>
  issueCertificate(of, { id, role: 'conclave-client' })

describe('DK32: the docker face over TLS', () => {
  test('acts as whom the certificate names', async () => {
    const port = await listen()
    expect(await ask(port, '/_ping', await clientOf('admin'))).toEqual({ status: 200, text: 'OK' })
    expect((await ask(port, '/info', await clientOf('admin'))).status).toBe(200)
    const denied = await ask(port, '/info', await clientOf('stranger'))
    expect(denied.status).toBe(403)
    expect(denied.text).toContain('rpc error: code = PermissionDenied')
  })

  test('hears nobody without a certificate of its authority', async () => {
    const port = await listen()
    await expect(ask(port, '/_ping', undefined)).rejects.toThrow()
    const other = await createAuthority({ clusterId: 'docker' })
    await expect(ask(port, '/_ping', await clientOf('admin', other))).rejects.toThrow()
  })

  test('does not listen with a key that others may read', async () => {
    await expect(listen(0o644)).rejects.toMatchObject({ code: 'member.file-unusable' })
  })
})

const call = async (headers: Readonly<Record<string, string>>): Promise<number> => {
  const [listener] = listeners
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: listener?.port, path: '/_ping', agent: false }
    const asked = plainRequest({ ...options, headers, setHost: false }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    asked.on('error', reject)
    asked.end()
  })
}

describe('DK32 threat:NT-04: a port of this machine', () => {
  beforeEach(async () => {
    const ports = [{ host: '127.0.0.1', port: 0 }]
    const listening = { master: new FakeMaster(), log: silentLog }
    listeners = await listenForDocker({ ...listening, doors: { uid: 'admin', ports } })
  })

  test.each(['127.0.0.1:2375', 'localhost:2375', '[::1]:2375', 'docker', 'api.moby.localhost'])(
    'is for clients that call it %j',
    async (host) => {
      expect(await call({ host })).toBe(200)
    },
  )

  test('is for no page of a browser, nor by a name that somebody let point here', async () => {
    const host = '127.0.0.1:2375'
    expect(await call({ host, origin: 'https://evil.example' })).toBe(403)
    expect(await call({ host, origin: 'null' })).toBe(403)
    expect(await call({ host: 'evil.example:2375' })).toBe(403)
  })
})

describe('a place for the docker CLI', () => {
  test.each([
    ['unix:///run/docker.sock', { path: '/run/docker.sock' }],
    ['tcp://127.0.0.1:2376', { host: '127.0.0.1', port: 2376 }],
    ['tcp://[::1]:0', { host: '::1', port: 0 }],
    ['tcp://host.example:2375', { host: 'host.example', port: 2375 }],
  ])('is %s', (text, place) => {
    expect(parseDockerHost(text)).toEqual(place)
  })

  test.each([
    'docker.sock',
    'unix://relative',
    'tcp://',
    'tcp://host',
    'tcp://host:99999',
    'ssh://h:1',
  ])('is not %s', (text) => {
    expect(() => parseDockerHost(text)).toThrow(DockerHostInvalid)
  })

  test('EN4 threat:NT-06: is beyond this machine only with TLS, or where somebody says so', async () => {
    const listening = { master: new FakeMaster(), log: silentLog }
    const beyond = { host: '0.0.0.0', port: 0 }
    const refused = listenForDocker({ ...listening, doors: { uid: 'admin', ports: [beyond] } })
    await expect(refused).rejects.toMatchObject({ code: 'face.exposed' })
    const ports = [{ ...beyond, isExposed: true }]
    listeners = await listenForDocker({ ...listening, doors: { uid: 'admin', ports } })
    expect(listeners).toHaveLength(1)
  })
})
