import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'

const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789'
const shape = /^[a-z0-9]{32}$/

/**
 * A value made to be looked for. 32 characters of `[a-z0-9]`: `cnry`, 8 random, 4 of its label, 16
 * random. In this alphabet the URL, JSON, shell and HTML forms are the raw form, and base64 is
 * base64url. The first random part is each canary's own (isolators.md §9.1 has one for each run), so
 * that even the first 8 characters in a log line say whose they are.
 *
 * A report may hold canaries: only `.text` gives the text away, and JSON, `inspect` and diffs do not.
 */
export class Canary {
  readonly label: string
  readonly #text: string

  constructor(text: string, label: string) {
    if (!shape.test(text)) throw new TypeError('a canary is 32 characters of [a-z0-9]')
    this.#text = text
    this.label = label
  }

  /** What is planted. */
  get text(): string {
    return this.#text
  }

  /** What is planted, as bytes that the caller owns. */
  get bytes(): Uint8Array {
    return Buffer.from(this.#text)
  }

  toString(): string {
    return `canary ${this.label}`
  }

  toJSON(): string {
    return this.toString()
  }

  [inspect.custom](): string {
    return this.toString()
  }
}

/** A fresh value to plant. `label` says in reports which one was found; it is no secret. */
export function canary(label = 'value'): Canary {
  const slot = label
    .toLowerCase()
    .replace(/[^a-z0-9]/g, '')
    .slice(0, 4)
    .padEnd(4, '0')
  return new Canary(`cnry${random(8)}${slot}${random(16)}`, label)
}

// The remainder favours some letters a little, which does not matter for a value that only must be rare.
const random = (length: number): string =>
  Array.from(randomBytes(length), (byte) => alphabet[byte % alphabet.length]).join('')
