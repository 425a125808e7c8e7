import { ConclaveError } from './errors.ts'

/** Bytes that do not follow the layout they should have. Says where, never what they hold. */
export class BytesMalformed extends ConclaveError {
  readonly code = 'bytes.malformed'
}

/** Bytes that end before their layout does: all of them may be right, and more may be to come. */
export class BytesEndEarly extends BytesMalformed {}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

/** The UTF-8 bytes of `text`. */
export const utf8 = (text: string): Uint8Array => encoder.encode(text)

/** The text of UTF-8 `bytes`. @throws BytesMalformed when they are not UTF-8. */
export function utf8Text(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new BytesMalformed('not valid UTF-8', { cause })
  }
}

/**
 * Writes the compact binary form that commands, records and peer messages share: unsigned LEB128
 * integers, and byte strings behind their length. Layouts are drawn in `docs/formats/`.
 */
export class ByteWriter {
  #buffer: Uint8Array
  #length = 0

  constructor(sizeHint = 256) {
    this.#buffer = new Uint8Array(sizeHint)
  }

  get length(): number {
    return this.#length
  }

  u8(value: number): this {
    this.#room(1)
    this.#buffer[this.#length++] = value
    return this
  }

  flag(value: boolean): this {
    return this.u8(value ? 1 : 0)
  }

  /** An integer in `[0, 2^53)` as unsigned LEB128: 1 to 8 bytes. */
  uint(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new BytesMalformed(`${value} is not an unsigned integer below 2^53`)
    }
    this.#room(8)
    let rest = value
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#buffer[this.#length++] = rest
    return this
  }

  /** Bytes without their length, for what has a fixed size. */
  raw(bytes: Uint8Array): this {
    this.#room(bytes.length)
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
    return this
  }

  bytes(bytes: Uint8Array): this {
    return this.uint(bytes.length).raw(bytes)
  }

  text(text: string): this {
    return this.#shortAscii(text) ? this : this.bytes(utf8(text))
  }

  /** What was written, as a copy that the caller owns. */
  take(): Uint8Array {
    return this.#buffer.slice(0, this.#length)
  }

  /** What was written, without a copy. The writer begins anew, with nothing. */
  end(): Uint8Array {
    const written = this.#buffer.subarray(0, this.#length)
    this.#buffer = new Uint8Array(0)
    this.#length = 0
    return written
  }

  /** What was written, as a view: good until the next write, and never to be kept. */
  view(): Uint8Array {
    return this.#buffer.subarray(0, this.#length)
  }

  /** Begins anew, in the same memory. */
  clear(): this {
    this.#length = 0
    return this
  }

  /** Moves the first bytes that were written into `target`, as many as fit. Answers how many. */
  moveTo(target: Uint8Array): number {
    const count = Math.min(target.length, this.#length)
    target.set(this.#buffer.subarray(0, count))
    this.#buffer.copyWithin(0, count, this.#length)
    this.#length -= count
    return count
  }

  /** Names and paths are this nearly always, and calling the encoder costs more than they do. */
  #shortAscii(text: string): boolean {
    const { length } = text
    if (length >= 0x80) return false
    this.#room(1 + length)
    const start = this.#length + 1
    for (let at = 0; at < length; at++) {
      const code = text.charCodeAt(at)
      if (code >= 0x80) return false
      this.#buffer[start + at] = code
    }
    this.#buffer[start - 1] = length
    this.#length = start + length
    return true
  }

  #room(wanted: number): void {
    const needed = this.#length + wanted
    if (needed <= this.#buffer.length) return
    const larger = new Uint8Array(Math.max(needed, this.#buffer.length * 2))
    larger.set(this.#buffer.subarray(0, this.#length))
    this.#buffer = larger
  }
}

const shortTextLengthMax = 64
const characters = Array.from({ length: 0x80 }, (_, code) => String.fromCharCode(code))

/** Reads what {@link ByteWriter} wrote. Every method throws BytesMalformed rather than read past the end. */
export class ByteReader {
  readonly #bytes: Uint8Array
  /** The same memory, for short texts: made for the first of them. */
  #texts: Buffer | undefined
  #at = 0

  constructor(bytes: Uint8Array) {
    // A Buffer's own `slice` is a view, and what comes off a socket is one.
    this.#bytes =
      bytes.constructor === Uint8Array
        ? bytes
        : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  get remaining(): number {
    return this.#bytes.length - this.#at
  }

  u8(): number {
    const byte = this.#bytes[this.#at]
    if (byte === undefined) throw new BytesEndEarly(`ends at byte ${this.#at}`)
    this.#at++
    return byte
  }

  flag(): boolean {
    const byte = this.u8()
    if (byte > 1) throw new BytesMalformed(`byte ${this.#at - 1} is no flag`)
    return byte === 1
  }

  uint(): number {
    let value = 0
    let scale = 1
    for (let count = 0; count < 8; count++) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break
        return value
      }
      scale *= 0x80
    }
    throw new BytesMalformed(`the integer before byte ${this.#at} is 2^53 or more`)
  }

  /** The next `length` bytes, as a copy: a view would keep a whole socket chunk or segment alive. */
  raw(length: number): Uint8Array {
    return this.rawView(length).slice()
  }

  /** As {@link raw} without the copy: for whoever makes one at once, or keeps the whole anyway. */
  rawView(length: number): Uint8Array {
    if (length > this.remaining) {
      throw new BytesEndEarly(`wants ${length} bytes at ${this.#at}, has ${this.remaining}`)
    }
    const bytes = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    return bytes
  }

  bytes(): Uint8Array {
    return this.raw(this.uint())
  }

  bytesView(): Uint8Array {
    return this.rawView(this.uint())
  }

  text(): string {
    const length = this.uint()
    return this.#shortAscii(length) ?? utf8Text(this.rawView(length))
  }

  /**
   * The next `length` bytes, if they are a short text of ASCII: that has no fault to find and needs no view of
   * its own, and a very short one needs no call into V8.
   */
  #shortAscii(length: number): string | undefined {
    if (length > shortTextLengthMax || length > this.remaining) return undefined
    const end = this.#at + length
    for (let at = this.#at; at < end; at++) if ((this.#bytes[at] ?? 0x80) >= 0x80) return undefined
    if (length > 8) {
      const { buffer, byteOffset, length: size } = this.#bytes
      this.#texts ??= Buffer.from(buffer, byteOffset, size)
      const from = this.#at
      this.#at = end
      return this.#texts.toString('latin1', from, end)
    }
    let text = ''
    while (this.#at < end) text += characters[this.#bytes[this.#at++] ?? 0]
    return text
  }

  /** @throws BytesMalformed when anything is left: trailing bytes are a sign of another layout. */
  end(): void {
    if (this.remaining > 0) throw new BytesMalformed(`${this.remaining} bytes too many`)
  }
}

/** Whether both hold the same. Not in constant time: for what is no secret. */
export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && hasBytesAt(a, 0, b)

/** Whether `expected` stands in `bytes` from `at` on. Not in constant time: for what is no secret. */
export function hasBytesAt(bytes: Uint8Array, at: number, expected: Uint8Array): boolean {
  for (let index = 0; index < expected.length; index++) {
    if (bytes[at + index] !== expected[index]) return false
  }
  return true
}
