import { utf8Text } from '@conclave/kernel'
import { z } from 'zod'
import { ImagePullFailed, ImageRefused } from './errors.ts'
import { digestName } from './image-reference.ts'

/* Manifests of images and lists of them, of docker (version 2, schema 2) and of OCI. */

const dockerManifest = 'application/vnd.docker.distribution.manifest.v2+json'
const dockerList = 'application/vnd.docker.distribution.manifest.list.v2+json'
const ociManifest = 'application/vnd.oci.image.manifest.v1+json'
const ociIndex = 'application/vnd.oci.image.index.v1+json'

/** What is asked for, the most wanted first. */
export const manifestTypes: readonly string[] = [ociManifest, dockerManifest, ociIndex, dockerList]

const Digest = z.string().regex(digestName)
const Descriptor = z.object({
  mediaType: z.string().default(''),
  digest: Digest,
  size: z.int().nonnegative(),
})
export type Descriptor = z.infer<typeof Descriptor>

const ImageManifest = z.object({
  schemaVersion: z.literal(2),
  config: Descriptor,
  layers: z.array(Descriptor).max(512),
})
export type ImageManifest = z.infer<typeof ImageManifest>

const ImageIndex = z.object({
  schemaVersion: z.literal(2),
  manifests: z
    .array(
      Descriptor.extend({
        platform: z
          .object({ os: z.string().default(''), architecture: z.string().default('') })
          .default({ os: '', architecture: '' }),
      }),
    )
    .max(512),
})

const texts = z.array(z.string()).nullish()
const ImageConfigFile = z.object({
  config: z
    .object({
      Entrypoint: texts,
      Cmd: texts,
      Env: texts,
      WorkingDir: z.string().nullish(),
      StopSignal: z.string().nullish(),
    })
    .nullish(),
  rootfs: z.object({ diff_ids: z.array(Digest) }),
})
export type ImageConfigFile = z.infer<typeof ImageConfigFile>

/** A manifest, or which of a list it is. */
export type Manifest =
  | { readonly kind: 'image'; readonly image: ImageManifest }
  | { readonly kind: 'index'; readonly chosen: Descriptor }

/**
 * Reads a manifest; of a list it chooses the one for `architecture` (as Node calls it) on Linux.
 *
 * @throws ImagePullFailed, ImageRefused
 */
export function readManifest(bytes: Uint8Array, mediaType: string, architecture: string): Manifest {
  const json = parse(bytes, 'manifest')
  // Old registries say `application/json`; then the document says what it is.
  const own = (json as { mediaType?: unknown } | null)?.mediaType
  const type = manifestTypes.includes(mediaType)
    ? mediaType
    : typeof own === 'string'
      ? own
      : mediaType
  switch (type) {
    case dockerManifest:
    case ociManifest:
      return { kind: 'image', image: check(ImageManifest, json, 'manifest') }
    case dockerList:
    case ociIndex:
      return {
        kind: 'index',
        chosen: choose(check(ImageIndex, json, 'index').manifests, architecture),
      }
    default:
      throw new ImagePullFailed(`Unsupported manifest MIME type: ${type.slice(0, 200)}`)
  }
}

/** @throws ImageRefused */
export const readConfig = (bytes: Uint8Array): ImageConfigFile =>
  check(ImageConfigFile, parse(bytes, 'configuration'), 'configuration')

const architectures: Readonly<Record<string, string>> = {
  x64: 'amd64',
  arm64: 'arm64',
  ia32: '386',
}

function choose(
  manifests: z.infer<typeof ImageIndex>['manifests'],
  architecture: string,
): Descriptor {
  const wanted = architectures[architecture] ?? architecture
  const ofLinux = manifests.filter(({ platform }) => platform.os === 'linux')
  const chosen = ofLinux.find(({ platform }) => platform.architecture === wanted)
  if (chosen !== undefined) return chosen
  throw new ImagePullFailed(`the image is not there for linux/${wanted}`)
}

function parse(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(utf8Text(bytes))
  } catch {
    throw new ImageRefused(`the ${what} of the image is not JSON`)
  }
}

function check<T>(schema: z.ZodType<T>, json: unknown, what: string): T {
  const read = schema.safeParse(json)
  if (read.success) return read.data
  const [issue] = read.error.issues
  const field = issue?.path.join('.') ?? ''
  throw new ImageRefused(`the ${what} of the image is not one: ${field}: ${issue?.message}`)
}
