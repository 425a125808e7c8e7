import { createHash, randomBytes } from 'node:crypto'
import { base64UrlAlphabet, fromBase64Bytes, keySizeBytes, toBase64Bytes } from '@conclave/crypto'
import { ConclaveError, hasBytesAt, Redacted, utf8, type RedactedBytes } from '@conclave/kernel'
import { combine, split } from 'shamir-secret-sharing'

/*
 * An unlock key in shares: docs/formats/keyring.md, "Shares of an unlock key". Shamir's scheme over
 * GF(256): any `threshold` of them make the key, and fewer say nothing of it. Here rather than in
 * crypto, because the library draws from the operating system's dice by itself.
 */

/** A text that is no share, or one that does not belong to those given before it. Never quotes it. */
export class ShareRefused extends ConclaveError {
  readonly code = 'unlock-share.refused'
}

export interface SharePlan {
  readonly shares: number
  readonly threshold: number
}

const prefix = utf8('CNSHARE-1-')
const setIdSizeBytes = 6
const shareSizeBytes = keySizeBytes + 1
const checkSizeBytes = 4
const bodySizeBytes = 1 + setIdSizeBytes + shareSizeBytes
const textSizeMax = 256

/** The texts of the shares, as ASCII bytes for operators' eyes. @throws ShareRefused for an impossible plan */
export async function splitUnlockKey(
  unlockKey: RedactedBytes,
  { shares, threshold }: SharePlan,
): Promise<readonly RedactedBytes[]> {
  if (threshold < 2 || threshold > shares || shares > 255) {
    throw new ShareRefused('ask for 2 to 255 shares, and for a threshold from 2 up to their number')
  }
  const setId = randomBytes(setIdSizeBytes)
  // The library refuses what is a Uint8Array by another name, such as a Buffer.
  const key = new Uint8Array(unlockKey.reveal())
  try {
    const parts = await split(key, shares, threshold)
    return parts.map((part) => textOf(threshold, setId, part))
  } finally {
    key.fill(0)
  }
}

/** Wipes the part. */
function textOf(threshold: number, setId: Uint8Array, part: Uint8Array): RedactedBytes {
  const whole = new Uint8Array(bodySizeBytes + checkSizeBytes)
  const body = whole.subarray(0, bodySizeBytes)
  body[0] = threshold
  body.set(setId, 1)
  body.set(part, 1 + setIdSizeBytes)
  whole.set(checkOf(body), bodySizeBytes)
  const digits = toBase64Bytes(whole, base64UrlAlphabet)
  const text = new Uint8Array(prefix.length + digits.length)
  text.set(prefix, 0)
  text.set(digits, prefix.length)
  for (const copy of [part, whole, digits]) copy.fill(0)
  return new Redacted(text)
}

/** Takes shares one by one, in any order, until there are enough. */
export class ShareCollector {
  readonly #parts: Uint8Array[] = []
  #setId: Uint8Array | undefined
  #threshold = 2

  /** How many are missing; at least one while none was given. */
  get missing(): number {
    return this.#threshold - this.#parts.length
  }

  get threshold(): number {
    return this.#threshold
  }

  /** Blanks around the text are ignored. It stays the caller's to wipe. @throws ShareRefused, and then keeps what it had */
  add(text: RedactedBytes): void {
    const body = bodyOf(text.reveal())
    const [threshold = 0] = body
    const setId = body.slice(1, 1 + setIdSizeBytes)
    const part = body.slice(1 + setIdSizeBytes)
    body.fill(0)
    try {
      this.#check(threshold, setId, part)
    } catch (error) {
      part.fill(0)
      throw error
    }
    this.#setId = setId
    this.#threshold = threshold
    this.#parts.push(part)
  }

  /** The unlock key, once none is missing. The shares are wiped. @throws ShareRefused */
  async combine(): Promise<RedactedBytes> {
    if (this.missing > 0) {
      const more = this.#parts.length > 0 ? `${this.missing} more shares` : 'shares'
      throw new ShareRefused(`${more} of this key are needed; give each on a line of its own`)
    }
    try {
      return new Redacted(await combine(this.#parts))
    } finally {
      this.wipe()
    }
  }

  /** Forgets what was given. */
  wipe(): void {
    for (const part of this.#parts.splice(0)) part.fill(0)
    this.#setId = undefined
    this.#threshold = 2
  }

  /** @throws ShareRefused */
  #check(threshold: number, setId: Uint8Array, part: Uint8Array): void {
    if (this.#setId === undefined) return
    if (!hasBytesAt(this.#setId, 0, setId) || threshold !== this.#threshold) {
      throw new ShareRefused('this share is of another set than those before it')
    }
    // The last byte says which share of its set it is.
    if (this.#parts.some((known) => known.at(-1) === part.at(-1))) {
      throw new ShareRefused('this share was given already; give another one')
    }
  }
}

/** What a text says before its check. @throws ShareRefused */
function bodyOf(text: Uint8Array): Uint8Array {
  const trimmed = withoutBlanks(text)
  const isNamed = hasBytesAt(trimmed, 0, prefix) && trimmed.length <= textSizeMax
  const whole = isNamed
    ? fromBase64Bytes(trimmed.subarray(prefix.length), base64UrlAlphabet)
    : undefined
  const body = whole?.slice(0, bodySizeBytes)
  const isShare =
    whole?.length === bodySizeBytes + checkSizeBytes &&
    body !== undefined &&
    hasBytesAt(whole, bodySizeBytes, checkOf(body)) &&
    (body[0] ?? 0) >= 2 &&
    body.at(-1) !== 0
  whole?.fill(0)
  if (isShare) return body
  body?.fill(0)
  throw new ShareRefused(
    'this is no share: it is CNSHARE-1- and 59 letters, digits, - and _, typed exactly',
  )
}

const isInk = (byte: number): boolean => byte > 0x20

function withoutBlanks(text: Uint8Array): Uint8Array {
  return text.subarray(Math.max(0, text.findIndex(isInk)), text.findLastIndex(isInk) + 1)
}

const checkOf = (body: Uint8Array): Uint8Array =>
  createHash('sha256')
    .update('conclave/unlock-share/v1')
    .update(body)
    .digest()
    .subarray(0, checkSizeBytes)
