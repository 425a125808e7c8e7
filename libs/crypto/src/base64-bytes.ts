import { utf8 } from '@conclave/kernel'

/*
 * Base64 without padding, bytes on both sides: keys are written and read with it, and a string of one
 * could not be wiped.
 */

const lettersAndDigits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** The 64 digits in the order of their values: RFC 4648 §4, and §5 for names and addresses. */
export const base64Alphabet = utf8(`${lettersAndDigits}+/`)
export const base64UrlAlphabet = utf8(`${lettersAndDigits}-_`)

/** The digits of some bytes, as ASCII. */
export function toBase64Bytes(bytes: Uint8Array, alphabet: Uint8Array): Uint8Array {
  const digits = new Uint8Array(Math.ceil((bytes.length * 8) / 6))
  for (let digit = 0; digit < digits.length; digit++) {
    const bit = digit * 6
    const pair = ((bytes[bit >> 3] ?? 0) << 8) | (bytes[(bit >> 3) + 1] ?? 0)
    digits[digit] = alphabet[(pair >> (10 - (bit & 7))) & 0x3f] ?? 0
  }
  return digits
}

/**
 * The bytes that these digits stand for, or undefined when they are none: another character, a number
 * of digits that no bytes have, or spare bits that are set, for bytes have one text only.
 */
export function fromBase64Bytes(digits: Uint8Array, alphabet: Uint8Array): Uint8Array | undefined {
  const bytes = new Uint8Array((digits.length * 6) >> 3)
  if (digits.length !== Math.ceil((bytes.length * 8) / 6)) return undefined
  let pending = 0
  for (let digit = 0; digit < digits.length; digit++) {
    const value = alphabet.indexOf(digits[digit] ?? 0)
    if (value < 0) {
      bytes.fill(0)
      return undefined
    }
    pending = ((pending << 6) | value) & 0x3fff
    const bits = (digit + 1) * 6
    if (bits % 8 < 6) bytes[(bits >> 3) - 1] = pending >> (bits % 8)
  }
  const spareBits = (digits.length * 6) % 8
  if ((pending & ((1 << spareBits) - 1)) === 0) return bytes
  bytes.fill(0)
  return undefined
}
