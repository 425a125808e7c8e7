import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { holdsKey } from './find-key.ts'

const key = randomBytes(32)
const between = (middle: Uint8Array | string): Uint8Array =>
  Buffer.concat([Buffer.from('before '), Buffer.from(middle), Buffer.from(' after')])

describe('a key', () => {
  test.each([
    ['as it is', between(key)],
    ['in hex', between(key.toString('hex'))],
    ['in base64', between(key.toString('base64'))],
    ['in base64url', between(key.toString('base64url'))],
    ['in base64 of more', between(Buffer.concat([Buffer.from('x'), key]).toString('base64'))],
    [
      'in base64 of still more',
      between(Buffer.concat([Buffer.from('xy'), key, key]).toString('base64')),
    ],
  ])('is found %s', (_form, bytes) => {
    expect(holdsKey(bytes, key)).toBe(true)
  })

  test('is not found where another one is', () => {
    expect(holdsKey(between(randomBytes(4096)), key)).toBe(false)
  })
})
