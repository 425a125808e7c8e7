import { createHash } from 'node:crypto'
import { Redacted, utf8, utf8Text, type RedactedBytes } from '@conclave/kernel'
import { HttpFailed, type HttpClient, type HttpResponse, type HttpStream } from '@conclave/runtime'
import { ImagePullFailed, ImageRefused } from './errors.ts'
import type { ImageReference } from './image-reference.ts'
import { manifestTypes } from './manifest.ts'

/*
 * One repository of one registry, for one pull. Source: reference/mesos.md §17, the distribution
 * specification of OCI. Credentials go to this registry and to the token service that it names, and
 * nowhere else: not to where a blob is redirected to.
 */

export interface RegistryClientOptions {
  readonly http: HttpClient
  readonly image: ImageReference
  /** base64 of `user:password`. */
  readonly auth: RedactedBytes | undefined
  readonly signal: AbortSignal
}

export interface Fetched {
  readonly bytes: Uint8Array
  readonly mediaType: string
  /** `sha256:…` of the bytes that came. */
  readonly digest: string
}

const redirectsMax = 5
const tokenSizeBytesMax = 256 * 1024

/** `404 Not Found`, as Mesos says it. */
const statusText = (status: number): string => `${status} ${statusWords[status] ?? ''}`.trimEnd()
const statusWords: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
}

