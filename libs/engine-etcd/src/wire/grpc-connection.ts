import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
} from 'node:http2'
import { EtcdRefused, EtcdUnreachable, grpcCode } from '../errors.ts'

/** Client certificates, as PEM. Without `ca` the connection is plain. */
export interface EtcdTls {
  readonly ca: string | Buffer
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
}

export interface GrpcCall {
  /** Such as `/etcdserverpb.KV/Range`. */
  readonly path: string
  readonly message: Uint8Array
  readonly metadata: Readonly<Record<string, string>>
}

const prefixSizeBytes = 5
/** etcd hangs up on clients that ping more often than every five seconds. */
const pingEveryMs = 10_000

/**
 * One HTTP/2 connection to one member, made when it is first needed and made again after it broke.
 * Source: grpc/doc/PROTOCOL-HTTP2.md.
 */
export class GrpcConnection {
  readonly endpoint: string
  readonly #tls: EtcdTls | undefined
  #session: ClientHttp2Session | undefined
  /** Before that nothing of a call has left. */
  readonly #established = new WeakSet<ClientHttp2Session>()

  /** @param endpoint `host:port` */
  constructor(endpoint: string, tls: EtcdTls | undefined) {
    this.endpoint = endpoint
    this.#tls = tls
  }

  /** One message there, one back. @throws EtcdRefused, EtcdUnreachable */
  async unary(call: GrpcCall, deadlineMs: number): Promise<Uint8Array> {
    const expiring = AbortSignal.timeout(deadlineMs)
    let answer: Uint8Array | undefined
    // To the end, where it says whether it was well.
    for await (const message of this.stream(call, expiring)) answer = message
    if (answer === undefined) throw new EtcdUnreachable(this.endpoint, true)
    return answer
  }

  /**
   * One message there, and whatever comes back until the server ends or `signal` aborts.
   *
   * @throws EtcdRefused, EtcdUnreachable (also when it was aborted)
   */
  async *stream(call: GrpcCall, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const session = this.#connected()
    const stream = session.request(
      {
        ':method': 'POST',
        ':path': call.path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...call.metadata,
      },
      { endStream: false },
    )
    const end = new Ending(stream, () => this.#established.has(session))
    const abort = (): void => stream.close(constants.NGHTTP2_CANCEL)
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    stream.end(framed(call.message))
    try {
      let rest: Buffer = Buffer.alloc(0)
      for await (const chunk of stream) {
        rest = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer])
        for (;;) {
          const size = rest.length < prefixSizeBytes ? Infinity : rest.readUInt32BE(1)
          if (rest.length < prefixSizeBytes + size) break
          yield new Uint8Array(rest.subarray(prefixSizeBytes, prefixSizeBytes + size))
          rest = rest.subarray(prefixSizeBytes + size)
        }
      }
    } catch (cause) {
      throw new EtcdUnreachable(this.endpoint, end.wasSent, cause)
    } finally {
      signal.removeEventListener('abort', abort)
      stream.close(constants.NGHTTP2_CANCEL)
    }
    end.check(this.endpoint)
  }

  close(): void {
    this.#session?.destroy()
    this.#session = undefined
  }

  #connected(): ClientHttp2Session {
    if (this.#session !== undefined && !this.#session.closed && !this.#session.destroyed) {
      return this.#session
    }
    const scheme = this.#tls === undefined ? 'http' : 'https'
    const session = connect(`${scheme}://${this.endpoint}`, { ...this.#tls })
    this.#session = session
    // Each call hears of it by itself.
    session.on('error', () => undefined)
    session.once('connect', () => this.#established.add(session))
    const watch = setInterval(() => this.#ping(session), pingEveryMs).unref()
    session.once('close', () => clearInterval(watch))
    return session
  }

  /** A member that was frozen or cut off keeps its connections, and says nothing. */
  #ping(session: ClientHttp2Session): void {
    if (session.connecting) return session.destroy()
    const patience = setTimeout(() => session.destroy(), pingEveryMs / 2).unref()
    const isSent = session.ping((error) => {
      clearTimeout(patience)
      if (error !== null) session.destroy()
    })
    if (!isSent) clearTimeout(patience)
  }
}

/** How a call came to its end, which gRPC says in the trailers, or in the headers when that was all. */
class Ending {
  readonly #stream: ClientHttp2Stream
  readonly #isEstablished: () => boolean
  #status: string | undefined
  #words = ''

  constructor(stream: ClientHttp2Stream, isEstablished: () => boolean) {
    this.#stream = stream
    this.#isEstablished = isEstablished
    stream.on('response', (headers) => this.#note(headers))
    stream.on('trailers', (headers) => this.#note(headers))
  }

  /** Whether the server may have got it. A refused stream is one that it says it never looked at. */
  get wasSent(): boolean {
    return this.#isEstablished() && this.#stream.rstCode !== constants.NGHTTP2_REFUSED_STREAM
  }

  check(endpoint: string): void {
    if (this.#status === undefined) throw new EtcdUnreachable(endpoint, this.wasSent)
    const status = Number(this.#status)
    if (status !== grpcCode.ok) throw new EtcdRefused(status, this.#words)
  }

  #note(headers: IncomingHttpHeaders): void {
    const status = headers['grpc-status']
    if (typeof status !== 'string') return
    this.#status = status
    this.#words = decoded(headers['grpc-message'])
  }
}

function framed(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(prefixSizeBytes + message.length)
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, prefixSizeBytes)
  return frame
}

/** Percent-encoded, and only then UTF-8. */
function decoded(words: string | string[] | undefined): string {
  const text = Array.isArray(words) ? words.join(', ') : (words ?? '')
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
