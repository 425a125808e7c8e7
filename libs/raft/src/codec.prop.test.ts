import { BytesMalformed } from '@conclave/kernel'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeConfChange, decodeMessage, encodeMessage } from './codec.ts'
import { isLocalType, message, messageTypes } from './message.ts'

const anyMessage = fc.record({
  type: fc.constantFrom(...messageTypes.filter((type) => !isLocalType(type))),
  to: fc.nat(),
  from: fc.nat(),
  term: fc.nat(),
  logTerm: fc.nat(),
  index: fc.nat(),
  entries: fc.array(
    fc.record({
      type: fc.constantFrom('EntryNormal', 'EntryConfChange', 'EntryConfChangeV2'),
      term: fc.nat(),
      index: fc.nat(),
      data: fc.uint8Array(),
    }),
  ),
  commit: fc.nat(),
  vote: fc.nat(),
  reject: fc.boolean(),
  rejectHint: fc.nat(),
  context: fc.uint8Array(),
})

test('RF11: a message comes back as it was', () => {
  fc.assert(
    fc.property(anyMessage, (draft) => {
      const one = message(draft)
      expect(decodeMessage(encodeMessage(one))).toEqual(one)
    }),
  )
})

test('RF11: cut off at any byte it is refused', () => {
  fc.assert(
    fc.property(anyMessage, fc.nat(), (draft, at) => {
      const bytes = encodeMessage(message(draft))
      expect(() => decodeMessage(bytes.subarray(0, at % bytes.length))).toThrow(BytesMalformed)
    }),
  )
})

/** Either understood, or refused in the one way that callers expect. */
function isDecided(decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): boolean {
  try {
    decode(bytes)
    return true
  } catch (error) {
    return error instanceof BytesMalformed
  }
}

test('RF11: garbage is refused or understood as a whole, and never breaks anything else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(isDecided(decodeMessage, bytes)).toBe(true)
      expect(isDecided(decodeConfChange, bytes)).toBe(true)
    }),
  )
})
