import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { utf8 } from '@conclave/kernel'
import type { ImageLibrary } from './image-library.ts'
import type { RegistryUsers } from './registry-users.ts'

/*
 * The pull half of the OCI distribution specification, with what registries ask of those who pull: a
 * password each time (`basic`), or a token for it from a service of its own (`bearer`).
 */

export interface RegistryOptions {
  readonly library: ImageLibrary
  /** Without users everybody may pull everything. */
  readonly users?: RegistryUsers
  /** Default: `bearer`. */
  readonly scheme?: 'basic' | 'bearer'
  readonly host?: string
  readonly port?: number
  readonly tls?: { readonly certificatePem: string; readonly keyPem: string }
  /** Called for each request once it is answered: method, path and status, and never a header. */
  readonly onRequest?: (request: RegistryRequest) => void
  /** Where blobs are kept instead: answers with a redirect there. */
  readonly blobsAt?: string
}

export interface RegistryRequest {
  readonly method: string
  readonly path: string
  readonly status: number
  readonly user: string | undefined
  readonly hasCredential: boolean
}

const tokenLifeSeconds = 300
const service = 'conclave-registry'

export class RegistryServer {
  readonly #options: RegistryOptions
  readonly #server: Server
  /** Of this process alone: a token ends with it at the latest. */
  readonly #tokenKey = randomBytes(32)
  #port = 0

  private constructor(options: RegistryOptions) {
    this.#options = options
    const handle = (request: IncomingMessage, response: ServerResponse): void =>
      this.#handle(request, response)
    const { tls } = options
    this.#server =
      tls === undefined
        ? createServer(handle)
        : createTlsServer({ cert: tls.certificatePem, key: tls.keyPem }, handle)
  }

  static async start(options: RegistryOptions): Promise<RegistryServer> {
    const registry = new RegistryServer(options)
    await new Promise<void>((resolve, reject) => {
      registry.#server.once('error', reject)
      registry.#server.listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve)
    })
    registry.#port = (registry.#server.address() as AddressInfo).port
    return registry
  }

  get port(): number {
    return this.#port
  }

  /** `host:port`, as images are named with. */
  get host(): string {
    return `${this.#options.host ?? '127.0.0.1'}:${this.port}`
  }

