import { ConclaveError } from '@conclave/kernel'

/** Text from another process that we do not read as JSON. Says what is wrong with it, never what it says. */
export class JsonRefused extends ConclaveError {
  readonly code = 'json.refused'
}

export interface JsonLimits {
  readonly sizeBytesMax: number
  readonly depthMax: number
  /** Of names with their values, and items. */
  readonly valuesMax?: number
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * `JSON.parse` for what a stranger sent: bounded in size and depth before anything is built, and
 * without `__proto__`, which later copying would turn into a prototype (reference threats.md NT-01).
 *
 * @throws JsonRefused
 */
export function parseJson(bytes: Uint8Array, limits: JsonLimits): unknown {
  if (bytes.length > limits.sizeBytesMax) {
    throw new JsonRefused(`${bytes.length} bytes of JSON, ${limits.sizeBytesMax} are allowed`)
  }
  const fault = jsonFault(bytes, limits)
  if (fault !== undefined) throw new JsonRefused(`JSON that ${fault}`)
  const value = parse(bytes)
  if (hasPrototype(value)) throw new JsonRefused('JSON with a __proto__ field')
  return value
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes))
  } catch {
    // Not kept as the cause: it quotes what it could not read.
    throw new JsonRefused('not valid JSON')
  }
}

function hasPrototype(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.some(hasPrototype)
  return Object.hasOwn(value, '__proto__') || Object.values(value).some(hasPrototype)
}

const quote = 0x22
const backslash = 0x5c

/**
 * Whether JSON is more than is read at once: to build it and to check it against a schema takes a time for each
 * value in it, during which nobody else is answered. One pass over the bytes. In text that is no JSON it may
 * miscount, and then parsing fails anyway.
 *
 * @returns what is too much, such as `has more than 10 values`
 */
export function jsonFault(
  bytes: Uint8Array,
  { depthMax, valuesMax = Infinity }: Pick<JsonLimits, 'depthMax' | 'valuesMax'>,
): string | undefined {
  let depth = 0
  // Each but the first of an object or array is behind a comma, and each first one behind a bracket.
  let values = 1
  for (let at = 0; at < bytes.length; at++) {
    switch (bytes[at]) {
      case quote:
        at = endOfText(bytes, at)
        break
      case 0x7b:
      case 0x5b:
        values++
        if (++depth > depthMax) return `is nested deeper than ${depthMax}`
        break
      case 0x7d:
      case 0x5d:
        depth--
        break
      case 0x2c:
        values++
        break
      default:
    }
    if (values > valuesMax) return `has more than ${valuesMax} values`
  }
  return undefined
}

/** Where the text that begins at `start` has its last quote. */
function endOfText(bytes: Uint8Array, start: number): number {
  for (let end = bytes.indexOf(quote, start + 1); end >= 0; end = bytes.indexOf(quote, end + 1)) {
    let backslashes = 0
    while (bytes[end - 1 - backslashes] === backslash) backslashes++
    if (backslashes % 2 === 0) return end
  }
  return bytes.length
}
