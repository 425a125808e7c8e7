import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  type KeyObject,
} from 'node:crypto'
import type { Random } from '@conclave/kernel'
import { CryptographicFailure } from './cryptographic-failure.ts'

export const keySizeBytes = 32
export const nonceSizeBytes = 12
export const tagSizeBytes = 16

/** The number that every format of ours uses for AES-256-GCM. */
export const aes256Gcm = 1

/**
 * A 256-bit key for AES-256-GCM. It lives in a KeyObject, outside the JavaScript heap: that is three
 * times as fast as raw bytes (reference/raft.md §6.3), and nothing can print it.
 *
 * Whoever seals owes the key a nonce that it has not seen before.
 */
export class AeadKey {
  readonly #key: KeyObject

  private constructor(key: KeyObject) {
    this.#key = key
  }

  /** Copies `bytes`, which stay the caller's to wipe. @throws CryptographicFailure unless 32 bytes */
  static of(bytes: Uint8Array): AeadKey {
    if (bytes.length !== keySizeBytes) throw new CryptographicFailure()
    return new AeadKey(createSecretKey(bytes))
  }

  /** The key that another thread of this process was handed. @throws CryptographicFailure unless 32 bytes */
  static ofHandle(handle: KeyObject): AeadKey {
    if (handle.symmetricKeySize !== keySizeBytes) throw new CryptographicFailure()
    return new AeadKey(handle)
  }

  static draw(random: Random): AeadKey {
    return AeadKey.#takeOver(random.bytes(keySizeBytes))
  }

  /** For another thread of this process: naming the key there copies no byte of it. */
  handle(): KeyObject {
    return this.#key
  }

  /** The key's bytes, fresh, for the one who wraps it. Wipe them. */
  bytes(): Uint8Array {
    return plainView(this.#key.export())
  }

  /** Another key from this one by HKDF-SHA-256 (RFC 5869). */
  derive(salt: Uint8Array, info: Uint8Array): AeadKey {
    return AeadKey.#takeOver(
      new Uint8Array(hkdfSync('sha256', this.#key, salt, info, keySizeBytes)),
    )
  }

  /** Ciphertext, then the 16-byte tag. */
  seal(nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
    const sealed = new Uint8Array(plaintext.length + tagSizeBytes)
    this.sealInto(sealed, nonce, aad, plaintext)
    return sealed
  }

  /** As {@link seal}, into the first `plaintext.length + 16` bytes of `target`. */
  sealInto(target: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): void {
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(aad)
    target.set(cipher.update(plaintext), 0)
    cipher.final()
    target.set(cipher.getAuthTag(), plaintext.length)
  }

  /** The plaintext in bytes of its own, for the caller to wipe. @throws CryptographicFailure */
  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array {
    const size = sealed.length - tagSizeBytes
    if (size < 0) throw new CryptographicFailure()
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce, {
      authTagLength: tagSizeBytes,
    })
    decipher.setAAD(aad).setAuthTag(sealed.subarray(size))
    const plaintext = plainView(decipher.update(sealed.subarray(0, size)))
    try {
      decipher.final()
    } catch {
      plaintext.fill(0)
      throw new CryptographicFailure()
    }
    return plaintext
  }

  static #takeOver(bytes: Uint8Array): AeadKey {
    const key = AeadKey.of(bytes)
    bytes.fill(0)
    return key
  }
}

/** The same memory without Buffer's methods: those would print it, and slices would share it. */
export function plainView(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}
