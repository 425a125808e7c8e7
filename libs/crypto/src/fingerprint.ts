import { createHmac, createSecretKey, timingSafeEqual, type KeyObject } from 'node:crypto'
import { Redacted, type Random, type RedactedBytes } from '@conclave/kernel'

/** The key a process makes for itself, so that its fingerprints mean nothing to anybody else. */
export class FingerprintKey {
  readonly #key: KeyObject

  private constructor(key: KeyObject) {
    this.#key = key
  }

  static draw(random: Random): FingerprintKey {
    const bytes = random.bytes(32)
    const key = new FingerprintKey(createSecretKey(bytes))
    bytes.fill(0)
    return key
  }

  /** Eight hex digits of HMAC-SHA-256. */
  of(value: RedactedBytes | Uint8Array): string {
    return createHmac('sha256', this.#key).update(plain(value)).digest('hex').slice(0, 8)
  }
}

/** Shows that two values are equal without showing either: eight hex digits of a MAC under `key`. */
export const fingerprint = (key: FingerprintKey, value: RedactedBytes | Uint8Array): string =>
  key.of(value)

/** Whether `a` and `b` are the same bytes, in time that depends on their sizes alone. */
export function equalSecrets(
  a: RedactedBytes | Uint8Array,
  b: RedactedBytes | Uint8Array,
): boolean {
  const left = plain(a)
  const right = plain(b)
  const isSameSize = left.length === right.length
  return timingSafeEqual(left, isSameSize ? right : left) && isSameSize
}

const plain = (value: RedactedBytes | Uint8Array): Uint8Array =>
  value instanceof Redacted ? value.reveal() : value
