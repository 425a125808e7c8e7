import { utf8, utf8Text } from '@conclave/kernel'
import { assert, property, string, uint8Array } from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  base64Alphabet,
  base64UrlAlphabet,
  fromBase64Bytes,
  toBase64Bytes,
} from './base64-bytes.ts'

const bytes = uint8Array({ maxLength: 80 })

describe('base64 in bytes', () => {
  test('is what everybody else writes, without padding', () => {
    assert(
      property(bytes, (given) => {
        const node = Buffer.from(given)
        expect(utf8Text(toBase64Bytes(given, base64UrlAlphabet))).toBe(node.toString('base64url'))
        expect(utf8Text(toBase64Bytes(given, base64Alphabet))).toBe(
          node.toString('base64').replace(/=+$/, ''),
        )
      }),
    )
  })

  test('is read back as it was', () => {
    assert(
      property(bytes, (given) => {
        const digits = toBase64Bytes(given, base64Alphabet)
        expect(fromBase64Bytes(digits, base64Alphabet)).toEqual(given)
      }),
    )
  })

  test('whatever is read has that one text', () => {
    const text = string({ unit: 'grapheme-ascii', maxLength: 12 })
    assert(
      property(text, (given) => {
        const read = fromBase64Bytes(utf8(given), base64UrlAlphabet)
        const again = read && utf8Text(toBase64Bytes(read, base64UrlAlphabet))
        expect([undefined, given]).toContain(again)
      }),
    )
  })

  test.each(['A', 'AAAAA', 'AB', 'A=', 'AA==', 'AA\n', 'A+', 'A A'])('does not read %j', (text) => {
    expect(fromBase64Bytes(utf8(text), base64UrlAlphabet)).toBeUndefined()
  })
})
