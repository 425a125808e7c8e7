const pageSizeBytes = 256 * 1024
/** What is larger has a page of its own: else the end of one would often be left empty. */
const sharedSizeBytesMax = 32 * 1024

/** Bytes that many values share. */
export interface Page {
  readonly bytes: Uint8Array
  usedBytes: number
  /** Of what is used, what somebody still needs. */
  liveBytes: number
}

const noPage: Page = { bytes: new Uint8Array(0), usedBytes: 0, liveBytes: 0 }

/** Where a value lies: in no page while there is none. */
export interface Place {
  page: Page | undefined
  offset: number
  sizeBytes: number
}

/**
 * Keeps values side by side in large buffers. A small buffer of its own costs each value some 250 bytes
 * beside its own, most of them out of the sight of the heap, and every collection a visit.
 *
 * A page is gone once nobody needs anything in it. One that is needed for little is *sparse*: whoever
 * owns the values {@link move}s them, and so frees it.
 */
export class ValuePages {
  #current = noPage
  #usedBytes = 0
  #liveBytes = 0

  /** Copies `value`, and notes in `place` where it lies: whoever keeps it has an object for that already. */
  put(value: Uint8Array, place: Place): void {
    const { length } = value
    const page = length === 0 ? noPage : this.#pageFor(length)
    place.page = page
    place.offset = page.usedBytes
    place.sizeBytes = length
    if (length === 0) return
    page.bytes.set(value, page.usedBytes)
    page.usedBytes += length
    page.liveBytes += length
    this.#usedBytes += length
    this.#liveBytes += length
  }

  /** Nobody needs this value any more. */
  free({ page, sizeBytes }: Place): void {
    if (page !== undefined && sizeBytes > 0) this.#free(page, sizeBytes)
  }

  /** Whether so much lies in pages for nothing that sparse ones should be moved. */
  get isWasteful(): boolean {
    return this.#usedBytes - this.#liveBytes > this.#liveBytes / 4 + 8 * pageSizeBytes
  }

  /** Puts a value elsewhere when its page is sparse. Whoever read it before still has the old bytes. */
  move(place: Place): void {
    const { page, offset, sizeBytes } = place
    if (page === undefined || sizeBytes === 0) return
    if (page === this.#current || page.liveBytes > page.usedBytes / 2) return
    this.put(page.bytes.subarray(offset, offset + sizeBytes), place)
    this.#free(page, sizeBytes)
  }

  #free(page: Page, sizeBytes: number): void {
    page.liveBytes -= sizeBytes
    this.#liveBytes -= sizeBytes
    // What is free in the current page is not written again: somebody may still read what was there.
    if (page !== this.#current) this.#forgetIfDead(page)
  }

  #pageFor(sizeBytes: number): Page {
    if (sizeBytes > sharedSizeBytesMax) return newPage(sizeBytes)
    const { bytes, usedBytes } = this.#current
    if (usedBytes + sizeBytes > bytes.length) {
      const full = this.#current
      this.#current = newPage(pageSizeBytes)
      this.#forgetIfDead(full)
    }
    return this.#current
  }

  #forgetIfDead({ liveBytes, usedBytes }: Page): void {
    if (liveBytes === 0) this.#usedBytes -= usedBytes
  }
}

const newPage = (sizeBytes: number): Page => ({
  bytes: new Uint8Array(sizeBytes),
  usedBytes: 0,
  liveBytes: 0,
})
