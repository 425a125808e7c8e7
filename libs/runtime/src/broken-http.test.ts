import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { answerBrokenHttp } from './broken-http.ts'

let server: Server
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

/** A server that answers whole requests with their number. */
async function opened(answer: (at: number, end: (text: string) => void) => void): Promise<number> {
  let count = 0
  server = createServer((request, response) => {
    const at = ++count
    request.resume().on('end', () => answer(at, (text) => response.end(text)))
  })
  server.on(
    'clientError',
    answerBrokenHttp(({ status, message }) => ({
      type: 'text/plain; charset=utf-8',
      body: `${status}: ${message}`,
    })),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const echo = (at: number, end: (text: string) => void): void => end(`answer ${at}`)

/** All that is said until the other side hangs up. */
async function said(socket: Socket): Promise<string> {
  const pieces: Buffer[] = []
  socket.on('data', (piece: Buffer) => pieces.push(piece))
  socket.on('error', () => undefined)
  await once(socket, 'close')
  return Buffer.concat(pieces).toString('latin1')
}

async function asked(bytes: string): Promise<string> {
  const socket = connect(await opened(echo), '127.0.0.1')
  socket.write(bytes)
  return said(socket)
}

const post = 'POST /tom HTTP/1.1\r\nHost: h\r\n'

describe('what is no HTTP', () => {
  test.each([
    ['another protocol', 'canary\r\n\r\n', 400, 'method'],
    ['TLS', '\u0016\u0003\u0001\u0002\u0000\u0001canary', 400, 'TLS'],
    ['no version', 'GET / canary\r\n\r\n', 400, 'HTTP/1.1'],
    ['another version', 'GET /canary HTTP/9.9\r\n\r\n', 400, 'HTTP/1.1'],
    ['a header without a colon', 'GET / HTTP/1.1\r\ncanary\r\n\r\n', 400, 'header'],
    ['a length of letters', `${post}Content-Length: canary\r\n\r\n`, 400, 'Content-Length'],
    [
      'a length and pieces',
      `${post}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\ncanary`,
      400,
      'one of the two',
    ],
    ['two lengths', `${post}Content-Length: 6\r\nContent-Length: 7\r\n\r\n`, 400, 'twice'],
    ['a piece without a length', `${post}Transfer-Encoding: chunked\r\n\r\ncanary`, 400, 'piece'],
    ['headers too large', `${post}A: ${'canary'.repeat(4000)}\r\n\r\n`, 431, '16384 bytes'],
  ])('RT23: %s is told what is wrong, and hung up on', async (_what, bytes, status, word) => {
    const heard = await asked(bytes)

    expect(heard).toMatch(new RegExp(String.raw`^HTTP/1\.1 ${status} [A-Z][A-Za-z ]+\r\n`))
    expect(heard).toContain('\r\nConnection: close\r\n')
    expect(heard).toContain(`\r\n\r\n${status}: `)
    expect(heard).toContain(word)
    expect(heard).not.toContain('canary')
  })

  test('RT23: who goes on sending hears it once, and is hung up on in the end', async () => {
    const socket = connect(await opened(echo), '127.0.0.1')
    const heard = said(socket)
    socket.write('?\r\n\r\n')
    await once(socket, 'data')
    for (let index = 0; index < 5; index++) socket.write('?'.repeat(64 * 1024))

    expect((await heard).split('HTTP/1.1 400').length).toBe(2)
  })

  test('RT23: a request that is slow is told that it is', async () => {
    const port = await opened(echo)
    const socket = connect(port, '127.0.0.1')
    const [theirs] = (await once(server, 'connection')) as [Socket]
    socket.write('GET /canary HTTP/1.1\r\n')
    server.emit('clientError', Object.assign(new Error(), timedOut), theirs)

    const heard = await said(socket)

    expect(heard).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/)
    expect(heard).toContain('took too long')
  })

  test('RT23: a request that is being done is not answered with what came behind it', async () => {
    const socket = connect(await opened(() => undefined), '127.0.0.1')
    const begun = once(server, 'request')
    const heard = said(socket)
    socket.write(`${post}Content-Length: 2\r\n\r\nok`)
    const [request] = (await begun) as [IncomingMessage]
    await once(request, 'end')
    socket.write('canary\r\n\r\n')

    expect(await heard).toBe('')
  })

  test('RT23: an answer that has begun is not broken into', async () => {
    const port = await opened(echo)
    server.removeAllListeners('request')
    server.on('request', (_request, response) => response.write('half'))
    const socket = connect(port, '127.0.0.1')
    const heard = said(socket)
    socket.write(`${post}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n`)
    await once(socket, 'data')
    socket.write('canary\r\n')

    expect(await heard).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*half\r\n$/)
  })

  test('RT23: a connection that broke is answered nothing', async () => {
    const port = await opened(echo)
    const socket = connect(port, '127.0.0.1')
    const [theirs] = (await once(server, 'connection')) as [Socket]
    server.emit('clientError', Object.assign(new Error(), { code: 'ECONNRESET' }), theirs)

    expect(await said(socket)).toBe('')
  })
})

const timedOut = { code: 'ERR_HTTP_REQUEST_TIMEOUT' }
