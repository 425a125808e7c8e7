import {
  ConclaveError,
  hasBytesAt,
  Redacted,
  utf8,
  type Random,
  type RedactedBytes,
} from '@conclave/kernel'
import { keySizeBytes } from './aead-key.ts'

/** What an operator typed is no unlock key at all, before any key is tried. */
export class UnlockKeyMalformed extends ConclaveError {
  readonly code = 'crypto.unlock-key-malformed'

  constructor() {
    super('an unlock key is SWMKEY-1- and 43 letters and digits')
  }
}

/*
 * SwarmKit's text form (reference/docker-swarm.md §5): `SWMKEY-1-` and 43 characters of unpadded
 * base64. Bytes on both sides: a string of it could not be wiped.
 */
const prefix = utf8('SWMKEY-1-')
const alphabet = utf8('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')
const digitCount = 43

/** A fresh unlock key: 32 random bytes. */
export function createUnlockKey(random: Random): RedactedBytes {
  return new Redacted(random.bytes(keySizeBytes))
}

/** The text of an unlock key, as ASCII bytes for the operator's eyes. */
export function formatUnlockKey(unlockKey: RedactedBytes): RedactedBytes {
  const key = unlockKey.reveal()
  const text = new Uint8Array(prefix.length + digitCount)
  text.set(prefix, 0)
  for (let digit = 0; digit < digitCount; digit++) {
    const bit = digit * 6
    const pair = ((key[bit >> 3] ?? 0) << 8) | (key[(bit >> 3) + 1] ?? 0)
    text[prefix.length + digit] = alphabet[(pair >> (10 - (bit & 7))) & 0x3f] ?? 0
  }
  return new Redacted(text)
}

/** The 32 bytes of an unlock key's text, spaces around it ignored. @throws UnlockKeyMalformed */
export function parseUnlockKey(text: RedactedBytes): RedactedBytes {
  const digits = trim(text.reveal())
  const isPrefixed = hasBytesAt(digits, 0, prefix)
  if (!isPrefixed || digits.length !== prefix.length + digitCount) throw new UnlockKeyMalformed()
  const key = new Uint8Array(keySizeBytes)
  let pending = 0
  for (let digit = 0; digit < digitCount; digit++) {
    const value = alphabet.indexOf(digits[prefix.length + digit] ?? 0)
    if (value < 0) {
      key.fill(0)
      throw new UnlockKeyMalformed()
    }
    pending = ((pending << 6) | value) & 0x3fff
    const bits = (digit + 1) * 6
    if (bits % 8 < 6) key[(bits >> 3) - 1] = pending >> (bits % 8)
  }
  // 43 digits carry two bits more than the key. A second spelling of one key would be a surprise.
  if ((pending & 3) !== 0) {
    key.fill(0)
    throw new UnlockKeyMalformed()
  }
  return new Redacted(key)
}

function trim(text: Uint8Array): Uint8Array {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text[start])) start++
  while (end > start && isBlank(text[end - 1])) end--
  return text.subarray(start, end)
}

const isBlank = (byte: number | undefined): boolean => byte !== undefined && byte <= 0x20
