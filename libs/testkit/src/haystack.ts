/*
 * The same bytes, read the ways in which a value may have been written: bytes in hex with whatever
 * between them, base64 in lines, lists of decimal numbers.
 */

/** Bytes with some left out, and the way back to where they stood. */
export interface View {
  readonly bytes: Buffer
  /** The place in the original of the byte at `index`. */
  offsetOf(index: number): number
}

interface Reading {
  /** Bytes that are left out. */
  readonly skip: string
  /** A backslash or a zero with one of these behind it is left out together with it. */
  readonly skipPairs: readonly string[]
  /** Read `A` as `a`. */
  readonly lowerCase: boolean
  /** Leave out the keys of `{"0":99,"1":110}` and of `{ '0': 99 }`. */
  readonly skipIndexes: boolean
}

const readings = {
  /** Whitespace, real or as JSON writes it: base64 in lines of 64 or 76, a PEM in a JSON string. */
  joined: {
    skip: ' \t\r\n',
    skipPairs: ['\\n', '\\r', '\\t'],
    lowerCase: false,
    skipIndexes: false,
  },
  /** `63 6e`, `63:6E`, `0x63, 0x6e`, `\x63\x6e`, `["63","6e"]`; `%63` and `\u0063` stay as they are. */
  hex: {
    skip: ' \t\r\n:,-"\'',
    skipPairs: ['\\n', '\\r', '\\t', '\\x', '0x', '0X'],
    lowerCase: true,
    skipIndexes: false,
  },
  /** `[99,110]`, `Uint8Array(2) [\n 99, 110]`, `{"0":99}`, and these in a JSON string. */
  numbers: {
    skip: ' \t\r\n\\',
    skipPairs: ['\\n', '\\r', '\\t'],
    lowerCase: false,
    skipIndexes: true,
  },
} as const satisfies Record<string, Reading>

/** Bytes to be searched, and their views, made when they are first asked for. */
export class Haystack {
  readonly bytes: Buffer
  readonly #views = new Map<string, View>()

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  view(name: keyof typeof readings | 'raw'): View {
    if (name === 'raw') return { bytes: this.bytes, offsetOf: (index) => index }
    const known = this.#views.get(name)
    if (known !== undefined) return known
    const view = read(this.bytes, readings[name])
    this.#views.set(name, view)
    return view
  }
}

function read(bytes: Buffer, reading: Reading): View {
  const out = Buffer.allocUnsafe(bytes.length)
  // Where something was left out: the length of what was kept before it, and how much was left out.
  const gaps: { readonly at: number; readonly skipped: number }[] = []
  const skips = new Uint8Array(256)
  for (const char of reading.skip) skips[char.charCodeAt(0)] = 1
  const begins = new Uint8Array(256)
  for (const pair of reading.skipPairs) begins[pair.charCodeAt(0)] = 1
  if (reading.skipIndexes) begins[0x22] = begins[0x27] = 1
  let kept = 0
  let skipped = 0
  let at = 0
  while (at < bytes.length) {
    const byte = bytes[at] ?? 0
    const length =
      (begins[byte] === 1 ? lengthLeftOut(bytes, at, reading) : 0) || (skips[byte] ?? 0)
    if (length > 0) {
      at += length
      skipped += length
      const last = gaps.at(-1)
      if (last?.at === kept) gaps[gaps.length - 1] = { at: kept, skipped }
      else gaps.push({ at: kept, skipped })
      continue
    }
    out[kept++] = reading.lowerCase && byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
    at++
  }
  return {
    bytes: out.subarray(0, kept),
    offsetOf: (index) => index + (gaps.findLast((gap) => gap.at <= index)?.skipped ?? 0),
  }
}

function lengthLeftOut(bytes: Buffer, at: number, { skipPairs, skipIndexes }: Reading): number {
  const pair = String.fromCharCode(bytes[at] ?? 0, bytes[at + 1] ?? 0)
  if (skipPairs.includes(pair)) return 2
  if (!skipIndexes || (pair[0] !== '"' && pair[0] !== "'")) return 0
  const key = /^(["'])\d+\\*\1\s*:/.exec(bytes.toString('latin1', at, at + 24))
  return key?.[0].length ?? 0
}
