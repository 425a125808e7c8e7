import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { gzipSync } from 'node:zlib'
import type { FetchedFile, UriWanted } from '@conclave/isolators'
import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { archiveOf } from '@conclave/registry'
import { createAuthority, issueCertificate } from '@conclave/runtime'
import { canary, expectNoLeak } from '@conclave/testkit'
import { afterEach, describe, expect, test } from 'vitest'
import { UriFetcher, type UriFetcherOptions } from './index.ts'

const planted = canary('authorization')
const never = new AbortController().signal
const authorization = new Redacted(utf8(`Bearer ${planted.text}\n`))

const servers: Server[] = []
const directories: string[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true })
})

interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** A server that answers as told; `seen` has the headers of each request. */
async function serve(
  answer: (path: string, headers: IncomingHttpHeaders) => Answer,
): Promise<{ readonly url: string; readonly seen: IncomingHttpHeaders[] }> {
  const seen: IncomingHttpHeaders[] = []
  const server = createServer((request, response) => {
    seen.push(request.headers)
    const { status = 200, headers = {}, body = '' } = answer(request.url ?? '', request.headers)
    response.writeHead(status, headers).end(body)
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}

const fetchUri = (
  value: string,
  more: Partial<UriWanted> = {},
  options: UriFetcherOptions = {},
): Promise<readonly FetchedFile[]> =>
  new UriFetcher(options).filesOf(
    {
      value,
      outputFile: value.slice(value.lastIndexOf('/') + 1),
      isExecutable: false,
      isExtracted: true,
      secrets: {},
      ...more,
    },
    never,
  )

const textOf = (file: FetchedFile | undefined): string | undefined =>
  file?.kind === 'file' ? utf8Text(file.bytes) : undefined

describe('a URI', () => {
  test('UF1: is fetched with the credential that its secret holds', async () => {
    const wanted = `Bearer ${planted.text}`
    const { url } = await serve((_, headers) =>
      headers.authorization === wanted ? { body: 'private' } : { status: 401 },
    )
    const [file] = await fetchUri(`${url}/data`, { secrets: { authorization } })
    expect(file).toMatchObject({ kind: 'file', path: 'data', mode: 0o644 })
    expect(textOf(file)).toBe('private')
    await expect(fetchUri(`${url}/data`)).rejects.toThrow(`Failed to fetch '${url}/data': HTTP 401`)
  })

  test('UF2 threat:RS-07: shows its credential to nobody that it is redirected to', async () => {
    const other = await serve(() => ({ body: 'elsewhere' }))
    const { url, seen } = await serve((path) =>
      path === '/here'
        ? { status: 302, headers: { location: '/there' } }
        : { status: 302, headers: { location: `${other.url}/x` } },
    )

    const [file] = await fetchUri(`${url}/here`, { secrets: { authorization } })

    expect(textOf(file)).toBe('elsewhere')
    expect(seen.map((headers) => headers.authorization !== undefined)).toEqual([true, true])
    expect(other.seen.map((headers) => headers.authorization)).toEqual([undefined])
  })

  test('UF2 threat:RS-07: goes in no circle, and to nothing but HTTP', async () => {
    const { url } = await serve((path) => ({
      status: 302,
      headers: { location: path === '/file' ? 'file:///etc/passwd' : '/again' },
    }))
    await expect(fetchUri(`${url}/a`)).rejects.toThrow('redirected too often')
    await expect(fetchUri(`${url}/file`)).rejects.toThrow('something else than HTTP')
  })

  test('UF3 threat:RS-07: leaks neither its credential nor its query into what is said of it', async () => {
    const { url } = await serve(() => ({ status: 500, body: planted.text }))
    const error: unknown = await fetchUri(`${url}/a?token=${planted.text}`, {
      outputFile: 'a',
      secrets: { authorization },
    }).catch((failure: unknown) => failure)
    expectNoLeak({ error }, [planted])
    const bad = new Redacted(utf8(`Bearer ${planted.text}\n\nX: y`))
    const split: unknown = await fetchUri(`${url}/a`, { secrets: { authorization: bad } }).catch(
      (failure: unknown) => failure,
    )
    expect(split).toMatchObject({ message: expect.stringContaining('is no value of a header') })
    expectNoLeak({ split }, [planted])
  })

  test('UF4 threat:RS-07: is fetched with a client certificate over TLS, from an authority that its task names', async () => {
    const authority = await createAuthority({ clusterId: '5c6a1c1e-0000-4000-8000-000000000002' })
    const mine = await issueCertificate(authority, { id: 'server', role: 'conclave-master' })
    const theirs = await issueCertificate(authority, { id: 'task', role: 'conclave-agent' })
    const server = createTlsServer(
      {
        cert: mine.certificatePem,
        key: Buffer.from(mine.privateKey.reveal()),
        ca: mine.authorityPem,
        requestCert: true,
        rejectUnauthorized: false,
      },
      (request, response) => {
        const { authorized } = request.socket as TLSSocket
        response.writeHead(authorized ? 200 : 403).end('over TLS')
      },
    )
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `https://localhost:${(server.address() as AddressInfo).port}/data`
    const ca = new Redacted(utf8(mine.authorityPem))
    const pem = (): Redacted<Uint8Array> =>
      new Redacted(Buffer.concat([utf8(theirs.certificatePem), theirs.privateKey.reveal()]))

    const [file] = await fetchUri(url, { secrets: { clientCertificate: pem(), authority: ca } })

    expect(textOf(file)).toBe('over TLS')
    await expect(fetchUri(url, { secrets: { authority: ca } })).rejects.toThrow('HTTP 403')
    await expect(fetchUri(url)).rejects.toThrow('Failed to fetch')
    const none = new Redacted(utf8('no PEM'))
    await expect(fetchUri(url, { secrets: { clientCertificate: none } })).rejects.toThrow(
      'is not PEM with a certificate and a private key',
    )
  })

  test('UF5: is unpacked by its name, executable or left as it is', async () => {
    const archive = await archiveOf([
      { name: 'd/', type: 'directory' },
      { name: 'd/run', content: 'echo', mode: 0o755 },
    ])
    const { url } = await serve((path) =>
      path === '/plain.gz' ? { body: gzipSync('plain') } : { body: gzipSync(archive) },
    )
    const unpacked = await fetchUri(`${url}/a.tar.gz`, { outputFile: 'in/a.tar.gz' })
    expect(unpacked.map(({ path }) => path)).toEqual(['in/d', 'in/d/run'])
    expect(unpacked[1]).toMatchObject({ mode: 0o755 })
    expect(textOf((await fetchUri(`${url}/plain.gz`))[0])).toBe('plain')
    expect(await fetchUri(`${url}/a.tgz`, { isExtracted: false })).toMatchObject([
      { path: 'a.tgz' },
    ])
    expect(await fetchUri(`${url}/a.tgz`, { isExecutable: true })).toMatchObject([{ mode: 0o755 }])
    await expect(fetchUri(`${url}/a.zip`)).rejects.toThrow('it is no zip archive')
    await expect(fetchUri(`${url}/a.tar.xz`)).rejects.toThrow('xz cannot be unpacked here')
    await expect(fetchUri(`${url}/a.tbz2`)).rejects.toThrow('bzip2 cannot be unpacked here')
  })

  test('UF6: has a size, packed and unpacked, and no path out of where it goes', async () => {
    const up = await archiveOf([{ name: '../up', content: 'x' }])
    const { url } = await serve((path) => {
      if (path === '/bomb.gz') return { body: gzipSync(new Uint8Array(500_000)) }
      return path === '/up.tar' ? { body: up } : { body: new Uint8Array(200_000) }
    })
    const options = { sizeBytesMax: 100_000 }
    await expect(fetchUri(`${url}/large`, {}, options)).rejects.toThrow('more than 100000 bytes')
    await expect(fetchUri(`${url}/bomb.gz`, {}, options)).rejects.toThrow('cannot be unpacked')
    await expect(fetchUri(`${url}/up.tar`)).rejects.toThrow('".." component')
  })

  test('UF7: of a file is fetched from below a root, and through no link out of it', async () => {
    const root = mkdtempSync(join(tmpdir(), 'conclave-files-'))
    const outside = mkdtempSync(join(tmpdir(), 'conclave-outside-'))
    directories.push(root, outside)
    writeFileSync(join(root, 'inside'), 'allowed')
    writeFileSync(join(outside, 'secret'), planted.text)
    symlinkSync(join(outside, 'secret'), join(root, 'link'))
    const options = { fileRoots: [root] }

    expect(textOf((await fetchUri(`file://${root}/inside`, {}, options))[0])).toBe('allowed')
    for (const path of [
      `${root}/link`,
      `${outside}/secret`,
      `${root}/../etc/passwd`,
      `${root}/no`,
    ]) {
      await expect(fetchUri(`file://${path}`, {}, options)).rejects.toThrow('fetches no such file')
    }
    await expect(fetchUri(`file://${root}/inside`)).rejects.toThrow('fetches no such file')
  })
})
