import { Redacted, utf8 } from '@conclave/kernel'
import { SeededRandom } from '@conclave/testkit'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { box, boxContext, createBoxKeyPair, CryptographicFailure, openBox } from './index.ts'

const unhex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'))

describe('a box', () => {
  const random = new SeededRandom(1)
  const keyPair = createBoxKeyPair(random)
  const sealed = box(keyPair.publicKey, new Redacted(utf8('s3cr3t')), 'context', random)

  test('CR7: opens for its key pair and its context', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.string(), (bytes, context) => {
        const made = box(keyPair.publicKey, new Redacted(bytes), context, random)
        expect(openBox(keyPair, made, context).reveal()).toEqual(bytes)
        expect(() => openBox(keyPair, made, `${context} `)).toThrow(CryptographicFailure)
        const other = createBoxKeyPair(random)
        expect(() => openBox(other, made, context)).toThrow(CryptographicFailure)
      }),
      { numRuns: 50 },
    )
  })

  test('CR2: with any one bit flipped, or cut anywhere, stays shut', () => {
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = sealed.slice()
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(() => openBox(keyPair, changed, 'context')).toThrow(CryptographicFailure)
    }
    for (let size = 0; size < sealed.length; size++) {
      expect(() => openBox(keyPair, sealed.subarray(0, size), 'context')).toThrow(
        CryptographicFailure,
      )
    }
  })

  // RFC 7748 §6.1 and the list at https://cr.yp.to/ecdh.html: points whose agreement is all zero.
  test.each([
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ])('CR7: is not sealed to the point of low order %s', (point) => {
    const publicKey = unhex(point)

    expect(() => box(publicKey, new Redacted(utf8('s3cr3t')), '', random)).toThrow(
      CryptographicFailure,
    )
  })

  test.each([0, 31, 33])('CR7: is not sealed to a public key of %d bytes', (size) => {
    expect(() => box(new Uint8Array(size), new Redacted(utf8('s3cr3t')), '', random)).toThrow(
      CryptographicFailure,
    )
  })

  test('CR7: agrees as X25519 does (RFC 7748 §6.1)', () => {
    const bob = createBoxKeyPair({
      bytes: () => unhex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'),
      below: () => 0,
    })
    const alice = unhex('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a')

    expect(bob.publicKey).toEqual(
      unhex('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f'),
    )
    expect(bob.agree(alice)).toEqual(
      unhex('4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742'),
    )
  })

  test('CR7: has a context for every purpose, and no purpose has two', () => {
    const purpose = fc.record({
      taskId: fc.string({ maxLength: 4 }),
      containerId: fc.string({ maxLength: 4 }),
      path: fc.string({ maxLength: 4 }),
      version: fc.nat(9),
    })
    fc.assert(
      fc.property(purpose, purpose, (a, b) => {
        const isSame =
          a.taskId === b.taskId &&
          a.containerId === b.containerId &&
          a.path === b.path &&
          a.version === b.version
        expect(boxContext(a) === boxContext(b)).toBe(isSame)
      }),
    )
  })

  test('CR8: of the same value twice has another ephemeral key', () => {
    const again = box(keyPair.publicKey, new Redacted(utf8('s3cr3t')), 'context', random)

    expect(again.subarray(5, 37)).not.toEqual(sealed.subarray(5, 37))
    expect(again.subarray(37)).not.toEqual(sealed.subarray(37))
  })
})
