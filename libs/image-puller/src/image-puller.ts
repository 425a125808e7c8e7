import type { ImageConfig, ImageRoot, ImageSource, ImageWanted } from '@conclave/isolators'
import type { RedactedBytes } from '@conclave/kernel'
import { HttpClient, silentLog, type Log } from '@conclave/runtime'
import {
  credentialFor,
  mergeCredentials,
  parseDockerConfig,
  wipeCredentials,
} from './docker-config.ts'
import { ImagePullFailed, ImageRefused } from './errors.ts'
import { ImageCache } from './image-cache.ts'
import { parseImageReference, type ImageReference } from './image-reference.ts'
import { ImageTree } from './image-tree.ts'
import { ImageBudget, layLayer, usualImageLimits, type ImageLimits } from './layer.ts'
import { readConfig, readManifest, type Descriptor, type ImageConfigFile } from './manifest.ts'
import { digestOf, RegistryClient, type Fetched } from './registry-client.ts'

export interface ImagePullerOptions {
  /** Of names without one. Default: docker's. */
  readonly defaultRegistry?: string
  /** The agent's own docker config, for tasks that bring none: anybody's task may use it. */
  readonly dockerConfig?: RedactedBytes
  /** Authorities of registries that are trusted instead of the system's, as PEM. */
  readonly authorityPem?: string
  readonly limits?: Partial<ImageLimits>
  readonly cacheSizeBytesMax?: number
  /** For one whole pull. */
  readonly timeoutMs?: number
  readonly architecture?: string
  /**
   * As in Mesos: an image that was pulled once is anybody's by its name, without a word to the registry. For
   * teaching what becomes of a private image then (ADR 38).
   */
  readonly sharesKept?: boolean
  readonly log?: Log
}

export const usualRegistry = 'https://registry-1.docker.io'

/**
 * Pulls images with the credentials of whoever wants them. What was pulled is kept by digest, and given
 * to nobody without asking the registry: each task shows its own credentials first, and what they do not
 * open it does not get, kept or not.
 */
export class ImagePuller implements ImageSource {
  readonly #options: ImagePullerOptions
  readonly #http: HttpClient
  readonly #log: Log
  readonly #cache: ImageCache
  readonly #pulling = new Map<string, Promise<ImageRoot>>()

