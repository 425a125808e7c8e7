import type { BuiltImage } from './image-builder.ts'

export interface StoredManifest {
  readonly bytes: Uint8Array
  readonly mediaType: string
  readonly digest: string
}

/** What a registry keeps: blobs by repository, since who may read one repository may not read all. */
export class ImageLibrary {
  readonly #manifests = new Map<string, StoredManifest>()
  readonly #blobs = new Map<string, Uint8Array>()
  readonly #tags = new Map<string, Set<string>>()

  /** Puts an image into a repository, under a tag. */
  add(repository: string, tag: string, image: BuiltImage): void {
    const { manifest: bytes, mediaType, digest, blobs } = image
    const stored = { bytes, mediaType, digest }
    this.#manifests.set(`${repository}:${tag}`, stored)
    this.#manifests.set(`${repository}@${digest}`, stored)
    for (const [name, blob] of blobs) {
      this.#blobs.set(`${repository}@${name}`, blob)
      // The images of an index are manifests of the repository, too.
      const type = manifestTypeOf(blob)
      if (type !== undefined) {
        this.#manifests.set(`${repository}@${name}`, { bytes: blob, mediaType: type, digest: name })
      }
    }
    const tags = this.#tags.get(repository) ?? new Set()
    this.#tags.set(repository, tags.add(tag))
  }

  /** @param reference a tag or a digest */
  manifest(repository: string, reference: string): StoredManifest | undefined {
    const separator = reference.startsWith('sha256:') ? '@' : ':'
    return this.#manifests.get(`${repository}${separator}${reference}`)
  }

  blob(repository: string, digest: string): Uint8Array | undefined {
    return this.#blobs.get(`${repository}@${digest}`)
  }

  tags(repository: string): readonly string[] | undefined {
    const tags = this.#tags.get(repository)
    return tags === undefined ? undefined : [...tags].toSorted()
  }

  get repositories(): readonly string[] {
    return [...this.#tags.keys()].toSorted()
  }
}

function manifestTypeOf(bytes: Uint8Array): string | undefined {
  if (bytes[0] !== 0x7b || bytes.length > 1_048_576) return undefined
  try {
    const { mediaType } = JSON.parse(Buffer.from(bytes).toString()) as { mediaType?: unknown }
    return typeof mediaType === 'string' && mediaType.includes('manifest') ? mediaType : undefined
  } catch {
    return undefined
  }
}
