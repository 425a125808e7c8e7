import type {
  Agent as HttpAgent,
  ClientRequest,
  IncomingHttpHeaders,
  IncomingMessage,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'

import { ConclaveError, utf8 } from '@conclave/kernel'

import type { TlsIdentity } from './authority/identity.ts'
import { http } from './node-http.ts'

/** No answer, or not the whole of it. Names method, host and path, but no query and no header. */
export class HttpFailed extends ConclaveError {
  readonly code = 'http.failed'

  constructor(method: string, url: URL, why: string, cause?: unknown) {
    super(`${method} ${url.origin}${url.pathname}: ${why}`, { cause })
  }
}

export interface HttpClientOptions {
  /** Authorities that are trusted instead of the system's, as PEM. */
  readonly authorityPem?: string
  /** Shown to servers that ask for a certificate; brings its own authority. */
  readonly identity?: TlsIdentity
  /** The path of a socket to connect to, whatever the URL says. */
  readonly socketPath?: string
  /** No byte for so long ends a request. A stream may be silent once its head has come. */
  readonly timeoutMs?: number
  readonly bodyBytesMax?: number
}

export interface HttpRequest {
  readonly method?: string
  readonly url: string | URL
  readonly headers?: Readonly<Record<string, string>>
  /** Bytes and text as they are, chunks as they come, and anything else as JSON. */
  readonly body?: unknown
  readonly signal?: AbortSignal
}

export interface HttpResponse {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Uint8Array
}

export interface HttpStream {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Chunks as they come. Leaving the loop early hangs up. */
  readonly body: AsyncIterable<Uint8Array>
  close(): void
}

/** Methods that may be sent again when a kept connection turns out to be dead. */
const repeatable = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'])

/** Speaks HTTP over connections that are kept. Follows no redirect: a header never goes astray. */
export class HttpClient {
  readonly #options: HttpClientOptions
  readonly #http: HttpAgent
  readonly #https: HttpsAgent

  constructor(options: HttpClientOptions = {}) {
    this.#options = options
    const { identity, authorityPem = identity?.authorityPem } = options
    this.#http = new http.Agent({ keepAlive: true })
    this.#https = new HttpsAgent({
      keepAlive: true,
      minVersion: 'TLSv1.2',
      ...(authorityPem === undefined ? {} : { ca: authorityPem }),
      ...(identity === undefined
        ? {}
        : { cert: identity.certificatePem, key: Buffer.from(identity.privateKey.reveal()) }),
    })
  }

  /** @throws HttpFailed when there is no whole answer; a status is never an error */
  async request(wanted: HttpRequest): Promise<HttpResponse> {
    const { response, fail } = await this.#open(wanted)
    const sizeMax = this.#options.bodyBytesMax ?? 64 * 1024 * 1024
    const chunks: Buffer[] = []
    let size = 0
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        size += chunk.length
        if (size > sizeMax) throw fail(`an answer of more than ${sizeMax} bytes`)
        chunks.push(chunk)
      }
    } catch (cause) {
      response.destroy()
      throw cause instanceof HttpFailed ? cause : fail(whyOf(cause), cause)
    }
    const { statusCode: status = 0, headers } = response
    return { status, headers, body: Buffer.concat(chunks) }
  }

  /** Resolves with the head of the answer. @throws HttpFailed */
  async stream(wanted: HttpRequest): Promise<HttpStream> {
    const { response, fail } = await this.#open(wanted)
    response.setTimeout(0)
    const { statusCode: status = 0, headers } = response
    return {
      status,
      headers,
      body: chunksOf(response, fail),
      close: () => {
        response.destroy()
      },
    }
  }

  /** Ends the connections that are kept. */
  close(): void {
    this.#http.destroy()
    this.#https.destroy()
  }

  async #open(wanted: HttpRequest): Promise<Opened> {
    const url = new URL(wanted.url)
    const method = wanted.method ?? (wanted.body === undefined ? 'GET' : 'POST')
    const fail = (why: string, cause?: unknown): HttpFailed =>
      new HttpFailed(
        method,
        url,
        isAborted(wanted) ? 'given up by its caller (ABORT_ERR)' : why,
        cause,
      )
    if (url.protocol !== 'http:' && url.protocol !== 'https:') throw fail('no such protocol')
    for (;;) {
      const sent = this.#send(method, url, wanted)
      try {
        return { response: await answerOf(sent), fail }
      } catch (cause) {
        // The server closed a kept connection just when we took it from the shelf.
        const isStale = sent.reusedSocket && (cause as { code?: string }).code === 'ECONNRESET'
        const isRepeatable = repeatable.has(method) && !isChunks(wanted.body) && !isAborted(wanted)
        if (!isStale || !isRepeatable) throw fail(whyOf(cause), cause)
      }
    }
  }

  #send(method: string, url: URL, wanted: HttpRequest): ClientRequest {
    const body = isChunks(wanted.body) ? undefined : bytesOf(wanted.body)
    const isSecure = url.protocol === 'https:'
    const { socketPath } = this.#options
    const sent = (isSecure ? httpsRequest : http.request)(url, {
      method,
      agent: isSecure ? this.#https : this.#http,
      headers: {
        ...(body === undefined ? {} : { 'content-length': String(body.length) }),
        ...(isJson(wanted.body) ? { 'content-type': 'application/json' } : {}),
        ...wanted.headers,
      },
      ...(socketPath === undefined ? {} : { socketPath }),
      ...(wanted.signal === undefined ? {} : { signal: wanted.signal }),
    })
    sent.setTimeout(this.#options.timeoutMs ?? 30_000, () => {
      sent.destroy(Object.assign(new Error('silent'), { code: 'ETIMEDOUT' }))
    })
    if (isChunks(wanted.body)) void pour(wanted.body, sent)
    else sent.end(body)
    return sent
  }
}

