import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { inspect } from 'node:util'

import { utf8, utf8Text } from '@conclave/kernel'
import { eventually } from '@conclave/testkit'
import { afterEach, describe, expect, test } from 'vitest'

import { createAuthority } from './authority/authority.ts'
import { HttpClient, HttpFailed, type HttpClientOptions } from './http-client.ts'
import { tlsOptions } from './link-tls.ts'
import { RecordIoDecoder } from './record-io.ts'
import { clusterId, identityOf } from './testing/certificates.ts'
import { scratchDirectory } from './testing/scratch.ts'

const cleanUp: (() => void)[] = []

afterEach(() => {
  for (const undo of cleanUp.splice(0)) undo()
})

async function serve(listener: RequestListener, server: Server = createServer()): Promise<string> {
  server.on('request', listener)
  cleanUp.push(() => {
    server.close()
    server.closeAllConnections()
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

function newClient(options: HttpClientOptions = {}): HttpClient {
  const client = new HttpClient(options)
  cleanUp.push(() => client.close())
  return client
}

const failureOf = async (promise: Promise<unknown>): Promise<HttpFailed> => {
  const failure: unknown = await promise.catch((error: unknown) => error)
  if (!(failure instanceof HttpFailed)) throw new Error('it did not fail')
  return failure
}

/** Answers with what it was asked. */
const echo: RequestListener = (request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const { method, url, headers } = request
    response.writeHead(201, { 'x-answer': 'yes' })
    response.end(JSON.stringify({ method, url, headers, body: Buffer.concat(chunks).toString() }))
  })
}

describe('an HTTP client', () => {
  test.each([
    [{ a: 1 }, '{"a":1}', 'application/json'],
    ['text', 'text', undefined],
    [Uint8Array.of(104, 105), 'hi', undefined],
    [undefined, '', undefined],
  ])('RT14: sends %j and gives back the answer, whatever its status', async (body, sent, type) => {
    const at = await serve(echo)

    const answer = await newClient().request({ url: `http://${at}/v1?x=1`, method: 'PUT', body })

    expect(answer.status).toBe(201)
    expect(answer.headers['x-answer']).toBe('yes')
    const asked = JSON.parse(utf8Text(answer.body)) as { headers: Record<string, string> }
    expect(asked).toMatchObject({ method: 'PUT', url: '/v1?x=1', body: sent })
    expect(asked.headers['content-type']).toBe(type)
  })

  test('RT14: keeps its connection, and asks again when a kept one is dead', async () => {
    let requests = 0
    const ports = new Set<number>()
    const at = await serve((request, response) => {
      ports.add(request.socket.remotePort ?? 0)
      requests++
      if (requests === 3) request.socket.resetAndDestroy()
      else response.end('ok')
    })
    const client = newClient()

    for (let count = 0; count < 3; count++) {
      expect((await client.request({ url: `http://${at}/` })).status).toBe(200)
    }

    expect([requests, ports.size]).toEqual([4, 2])
  })

  test('RT14: does not repeat what may have been done already', async () => {
    let requests = 0
    const at = await serve((request, response) => {
      if (++requests === 2) request.socket.resetAndDestroy()
      else response.end('ok')
    })
    const client = newClient()
    await client.request({ url: `http://${at}/`, method: 'POST' })

    const failure = await failureOf(client.request({ url: `http://${at}/`, method: 'POST' }))

    expect(failure.message).toContain('the connection was cut')
    expect(requests).toBe(2)
  })

  test('RT14: follows no redirect', async () => {
    const at = await serve((_, response) => {
      response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end()
    })

    expect((await newClient().request({ url: `http://${at}/` })).status).toBe(307)
  })

  test('RT14: trusts the authority it was given, and no other', async () => {
    const authority = await createAuthority({ clusterId })
    const other = await createAuthority({ clusterId })
    const server = createSecureServer(tlsOptions(await identityOf(authority, 'master-1')))
    const at = await serve(echo, server)
    const identity = await identityOf(authority, 'scheduler', 'conclave-scheduler')
    const ask = (options: HttpClientOptions) =>
      newClient(options).request({ url: `https://${at}/`, headers: { authorization: 'cnry' } })

    expect((await ask({ identity })).status).toBe(201)
    const untrusted = await failureOf(ask({ identity, authorityPem: other.certificatePem }))
    await failureOf(ask({ authorityPem: authority.certificatePem }))
    await failureOf(ask({}))

    // OpenSSL adds the root to the server's chain by itself, so there the client finds it.
    expect(untrusted.message).toContain('SELF_SIGNED_CERT_IN_CHAIN')
  })

  test('RT14: speaks through a socket file', async () => {
    const path = join(await scratchDirectory(), 'a.sock')
    const server = createServer(echo)
    cleanUp.push(() => server.close())
    await new Promise<void>((resolve) => {
      server.listen(path, resolve)
    })

    const answer = await newClient({ socketPath: path }).request({ url: 'http://docker/_ping' })

    expect(JSON.parse(utf8Text(answer.body))).toMatchObject({ url: '/_ping' })
  })

  test('RT14: a failure names method, host, path and reason, but no query, header or body', async () => {
    const canary = 'cnry-http'
    const wanted = {
      method: 'POST',
      url: `http://127.0.0.1:1/login?token=${canary}`,
      headers: { authorization: canary },
      body: { password: canary },
    }

    const failure = await failureOf(newClient().request(wanted))

    expect(failure.message).toBe(
      'POST http://127.0.0.1:1/login: nobody listens there (ECONNREFUSED)',
    )
    expect(inspect(failure, { depth: 5 })).not.toContain(canary)
  })

  test('RT14: gives up on silence, on endless answers, and on those that are cut short', async () => {
    const at = await serve((request, response) => {
      if (request.url === '/silent') return
      response.writeHead(200, { 'content-length': '1000000' })
      response.write('x'.repeat(1000))
      if (request.url === '/cut') request.socket.destroy()
    })
    const client = newClient({ timeoutMs: 50, bodyBytesMax: 500 })

    const silent = await failureOf(client.request({ url: `http://${at}/silent` }))
    const endless = await failureOf(client.request({ url: `http://${at}/endless` }))
    const cut = await failureOf(newClient().request({ url: `http://${at}/cut` }))
    const elsewhere = await failureOf(client.request({ url: 'ftp://localhost/' }))

    expect(silent.message).toContain('no answer in time')
    expect(endless.message).toContain('more than 500 bytes')
    expect(cut.message).toContain('cut')
    expect(elsewhere.message).toContain('no such protocol')
  })

  test('RT14: streams what comes, and hangs up when its reader leaves', async () => {
    let isHungUp = false
    const at = await serve((request, response) => {
      request.socket.on('close', () => (isHungUp = true))
      response.writeHead(200, { 'content-type': 'application/json' })
      for (let count = 0; count < 5; count++) response.write(`7\nrecord${count}`)
    })
    const decoder = new RecordIoDecoder()
    const records: string[] = []

    const stream = await newClient({ timeoutMs: 50 }).stream({ url: `http://${at}/`, body: {} })
    for await (const chunk of stream.body) {
      records.push(...decoder.push(chunk).map(utf8Text))
      if (records.length === 5) break
    }

    expect(stream.status).toBe(200)
    expect(records).toEqual([0, 1, 2, 3, 4].map((count) => `record${count}`))
    await eventually(() => isHungUp)
  })

  test('RT14: sends a body in chunks as they come, while the answer comes already', async () => {
    const at = await serve((request, response) => {
      response.writeHead(200)
      request.pipe(response)
    })
    const { promise: more, resolve: sendMore } = Promise.withResolvers<void>()
    async function* body(): AsyncGenerator<Uint8Array> {
      yield utf8('first')
      await more
      yield utf8('second')
    }
    const heard: string[] = []

    const stream = await newClient().stream({ url: `http://${at}/`, method: 'POST', body: body() })
    for await (const chunk of stream.body) {
      heard.push(utf8Text(chunk))
      sendMore()
    }

    expect(heard).toEqual(['first', 'second'])
  })

  test('RT14: a body that breaks off breaks the request off', async () => {
    let isCut = false
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>()
    const at = await serve((request) => {
      request.on('error', () => (isCut = true))
      request.on('data', () => arrive())
    })
    async function* body(): AsyncGenerator<Uint8Array> {
      yield utf8('half')
      await arrived
      throw new Error('the disk is gone')
    }

    const failure = await failureOf(
      newClient().request({ url: `http://${at}/`, method: 'PUT', body: body() }),
    )

    expect(failure.message).toContain('the disk is gone')
    await eventually(() => isCut)
  })

  test('RT14: a stream that breaks says so, and one that is aborted ends', async () => {
    const at = await serve((request, response) => {
      response.writeHead(200)
      response.write('first')
      if (request.url === '/broken') setImmediate(() => request.socket.resetAndDestroy())
    })
    const read = async (path: string, signal?: AbortSignal): Promise<void> => {
      const stream = await newClient().stream({
        url: `http://${at}${path}`,
        ...(signal === undefined ? {} : { signal }),
      })
      for await (const chunk of stream.body) expect(utf8Text(chunk)).toBe('first')
    }
    const early = new AbortController()
    early.abort()
    const late = new AbortController()
    const begun = await newClient().stream({ url: `http://${at}/quiet`, signal: late.signal })
    const readUntilAborted = async (): Promise<void> => {
      for await (const _ of begun.body) late.abort()
    }

    expect((await failureOf(read('/broken'))).message).toContain('ECONNRESET')
    expect((await failureOf(read('/quiet', early.signal))).message).toContain('ABORT_ERR')
    expect((await failureOf(readUntilAborted())).message).toContain('ABORT_ERR')
  })
})
