import { connect, type Socket } from 'node:net'

/*
 * One HTTP/2 connection that makes unary gRPC calls and nothing else, at nearly no cost: request
 * headers are encoded once, all calls of one turn leave in one write, and answers are told by their
 * DATA alone. A client that is slower than the server would measure itself.
 * Sources: RFC 9113 §4 and §6, RFC 7541 §6.2.2; gRPC over HTTP2.
 */

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')
const frameHeaderBytes = 9
const types = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, window: 8 } as const
const flags = { endStream: 0x1, ack: 0x1, endHeaders: 0x4 } as const
const initialWindowSetting = 4
const windowUsually = 65_535
/** What we let the server send: answers are small, so it is never used up before it is renewed. */
const windowOurs = 2 ** 30

interface Call {
  readonly resolve: (message: Uint8Array) => void
  readonly reject: (error: Error) => void
  chunks: Buffer[]
}

/** A call that the server refused, or a connection that ended. */
export class GrpcFailed extends Error {}

export class GrpcConnection {
  readonly #socket: Socket
  readonly #authority: string
  readonly #headers = new Map<string, Buffer>()
  readonly #calls = new Map<number, Call>()
  #nextStream = 1
  /** What is to leave at the end of this turn. */
  #outgoing: Buffer[] = []
  /** Messages that the server's window has no room for yet. */
  #held: { readonly frames: Buffer; readonly sizeBytes: number }[] = []
  #sendWindow = windowUsually
  #received = 0
  #rest: Buffer = Buffer.alloc(0)