interface Opened {
  readonly response: IncomingMessage
  readonly fail: (why: string, cause?: unknown) => HttpFailed
}

const answerOf = (sent: ClientRequest): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    sent.once('response', resolve)
    // Not once: a connection may fail again after its answer has begun, and that is told by the body.
    sent.on('error', reject)
  })

async function* chunksOf(
  response: IncomingMessage,
  fail: Opened['fail'],
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) yield chunk
  } catch (cause) {
    throw fail(whyOf(cause), cause)
  } finally {
    response.destroy()
  }
}

/** Sends the head at once, and each chunk when it comes: an answer may begin before the body ends. */
async function pour(body: AsyncIterable<Uint8Array>, sent: ClientRequest): Promise<void> {
  sent.flushHeaders()
  try {
    for await (const chunk of body) {
      if (sent.destroyed) return
      if (!sent.write(chunk)) await drained(sent)
    }
    sent.end()
  } catch (cause) {
    sent.destroy(cause instanceof Error ? cause : new Error('the body broke off', { cause }))
  }
}

const drained = (sent: ClientRequest): Promise<void> =>
  new Promise((resolve) => {
    sent.once('drain', resolve)
    sent.once('close', resolve)
  })

const isAborted = ({ signal }: HttpRequest): boolean => signal?.aborted === true

const isChunks = (body: unknown): body is AsyncIterable<Uint8Array> =>
  typeof body === 'object' && body !== null && Symbol.asyncIterator in body

const isJson = (body: unknown): boolean =>
  body !== undefined && typeof body !== 'string' && !(body instanceof Uint8Array) && !isChunks(body)

function bytesOf(body: unknown): Uint8Array | undefined {
  if (body === undefined || body instanceof Uint8Array) return body
  return utf8(typeof body === 'string' ? body : JSON.stringify(body))
}

/** What a person needs to know. The text of TLS errors names certificates, which are public. */
function whyOf(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string }
  if (code === 'ECONNREFUSED') return 'nobody listens there (ECONNREFUSED)'
  if (code === 'ENOTFOUND') return 'no host of that name (ENOTFOUND)'
  if (code === 'ETIMEDOUT') return 'no answer in time (ETIMEDOUT)'
  if (code === 'ECONNRESET') return 'the connection was cut (ECONNRESET)'
  return code ?? message ?? 'failed'
}
