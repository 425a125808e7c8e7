import { readFile, realpath } from 'node:fs/promises'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { archiveEntries, ImageBudget, ImageTree, type LayerEntry } from '@conclave/image-puller'
import type { FetchedFile, UriSource, UriWanted } from '@conclave/isolators'
import { ConclaveError, utf8Text, wipe } from '@conclave/kernel'
import { HttpClient, type HttpStream } from '@conclave/runtime'
import { UriFetchFailed } from './errors.ts'
import { authorizationOf, identityOf } from './uri-secrets.ts'
import { zipEntries } from './zip.ts'

export interface UriFetcherOptions {
  /** Directories whose files may be fetched by `file:` URIs. Default: none. */
  readonly fileRoots?: readonly string[]
  /** Of one URI, as it is sent and unpacked. */
  readonly sizeBytesMax?: number
  readonly filesMax?: number
  readonly timeoutMs?: number
}

const redirectsMax = 5

/**
 * Fetches the URIs of tasks, each with the credentials that its own secrets hold. They go to the origin
 * that the task named and not along with a redirect to another; nothing of them is in what is fetched.
 */
export class UriFetcher implements UriSource {
  readonly #options: UriFetcherOptions
  readonly #sizeBytesMax: number

  constructor(options: UriFetcherOptions = {}) {
    this.#options = options
    this.#sizeBytesMax = options.sizeBytesMax ?? 64 * 1_048_576
  }

  /** @throws UriFetchFailed */
  async filesOf(wanted: UriWanted, signal: AbortSignal): Promise<readonly FetchedFile[]> {
    const deadline = AbortSignal.timeout(this.#options.timeoutMs ?? 60_000)
    try {
      const bytes = await this.#bytesOf(wanted, AbortSignal.any([signal, deadline]))
      return await this.#unpackedFiles(wanted, bytes)
    } catch (cause) {
      // Ours name places and say why. Others may quote what they were given.
      const why = cause instanceof ConclaveError ? cause.message : 'it failed'
      throw new UriFetchFailed(`Failed to fetch '${shown(wanted.value)}': ${why}`, { cause })
    }
  }

  async #bytesOf(wanted: UriWanted, signal: AbortSignal): Promise<Uint8Array> {
    const url = new URL(wanted.value)
    return url.protocol === 'file:' ? this.#ofFile(url) : this.#ofHttp(url, wanted, signal)
  }

  async #ofFile(url: URL): Promise<Uint8Array> {
    const { fileRoots = [] } = this.#options
    const path = await realpath(fileURLToPath(url)).catch(() => undefined)
    const roots = await Promise.all(fileRoots.map((root) => realpath(root).catch(() => undefined)))
    // The same words for what is not there and what may not be had: a task is no explorer.
    if (
      path === undefined ||
      !roots.some((root) => root !== undefined && path.startsWith(`${root}/`))
    ) {
      throw new UriFetchFailed('this agent fetches no such file')
    }
    const bytes = await readFile(path)
    if (bytes.length > this.#sizeBytesMax) throw this.#tooLarge()
    return bytes
  }

