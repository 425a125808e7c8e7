import { hash } from 'node:crypto'

import { equalSecrets } from '@conclave/crypto'
import { ConclaveError, Redacted, utf8, utf8Text, wipe } from '@conclave/kernel'
import type { Random, RedactedBytes } from '@conclave/kernel'

/*
 * `SWMTKN-1-<digest>-<secret>`: the digest pins the authority on first contact, the secret decides
 * what its bearer may become. Source: reference docker-swarm.md B6.
 */

const digestBytes = 32
const digestDigits = 50
const secretBytes = 16
const secretDigits = 25
const shape = /^SWMTKN-1-([0-9a-z]{50})-([0-9a-z]{25})$/

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

/** A token with a fresh secret. */
export function createJoinToken(authorityPem: string, random: Random): RedactedBytes {
  const secret = new Redacted(random.bytes(secretBytes))
  try {
    return formatJoinToken(authorityPem, secret)
  } finally {
    wipe(secret)
  }
}

/** @throws JoinTokenInvalid when `token` does not have the shape of one */
export function parseJoinToken(token: RedactedBytes): JoinToken {
  const bytes = token.reveal()
  const parts = bytes.length === 85 ? shape.exec(Buffer.from(bytes).toString('latin1')) : null
  const [, digest = '', secret = ''] = parts ?? []
  if (parts === null || fromBase36(utf8(digest), digestBytes) === undefined) {
    throw new JoinTokenInvalid()
  }
  const opened = fromBase36(utf8(secret), secretBytes)
  if (opened === undefined) throw new JoinTokenInvalid()
  return { authorityDigest: digest, secret: new Redacted(opened) }
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

/** The reverse; `undefined` when the number does not fit into `size` bytes. */
function fromBase36(text: Uint8Array, size: number): Uint8Array | undefined {
  const bytes = new Uint8Array(size)
  for (const letter of text) {
    let carry = letter < 0x61 ? letter - 0x30 : letter - 0x61 + 10
    for (let at = size - 1; at >= 0; at--) {
      carry += (bytes[at] ?? 0) * 36
      bytes[at] = carry % 256
      carry = Math.floor(carry / 256)
    }
    if (carry > 0) return undefined
  }
  return bytes
}
