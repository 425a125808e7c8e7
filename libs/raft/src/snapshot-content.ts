import { createHash } from 'node:crypto'

/** SHA-256 of one chunk: what each is checked against before anything is made of it. */
export const chunkDigest = (chunk: Uint8Array): Uint8Array =>
  createHash('sha256').update(chunk).digest()

/**
 * What the content of a snapshot is known by: SHA-256 over the digests of its chunks, in their order. Two
 * members that were in one state have the same, so that a transfer can go on with another sender.
 */
export class ContentDigest {
  readonly #hash = createHash('sha256')

  /** @param digest of the next chunk, {@link chunkDigest} */
  add(digest: Uint8Array): void {
    this.#hash.update(digest)
  }

  /** 32 bytes, once all chunks were added. */
  end(): Uint8Array {
    return this.#hash.digest()
  }
}
