import { BytesMalformed, sameBytes, utf8 } from './bytes.ts'

/*
 * JSON with secret text in it, read and written as bytes. `JSON.parse` would make a string of the
 * value, and a string can be neither wiped nor kept out of a heap dump (reference/isolators.md §5.5).
 * Grammar: RFC 8259. Nothing here decodes a value that was not asked for.
 */

const quote = 0x22
const backslash = 0x5c
const maxDepth = 64

/** What stands for what behind a backslash. */
const simpleEscapes = new Map([
  [0x22, 0x22],
  [0x5c, 0x5c],
  [0x2f, 0x2f],
  [0x62, 0x08],
  [0x66, 0x0c],
  [0x6e, 0x0a],
  [0x72, 0x0d],
  [0x74, 0x09],
])

const isBlank = (byte: number | undefined): boolean =>
  byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d

/** What {@link readJsonField} found at a field. `other` is a value that is no string. */
export type JsonField =
  | { readonly kind: 'string'; readonly bytes: Uint8Array }
  | { readonly kind: 'other' | 'null' | 'absent' }

/**
 * The string at `field` of the JSON object in `json`, unescaped into fresh UTF-8 bytes that the
 * caller must wipe. The last of several equal fields wins, as with `JSON.parse`.
 *
 * @throws BytesMalformed when `json` is not one JSON object; the message gives offsets only
 */
export function readJsonField(json: Uint8Array, field: string): JsonField {
  return scan(json, field, () => undefined)
}

/**
 * As {@link readJsonField}, and every string at `field` becomes zeros (`0`) in `json` itself: what is left
 * can go through `JSON.parse` without the value.
 *
 * @throws BytesMalformed
 */
export function takeJsonField(json: Uint8Array, field: string): JsonField {
  const places: [start: number, end: number][] = []
  const found = scan(json, field, (start, end) => places.push([start, end]))
  for (const [start, end] of places) json.fill(0x30, start, end)
  return found
}

function scan(
  json: Uint8Array,
  field: string,
  stringAt: (start: number, end: number) => void,
): JsonField {
  const fault = utf8FaultAt(json)
  if (fault !== undefined) throw new BytesMalformed(`not valid UTF-8 at byte ${fault}`)
  const scanner = new Scanner(json)
  const wanted = utf8(field)
  let found: JsonField = { kind: 'absent' }
  scanner.object((name, read) => {
    const isWanted = sameBytes(name, wanted)
    name.fill(0)
    if (!isWanted) return
    if (found.kind === 'string') found.bytes.fill(0)
    const value = read()
    found = value.field
    // Between the quotes.
    if (found.kind === 'string') stringAt(value.start + 1, value.end - 1)
  })
  scanner.end()
  return found
}

/** `text` (UTF-8 bytes) as a JSON string with its quotes; escapes what RFC 8259 §7 demands, no more. */
export function writeJsonString(text: Uint8Array): Uint8Array {
  let size = 2
  for (const byte of text) size += escapedLength(byte)
  const out = new Uint8Array(size)
  let at = 0
  out[at++] = quote
  for (const byte of text) {
    if (escapedLength(byte) === 1) {
      out[at++] = byte
    } else if (byte === quote || byte === backslash) {
      out[at++] = backslash
      out[at++] = byte
    } else {
      for (const digit of `\\u00${byte.toString(16).padStart(2, '0')}`) {
        out[at++] = digit.charCodeAt(0)
      }
    }
  }
  out[at] = quote
  return out
}

function escapedLength(byte: number): number {
  if (byte === quote || byte === backslash) return 2
  return byte < 0x20 ? 6 : 1
}

/** Where `bytes` stop being UTF-8. RFC 3629 §4: no overlong forms, no halves of surrogate pairs. */
function utf8FaultAt(bytes: Uint8Array): number | undefined {
  let at = 0
  while (at < bytes.length) {
    if ((bytes[at] ?? 0) < 0x80) {
      at++
      continue
    }
    const length = sequenceLength(bytes, at)
    if (length === 0) return at
    at += length
  }
  return undefined
}

/** How many bytes the character at `at` has, 0 when there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0
  const second = bytes[at + 1] ?? 0
  if (first < 0x80) return 1
  if (first < 0xc2 || first > 0xf4 || !isTail(second)) return 0
  if (first < 0xe0) return 2
  if ((first === 0xe0 && second < 0xa0) || (first === 0xed && second > 0x9f)) return 0
  if (!isTail(bytes[at + 2])) return 0
  if (first < 0xf0) return 3
  if ((first === 0xf0 && second < 0x90) || (first === 0xf4 && second > 0x8f)) return 0
  return isTail(bytes[at + 3]) ? 4 : 0
}

const isTail = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80

/** What stands at a field, and where: from its first byte to behind its last. */
interface Value {
  readonly field: JsonField
  readonly start: number
  readonly end: number
}

/** Of its own, also where `bytes` is a Buffer, whose `slice` is a view. */
const copyOf = (bytes: Uint8Array, start: number, end: number): Uint8Array =>
  new Uint8Array(bytes.subarray(start, end))

class Scanner {
  readonly #json: Uint8Array
  #at = 0
  #depth = 0

  constructor(json: Uint8Array) {
    this.#json = json
  }