  get #origin(): string {
    return `${this.#options.tls === undefined ? 'http' : 'https'}://${this.host}`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const { method = 'GET', headers } = request
    const url = new URL(request.url ?? '/', this.#origin)
    request.resume()
    const user = this.#userOf(headers.authorization, url.pathname)
    response.once('finish', () => {
      this.#options.onRequest?.({
        method,
        path: url.pathname,
        status: response.statusCode,
        user,
        hasCredential: headers.authorization !== undefined,
      })
    })
    response.setHeader('docker-distribution-api-version', 'registry/2.0')
    if (method !== 'GET' && method !== 'HEAD') return fail(response, 405, 'UNSUPPORTED')
    if (url.pathname === '/token') return this.#token(response, url, headers.authorization)
    const route = routeOf(url.pathname)
    if (route === undefined) return fail(response, 404, 'NAME_UNKNOWN')
    if (!this.#mayPull(user, route.repository)) {
      return this.#challenge(response, route.repository, user)
    }
    return this.#answer(response, method, route)
  }

  #answer(response: ServerResponse, method: string, route: Route): void {
    const { library, blobsAt } = this.#options
    const { repository, kind, name } = route
    switch (kind) {
      case 'base':
        return send(response, method, 200, utf8('{}'), 'application/json')
      case 'tags': {
        const tags = library.tags(repository)
        if (tags === undefined) return fail(response, 404, 'NAME_UNKNOWN')
        const body = utf8(JSON.stringify({ name: repository, tags }))
        return send(response, method, 200, body, 'application/json')
      }
      case 'manifests': {
        const manifest = library.manifest(repository, name)
        if (manifest === undefined) return fail(response, 404, 'MANIFEST_UNKNOWN')
        response.setHeader('docker-content-digest', manifest.digest)
        return send(response, method, 200, manifest.bytes, manifest.mediaType)
      }
      case 'blobs': {
        const blob = library.blob(repository, name)
        if (blob === undefined) return fail(response, 404, 'BLOB_UNKNOWN')
        response.setHeader('docker-content-digest', name)
        if (blobsAt !== undefined) {
          response.writeHead(307, { location: `${blobsAt}/${name}` }).end()
          return
        }
        return send(response, method, 200, blob, 'application/octet-stream')
      }
    }
  }

  // ── who asks ──────────────────────────────────────────────────────────────────────────────────

  #userOf(authorization: string | undefined, path: string): string | undefined {
    const { users, scheme = 'bearer' } = this.#options
    if (users === undefined) return undefined
    if (scheme === 'basic' || path === '/token') return users.userOf(authorization)
    return this.#userOfToken(/^Bearer (\S+)$/i.exec(authorization ?? '')?.[1])
  }

  #mayPull(user: string | undefined, repository: string): boolean {
    const { users } = this.#options
    if (users === undefined) return true
    return user !== undefined && (repository === '' || users.mayPull(user, repository))
  }

  #challenge(response: ServerResponse, repository: string, user: string | undefined): void {
    const { scheme = 'bearer' } = this.#options
    const scope = `repository:${repository}:pull`
    if (scheme === 'basic') {
      if (user !== undefined) return fail(response, 403, 'DENIED')
      response.setHeader('www-authenticate', `Basic realm="${service}"`)
    } else {
      const scoped = repository === '' ? '' : `,scope="${scope}"`
      const challenge = `Bearer realm="${this.#origin}/token",service="${service}"${scoped}`
      response.setHeader('www-authenticate', challenge)
    }
    return fail(response, 401, 'UNAUTHORIZED')
  }

  /** A token says who it is for and until when. What it opens is looked up each time. */
  #token(response: ServerResponse, url: URL, authorization: string | undefined): void {
    const user = this.#options.users?.userOf(authorization)
    if (user === undefined || url.searchParams.get('service') !== service) {
      return fail(response, 401, 'UNAUTHORIZED')
    }
    const until = Math.floor(Date.now() / 1000) + tokenLifeSeconds
    const said = Buffer.from(`${until}:${user}`).toString('base64url')
    const token = `${said}.${this.#signature(said).toString('base64url')}`
    const body = JSON.stringify({ token, expires_in: tokenLifeSeconds })
    return send(response, 'GET', 200, utf8(body), 'application/json')
  }

  #userOfToken(token: string | undefined): string | undefined {
    const [said = '', shown = ''] = (token ?? '').split('.')
    const signature = Buffer.from(shown, 'base64url')
    const wanted = this.#signature(said)
    if (signature.length !== wanted.length || !timingSafeEqual(signature, wanted)) return undefined
    const [until = '', ...user] = Buffer.from(said, 'base64url').toString().split(':')
    return Number(until) * 1000 > Date.now() ? user.join(':') : undefined
  }

  #signature(said: string): Buffer {
    return createHmac('sha256', this.#tokenKey).update(said).digest()
  }
}

interface Route {
  readonly kind: 'base' | 'tags' | 'manifests' | 'blobs'
  readonly repository: string
  readonly name: string
}

function routeOf(path: string): Route | undefined {
  if (path === '/v2/' || path === '/v2') return { kind: 'base', repository: '', name: '' }
  const match = /^\/v2\/([a-z0-9][a-z0-9._/-]*)\/(manifests|blobs|tags)\/([\w.:-]+)$/.exec(path)
  const [, repository = '', kind = '', name = ''] = match ?? []
  if (kind === 'tags') return name === 'list' ? { kind, repository, name } : undefined
  return kind === 'manifests' || kind === 'blobs' ? { kind, repository, name } : undefined
}

function send(
  response: ServerResponse,
  method: string,
  status: number,
  body: Uint8Array,
  type: string,
): void {
  response.writeHead(status, { 'content-type': type, 'content-length': body.length })
  response.end(method === 'HEAD' ? undefined : body)
}

function fail(response: ServerResponse, status: number, code: string): void {
  const body = utf8(JSON.stringify({ errors: [{ code, message: code.toLowerCase() }] }))
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}