  async #ofHttp(first: URL, { secrets }: UriWanted, signal: AbortSignal): Promise<Uint8Array> {
    let url = first
    for (let redirects = 0; ; redirects++) {
      const isHome = url.origin === first.origin
      const client = clientOf(isHome ? secrets : { authority: undefined })
      try {
        const authorization = isHome ? secrets.authorization : undefined
        const headers =
          authorization === undefined ? {} : { authorization: authorizationOf(authorization) }
        const answer = await client.stream({ url, headers, signal })
        const { location } = answer.headers
        if (answer.status >= 300 && answer.status < 400 && location !== undefined) {
          answer.close()
          if (redirects >= redirectsMax) throw new UriFetchFailed('it was redirected too often')
          url = new URL(location, url)
          if (!/^https?:$/.test(url.protocol)) {
            throw new UriFetchFailed('it was redirected to something else than HTTP')
          }
          continue
        }
        if (answer.status !== 200) {
          answer.close()
          throw new UriFetchFailed(`HTTP ${answer.status}`)
        }
        return await this.#whole(answer)
      } finally {
        client.close()
      }
    }
  }

  async #whole({ body }: HttpStream): Promise<Uint8Array> {
    const chunks: Uint8Array[] = []
    let length = 0
    for await (const chunk of body) {
      length += chunk.length
      if (length > this.#sizeBytesMax) throw this.#tooLarge()
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  }

  async #unpackedFiles(wanted: UriWanted, bytes: Uint8Array): Promise<readonly FetchedFile[]> {
    const { outputFile: path, isExecutable, isExtracted } = wanted
    const packing = isExtracted && !isExecutable ? packingOf(path) : undefined
    if (packing === undefined) {
      return [{ kind: 'file', path, mode: isExecutable ? 0o755 : 0o644, bytes }]
    }
    switch (packing) {
      case 'gz': {
        const unpacked = gunzipped(bytes, this.#sizeBytesMax)
        return [{ kind: 'file', path: path.replace(/\.gz$/, ''), mode: 0o644, bytes: unpacked }]
      }
      case 'tar':
      case 'tar.gz':
      case 'zip':
        return this.#unpacked(posix.dirname(path), bytes, packing)
      default:
        throw new UriFetchFailed(`${packing} cannot be unpacked here; set extract to false`)
    }
  }

  async #unpacked(
    directory: string,
    bytes: Uint8Array,
    packing: 'tar' | 'tar.gz' | 'zip',
  ): Promise<readonly FetchedFile[]> {
    const budget = new ImageBudget({
      packedSizeBytesMax: this.#sizeBytesMax,
      unpackedSizeBytesMax: this.#sizeBytesMax,
      entriesMax: this.#options.filesMax ?? 10_000,
    })
    const tree = new ImageTree(budget)
    const entries =
      packing === 'zip' ? zipEntries(bytes, budget) : await tarEntries(bytes, packing, budget)
    for (const entry of entries) tree.add(entry)
    return [...tree.entries()].map((entry) => ({
      ...entry,
      path: posix.join(directory, entry.path.slice(1)),
    }))
  }

  #tooLarge(): UriFetchFailed {
    return new UriFetchFailed(`it has more than ${this.#sizeBytesMax} bytes`)
  }
}

const tarEntries = (
  bytes: Uint8Array,
  packing: 'tar' | 'tar.gz',
  budget: ImageBudget,
): Promise<readonly LayerEntry[]> =>
  archiveEntries(
    (async function* () {
      yield bytes
    })(),
    packing === 'tar' ? 'none' : 'gzip',
    (length) => budget.unpacked(length),
    () => budget.entry(),
  )

function clientOf({
  clientCertificate,
  authority,
}: Pick<UriWanted['secrets'], 'clientCertificate' | 'authority'>): HttpClient {
  if (clientCertificate === undefined) {
    return new HttpClient(
      authority === undefined ? {} : { authorityPem: utf8Text(authority.reveal()) },
    )
  }
  const identity = identityOf(clientCertificate, authority)
  try {
    return new HttpClient({ identity })
  } catch (cause) {
    throw new UriFetchFailed('its client certificate cannot be used', { cause })
  } finally {
    wipe(identity.privateKey)
  }
}

/** How a file is packed, by its name, as Mesos' fetcher tells it. */
function packingOf(name: string): 'tar' | 'tar.gz' | 'gz' | 'zip' | 'bzip2' | 'xz' | undefined {
  if (/\.(tar\.gz|tgz)$/.test(name)) return 'tar.gz'
  if (name.endsWith('.tar')) return 'tar'
  if (name.endsWith('.gz')) return 'gz'
  if (name.endsWith('.zip')) return 'zip'
  if (/\.(tar\.bz2|tbz2)$/.test(name)) return 'bzip2'
  return /\.(tar\.xz|txz)$/.test(name) ? 'xz' : undefined
}

function gunzipped(bytes: Uint8Array, sizeBytesMax: number): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: sizeBytesMax })
  } catch (cause) {
    throw new UriFetchFailed('it cannot be unpacked', { cause })
  }
}

/** Without user, password and query: any of them may be a secret. */
function shown(text: string): string {
  const { protocol, host, pathname } = new URL(text)
  return `${protocol}//${host}${pathname}`.slice(0, 300)
}
