import { invariant } from '@conclave/kernel'
import { Volume } from 'memfs'

/** The smallest room a file gets, and what room is doubled from. */
const capacitySizeBytesMin = 64

/** A view, not a copy: memfs copies every other kind of array before it writes, and nobody wipes that. */
const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)

/**
 * The contents of files, in a memfs volume that is made when the first byte is written: most containers
 * never do, and a volume is 15 KiB. Names, owners and modes are {@link MemoryFileSystem}'s own, because
 * memfs checks them against the user that this process runs as.
 */
export class ContentStore {
  #volume: Volume | undefined
  #lastName = 0
  #count = 0

  /** Room for at least `sizeBytes`, all zeroes. */
  allocate(sizeBytes: number): Content {
    let capacity = capacitySizeBytesMin
    while (capacity < sizeBytes) capacity *= 2
    this.#volume ??= new Volume()
    this.#count++
    const name = `/${++this.#lastName}`
    return new Content(this.#volume, name, capacity, () => {
      // With its last file the volume goes too.
      if (--this.#count === 0) this.#volume = undefined
    })
  }

  /** For tests that look for what should be gone. */
  get volume(): Volume | undefined {
    return this.#volume
  }
}

/**
 * One file's bytes. Its room is fixed: memfs makes a larger buffer for a file that grows, and leaves
 * the old one with everything in it. So whoever needs more room allocates anew, copies, and frees.
 */
export class Content {
  readonly capacity: number
  readonly #volume: Volume
  readonly #name: string
  readonly #descriptor: number
  readonly #freed: () => void
  #isFree = false

  constructor(volume: Volume, name: string, capacity: number, freed: () => void) {
    this.capacity = capacity
    this.#volume = volume
    this.#name = name
    this.#freed = freed
    this.#descriptor = volume.openSync(name, 'w+', 0o600)
    volume.ftruncateSync(this.#descriptor, capacity)
  }

  /** Exactly `length` bytes, which must lie within the capacity. The caller owns them. */
  read(position: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    if (length > 0) this.#volume.readSync(this.#descriptor, bufferOf(bytes), 0, length, position)
    return bytes
  }

  write(position: number, bytes: Uint8Array): void {
    invariant(position + bytes.length <= this.capacity, 'a file is written within its room')
    if (bytes.length === 0) return
    this.#volume.writeSync(this.#descriptor, bufferOf(bytes), 0, bytes.length, position)
  }

  /** Overwrites `[from, to)` with zeroes, in place. */
  zero(from: number, to: number): void {
    if (to > from) this.write(from, new Uint8Array(to - from))
  }

  /** Overwrites everything, then drops it. */
  free(): void {
    if (this.#isFree) return
    this.#isFree = true
    this.zero(0, this.capacity)
    this.#volume.closeSync(this.#descriptor)
    this.#volume.unlinkSync(this.#name)
    this.#freed()
  }
}
