import { inspect } from 'node:util'
import { InvariantViolated, Redacted, utf8, utf8Text } from '@conclave/kernel'
import { SeededRandom } from '@conclave/testkit'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  createUnlockKey,
  CryptographicFailure,
  deriveKek,
  formatUnlockKey,
  Keyring,
  parseUnlockKey,
  unwrapKey,
  unwrapKeyring,
  UnlockKeyMalformed,
  wrapKey,
  wrapKeyring,
} from './index.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

describe('a keyring', () => {
  test('CR3: gives every DEK an id of its own, and drops all but the newest', () => {
    const random = new SeededRandom(1)
    const three = Keyring.create(random).rotate(random).rotate(random)

    expect(three.deks.map(({ id }) => id)).toEqual([1, 2, 3])
    expect(new Set(three.deks.map(({ key }) => hex(key.bytes()))).size).toBe(3)
    const last = three.drop(1).drop(2)
    expect(last.rotate(random).newest.id).toBe(4)
    expect(() => last.drop(3)).toThrow(InvariantViolated)
    expect(() => new Keyring([])).toThrow(InvariantViolated)
    expect(() => new Keyring([three.newest, three.newest])).toThrow(InvariantViolated)
  })

  test('S2: shows no key when it is printed', () => {
    const keyring = Keyring.create(new SeededRandom(1))
    const bytes = keyring.newest.key.bytes()

    const printed = `${inspect(keyring, { depth: 9, showHidden: true })} ${JSON.stringify(keyring)}`

    expect(printed).not.toContain(hex(bytes).slice(0, 8))
    expect(printed).not.toContain(`${bytes[0]}, ${bytes[1]}, ${bytes[2]}`)
  })
})

describe('a wrapped keyring', () => {
  const random = new SeededRandom(1)
  const kek = deriveKek(createUnlockKey(random))
  const keyring = Keyring.create(random).rotate(random)
  const wrapped = wrapKeyring({ kek, keyring, clusterId: 'c', random })

  test('CR5: opens under its KEK, to the same DEKs', () => {
    const opened = unwrapKeyring({ kek, clusterId: 'c', wrapped })

    expect(opened.deks.map(({ id, key }) => [id, hex(key.bytes())])).toEqual(
      keyring.deks.map(({ id, key }) => [id, hex(key.bytes())]),
    )
  })

  test('CR2: with any one bit flipped, or cut anywhere, stays shut', () => {
    for (let bit = 0; bit < wrapped.length * 8; bit++) {
      const changed = wrapped.slice()
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(() => unwrapKeyring({ kek, clusterId: 'c', wrapped: changed })).toThrow(
        CryptographicFailure,
      )
    }
    for (let size = 0; size < wrapped.length; size++) {
      const cut = wrapped.subarray(0, size)
      expect(() => unwrapKeyring({ kek, clusterId: 'c', wrapped: cut })).toThrow(
        CryptographicFailure,
      )
    }
  })

  test('CR5: is no single key, and a single key is no keyring', () => {
    const key = createUnlockKey(random)
    const single = wrapKey({ kek, key, clusterId: 'c', name: '', random })

    expect(() => unwrapKey({ kek, clusterId: 'c', name: '', wrapped })).toThrow(
      CryptographicFailure,
    )
    expect(() => unwrapKeyring({ kek, clusterId: 'c', wrapped: single })).toThrow(
      CryptographicFailure,
    )
    expect(unwrapKey({ kek, clusterId: 'c', name: '', wrapped: single }).reveal()).toEqual(
      key.reveal(),
    )
  })

  test('ST-07: 1000 wrong unlock keys are refused alike', () => {
    for (let count = 0; count < 1000; count++) {
      const wrong = deriveKek(createUnlockKey(random))
      expect(() => unwrapKeyring({ kek: wrong, clusterId: 'c', wrapped })).toThrow(
        CryptographicFailure,
      )
    }
  })
})

describe('an unlock key', () => {
  test('CR6: has the text form of unpadded base64 behind its prefix', () => {
    const key = fc.uint8Array({ minLength: 32, maxLength: 32 })
    fc.assert(
      fc.property(key, (bytes) => {
        const text = formatUnlockKey(new Redacted(bytes))
        const expected = `SWMKEY-1-${Buffer.from(bytes).toString('base64').replace('=', '')}`
        expect(utf8Text(text.reveal())).toBe(expected)
        expect(parseUnlockKey(text).reveal()).toEqual(bytes)
      }),
    )
  })

  test('CR6: has only one text: another digit is another key, or none', () => {
    const text = formatUnlockKey(createUnlockKey(new SeededRandom(3))).reveal()
    const key = hex(parseUnlockKey(new Redacted(text)).reveal())
    for (let at = 0; at < text.length; at++) {
      for (let byte = 0x21; byte < 0x100; byte++) {
        if (byte === text[at]) continue
        const other = new Redacted(text.with(at, byte))
        expect(tryParse(other)).not.toBe(key)
      }
    }
  })

  test('CR6: of the wrong size makes no KEK', () => {
    expect(() => deriveKek(new Redacted(utf8('short')))).toThrow(CryptographicFailure)
  })
})

function tryParse(text: Redacted<Uint8Array>): string {
  try {
    return hex(parseUnlockKey(text).reveal())
  } catch (error) {
    if (error instanceof UnlockKeyMalformed) return 'none'
    throw error
  }
}