export const digestOf = (bytes: Uint8Array): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`

export class RegistryClient {
  readonly #options: RegistryClientOptions
  /** A whole `Authorization` header. */
  #authorization: RedactedBytes | undefined

  constructor(options: RegistryClientOptions) {
    this.#options = options
    const { auth } = options
    if (auth !== undefined) this.#authorization = headerOf('Basic', auth)
  }

  /**
   * The digest of what a tag stands for now, asked with this client's own credentials: whoever may not
   * pull gets no answer. Undefined when the registry does not say.
   *
   * @throws ImagePullFailed
   */
  async manifestDigest(reference: string): Promise<string | undefined> {
    const { headers } = await this.#manifest('HEAD', reference)
    const digest = headers['docker-content-digest']
    return typeof digest === 'string' && /^sha256:[0-9a-f]{64}$/.test(digest) ? digest : undefined
  }

  /** @throws ImagePullFailed, ImageRefused when it is not what its digest says */
  async manifest(reference: string): Promise<Fetched> {
    const { headers, body } = await this.#manifest('GET', reference)
    const digest = digestOf(body)
    if (reference.startsWith('sha256:') && digest !== reference) {
      throw new ImageRefused(`the manifest ${reference} has the digest ${digest}`)
    }
    const mediaType = (headers['content-type'] ?? '').split(';')[0]?.trim() ?? ''
    return { bytes: body, mediaType, digest }
  }

  /** A blob as it comes. Its digest is for the caller to check, once it has all. @throws ImagePullFailed */
  async blob(digest: string): Promise<HttpStream> {
    const { image } = this.#options
    let url = new URL(`${image.origin}/v2/${image.repository}/blobs/${digest}`)
    for (let redirects = 0; ; redirects++) {
      const isHome = url.origin === image.origin
      const stream = await this.#send(() =>
        this.#options.http.stream({ url, ...this.#request(isHome) }),
      )
      const location = stream.headers.location
      if (stream.status >= 300 && stream.status < 400 && location !== undefined) {
        stream.close()
        if (redirects >= redirectsMax) throw new ImagePullFailed('a blob was redirected too often')
        url = this.#redirected(url, location)
        continue
      }
      if (stream.status === 200) return stream
      stream.close()
      throw new ImagePullFailed(
        `Unexpected HTTP response '${statusText(stream.status)}' when trying to download the blob`,
      )
    }
  }

  #redirected(from: URL, location: string): URL {
    const url = new URL(location, from)
    const isWeaker = from.protocol === 'https:' && url.protocol !== 'https:'
    if (isWeaker || !/^https?:$/.test(url.protocol)) {
      throw new ImagePullFailed('a blob was redirected to where anybody can listen')
    }
    return url
  }

  async #manifest(method: 'GET' | 'HEAD', reference: string): Promise<HttpResponse> {
    const { image, http } = this.#options
    const url = `${image.origin}/v2/${image.repository}/manifests/${reference}`
    const ask = (): Promise<HttpResponse> =>
      this.#send(() =>
        http.request({ method, url, ...this.#request(true, manifestTypes.join(',')) }),
      )
    let response = await ask()
    if (response.status === 401) {
      await this.#authenticate(response, url)
      response = await ask()
    }
    if (response.status === 200) return response
    throw new ImagePullFailed(
      `Unexpected HTTP response '${statusText(response.status)}' when trying to get the manifest`,
    )
  }

  /** Gets a token, as the registry's challenge says. @throws ImagePullFailed */
  async #authenticate(response: HttpResponse, from: string): Promise<void> {
    const challenge = challengeOf(response.headers['www-authenticate'])
    if (challenge.scheme === 'basic') {
      throw new ImagePullFailed(
        `Got unexpected BASIC Authorization response status: 401 Unauthorized from ${from}`,
      )
    }
    if (challenge.scheme !== 'bearer') {
      throw new ImagePullFailed(
        `Got unsupported auth-scheme: ${challenge.scheme || 'none'} from ${from}`,
      )
    }
    const url = this.#tokenUrl(challenge)
    const shown = `${url.origin}${url.pathname}`
    const { auth, http, signal } = this.#options
    const answer = await this.#send(() =>
      http.request({
        url,
        signal,
        headers:
          auth === undefined ? {} : { authorization: utf8Text(headerOf('Basic', auth).reveal()) },
      }),
    )
    if (answer.status !== 200) {
      throw new ImagePullFailed(
        `Unexpected HTTP response '${statusText(answer.status)}' when trying to GET '${shown}'`,
      )
    }
    this.#authorization = headerOf('Bearer', tokenIn(answer.body))
  }

  #tokenUrl({ parameters }: Challenge): URL {
    const { image } = this.#options
    const realm = parameters.get('realm') ?? ''
    if (!URL.canParse(realm)) throw new ImagePullFailed('the registry names no token service')
    const url = new URL(realm)
    // Whoever answers as the registry could else have the password sent where anybody can listen.
    const isWeaker = image.origin.startsWith('https:') && url.protocol !== 'https:'
    if (isWeaker || !/^https?:$/.test(url.protocol)) {
      throw new ImagePullFailed(
        'the token service of the registry is not one to send a password to',
      )
    }
    const service = parameters.get('service')
    if (service !== undefined) url.searchParams.set('service', service)
    const scope = parameters.get('scope') ?? `repository:${image.repository}:pull`
    url.searchParams.set('scope', scope)
    return url
  }

  #request(
    isHome: boolean,
    accept?: string,
  ): { readonly headers: Readonly<Record<string, string>>; readonly signal: AbortSignal } {
    const authorization = isHome ? this.#authorization : undefined
    return {
      headers: {
        ...(accept !== undefined && { accept }),
        ...(authorization !== undefined && { authorization: utf8Text(authorization.reveal()) }),
      },
      signal: this.#options.signal,
    }
  }

  async #send<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (cause) {
      if (!(cause instanceof HttpFailed)) throw cause
      throw new ImagePullFailed(`the registry cannot be asked: ${cause.message}`, { cause })
    }
  }
}

interface Challenge {
  readonly scheme: string
  readonly parameters: ReadonlyMap<string, string>
}

/** `Bearer realm="…",service="…",scope="…"`, and nothing else that such a header may be. */
function challengeOf(header: string | string[] | undefined): Challenge {
  const text = (Array.isArray(header) ? header[0] : header) ?? ''
  const [scheme = ''] = text.split(' ', 1)
  const parameters = new Map<string, string>()
  for (const [, name = '', value = ''] of text.matchAll(/\b(\w+)="([^"]*)"/g)) {
    parameters.set(name.toLowerCase(), value)
  }
  return { scheme: scheme.toLowerCase(), parameters }
}

function tokenIn(body: Uint8Array): RedactedBytes {
  if (body.length > tokenSizeBytesMax) throw new ImagePullFailed('the token is too long')
  let answer: unknown
  try {
    answer = JSON.parse(utf8Text(body))
  } catch {
    throw new ImagePullFailed('Failed to find token in JSON object')
  }
  // Mesos knows `token` alone; the specification lets a service say `access_token` as well.
  const { token, access_token: accessToken } = (answer ?? {}) as Record<string, unknown>
  const found = token ?? accessToken
  if (typeof found !== 'string' || !/^[\x21-\x7e]+$/.test(found)) {
    throw new ImagePullFailed('Failed to find token in JSON object')
  }
  return new Redacted(utf8(found))
}

const headerOf = (scheme: string, credential: RedactedBytes): RedactedBytes =>
  new Redacted(Buffer.concat([utf8(`${scheme} `), credential.reveal()]))
