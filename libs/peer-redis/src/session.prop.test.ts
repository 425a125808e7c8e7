import { createBoxKeyPair, CryptographicFailure } from '@conclave/crypto'
import { SystemRandom } from '@conclave/runtime'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { headerBytes, readSealed, Session, Sessions, type Sealed, type Self } from './session.ts'

const clusterId = '5c6a1c1e-0000-4000-8000-000000000001'
const random = new SystemRandom()

const life = (nodeId: number, cluster = clusterId): Self => ({
  clusterId: cluster,
  nodeId,
  keyPair: createBoxKeyPair(random),
})

const session = (self: Self, peer: Self): Session =>
  new Session(self, { nodeId: peer.nodeId, publicKey: peer.keyPair.publicKey })

function pair(): readonly [Session, Session] {
  const [one, two] = [life(1), life(2)]
  return [session(one, two), session(two, one)]
}

function sealed(from: Session, plaintext: Uint8Array): Sealed {
  const read = readSealed(from.seal(plaintext, 0))
  if (read === undefined) throw new Error('too short')
  return read
}

const refused = (): never => {
  throw new CryptographicFailure()
}

const bytes = fc.uint8Array({ maxLength: 200 })

describe('PR2: what is sealed between two lives', () => {
  test('opens at the other one, in both directions, as it was', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), bytes)), (messages) => {
        const ends = pair()
        for (const [isBack, plaintext] of messages) {
          const [from, to] = isBack ? [ends[1], ends[0]] : ends
          expect(to.open(sealed(from, plaintext))).toEqual(plaintext)
        }
      }),
    )
  })

  test('does not open with any bit changed', () => {
    const [one, two] = pair()
    const whole = one.seal(Uint8Array.of(1, 2, 3), 0)
    fc.assert(
      fc.property(fc.nat(whole.length * 8 - 1), (bit) => {
        const changed = Uint8Array.from(whole)
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        const read = readSealed(changed)
        // Some changes make a count of it that none can be.
        const open = (): unknown => (read === undefined ? refused() : two.open(read))
        expect(open).toThrow(CryptographicFailure)
      }),
    )
  })

  test('does not open in another direction, for another member, in another cluster or another life', () => {
    const [one, two] = [life(1), life(2)]
    const message = sealed(session(one, two), Uint8Array.of(7))
    const others = [
      session(one, two),
      session({ ...two, nodeId: 3 }, one),
      session({ ...two, clusterId: 'another' }, one),
      session(life(2), one),
      session(two, life(1)),
    ]
    for (const other of others) expect(() => other.open(message)).toThrow(CryptographicFailure)
    expect(session(two, one).open(message)).toEqual(Uint8Array.of(7))
  })

  test('opens once: what is repeated or was overtaken counts as lost', () => {
    const [one, two] = pair()
    const [first, second] = [sealed(one, Uint8Array.of(1)), sealed(one, Uint8Array.of(2))]

    expect(two.open(second)).toEqual(Uint8Array.of(2))
    expect(two.open(second)).toBeUndefined()
    expect(two.open(first)).toBeUndefined()
  })

  test('never shares a nonce with another message under one key', () => {
    const [one] = pair()
    const headers = Array.from({ length: 100 }, () =>
      one.seal(new Uint8Array(), 0).subarray(0, headerBytes).toString('hex'),
    )
    expect(new Set(headers).size).toBe(100)
  })

  test('goes on counting where a peer is met again: it is the same session', () => {
    const [self, other] = [life(1), life(2)]
    const sessions = new Sessions(self)
    const announced = { nodeId: 2, publicKey: other.keyPair.publicKey }
    const headers = Array.from({ length: 3 }, () =>
      sessions.with(announced).seal(new Uint8Array(), 0).subarray(0, headerBytes).toString('hex'),
    )
    const message = sealed(session(other, self), Uint8Array.of(7))

    expect(new Set(headers).size).toBe(3)
    expect(sessions.with(announced).open(message)).toEqual(Uint8Array.of(7))
    expect(sessions.with(announced).open(message)).toBeUndefined()
    expect(sessions.with({ ...announced, nodeId: 3 })).not.toBe(sessions.with(announced))
    expect(sessions.with({ nodeId: 2, publicKey: life(2).keyPair.publicKey })).not.toBe(
      sessions.with(announced),
    )
  })

  test('refuses a key of low order', () => {
    expect(() => new Session(life(1), { nodeId: 2, publicKey: new Uint8Array(32) })).toThrow(
      CryptographicFailure,
    )
  })
})
