import { Redacted, utf8, utf8Text } from '@conclave/kernel'
import { assert, nat, property, string, uint8Array } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatJoinToken, JoinTokenInvalid, parseJoinToken } from './join-token.ts'

/** Whatever it is, it is read as a token or refused as none. */
function isRead(bytes: Uint8Array): boolean {
  try {
    const { secret } = parseJoinToken(new Redacted(bytes))
    return secret.reveal().length === 16
  } catch (error) {
    if (error instanceof JoinTokenInvalid) return false
    throw error
  }
}

describe('any bytes', () => {
  test('CR13: are a join token or refused as none', () => {
    assert(property(uint8Array({ maxLength: 120 }), (bytes) => !isRead(bytes)))
  })

  test('CR13: of a token that one letter was changed in are a token of the same length or none', () => {
    const pem = 'a root\n'
    assert(
      property(
        uint8Array({ minLength: 16, maxLength: 16 }),
        nat({ max: 84 }),
        nat({ max: 255 }),
        (secret, at, letter) => {
          const text = Uint8Array.from(formatJoinToken(pem, new Redacted(secret)).reveal())
          text[at] = letter
          if (!isRead(text)) return true
          const { authorityDigest } = parseJoinToken(new Redacted(text))
          return authorityDigest === utf8Text(text.subarray(9, 59))
        },
      ),
    )
  })

  test('CR13: a token comes back from its text, whatever its secret', () => {
    assert(
      property(uint8Array({ minLength: 16, maxLength: 16 }), string(), (secret, pem) => {
        const token = formatJoinToken(pem, new Redacted(Uint8Array.from(secret)))
        expect(parseJoinToken(token).secret.reveal()).toEqual(secret)
        expect(token.reveal()).toHaveLength(utf8('SWMTKN-1-').length + 76)
      }),
    )
  })
})
