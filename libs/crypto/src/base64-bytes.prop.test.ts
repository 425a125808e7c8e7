import { utf8, utf8Text } from '@conclave/kernel'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  base64Alphabet,
  base64UrlAlphabet,
  fromBase64Bytes,
  toBase64Bytes,
} from './base64-bytes.ts'

const bytes = fc.uint8Array({ maxLength: 80 })

describe('base64 in bytes', () => {
  test('is what everybody else writes, without padding', () => {
    fc.assert(
      fc.property(bytes, (given) => {
        const node = Buffer.from(given)
        expect(utf8Text(toBase64Bytes(given, base64UrlAlphabet))).toBe(node.toString('base64url'))
        expect(utf8Text(toBase64Bytes(given, base64Alphabet))).toBe(
          node.toString('base64').replace(/=+$/, ''),
        )
      }),
    )
  })

  test('is read back as it was', () => {
    fc.assert(
      fc.property(bytes, (given) => {
        const digits = toBase64Bytes(given, base64Alphabet)
        expect(fromBase64Bytes(digits, base64Alphabet)).toEqual(given)
      }),
    )
  })

  test('whatever is read has that one text', () => {
    const text = fc.string({ unit: 'grapheme-ascii', maxLength: 12 })
    fc.assert(
      fc.property(text, (given) => {
        const read = fromBase64Bytes(utf8(given), base64UrlAlphabet)
        if (read !== undefined) {
          expect(utf8Text(toBase64Bytes(read, base64UrlAlphabet))).toBe(given)
        }
      }),
    )
  })

  test.each(['A', 'AAAAA', 'AB', 'A=', 'AA==', 'AA\n', 'A+', 'A A'])('does not read %j', (text) => {
    expect(fromBase64Bytes(utf8(text), base64UrlAlphabet)).toBeUndefined()
  })
})
