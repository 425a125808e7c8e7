import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { LayoutUnusable } from './errors.ts'
import { digestOf, type BuiltImage } from './image-builder.ts'
import type { ImageLibrary } from './image-library.ts'

/* A directory in the OCI image layout, as `skopeo copy … oci:DIR:TAG` and `docker buildx` write one. */

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/)
const Descriptor = z.object({
  mediaType: z.string(),
  digest,
  annotations: z.record(z.string(), z.string()).optional(),
})
const Index = z.object({ manifests: z.array(Descriptor) })
const Parts = z.object({
  config: Descriptor.optional(),
  layers: z.array(Descriptor).optional(),
  manifests: z.array(Descriptor).optional(),
})

/**
 * Puts all images of a layout into one repository, each under its tag (`org.opencontainers.image.ref.name`,
 * else `latest`).
 *
 * @returns the tags
 * @throws LayoutUnusable
 */
export async function loadLayout(
  directory: string,
  repository: string,
  library: ImageLibrary,
): Promise<readonly string[]> {
  const index = read(Index, await file(directory, 'index.json'), 'index.json')
  const tags: string[] = []
  for (const { mediaType, digest: top, annotations = {} } of index.manifests) {
    const named = annotations['org.opencontainers.image.ref.name'] ?? 'latest'
    const tag = named.slice(named.lastIndexOf(':') + 1)
    const blobs = new Map<string, Uint8Array>()
    const manifest = await blob(directory, top)
    await gather(directory, manifest, blobs)
    const image: BuiltImage = { manifest, mediaType, digest: top, blobs }
    library.add(repository, tag, image)
    tags.push(tag)
  }
  return tags
}

async function gather(
  directory: string,
  manifest: Uint8Array,
  blobs: Map<string, Uint8Array>,
): Promise<void> {
  const { config, layers = [], manifests = [] } = read(Parts, manifest, 'a manifest')
  for (const part of [...(config === undefined ? [] : [config]), ...layers]) {
    blobs.set(part.digest, await blob(directory, part.digest))
  }
  for (const { digest: name } of manifests) {
    const inner = await blob(directory, name)
    blobs.set(name, inner)
    await gather(directory, inner, blobs)
  }
}

async function blob(directory: string, name: string): Promise<Uint8Array> {
  const bytes = await file(directory, join('blobs', 'sha256', name.slice('sha256:'.length)))
  if (digestOf(bytes) === name) return bytes
  throw new LayoutUnusable(`${directory}: the blob ${name} is not what its name says`)
}

async function file(directory: string, name: string): Promise<Uint8Array> {
  try {
    return await readFile(join(directory, name))
  } catch (cause) {
    throw new LayoutUnusable(
      `${join(directory, name)} cannot be read: is it an OCI image layout?`,
      {
        cause,
      },
    )
  }
}

function read<T>(schema: z.ZodType<T>, bytes: Uint8Array, what: string): T {
  try {
    return schema.parse(JSON.parse(Buffer.from(bytes).toString()))
  } catch (cause) {
    throw new LayoutUnusable(`${what} does not follow the OCI image layout`, { cause })
  }
}
