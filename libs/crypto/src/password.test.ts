import { Redacted, utf8, type RedactedBytes } from '@conclave/kernel'
import { SeededRandom } from '@conclave/testkit'
import { describe, expect, test } from 'vitest'
import {
  CryptographicFailure,
  equalSecrets,
  fingerprint,
  FingerprintKey,
  hashPassword,
  passwordCost,
  verifyPassword,
} from './index.ts'

const secret = (text: string): RedactedBytes => new Redacted(utf8(text))

describe('a password', () => {
  test('CR9: is recognised by its hash, and no other password is', async () => {
    const hash = await hashPassword(secret('deleteme'), new SeededRandom(1))

    expect(hash).toMatch(/^\$scrypt\$ln=14,r=8,p=5\$[\w+/]{22}\$[\w+/]{43}$/)
    expect(await verifyPassword(secret('deleteme'), hash)).toBe(true)
    expect(await verifyPassword(secret('deleteme '), hash)).toBe(false)
    expect(await verifyPassword(secret(''), hash)).toBe(false)
  })

  test('CR9: has another hash each time', async () => {
    const random = new SeededRandom(1)
    const cost = { logN: 4, r: 1, p: 1 }

    const hashes = [
      await hashPassword(secret('a'), random, cost),
      await hashPassword(secret('a'), random, cost),
    ]

    expect(new Set(hashes).size).toBe(2)
  })

  test('CR9: of nobody is refused, after the work that somebody’s takes', async () => {
    const hash = await hashPassword(secret('deleteme'), new SeededRandom(1), passwordCost)

    expect(await verifyPassword(secret('deleteme'), undefined)).toBe(false)
    const somebodyMs = await durationMs(() => verifyPassword(secret('x'), hash))
    const nobodyMs = await durationMs(() => verifyPassword(secret('x'), undefined))

    // Loose, for a busy machine: without the work it would be a thousandth.
    expect(nobodyMs).toBeGreaterThan(somebodyMs / 20)
  })

  test('CR9: has no answer when its record is damaged', async () => {
    await expect(verifyPassword(secret('a'), '')).rejects.toThrow(CryptographicFailure)
    await expect(verifyPassword(secret('a'), '$6$rounds=1$x$y')).rejects.toThrow(
      CryptographicFailure,
    )
  })
})

async function durationMs(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

describe('comparing without showing', () => {
  test('CR11: equal bytes are equal, whatever holds them', () => {
    expect(equalSecrets(secret('abc'), utf8('abc'))).toBe(true)
    expect(equalSecrets(secret('abc'), secret('abd'))).toBe(false)
    expect(equalSecrets(secret('abc'), secret('abcd'))).toBe(false)
    expect(equalSecrets(secret(''), secret(''))).toBe(true)
    expect(equalSecrets(secret(''), secret('a'))).toBe(false)
  })

  test('CR11: a fingerprint is eight digits that agree under one key alone', () => {
    const key = FingerprintKey.draw(new SeededRandom(1))
    const other = FingerprintKey.draw(new SeededRandom(2))

    expect(fingerprint(key, secret('abc'))).toMatch(/^[\da-f]{8}$/)
    expect(fingerprint(key, secret('abc'))).toBe(fingerprint(key, utf8('abc')))
    expect(fingerprint(key, secret('abc'))).not.toBe(fingerprint(key, secret('abd')))
    expect(fingerprint(key, secret('abc'))).not.toBe(fingerprint(other, secret('abc')))
  })
})
