const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const values = new Int8Array(256).fill(-1)
for (const [value, letter] of Array.from(alphabet).entries()) values[letter.charCodeAt(0)] = value
const pad = 0x3d

/** The bytes behind base64 that is bytes itself, so that a value is never a string. Undefined: it is none. */
export function bytesOfBase64(text: Uint8Array): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined
  const padding = text.at(-1) !== pad ? 0 : text.at(-2) === pad ? 2 : 1
  const bytes = new Uint8Array((text.length / 4) * 3 - (text.length === 0 ? 0 : padding))
  for (let at = 0, to = 0; at < text.length; at += 4) {
    let group = 0
    for (let digit = 0; digit < 4; digit++) {
      const byte = text[at + digit] ?? 0
      const isPadding = byte === pad && at + digit >= text.length - padding
      const value = isPadding ? 0 : (values[byte] ?? -1)
      if (value === -1) {
        bytes.fill(0)
        return undefined
      }
      group = (group << 6) | value
    }
    for (const shift of [16, 8, 0]) if (to < bytes.length) bytes[to++] = (group >> shift) & 255
  }
  return bytes
}
