import { ByteWriter, hasBytesAt, Redacted, type Random, type RedactedBytes } from '@conclave/kernel'
import { AeadKey, aes256Gcm, keySizeBytes, nonceSizeBytes, tagSizeBytes } from './aead-key.ts'
import { CryptographicFailure } from './cryptographic-failure.ts'
import type { Dek, Keyring } from './keyring.ts'

/*
 * The sealed form of one version of one secret, drawn in docs/formats/envelope.md. Each envelope has
 * a data key of its own, wrapped under a DEK: rotation re-wraps 60 bytes, whatever the secret's size.
 */

const magic = Uint8Array.of(0x43, 0x4e, 0x53, 0x31) // CNS1
const headerSizeBytes = 10
const wrappedKeySizeBytes = nonceSizeBytes + keySizeBytes + tagSizeBytes
const prefixSizeBytes = headerSizeBytes + wrappedKeySizeBytes + nonceSizeBytes

/** What an envelope is larger than the value in it. */
export const envelopeOverheadBytes = prefixSizeBytes + tagSizeBytes

/** Where an envelope belongs. It opens nowhere else. */
export interface EnvelopePlace {
  readonly clusterId: string
  readonly path: string
  readonly version: number
}

/** Seals `plaintext`, which stays the caller's to wipe. */
export function sealEnvelope(
  o: EnvelopePlace & { dek: Dek; plaintext: RedactedBytes; random: Random },
): Uint8Array {
  const plaintext = o.plaintext.reveal()
  const envelope = new Uint8Array(envelopeOverheadBytes + plaintext.length)
  writeHeader(envelope, o.dek.id)
  const dataKeyBytes = o.random.bytes(keySizeBytes)
  wrapDataKey(envelope, o, o.dek, dataKeyBytes, o.random)
  const nonce = o.random.bytes(nonceSizeBytes)
  envelope.set(nonce, prefixSizeBytes - nonceSizeBytes)
  const dataKey = AeadKey.of(dataKeyBytes)
  dataKeyBytes.fill(0)
  dataKey.sealInto(envelope.subarray(prefixSizeBytes), nonce, valueAad(envelope, o), plaintext)
  return envelope
}

/** The value, in fresh bytes that the caller owes a {@link wipe}. @throws CryptographicFailure */
export function openEnvelope(
  o: EnvelopePlace & { keyring: Keyring; envelope: Uint8Array },
): RedactedBytes {
  const dataKeyBytes = unwrapDataKey(o)
  const dataKey = AeadKey.of(dataKeyBytes)
  dataKeyBytes.fill(0)
  const nonce = o.envelope.subarray(prefixSizeBytes - nonceSizeBytes, prefixSizeBytes)
  const sealed = o.envelope.subarray(prefixSizeBytes)
  return new Redacted(dataKey.open(nonce, valueAad(o.envelope, o), sealed))
}

/**
 * The same envelope under the keyring's newest DEK. The value is not opened, only its data key.
 *
 * @throws CryptographicFailure when the data key does not open
 */
export function rewrapEnvelope(
  o: EnvelopePlace & { keyring: Keyring; envelope: Uint8Array; random: Random },
): Uint8Array {
  const dataKeyBytes = unwrapDataKey(o)
  const envelope = o.envelope.slice()
  writeHeader(envelope, o.keyring.newest.id)
  wrapDataKey(envelope, o, o.keyring.newest, dataKeyBytes, o.random)
  dataKeyBytes.fill(0)
  return envelope
}

/** Whether `bytes` have the form of an envelope. Whether they open is another question. */
export const isEnvelope = (bytes: Uint8Array): boolean =>
  bytes.length >= envelopeOverheadBytes &&
  hasBytesAt(bytes, 0, magic) &&
  bytes[4] === aes256Gcm &&
  bytes[5] === 0

/** The id of the DEK that `envelope` claims to be sealed under. @throws CryptographicFailure */
export function envelopeDekId(envelope: Uint8Array): number {
  if (!isEnvelope(envelope)) throw new CryptographicFailure()
  return view(envelope).getUint32(6)
}

function writeHeader(envelope: Uint8Array, dekId: number): void {
  envelope.set(magic, 0)
  envelope[4] = aes256Gcm
  envelope[5] = 0
  view(envelope).setUint32(6, dekId)
}

function wrapDataKey(
  envelope: Uint8Array,
  place: EnvelopePlace,
  dek: Dek,
  dataKey: Uint8Array,
  random: Random,
): void {
  const nonce = random.bytes(nonceSizeBytes)
  envelope.set(nonce, headerSizeBytes)
  const target = envelope.subarray(headerSizeBytes + nonceSizeBytes)
  dek.key.sealInto(target, nonce, dataKeyAad(envelope, place), dataKey)
}

function unwrapDataKey(o: EnvelopePlace & { keyring: Keyring; envelope: Uint8Array }): Uint8Array {
  const dek = o.keyring.find(envelopeDekId(o.envelope))
  if (dek === undefined) throw new CryptographicFailure()
  const wrapped = o.envelope.subarray(headerSizeBytes, headerSizeBytes + wrappedKeySizeBytes)
  const nonce = wrapped.subarray(0, nonceSizeBytes)
  return dek.key.open(nonce, dataKeyAad(o.envelope, o), wrapped.subarray(nonceSizeBytes))
}

/** Covers the whole header, so a data key opens under the DEK that the header names. */
function dataKeyAad(envelope: Uint8Array, place: EnvelopePlace): Uint8Array {
  return aad('conclave/envelope/v1/data-key', envelope.subarray(0, headerSizeBytes), place)
}

/** Leaves the DEK's id out, so that re-wrapping need not touch the value. */
function valueAad(envelope: Uint8Array, place: EnvelopePlace): Uint8Array {
  return aad('conclave/envelope/v1/value', envelope.subarray(0, 6), place)
}

/** Holds what was written until the next call: a cipher takes it at once, and it is no secret. */
const aadWriter = new ByteWriter()

function aad(purpose: string, header: Uint8Array, place: EnvelopePlace): Uint8Array {
  const writer = aadWriter.clear().text(purpose).bytes(header)
  return writer.text(place.clusterId).text(place.path).uint(place.version).view()
}

const view = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
