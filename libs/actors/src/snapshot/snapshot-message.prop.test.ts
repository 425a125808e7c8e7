import { BytesMalformed } from '@conclave/kernel'
import { message } from '@conclave/raft'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodePeerMessage, encodePeerMessage, type PeerMessage } from './snapshot-message.ts'

const digest = fc.uint8Array({ minLength: 32, maxLength: 32 })
const ends = { to: fc.nat(), from: fc.nat() }
const ids = fc.uniqueArray(fc.nat(9))

const offer = fc
  .record({
    ...ends,
    sizeBytes: fc.maxSafeNat(),
    chunkCount: fc.nat(),
    digest,
    term: fc.nat(),
    index: fc.nat(),
    voters: ids,
    learners: ids,
  })
  .map(({ term, index, voters, learners, ...fields }): PeerMessage => {
    const confState = { voters, learners, votersOutgoing: [], learnersNext: [], autoLeave: false }
    const { to, from } = fields
    const snapshot = { meta: { index, term, confState } }
    return {
      type: 'SnapshotOffer',
      ...fields,
      message: message({ type: 'MsgSnap', to, from, term, snapshot }),
    }
  })

const anyMessage: fc.Arbitrary<PeerMessage> = fc.oneof(
  offer,
  fc.record({
    type: fc.constant('SnapshotChunk' as const),
    ...ends,
    index: fc.maxSafeNat(),
    number: fc.nat(),
    digest,
    bytes: fc.uint8Array(),
  }),
  fc.record({
    type: fc.constant('SnapshotAck' as const),
    ...ends,
    index: fc.maxSafeNat(),
    next: fc.nat(),
    isFromThere: fc.boolean(),
    isDone: fc.boolean(),
  }),
  fc.record(ends).map((between) => message({ type: 'MsgHeartbeat', ...between })),
)

test('MA40: a message comes back as it was', () => {
  fc.assert(
    fc.property(anyMessage, (one) => {
      expect(decodePeerMessage(encodePeerMessage(one))).toEqual(one)
    }),
  )
})

test('MA40: cut off anywhere, gone on, or in the name of another, it is refused', () => {
  fc.assert(
    fc.property(anyMessage, fc.nat(), (one, at) => {
      const bytes = encodePeerMessage(one)
      expect(() => decodePeerMessage(bytes.subarray(0, at % bytes.length))).toThrow(BytesMalformed)
      expect(() => decodePeerMessage(Uint8Array.of(...bytes, 0))).toThrow(BytesMalformed)
    }),
  )
  fc.assert(
    fc.property(offer, (one) => {
      const forged = encodePeerMessage({ ...one, from: one.from + 1 })
      expect(() => decodePeerMessage(forged)).toThrow(BytesMalformed)
    }),
  )
})

/** Either understood, or refused in the one way that callers expect. */
function isDecided(bytes: Uint8Array): boolean {
  try {
    decodePeerMessage(bytes)
    return true
  } catch (error) {
    return error instanceof BytesMalformed
  }
}

test('MA40: garbage is understood as a whole or refused in the one way that callers expect', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 120 }),
      fc.integer({ min: 0x80, max: 0x84 }),
      (rest, kind) => {
        expect(isDecided(Uint8Array.of(kind, ...rest))).toBe(true)
      },
    ),
  )
})
