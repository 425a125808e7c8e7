import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { base64Bytes } from './base64.ts'

test('base64 that Node writes is read as the bytes that it was', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
      expect(base64Bytes(Buffer.from(bytes).toString('base64'))).toEqual(bytes)
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
