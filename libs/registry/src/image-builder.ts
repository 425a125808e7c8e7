import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { utf8 } from '@conclave/kernel'
import { pack, type Header } from 'tar-stream'

/* Images made of a few files, byte for byte the same each time: what the examples and the tests pull. */

/** `size` is of `content`. Without a type it is a file. */
export interface ImageFile extends Partial<Header> {
  readonly name: string
  readonly content?: string | Uint8Array
}

export interface ImageRecipe {
  /** Each a list of files; later ones lie over earlier ones. */
  readonly layers: readonly (readonly ImageFile[])[]
  readonly entrypoint?: readonly string[]
  readonly command?: readonly string[]
  readonly environment?: readonly string[]
  readonly workingDirectory?: string
  /** Whose media types it has. Default: OCI's. */
  readonly format?: 'oci' | 'docker'
  readonly architecture?: string
}

export interface BuiltImage {
  readonly manifest: Uint8Array
  readonly mediaType: string
  readonly digest: string
  /** Configuration and layers, by digest. */
  readonly blobs: ReadonlyMap<string, Uint8Array>
}

export const digestOf = (bytes: Uint8Array): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`

const types = {
  oci: {
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    index: 'application/vnd.oci.image.index.v1+json',
    config: 'application/vnd.oci.image.config.v1+json',
    layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  },
  docker: {
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    index: 'application/vnd.docker.distribution.manifest.list.v2+json',
    config: 'application/vnd.docker.container.image.v1+json',
    layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  },
} as const

/** The architecture of this machine, as images call theirs. */
export const ownArchitecture = process.arch === 'x64' ? 'amd64' : process.arch

export async function buildImage(recipe: ImageRecipe): Promise<BuiltImage> {
  const { format = 'oci', architecture = ownArchitecture } = recipe
  const archives = await Promise.all(recipe.layers.map((files) => archiveOf(files)))
  const layers = archives.map((archive) => gzipSync(archive))
  const config = json({
    architecture,
    os: 'linux',
    config: {
      ...(recipe.entrypoint && { Entrypoint: recipe.entrypoint }),
      ...(recipe.command && { Cmd: recipe.command }),
      ...(recipe.environment && { Env: recipe.environment }),
      ...(recipe.workingDirectory !== undefined && { WorkingDir: recipe.workingDirectory }),
    },
    rootfs: { type: 'layers', diff_ids: archives.map(digestOf) },
  })
  const { manifest: mediaType, config: configType, layer: layerType } = types[format]
  const manifest = json({
    schemaVersion: 2,
    mediaType,
    config: descriptor(configType, config),
    layers: layers.map((layer) => descriptor(layerType, layer)),
  })
  const blobs = new Map([config, ...layers].map((bytes) => [digestOf(bytes), bytes]))
  return { manifest, mediaType, digest: digestOf(manifest), blobs }
}

/** A list of images, one for each architecture. */
export function buildIndex(
  images: readonly { readonly image: BuiltImage; readonly architecture: string }[],
  format: 'oci' | 'docker' = 'oci',
): BuiltImage {
  const mediaType = types[format].index
  const manifest = json({
    schemaVersion: 2,
    mediaType,
    manifests: images.map(({ image, architecture }) => ({
      ...descriptor(image.mediaType, image.manifest),
      platform: { os: 'linux', architecture },
    })),
  })
  const blobs = new Map(
    images.flatMap(({ image }) => [...image.blobs, [image.digest, image.manifest] as const]),
  )
  return { manifest, mediaType, digest: digestOf(manifest), blobs }
}

const json = (value: unknown): Uint8Array => utf8(JSON.stringify(value))

const descriptor = (mediaType: string, bytes: Uint8Array): object => ({
  mediaType,
  digest: digestOf(bytes),
  size: bytes.length,
})

/** A tar archive of `files`, in their order. */
export async function archiveOf(files: readonly ImageFile[]): Promise<Buffer> {
  const archive = pack()
  for (const { content = '', ...header } of files) {
    const bytes = typeof content === 'string' ? Buffer.from(content) : Buffer.from(content)
    const hasContent = header.type === undefined || header.type === 'file'
    archive.entry({ mtime: new Date(0), ...header }, hasContent ? bytes : Buffer.alloc(0))
  }
  archive.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of archive as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}