  constructor(host: string, port: number) {
    this.#authority = `${host}:${port}`
    this.#socket = connect({ host, port, noDelay: true })
    this.#socket.write(
      Buffer.concat([
        preface,
        frame(types.settings, 0, 0, setting(initialWindowSetting, windowOurs)),
        windowUpdate(0, windowOurs - windowUsually),
      ]),
    )
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk))
    this.#socket.on('error', (error) => this.#fail(error))
    this.#socket.on('close', () => this.#fail(new GrpcFailed('the connection ended')))
  }

  /** @param path such as `/etcdserverpb.KV/Put`. @throws GrpcFailed */
  call(path: string, message: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new GrpcFailed('the connection ended'))
      const stream = this.#nextStream
      this.#nextStream += 2
      this.#calls.set(stream, { resolve, reject, chunks: [] })
      const headers = this.#headersOf(path)
      const sizeBytes = 5 + message.length
      const frames = Buffer.allocUnsafe(2 * frameHeaderBytes + headers.length + sizeBytes)
      writeHeader(frames, 0, headers.length, types.headers, flags.endHeaders, stream)
      frames.set(headers, frameHeaderBytes)
      let at = frameHeaderBytes + headers.length
      writeHeader(frames, at, sizeBytes, types.data, flags.endStream, stream)
      at += frameHeaderBytes
      frames[at] = 0
      frames.writeUInt32BE(message.length, at + 1)
      frames.set(message, at + 5)
      this.#held.push({ frames, sizeBytes })
      this.#release()
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #headersOf(path: string): Buffer {
    const known = this.#headers.get(path)
    if (known !== undefined) return known
    const made = Buffer.concat([
      // :method POST and :scheme http stand in the static table; the rest is literal, never indexed.
      Buffer.from([0x83, 0x86, 0x04]),
      text(path),
      Buffer.from([0x01]),
      text(this.#authority),
      Buffer.from([0x0f, 0x10]),
      text('application/grpc'),
      Buffer.from([0x00]),
      text('te'),
      text('trailers'),
    ])
    this.#headers.set(path, made)
    return made
  }

  #release(): void {
    let count = 0
    for (const { frames, sizeBytes } of this.#held) {
      if (sizeBytes > this.#sendWindow) break
      this.#sendWindow -= sizeBytes
      this.#write(frames)
      count++
    }
    if (count > 0) this.#held.splice(0, count)
  }

  #write(bytes: Buffer): void {
    if (this.#outgoing.length === 0) setImmediate(() => this.#flush())
    this.#outgoing.push(bytes)
  }

  #flush(): void {
    const [first] = this.#outgoing
    const bytes = this.#outgoing.length === 1 ? first : Buffer.concat(this.#outgoing)
    this.#outgoing = []
    if (bytes !== undefined && !this.#socket.destroyed) this.#socket.write(bytes)
  }

  #read(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    while (bytes.length - at >= frameHeaderBytes) {
      const length = bytes.readUIntBE(at, 3)
      const end = at + frameHeaderBytes + length
      if (end > bytes.length) break
      const stream = bytes.readUInt32BE(at + 5) & 0x7fff_ffff
      const body = bytes.subarray(at + frameHeaderBytes, end)
      this.#receive(bytes[at + 3] ?? 0, bytes[at + 4] ?? 0, stream, body)
      at = end
    }
    this.#rest = bytes.subarray(at)
  }

  #receive(type: number, flag: number, stream: number, body: Buffer): void {
    switch (type) {
      case types.data:
        this.#calls.get(stream)?.chunks.push(body)
        this.#renewWindow(body.length)
        if ((flag & flags.endStream) !== 0) this.#end(stream)
        break
      case types.headers:
        if ((flag & flags.endStream) !== 0) this.#end(stream)
        break
      case types.reset:
        this.#end(stream)
        break
      case types.settings:
        if ((flag & flags.ack) === 0) this.#write(frame(types.settings, flags.ack, 0))
        break
      case types.ping:
        if ((flag & flags.ack) === 0) this.#write(frame(types.ping, flags.ack, 0, body))
        break
      case types.goAway:
        this.#socket.destroy()
        break
      case types.window:
        if (stream === 0) {
          this.#sendWindow += body.readUInt32BE(0)
          this.#release()
        }
    }
  }

  #renewWindow(sizeBytes: number): void {
    this.#received += sizeBytes
    if (this.#received < windowOurs / 2) return
    this.#write(windowUpdate(0, this.#received))
    this.#received = 0
  }

  /** A server sends a message only when the call succeeded; a refusal is in the trailers alone. */
  #end(stream: number): void {
    const call = this.#calls.get(stream)
    if (call === undefined) return
    this.#calls.delete(stream)
    const bytes = call.chunks.length === 1 ? call.chunks[0] : Buffer.concat(call.chunks)
    if (bytes === undefined || bytes.length < 5) call.reject(new GrpcFailed('the call was refused'))
    else call.resolve(bytes.subarray(5, 5 + bytes.readUInt32BE(1)))
  }

  #fail(error: Error): void {
    const calls = [...this.#calls.values()]
    this.#calls.clear()
    this.#held = []
    for (const { reject } of calls) reject(error)
  }
}

/** A literal of fewer than 127 octets, without Huffman coding. */
const text = (value: string): Buffer =>
  Buffer.concat([Buffer.from([value.length]), Buffer.from(value, 'latin1')])

function writeHeader(
  into: Buffer,
  at: number,
  length: number,
  type: number,
  flag: number,
  stream: number,
): void {
  into.writeUIntBE(length, at, 3)
  into[at + 3] = type
  into[at + 4] = flag
  into.writeUInt32BE(stream, at + 5)
}

function frame(
  type: number,
  flag: number,
  stream: number,
  body: Uint8Array = new Uint8Array(),
): Buffer {
  const bytes = Buffer.alloc(frameHeaderBytes + body.length)
  writeHeader(bytes, 0, body.length, type, flag, stream)
  bytes.set(body, frameHeaderBytes)
  return bytes
}

function setting(id: number, value: number): Buffer {
  const bytes = Buffer.alloc(6)
  bytes.writeUInt16BE(id, 0)
  bytes.writeUInt32BE(value, 2)
  return bytes
}

function windowUpdate(stream: number, increment: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(increment, 0)
  return frame(types.window, 0, stream, bytes)
}
