import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
} from 'node:crypto'
import {
  ByteWriter,
  hasBytesAt,
  Redacted,
  utf8,
  type Random,
  type RedactedBytes,
} from '@conclave/kernel'
import {
  AeadKey,
  aes256Gcm,
  keySizeBytes,
  nonceSizeBytes,
  plainView,
  tagSizeBytes,
} from './aead-key.ts'
import { CryptographicFailure } from './cryptographic-failure.ts'

/*
 * A value on its way to one container: sealed to a key pair that lives as long as one request. In the
 * manner of HPKE (RFC 9180); drawn in docs/formats/box.md.
 */

const magic = Uint8Array.of(0x43, 0x4e, 0x42, 0x31) // CNB1
const headerSizeBytes = 5
const publicKeySizeBytes = 32
const prefixSizeBytes = headerSizeBytes + publicKeySizeBytes
const salt = utf8('conclave/box/v1')

// RFC 8410: what stands before the 32 raw bytes of an X25519 key in its DER forms.
const pkcs8Prefix = Uint8Array.from(Buffer.from('302e020100300506032b656e04220420', 'hex'))
const spkiPrefix = Uint8Array.from(Buffer.from('302a300506032b656e032100', 'hex'))

/** A one-time X25519 key pair. The private half leaves it only as an agreement with another key. */
export class BoxKeyPair {
  readonly #privateKey: KeyObject
  /** 32 bytes, for whoever seals. */
  readonly publicKey: Uint8Array

  private constructor(privateKey: KeyObject) {
    this.#privateKey = privateKey
    const der = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
    this.publicKey = Uint8Array.from(der.subarray(spkiPrefix.length))
  }

  static draw(random: Random): BoxKeyPair {
    const raw = random.bytes(keySizeBytes)
    try {
      return BoxKeyPair.of(raw)
    } finally {
      raw.fill(0)
    }
  }

  /** The pair of a private key that somebody keeps: 32 bytes, the caller's to wipe. @throws CryptographicFailure */
  static of(raw: Uint8Array): BoxKeyPair {
    if (raw.length !== keySizeBytes) throw new CryptographicFailure()
    const der = Buffer.concat([pkcs8Prefix, raw])
    try {
      return new BoxKeyPair(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }))
    } finally {
      der.fill(0)
    }
  }

  /**
   * The shared secret with `publicKey`, for the caller to wipe.
   *
   * @throws CryptographicFailure for a point of low order, where it would be all zero (RFC 7748 §6.1)
   */
  agree(publicKey: Uint8Array): Uint8Array {
    if (publicKey.length !== publicKeySizeBytes) throw new CryptographicFailure()
    try {
      const key = Buffer.concat([spkiPrefix, publicKey])
      const other = createPublicKey({ key, format: 'der', type: 'spki' })
      const shared = plainView(diffieHellman({ privateKey: this.#privateKey, publicKey: other }))
      if (shared.every((byte) => byte === 0)) throw new CryptographicFailure()
      return shared
    } catch {
      throw new CryptographicFailure()
    }
  }
}

export const createBoxKeyPair = (random: Random): BoxKeyPair => BoxKeyPair.draw(random)

/** What a box is for. Both ends must say the same, or it stays shut. */
export interface BoxPurpose {
  readonly taskId: string
  readonly containerId: string
  readonly path: string
  readonly version: number
}

/** The context string for {@link box}. JSON, because no two purposes share one text of it. */
export const boxContext = (purpose: BoxPurpose): string =>
  JSON.stringify([purpose.taskId, purpose.containerId, purpose.path, purpose.version])

/** Seals `bytes` (the caller's to wipe) to `publicKey`. @throws CryptographicFailure for a bad key */
export function box(
  publicKey: Uint8Array,
  bytes: RedactedBytes,
  context: string,
  random: Random,
): Uint8Array {
  const plaintext = bytes.reveal()
  const ephemeral = BoxKeyPair.draw(random)
  const sealed = new Uint8Array(prefixSizeBytes + plaintext.length + tagSizeBytes)
  sealed.set(magic, 0)
  sealed[4] = aes256Gcm
  sealed.set(ephemeral.publicKey, headerSizeBytes)
  const { key, nonce } = deriveKey(ephemeral.agree(publicKey), ephemeral.publicKey, publicKey)
  key.sealInto(sealed.subarray(prefixSizeBytes), nonce, aad(sealed, context), plaintext)
  return sealed
}

/** The bytes, fresh, which the caller owes a {@link wipe}. @throws CryptographicFailure */
export function openBox(keyPair: BoxKeyPair, sealed: Uint8Array, context: string): RedactedBytes {
  const isOurs =
    hasBytesAt(sealed, 0, magic) &&
    sealed[4] === aes256Gcm &&
    sealed.length >= prefixSizeBytes + tagSizeBytes
  if (!isOurs) throw new CryptographicFailure()
  const ephemeral = sealed.subarray(headerSizeBytes, prefixSizeBytes)
  const { key, nonce } = deriveKey(keyPair.agree(ephemeral), ephemeral, keyPair.publicKey)
  return new Redacted(key.open(nonce, aad(sealed, context), sealed.subarray(prefixSizeBytes)))
}

/** Wipes `shared`. The nonce may come from the same place, because the key seals only once. */
function deriveKey(
  shared: Uint8Array,
  ephemeral: Uint8Array,
  recipient: Uint8Array,
): { key: AeadKey; nonce: Uint8Array } {
  const info = new Uint8Array(2 * publicKeySizeBytes)
  info.set(ephemeral, 0)
  info.set(recipient, publicKeySizeBytes)
  const derived = new Uint8Array(
    hkdfSync('sha256', shared, salt, info, keySizeBytes + nonceSizeBytes),
  )
  shared.fill(0)
  const key = AeadKey.of(derived.subarray(0, keySizeBytes))
  const nonce = derived.slice(keySizeBytes)
  derived.fill(0)
  return { key, nonce }
}

const aad = (sealed: Uint8Array, context: string): Uint8Array =>
  new ByteWriter().bytes(sealed.subarray(0, prefixSizeBytes)).text(context).take()
