import { hash } from 'node:crypto'

import {
  ConclaveError,
  hasBytesAt,
  Redacted,
  utf8,
  utf8Text,
  wipe,
  type Random,
  type RedactedBytes,
} from '@conclave/kernel'
import { equalSecrets } from './fingerprint.ts'

/*
 * `SWMTKN-1-<digest>-<secret>`: the digest pins the authority on first contact, the secret decides
 * what its bearer may become. Source: reference docker-swarm.md B6. Bytes on both sides, as with unlock keys.
 */

const digestBytes = 32
const digestDigits = 50
const secretBytes = 16
const secretDigits = 25
const prefix = utf8('SWMTKN-1-')
const secretAt = prefix.length + digestDigits + 1
const tokenSizeBytes = secretAt + secretDigits
const dash = 0x2d

/** Not a join token, or not one of this cluster: which of the two is never said. */
export class JoinTokenInvalid extends ConclaveError {
  readonly code = 'join-token.invalid'

  constructor() {
    super('invalid join token')
  }
}

export interface JoinToken {
  /** SHA-256 of the authority's PEM text, in base 36. */
  readonly authorityDigest: string
  readonly secret: RedactedBytes
}

/** SHA-256 of the PEM text, final newline included, as 50 digits in base 36. */
export function authorityDigest(authorityPem: string): string {
  return utf8Text(toBase36(hash('sha256', authorityPem, 'buffer'), digestDigits))
}

/** The text of a token, as bytes that the caller wipes. `secret` has 16 bytes. */
export function formatJoinToken(authorityPem: string, secret: RedactedBytes): RedactedBytes {
  const digits = toBase36(secret.reveal(), secretDigits)
  const text = Buffer.concat([utf8(`SWMTKN-1-${authorityDigest(authorityPem)}-`), digits])
  wipe(digits)
  return new Redacted(text)
}

/** SHA-256 of the same text as people compare it: `sha256:` and 64 hex digits. */
export const authorityFingerprint = (authorityPem: string): string =>
  `sha256:${hash('sha256', authorityPem)}`

/** What a token is made of beside the digest: 16 fresh bytes. */
export const createJoinSecret = (random: Random): RedactedBytes =>
  new Redacted(random.bytes(secretBytes))

/** A token with a fresh secret. */
export function createJoinToken(authorityPem: string, random: Random): RedactedBytes {
  const secret = createJoinSecret(random)
  try {
    return formatJoinToken(authorityPem, secret)
  } finally {
    wipe(secret)
  }
}

/** @throws JoinTokenInvalid when `token` does not have the shape of one */
export function parseJoinToken(token: RedactedBytes): JoinToken {
  const bytes = token.reveal()
  const hasShape =
    bytes.length === tokenSizeBytes && hasBytesAt(bytes, 0, prefix) && bytes[secretAt - 1] === dash
  if (!hasShape) throw new JoinTokenInvalid()
  const digits = bytes.subarray(prefix.length, secretAt - 1)
  const digest = fromBase36(digits, digestBytes)
  const secret = fromBase36(bytes.subarray(secretAt), secretBytes)
  if (digest !== undefined && secret !== undefined) {
    return { authorityDigest: utf8Text(digits), secret: new Redacted(secret) }
  }
  if (secret !== undefined) wipe(secret)
  throw new JoinTokenInvalid()
}

/** Whether `authorityPem`, fetched without any proof, is the authority that the token pins. */
export function pinsAuthority(token: JoinToken, authorityPem: string): boolean {
  return token.authorityDigest === authorityDigest(authorityPem)
}

/** Whether the two tokens are the same, in a time that does not depend on where they differ. */
export function isSameJoinToken(presented: RedactedBytes, expected: RedactedBytes): boolean {
  return equalSecrets(presented, expected)
}

/** `bytes` as one big-endian number in base 36, padded to `width` digits. Over bytes: no string is left. */
function toBase36(bytes: Uint8Array, width: number): Uint8Array {
  const digits = new Uint8Array(width)
  for (const byte of bytes) {
    let carry = byte
    for (let at = width - 1; at >= 0; at--) {
      carry += (digits[at] ?? 0) * 256
      digits[at] = carry % 36
      carry = Math.floor(carry / 36)
    }
  }
  return digits.map((digit) => (digit < 10 ? 0x30 + digit : 0x61 - 10 + digit))
}

/** The reverse; `undefined` for what is no digit, and when the number does not fit into `size` bytes. */
function fromBase36(digits: Uint8Array, size: number): Uint8Array | undefined {
  const bytes = new Uint8Array(size)
  for (const digit of digits) {
    let carry = digitOf(digit)
    for (let at = size - 1; at >= 0; at--) {
      carry += (bytes[at] ?? 0) * 36
      bytes[at] = carry % 256
      carry = Math.floor(carry / 256)
    }
    if (carry > 0) {
      wipe(bytes)
      return undefined
    }
  }
  return bytes
}

/** What is no digit counts for more than any number of ours could hold. */
function digitOf(letter: number): number {
  if (letter >= 0x30 && letter <= 0x39) return letter - 0x30
  return letter >= 0x61 && letter <= 0x7a ? letter - 0x61 + 10 : Number.POSITIVE_INFINITY
}
