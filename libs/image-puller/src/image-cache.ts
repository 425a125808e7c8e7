import type { ImageRoot } from '@conclave/isolators'

/**
 * Images that were unpacked, the newest used last, up to a size. The key names registry, repository and
 * digest: a digest alone would let one registry answer with what another keeps.
 */
export class ImageCache {
  readonly #sizeBytesMax: number
  readonly #images = new Map<string, ImageRoot>()
  #sizeBytes = 0

  constructor(sizeBytesMax: number) {
    this.#sizeBytesMax = sizeBytesMax
  }

  get(key: string): ImageRoot | undefined {
    const image = this.#images.get(key)
    if (image === undefined) return undefined
    this.#images.delete(key)
    this.#images.set(key, image)
    return image
  }

  set(key: string, image: ImageRoot): void {
    this.#delete(key)
    if (image.sizeBytes > this.#sizeBytesMax) return
    this.#images.set(key, image)
    this.#sizeBytes += image.sizeBytes
    for (const oldest of this.#images.keys()) {
      if (this.#sizeBytes <= this.#sizeBytesMax) break
      this.#delete(oldest)
    }
  }

  #delete(key: string): void {
    const image = this.#images.get(key)
    if (image === undefined) return
    this.#images.delete(key)
    this.#sizeBytes -= image.sizeBytes
  }
}
