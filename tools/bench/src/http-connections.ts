import { connect, type NetConnectOpts, type Socket } from 'node:net'

/*
 * An HTTP/1.1 client that costs next to nothing, for measuring servers that share the machine with it:
 * kept connections, one request at a time on each, and of an answer its status and its end. All that is
 * measured over HTTP is measured with it.
 */

export interface HttpAsked {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array
}

export interface HttpAnswer {
  readonly status: number
  readonly body: Buffer
}

interface Asked {
  readonly resolve: (answer: HttpAnswer) => void
  readonly reject: (error: Error) => void
}

/** A server that hung up or said what is no HTTP. */
export class HttpBroken extends Error {}

/** Connections to one server, opened as they are needed. */
export class HttpConnections {
  readonly #free: HttpConnection[] = []
  readonly #all = new Set<HttpConnection>()
  readonly #socketPath: string | undefined

  /** @param socketPath of a server that listens there and on no port */
  constructor(socketPath?: string) {
    this.#socketPath = socketPath
  }

  /** @throws HttpBroken */
  async request(asked: HttpAsked): Promise<HttpAnswer> {
    const connection = this.#free.pop() ?? this.#open(asked.url)
    const answer = await connection.request(asked)
    this.#free.push(connection)
    return answer
  }

  close(): void {
    for (const connection of this.#all) connection.close()
  }

  #open(url: URL): HttpConnection {
    const connection = new HttpConnection(
      this.#socketPath === undefined
        ? { host: url.hostname, port: Number(url.port), noDelay: true }
        : { path: this.#socketPath },
    )
    this.#all.add(connection)
    return connection
  }
}

const headEnd = Buffer.from('\r\n\r\n')

class HttpConnection {
  readonly #socket: Socket
  #asked: Asked | undefined
  #received: Buffer = Buffer.alloc(0)

  constructor(to: NetConnectOpts) {
    this.#socket = connect(to)
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk))
    this.#socket.on('error', (error) => this.#fail(error))
    this.#socket.on('close', () => this.#fail(new HttpBroken('the server hung up')))
  }

  request({ method, url, headers, body }: HttpAsked): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new HttpBroken('the server hung up'))
      this.#asked = { resolve, reject }
      let head = `${method} ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\n`
      for (const [name, value] of Object.entries(headers)) head += `${name}: ${value}\r\n`
      if (body !== undefined) head += `content-length: ${body.length}\r\n`
      const bytes = Buffer.from(`${head}\r\n`, 'latin1')
      this.#socket.write(body === undefined ? bytes : Buffer.concat([bytes, body]))
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    const answer = answerIn(this.#received)
    if (answer === undefined) return
    const asked = this.#asked
    this.#asked = undefined
    this.#received = Buffer.alloc(0)
    asked?.resolve(answer)
  }

  #fail(error: Error): void {
    this.#asked?.reject(error)
    this.#asked = undefined
  }
}

/** The answer in `bytes` once it is there whole. @throws HttpBroken */
export function answerIn(bytes: Buffer): HttpAnswer | undefined {
  const at = bytes.indexOf(headEnd)
  if (at < 0) return undefined
  const head = bytes.toString('latin1', 0, at)
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1])
  if (Number.isNaN(status)) throw new HttpBroken('an answer without a status')
  const body = bytes.subarray(at + headEnd.length)
  if (status === 204) return { status, body: Buffer.alloc(0) }
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  if (length !== undefined) {
    return body.length < Number(length)
      ? undefined
      : { status, body: body.subarray(0, Number(length)) }
  }
  const chunks = chunksIn(body)
  return chunks === undefined ? undefined : { status, body: chunks }
}

/** RFC 9112 §7.1. Undefined until the last chunk is there. */
function chunksIn(bytes: Buffer): Buffer | undefined {
  const chunks: Buffer[] = []
  for (let at = 0; ;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd < 0) return undefined
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    if (Number.isNaN(size)) throw new HttpBroken('a chunk without a size')
    const from = lineEnd + 2
    if (bytes.length < from + size + 2) return undefined
    if (size === 0) return Buffer.concat(chunks)
    chunks.push(bytes.subarray(from, from + size))
    at = from + size + 2
  }
}
