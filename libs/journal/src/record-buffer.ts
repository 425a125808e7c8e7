import { tagSizeBytes } from '@conclave/crypto'
import { recordHeaderSizeBytes } from './record.ts'

/**
 * Builds one record after another in the same memory, so that a busy journal makes no garbage. The
 * plaintext grows where its ciphertext will stand, behind room for the record's header.
 */
export class RecordBuffer {
  #bytes = new Uint8Array(64 * 1024)
  #end = 0

  /** Begins another record. Whoever still reads the last one reads garbage. */
  begin(): this {
    // The first byte of the plaintext says how many zeroes end it; finish() fills it in.
    this.#end = recordHeaderSizeBytes + 1
    return this
  }

  u8(value: number): this {
    this.#room(1)
    this.#bytes[this.#end++] = value
    return this
  }

  /** As ByteWriter has it: unsigned LEB128. */
  uint(value: number): this {
    this.#room(8)
    let rest = value
    while (rest >= 0x80) {
      this.#bytes[this.#end++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#bytes[this.#end++] = rest
    return this
  }

  raw(bytes: Uint8Array): this {
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.#end)
    this.#end += bytes.length
    return this
  }

  bytes(bytes: Uint8Array): this {
    return this.uint(bytes.length).raw(bytes)
  }

  /**
   * The whole record, its header and tag still to be filled in. Padding makes the body a multiple of
   * 8 bytes, so that no word of a sealed record is zero but by a chance of 2^-64 (record.ts).
   */
  finish(): Uint8Array {
    const padding = (recordHeaderSizeBytes - this.#end) & 7
    this.#room(padding + tagSizeBytes)
    this.#bytes.fill(0, this.#end, this.#end + padding)
    this.#bytes[recordHeaderSizeBytes] = padding
    return this.#bytes.subarray(0, this.#end + padding + tagSizeBytes)
  }

  #room(wanted: number): void {
    const needed = this.#end + wanted
    if (needed <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
    larger.set(this.#bytes.subarray(0, this.#end))
    this.#bytes = larger
  }
}
