const slabSizeBytes = 128 * 1024
/** What is larger has memory of its own: else the end of a slab would often be left empty. */
const sharedSizeBytesMax = 8 * 1024

/**
 * Keeps byte strings that come and go together, such as the entries of a log, side by side in larger
 * buffers. One of its own costs a small string several times what a place in a slab does: the allocator
 * is asked for each, and the collector frees them one by one.
 */
export class ByteSlabs {
  #slab = new Uint8Array(0)
  #used = 0

  /** A copy of `bytes`, which must not be changed: its neighbours are those of others. */
  keep(bytes: Uint8Array): Uint8Array {
    if (bytes.length > sharedSizeBytesMax) return new Uint8Array(bytes)
    if (this.#used + bytes.length > this.#slab.length) {
      this.#slab = new Uint8Array(slabSizeBytes)
      this.#used = 0
    }
    const start = this.#used
    this.#used += bytes.length
    this.#slab.set(bytes, start)
    return this.#slab.subarray(start, this.#used)
  }
}
