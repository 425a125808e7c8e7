import { Refusal } from './errors.ts'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const values = new Int8Array(256).fill(-1)
for (const [value, letter] of Array.from(alphabet).entries()) values[letter.charCodeAt(0)] = value
const pad = 0x3d

/**
 * The bytes behind base64 that is itself bytes, so that a value is never a string. Line ends do not
 * count, as in Go. The caller wipes both.
 *
 * @throws Refusal in Go's words, which say where, and not what stands there
 */
export function base64Decoded(text: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((text.length * 3) / 4))
  let size = 0
  let group = 0
  let digits = 0
  let padding = 0
  for (let at = 0; at < text.length; at++) {
    const byte = text[at] ?? 0
    if (byte === 0x0a || byte === 0x0d) continue
    if (byte === pad && digits >= 2 && digits + padding < 4) {
      padding++
      continue
    }
    const value = values[byte] ?? -1
    if (value === -1 || padding > 0) throw illegal(bytes, at)
    group = (group << 6) | value
    if (++digits < 4) continue
    bytes[size++] = group >> 16
    bytes[size++] = (group >> 8) & 255
    bytes[size++] = group & 255
    group = 0
    digits = 0
  }
  if (digits === 0 ? padding > 0 : digits + padding !== 4) throw illegal(bytes, text.length)
  if (digits === 2) bytes[size++] = (group >> 4) & 255
  if (digits === 3) {
    bytes[size++] = (group >> 10) & 255
    bytes[size++] = (group >> 2) & 255
  }
  const exact = bytes.slice(0, size)
  bytes.fill(0)
  return exact
}

function illegal(bytes: Uint8Array, at: number): Refusal {
  bytes.fill(0)
  return new Refusal(400, `illegal base64 data at input byte ${at}`)
}
