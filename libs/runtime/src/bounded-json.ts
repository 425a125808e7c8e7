import { ConclaveError } from '@conclave/kernel'

/** Text from another process that we do not read as JSON. Says what is wrong with it, never what it says. */
export class JsonRefused extends ConclaveError {
  readonly code = 'json.refused'
}

export interface JsonLimits {
  readonly sizeBytesMax: number
  readonly depthMax: number
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
  if (isDeeper(bytes, limits.depthMax)) {
    throw new JsonRefused(`JSON nested deeper than ${limits.depthMax}`)
  }
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

/** One pass over the bytes. In text that is no JSON it may miscount, and then parsing fails anyway. */
function isDeeper(bytes: Uint8Array, depthMax: number): boolean {
  let depth = 0
  let isText = false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (isText) {
      if (byte === 0x5c) at++
      else if (byte === 0x22) isText = false
    } else if (byte === 0x22) {
      isText = true
    } else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > depthMax) return true
    } else if (byte === 0x7d || byte === 0x5d) {
      depth--
    }
  }
  return false
}

function hasPrototype(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.some(hasPrototype)
  return Object.hasOwn(value, '__proto__') || Object.values(value).some(hasPrototype)
}