  object(member: (name: Uint8Array, read: () => Value) => void): void {
    // What it is instead may be JSON of another kind, and is looked at no further.
    if (this.#peek() !== 0x7b) throw new BytesMalformed('no JSON object')
    this.#open(0x7b)
    if (this.#peek() === 0x7d) return this.#close()
    for (;;) {
      const name = this.#string()
      this.#expect(0x3a)
      let read = false
      member(name, () => {
        read = true
        return this.#value()
      })
      if (!read) this.#skip()
      const next = this.#peek()
      if (next === 0x7d) return this.#close()
      this.#expect(0x2c)
    }
  }

  end(): void {
    if (this.#peek() !== undefined) throw this.#malformed()
  }

  #value(): Value {
    const first = this.#peek()
    const start = this.#at
    if (first === quote) {
      const bytes = this.#string()
      return { field: { kind: 'string', bytes }, start, end: this.#at }
    }
    this.#skip()
    return { field: { kind: first === 0x6e ? 'null' : 'other' }, start, end: this.#at }
  }

  #skip(): void {
    const first = this.#peek()
    if (first === quote) {
      this.#skipString()
    } else if (first === 0x7b) {
      this.object((name) => {
        name.fill(0)
      })
    } else if (first === 0x5b) {
      this.#array()
    } else {
      this.#literal()
    }
  }

  #array(): void {
    this.#open(0x5b)
    if (this.#peek() === 0x5d) return this.#close()
    for (;;) {
      this.#skip()
      if (this.#peek() === 0x5d) return this.#close()
      this.#expect(0x2c)
    }
  }

  #literal(): void {
    const start = this.#at
    while (
      this.#at < this.#json.length &&
      /[\w+.-]/.test(String.fromCharCode(this.#json[this.#at] ?? 0))
    ) {
      this.#at++
    }
    const text = String.fromCharCode(...this.#json.subarray(start, Math.min(this.#at, start + 64)))
    if (!/^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/.test(text)) {
      this.#at = start
      throw this.#malformed()
    }
  }

  #skipString(): void {
    this.#string().fill(0)
  }

  #string(): Uint8Array {
    this.#expect(quote)
    const json = this.#json
    const start = this.#at
    let end = start
    let isEscaped = false
    for (let byte = json[end]; byte !== quote; byte = json[end]) {
      if (byte === undefined || byte < 0x20) {
        this.#at = end
        throw this.#malformed()
      }
      isEscaped ||= byte === backslash
      end += byte === backslash ? 2 : 1
    }
    if (!isEscaped) {
      this.#at = end + 1
      return copyOf(json, start, end)
    }
    // Unescaping never lengthens: `\u0041` is six bytes for at most three.
    const buffer = new Uint8Array(end - start)
    let size = 0
    while (this.#at < end) {
      const byte = this.#json[this.#at++] ?? 0
      if (byte !== backslash) {
        buffer[size++] = byte
        continue
      }
      size = this.#escape(buffer, size)
    }
    this.#at = end + 1
    const text = buffer.slice(0, size)
    buffer.fill(0)
    return text
  }

  #escape(buffer: Uint8Array, size: number): number {
    const kind = this.#json[this.#at++] ?? 0
    const plain = simpleEscapes.get(kind)
    if (plain !== undefined) {
      buffer[size] = plain
      return size + 1
    }
    if (kind !== 0x75) throw this.#malformed()
    let point = this.#hex4()
    if (point >= 0xd800 && point < 0xdc00) {
      const isPair = this.#json[this.#at] === backslash && this.#json[this.#at + 1] === 0x75
      if (!isPair) throw this.#malformed()
      this.#at += 2
      const low = this.#hex4()
      if (low < 0xdc00 || low > 0xdfff) throw this.#malformed()
      point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00)
    } else if (point >= 0xdc00 && point <= 0xdfff) {
      throw this.#malformed()
    }
    if (point < 0x80) {
      buffer[size++] = point
    } else if (point < 0x800) {
      buffer[size++] = 0xc0 | (point >> 6)
      buffer[size++] = 0x80 | (point & 0x3f)
    } else if (point < 0x10000) {
      buffer[size++] = 0xe0 | (point >> 12)
      buffer[size++] = 0x80 | ((point >> 6) & 0x3f)
      buffer[size++] = 0x80 | (point & 0x3f)
    } else {
      buffer[size++] = 0xf0 | (point >> 18)
      buffer[size++] = 0x80 | ((point >> 12) & 0x3f)
      buffer[size++] = 0x80 | ((point >> 6) & 0x3f)
      buffer[size++] = 0x80 | (point & 0x3f)
    }
    return size
  }

  #hex4(): number {
    let value = 0
    for (let count = 0; count < 4; count++) {
      const digit = Number.parseInt(String.fromCharCode(this.#json[this.#at++] ?? 0), 16)
      if (Number.isNaN(digit)) throw this.#malformed()
      value = value * 16 + digit
    }
    return value
  }

  #open(byte: number): void {
    this.#expect(byte)
    if (++this.#depth > maxDepth) throw new BytesMalformed(`JSON nested deeper than ${maxDepth}`)
  }

  #close(): void {
    this.#at++
    this.#depth--
  }

  #peek(): number | undefined {
    while (isBlank(this.#json[this.#at])) this.#at++
    return this.#json[this.#at]
  }

  #expect(byte: number): void {
    if (this.#peek() !== byte) throw this.#malformed()
    this.#at++
  }

  #malformed(): BytesMalformed {
    return new BytesMalformed(`not valid JSON at byte ${this.#at}`)
  }
}
