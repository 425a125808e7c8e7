import type { ByteString } from '../byte-string.ts'

// JavaScript's own case mapping and `trim` know Latin-1, of which a byte string only has the look.

/** The letters a to z in capitals; every other byte as it is. */
export const asciiUpper = (text: ByteString): ByteString =>
  text.replace(/[a-z]+/g, (letters) => letters.toUpperCase())

/** The letters A to Z in small; every other byte as it is. */
export const asciiLower = (text: ByteString): ByteString =>
  text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())

/** Without blanks at either end. */
export function trimBlanks(text: ByteString): ByteString {
  let start = 0
  let end = text.length
  while (start < end && ' \t\n\r\v\f'.includes(text[start] ?? '')) start++
  while (end > start && ' \t\n\r\v\f'.includes(text[end - 1] ?? '')) end--
  return text.slice(start, end)
}
