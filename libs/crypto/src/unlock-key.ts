import {
  ConclaveError,
  hasBytesAt,
  Redacted,
  utf8,
  type Random,
  type RedactedBytes,
} from '@conclave/kernel'
import { keySizeBytes } from './aead-key.ts'
import { base64Alphabet, fromBase64Bytes, toBase64Bytes } from './base64-bytes.ts'

/** What an operator typed is no unlock key at all, before any key is tried. */
export class UnlockKeyMalformed extends ConclaveError {
  readonly code = 'crypto.unlock-key-malformed'

  constructor() {
    super('an unlock key is SWMKEY-1- and 43 letters, digits, + and /')
  }
}

/*
 * SwarmKit's text form (reference/docker-swarm.md §5): `SWMKEY-1-` and 43 characters of unpadded
 * base64.
 */
const prefix = utf8('SWMKEY-1-')

/** A fresh unlock key: 32 random bytes. */
export function createUnlockKey(random: Random): RedactedBytes {
  return new Redacted(random.bytes(keySizeBytes))
}

/** The text of an unlock key, as ASCII bytes for the operator's eyes. */
export function formatUnlockKey(unlockKey: RedactedBytes): RedactedBytes {
  const digits = toBase64Bytes(unlockKey.reveal(), base64Alphabet)
  const text = new Uint8Array(prefix.length + digits.length)
  text.set(prefix, 0)
  text.set(digits, prefix.length)
  digits.fill(0)
  return new Redacted(text)
}

/** The 32 bytes of an unlock key's text, spaces around it ignored. @throws UnlockKeyMalformed */
export function parseUnlockKey(text: RedactedBytes): RedactedBytes {
  const trimmed = trim(text.reveal())
  if (!hasBytesAt(trimmed, 0, prefix)) throw new UnlockKeyMalformed()
  const key = fromBase64Bytes(trimmed.subarray(prefix.length), base64Alphabet)
  if (key?.length === keySizeBytes) return new Redacted(key)
  key?.fill(0)
  throw new UnlockKeyMalformed()
}

function trim(text: Uint8Array): Uint8Array {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text[start])) start++
  while (end > start && isBlank(text[end - 1])) end--
  return text.subarray(start, end)
}

const isBlank = (byte: number | undefined): boolean => byte !== undefined && byte <= 0x20
