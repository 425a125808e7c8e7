import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { base64Bytes, toBase64 } from './base64.ts'

test('base64 is what Node makes of it, in both directions', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
      const encoded = toBase64(bytes)
      expect(encoded).toBe(Buffer.from(bytes).toString('base64'))
      expect(base64Bytes(encoded)).toEqual(bytes)
    }),
  )
})

test('text is base64 exactly when it is what its bytes are written as', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 12 }), (text) => {
      const isCanonical = Buffer.from(text, 'base64').toString('base64') === text
      expect(base64Bytes(text) !== undefined).toBe(isCanonical)
    }),
  )
})
