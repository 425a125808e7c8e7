import {
  ByteWriter,
  hasBytesAt,
  Redacted,
  utf8,
  type Random,
  type RedactedBytes,
} from '@conclave/kernel'
import { AeadKey, aes256Gcm, keySizeBytes, nonceSizeBytes, tagSizeBytes } from './aead-key.ts'
import { CryptographicFailure } from './cryptographic-failure.ts'
import { Keyring, type Dek } from './keyring.ts'

/*
 * What rests under the key encryption key: the keyring, and each master's own keys. The layout is
 * drawn in docs/formats/keyring.md.
 */

const magic = Uint8Array.of(0x43, 0x4e, 0x4b, 0x31) // CNK1
const headerSizeBytes = 6
const kindKeyring = 1
const kindKey = 2
const dekSizeBytes = 4 + keySizeBytes
const info = utf8('conclave/kek/v1')
const nothing = new Uint8Array()

/** The key encryption key. It seals other keys, and nothing else. */
export class Kek {
  readonly #key: AeadKey

  private constructor(key: AeadKey) {
    this.#key = key
  }

  static of(key: AeadKey): Kek {
    return new Kek(key)
  }

  get key(): AeadKey {
    return this.#key
  }
}

/** The KEK behind an operator's unlock key. @throws CryptographicFailure unless it is 32 bytes */
export function deriveKek(unlockKey: RedactedBytes): Kek {
  return Kek.of(AeadKey.of(unlockKey.reveal()).derive(nothing, info))
}

/** Seals the keyring of one cluster. */
export function wrapKeyring(o: {
  kek: Kek
  keyring: Keyring
  clusterId: string
  random: Random
}): Uint8Array {
  const plaintext = writeDeks(o.keyring.deks)
  const wrapped = wrap(o.kek, kindKeyring, plaintext, o.clusterId, '', o.random)
  plaintext.fill(0)
  return wrapped
}

/** @throws CryptographicFailure */
export function unwrapKeyring(o: { kek: Kek; clusterId: string; wrapped: Uint8Array }): Keyring {
  const plaintext = unwrap(o.kek, kindKeyring, o.wrapped, o.clusterId, '')
  try {
    return new Keyring(readDeks(plaintext))
  } finally {
    plaintext.fill(0)
  }
}

/** Seals one key, such as a master's journal key, under a `name` that it must be asked for again by. */
export function wrapKey(o: {
  kek: Kek
  key: RedactedBytes
  clusterId: string
  name: string
  random: Random
}): Uint8Array {
  return wrap(o.kek, kindKey, o.key.reveal(), o.clusterId, o.name, o.random)
}

/** The key, in fresh bytes that the caller owes a {@link wipe}. @throws CryptographicFailure */
export function unwrapKey(o: {
  kek: Kek
  clusterId: string
  name: string
  wrapped: Uint8Array
}): RedactedBytes {
  return new Redacted(unwrap(o.kek, kindKey, o.wrapped, o.clusterId, o.name))
}

function wrap(
  kek: Kek,
  kind: number,
  plaintext: Uint8Array,
  clusterId: string,
  name: string,
  random: Random,
): Uint8Array {
  const start = headerSizeBytes + nonceSizeBytes
  const wrapped = new Uint8Array(start + plaintext.length + tagSizeBytes)
  wrapped.set(magic, 0)
  wrapped[4] = aes256Gcm
  wrapped[5] = kind
  const nonce = random.bytes(nonceSizeBytes)
  wrapped.set(nonce, headerSizeBytes)
  kek.key.sealInto(wrapped.subarray(start), nonce, aad(wrapped, clusterId, name), plaintext)
  return wrapped
}

function unwrap(
  kek: Kek,
  kind: number,
  wrapped: Uint8Array,
  clusterId: string,
  name: string,
): Uint8Array {
  const isOurs =
    hasBytesAt(wrapped, 0, magic) &&
    wrapped[4] === aes256Gcm &&
    wrapped[5] === kind &&
    wrapped.length >= headerSizeBytes + nonceSizeBytes + tagSizeBytes
  if (!isOurs) throw new CryptographicFailure()
  const nonce = wrapped.subarray(headerSizeBytes, headerSizeBytes + nonceSizeBytes)
  const sealed = wrapped.subarray(headerSizeBytes + nonceSizeBytes)
  return kek.key.open(nonce, aad(wrapped, clusterId, name), sealed)
}

function aad(wrapped: Uint8Array, clusterId: string, name: string): Uint8Array {
  const writer = new ByteWriter().text('conclave/wrapped/v1')
  return writer.bytes(wrapped.subarray(0, headerSizeBytes)).text(clusterId).text(name).take()
}

// Not a ByteWriter: when that grows, it leaves copies behind which nobody wipes.
function writeDeks(deks: readonly Dek[]): Uint8Array {
  const bytes = new Uint8Array(deks.length * dekSizeBytes)
  const view = new DataView(bytes.buffer)
  deks.forEach(({ id, key }, index) => {
    const at = index * dekSizeBytes
    const keyBytes = key.bytes()
    view.setUint32(at, id)
    bytes.set(keyBytes, at + 4)
    keyBytes.fill(0)
  })
  return bytes
}

function readDeks(bytes: Uint8Array): readonly Dek[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const count = bytes.length / dekSizeBytes
  if (!Number.isInteger(count) || count === 0) throw new CryptographicFailure()
  return Array.from({ length: count }, (_, index) => {
    const at = index * dekSizeBytes
    const key = AeadKey.of(bytes.subarray(at + 4, at + dekSizeBytes))
    return { id: view.getUint32(at), key }
  })
}
