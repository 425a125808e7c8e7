import { BytesMalformed } from '@conclave/kernel'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { decodeFrame, encodeFrame, type Frame } from './frame.ts'

const bytes = fc.uint8Array({ maxLength: 100 })
const number = fc.maxSafeNat()

const frames: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({ kind: fc.constant('message' as const), bytes }),
  fc.record({ kind: fc.constant('begin' as const), stream: number, sizeBytes: number }),
  fc.record({ kind: fc.constant('piece' as const), stream: number, offset: number, bytes }),
  fc.record({ kind: fc.constant('taken' as const), stream: number, count: number }),
  fc.record({
    kind: fc.constant('line' as const),
    line: number,
    isOpener: fc.boolean(),
    verb: fc.constantFrom('open' as const, 'ask', 'said', 'taken', 'alive', 'over'),
    number,
    bytes,
  }),
  fc.record({ kind: fc.constantFrom('ping' as const, 'leave' as const) }),
)

const isOurs = (fault: unknown): boolean => fault === undefined || fault instanceof BytesMalformed

function faultOf(garbage: Uint8Array): unknown {
  try {
    decodeFrame(garbage)
    return undefined
  } catch (error) {
    return error
  }
}

describe('PR3: frames', () => {
  test('are read as they were written', () => {
    fc.assert(
      fc.property(frames, (frame) => {
        expect(decodeFrame(encodeFrame(frame))).toEqual(frame)
      }),
    )
  })

  test('are refused when they are something else, and nothing else is thrown', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), (garbage) => {
        expect(faultOf(garbage)).toSatisfy(isOurs)
      }),
    )
    expect(() => decodeFrame(new Uint8Array())).toThrow(BytesMalformed)
    expect(() => decodeFrame(Uint8Array.of(9))).toThrow(BytesMalformed)
  })
})