  constructor(options: ImagePullerOptions = {}) {
    this.#options = options
    this.#log = options.log ?? silentLog
    this.#cache = new ImageCache(options.cacheSizeBytesMax ?? 256 * 1_048_576)
    this.#http = new HttpClient({
      bodyBytesMax: 4 * 1_048_576,
      ...(options.authorityPem !== undefined && { authorityPem: options.authorityPem }),
    })
  }

  /** The image, unpacked. @throws ImagePullFailed, ImageRefused */
  async provision(wanted: ImageWanted, signal: AbortSignal): Promise<ImageRoot> {
    const { defaultRegistry = usualRegistry, dockerConfig, timeoutMs = 300_000 } = this.#options
    const image = parseImageReference(wanted.name, defaultRegistry)
    const byName = this.#options.sharesKept === true ? nameOf(image) : undefined
    const shared = byName === undefined || !wanted.isCached ? undefined : this.#cache.get(byName)
    if (shared !== undefined) {
      this.#log.info({}, `Using cached image '${wanted.name}'`)
      return shared
    }
    const own = wanted.dockerConfig === undefined ? [] : parseDockerConfig(wanted.dockerConfig)
    const ofAgent = dockerConfig === undefined ? [] : parseDockerConfig(dockerConfig)
    const deadline = AbortSignal.timeout(timeoutMs)
    try {
      const client = new RegistryClient({
        http: this.#http,
        image,
        auth: credentialFor(image.host, mergeCredentials(own, ofAgent)),
        signal: AbortSignal.any([signal, deadline]),
      })
      const root = await this.#provision(wanted, image, client)
      if (byName !== undefined) this.#cache.set(byName, root)
      return root
    } catch (error) {
      if (!deadline.aborted) throw error
      throw new ImagePullFailed(`the image was not there within ${timeoutMs / 1000} seconds`)
    } finally {
      wipeCredentials([...own, ...ofAgent])
    }
  }

  close(): void {
    this.#http.close()
  }

  async #provision(
    { name, isCached }: ImageWanted,
    image: ImageReference,
    client: RegistryClient,
  ): Promise<ImageRoot> {
    const digest = await client.manifestDigest(image.reference)
    if (digest === undefined) {
      return this.#pull(image, client, await client.manifest(image.reference))
    }
    const key = `${image.host}/${image.repository}@${digest}`
    const kept = isCached ? this.#cache.get(key) : undefined
    if (kept !== undefined) {
      this.#log.info({}, `Using cached image '${name}'`)
      return kept
    }
    // Whoever comes while it is being pulled was let in by the registry, too, and shares it.
    const running = this.#pulling.get(key)
    if (running !== undefined) {
      const shared = await running.catch(() => undefined)
      if (shared !== undefined) return shared
    }
    const pull = client.manifest(digest).then((top) => this.#pull(image, client, top))
    this.#pulling.set(key, pull)
    try {
      const root = await pull
      this.#cache.set(key, root)
      return root
    } finally {
      if (this.#pulling.get(key) === pull) this.#pulling.delete(key)
    }
  }

  async #pull(image: ImageReference, client: RegistryClient, top: Fetched): Promise<ImageRoot> {
    const limits = { ...usualImageLimits, ...this.#options.limits }
    const architecture = this.#options.architecture ?? process.arch
    let manifest = readManifest(top.bytes, top.mediaType, architecture)
    if (manifest.kind === 'index') {
      const one = await client.manifest(manifest.chosen.digest)
      manifest = readManifest(one.bytes, one.mediaType, architecture)
    }
    if (manifest.kind === 'index') throw new ImageRefused('an index of the image leads to another')
    const { config: described, layers } = manifest.image
    const config = readConfig(await wholeBlob(client, described))
    const diffIds = config.rootfs.diff_ids
    if (diffIds.length !== layers.length) {
      throw new ImageRefused('the image has not as many layers as its configuration says')
    }
    const budget = new ImageBudget(limits)
    const tree = new ImageTree(budget)
    for (const [index, layer] of layers.entries()) {
      const { body } = await client.blob(layer.digest)
      await layLayer(body, layer, diffIds[index] ?? '', tree, budget)
    }
    const entries = [...tree.entries()]
    const sizeBytes = entries.reduce(
      (sum, entry) => sum + (entry.kind === 'file' ? entry.bytes.length : 0),
      0,
    )
    this.#log.info(
      { registry: image.host, repository: image.repository, digest: top.digest, sizeBytes },
      'pulled an image',
    )
    return { config: configOf(config), entries, sizeBytes }
  }
}

const nameOf = ({ host, repository, reference }: ImageReference): string =>
  `${host}/${repository}:${reference}`

const configSizeBytesMax = 4 * 1_048_576

async function wholeBlob(
  client: RegistryClient,
  { digest, size }: Descriptor,
): Promise<Uint8Array> {
  if (size > configSizeBytesMax) throw new ImageRefused(`the configuration ${digest} is too large`)
  const { body } = await client.blob(digest)
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > size)
      throw new ImageRefused(`the configuration ${digest} is longer than ${size} bytes`)
    chunks.push(chunk)
  }
  const bytes = Buffer.concat(chunks)
  if (digestOf(bytes) === digest) return bytes
  throw new ImageRefused(`the configuration ${digest} is not what its digest says`)
}

function configOf({ config }: ImageConfigFile): ImageConfig {
  const environment = (config?.Env ?? []).map((text): [string, string] => {
    const at = text.indexOf('=')
    return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
  })
  const { Entrypoint, Cmd, WorkingDir, StopSignal } = config ?? {}
  return {
    entrypoint: Entrypoint ?? [],
    command: Cmd ?? [],
    environment: new Map(environment.filter(([name]) => name !== '')),
    workingDirectory: WorkingDir === '' ? undefined : (WorkingDir ?? undefined),
    stopSignal: StopSignal || undefined,
  }
}
