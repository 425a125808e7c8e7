/** Text that should be base64 (RFC 4648 §4, padded) and is not. Says nothing about its content. */
export class NotBase64 extends Error {}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const values = new Map(Array.from(alphabet, (letter, value) => [letter.charCodeAt(0), value]))
const pad = '='

/**
 * The bytes behind `text`. They go straight into the array that is returned, so that a secret read
 * here has one copy to wipe.
 *
 * @throws NotBase64 on another alphabet, missing padding or stray bits after the last byte
 */
export function fromBase64(text: string): Uint8Array {
  if (text.length % 4 !== 0) throw new NotBase64('the length is not a multiple of four')
  const padding = text.endsWith('==') ? 2 : text.endsWith(pad) ? 1 : 0
  const bytes = new Uint8Array((text.length / 4) * 3 - padding)
  let filled = 0
  for (let at = 0; at < text.length; at += 4) {
    const isLast = at + 4 === text.length
    let group = 0
    for (let offset = 0; offset < 4; offset++) {
      const isPadding = isLast && offset >= 4 - padding
      const value = isPadding ? 0 : values.get(text.charCodeAt(at + offset))
      if (value === undefined) {
        bytes.fill(0)
        throw new NotBase64('it contains a character outside the alphabet')
      }
      group = (group << 6) | value
    }
    if (isLast && (group & (2 ** (8 * padding) - 1)) !== 0) {
      bytes.fill(0)
      throw new NotBase64('it ends with stray bits')
    }
    for (let shift = 16; shift >= 0 && filled < bytes.length; shift -= 8) {
      bytes[filled++] = (group >> shift) & 255
    }
  }
  return bytes
}

/** The bytes behind base64 `text` that is no secret, or undefined when it is not base64. */
export function base64Bytes(text: string): Uint8Array | undefined {
  try {
    return fromBase64(text)
  } catch (error) {
    if (error instanceof NotBase64) return undefined
    throw error
  }
}
