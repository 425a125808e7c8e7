import { crc32 } from 'node:zlib'
import { BytesMalformed } from '@conclave/kernel'
import { CryptographicFailure, tagSizeBytes, type AeadKey } from '@conclave/crypto'

/*
 * The frame around every record, drawn in docs/formats/journal.md, "Records". The checksum is chained
 * from record to record: it finds damage, and whatever was cut out or swapped, without a key. The tag
 * proves who wrote it.
 */

export const recordHeaderSizeBytes = 24
export const recordOverheadBytes = recordHeaderSizeBytes + tagSizeBytes
const aadSizeBytes = 36

export const recordTypes = { batch: 1, marker: 2, keyChange: 3, end: 4 } as const
export type RecordType = (typeof recordTypes)[keyof typeof recordTypes]
const recordTypeMax = 4
/** What a disk writes whole or not at all. Larger sectors begin where such ones do. */
const sectorSizeBytes = 512

/** What every record of one segment is sealed with. */
export interface RecordSealer {
  /** Of this segment alone, so that its record numbers are nonces. */
  readonly key: AeadKey
  readonly salt: Uint8Array
}

export interface RecordHeader {
  /** Of the ciphertext, without its tag. */
  readonly bodySizeBytes: number
  readonly crc: number
  readonly seq: number
  readonly type: number
}

/** Fills in header and tag of `record`, whose body is still plaintext. Answers with its checksum. */
export function sealRecord(
  record: Uint8Array,
  o: RecordSealer & { type: RecordType; seq: number; previousCrc: number },
): number {
  const header = view(record)
  header.setUint32(0, record.length - recordOverheadBytes)
  writeSeq(header, 8, o.seq)
  header.setUint32(16, o.type << 24)
  header.setUint32(20, 0)
  const plaintext = record.subarray(recordHeaderSizeBytes, record.length - tagSizeBytes)
  o.key.sealInto(
    record.subarray(recordHeaderSizeBytes),
    nonce(o.seq),
    aad(record, o.salt),
    plaintext,
  )
  const crc = checksum(record, o.previousCrc)
  header.setUint32(4, crc)
  return crc
}

/**
 * The plaintext of `record`, one whole record, without its padding.
 *
 * @param seq the number in its header
 * @throws CryptographicFailure when it does not open
 */
export function openRecord(record: Uint8Array, seq: number, sealer: RecordSealer): Uint8Array {
  const plaintext = decrypt(record, seq, sealer)
  const padding = plaintext[0] ?? 0
  if (plaintext.length <= padding) throw new BytesMalformed('a record is all padding')
  return plaintext.subarray(1, plaintext.length - padding)
}

/** The record that begins at `offset`, if all of it is there and its checksum continues the chain. */
export function frameAt(
  bytes: Uint8Array,
  offset: number,
  previousCrc: number,
): { readonly record: Uint8Array; readonly header: RecordHeader } | undefined {
  const header = headerAt(bytes, offset)
  const record = header && extentOf(header, bytes, offset)
  if (header === undefined || record === undefined) return undefined
  return header.crc === checksum(record, previousCrc) ? { record, header } : undefined
}

/**
 * Whether the bytes from `offset` on, which are no record, are what a crash leaves behind: a write that
 * never finished. They are not when a record opens further on, when a whole record opens after mending
 * its header, or when no part of the broken record is missing. All of those are damage to something
 * that may have been acknowledged.
 *
 * A segment is full of zeroes before it is written, disks write whole sectors, and ciphertext has no
 * word of 8 zero bytes: so such a word in a broken record is a part that never reached the disk.
 *
 * @param seq the number that the next record would have
 */
export function isUnfinished(
  bytes: Uint8Array,
  offset: number,
  seq: number,
  sealer: RecordSealer,
): boolean {
  const dataEnd = endOfData(bytes)
  for (let at = offset; at < dataEnd; at += 8) {
    if (opensAt(bytes, at, seq, sealer)) return false
  }
  if (isFirstSectorMissing(bytes, offset)) return true
  if (opensWhenMended(bytes.subarray(offset, dataEnd), seq, sealer)) return false
  const header = headerAt(bytes, offset)
  if (header === undefined) return true
  const extentEnd = offset + recordOverheadBytes + header.bodySizeBytes
  const isHeaderWhole = isPlausible(header, bytes, offset) && header.seq === seq
  if (isHeaderWhole && extentEnd > bytes.length) return true
  const words = view(bytes)
  const isZero = (at: number): boolean => words.getUint32(at) === 0 && words.getUint32(at + 4) === 0
  if (isZero(offset) || isZero(offset + 16) || (seq > 0 && isZero(offset + 8))) return true
  const end = isHeaderWhole ? extentEnd : dataEnd
  for (let at = offset + recordHeaderSizeBytes; at + 8 <= end; at += 8) {
    if (isZero(at)) return true
  }
  return false
}

/**
 * Whether a sector ends inside the header or right behind it, and was not written: then
 * the rest of the record may be whole, and would open once its header is mended.
 */
function isFirstSectorMissing(bytes: Uint8Array, offset: number): boolean {
  const sectorEnd = Math.ceil((offset + 1) / sectorSizeBytes) * sectorSizeBytes
  if (sectorEnd > offset + recordHeaderSizeBytes) return false
  return bytes.subarray(offset, sectorEnd).every((byte) => byte === 0)
}

function opensAt(bytes: Uint8Array, at: number, seqMin: number, sealer: RecordSealer): boolean {
  const header = headerAt(bytes, at)
  if (header === undefined || header.seq < seqMin || !isPlausible(header, bytes, at)) return false
  const record = extentOf(header, bytes, at)
  return record !== undefined && opens(record, header.seq, sealer)
}

/** `data` ends with the last byte that is not zero, which is where a whole last record would end. */
function opensWhenMended(data: Uint8Array, seq: number, sealer: RecordSealer): boolean {
  const size = Math.ceil(data.length / 8) * 8
  if (size < recordOverheadBytes) return false
  const mended = new Uint8Array(size)
  mended.set(data, 0)
  const header = view(mended)
  header.setUint32(0, size - recordOverheadBytes)
  writeSeq(header, 8, seq)
  header.setUint32(20, 0)
  for (let type = 1; type <= recordTypeMax; type++) {
    header.setUint32(16, type << 24)
    if (opens(mended, seq, sealer)) return true
  }
  return false
}

function decrypt(record: Uint8Array, seq: number, { key, salt }: RecordSealer): Uint8Array {
  return key.open(nonce(seq), aad(record, salt), record.subarray(recordHeaderSizeBytes))
}

function opens(record: Uint8Array, seq: number, sealer: RecordSealer): boolean {
  try {
    decrypt(record, seq, sealer)
    return true
  } catch (error) {
    if (error instanceof CryptographicFailure) return false
    throw error
  }
}

function isPlausible(header: RecordHeader, bytes: Uint8Array, at: number): boolean {
  for (let reserved = at + 17; reserved < at + recordHeaderSizeBytes; reserved++) {
    if (bytes[reserved] !== 0) return false
  }
  const isTyped = header.type >= 1 && header.type <= recordTypeMax
  return isTyped && header.bodySizeBytes > 0 && header.bodySizeBytes % 8 === 0
}

function headerAt(bytes: Uint8Array, at: number): RecordHeader | undefined {
  if (at + recordHeaderSizeBytes > bytes.length) return undefined
  const header = new DataView(bytes.buffer, bytes.byteOffset + at, recordHeaderSizeBytes)
  return {
    bodySizeBytes: header.getUint32(0),
    crc: header.getUint32(4),
    seq: header.getUint32(8) * 2 ** 32 + header.getUint32(12),
    type: header.getUint8(16),
  }
}

/** All of the record that `header` begins, if it is there. */
function extentOf(header: RecordHeader, bytes: Uint8Array, at: number): Uint8Array | undefined {
  if (!isPlausible(header, bytes, at)) return undefined
  const end = at + recordOverheadBytes + header.bodySizeBytes
  return end > bytes.length ? undefined : bytes.subarray(at, end)
}

/** The offset behind the last byte that is not zero. */
export function endOfData(bytes: Uint8Array): number {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end--
  return end
}

/** Over everything but itself. */
function checksum(record: Uint8Array, previousCrc: number): number {
  return crc32(record.subarray(8), crc32(record.subarray(0, 4), previousCrc))
}

/*
 * Both are read before anything else is sealed or opened, so that all records can have the same memory for them:
 * a recovery opens millions.
 */
const aadBytes = new Uint8Array(aadSizeBytes)
const nonceBytes = new Uint8Array(12)
const nonceWords = view(nonceBytes)

/** The header without the checksum, which is not known before sealing; and the segment it is for. */
function aad(record: Uint8Array, salt: Uint8Array): Uint8Array {
  for (let at = 0; at < 4; at++) aadBytes[at] = record[at] ?? 0
  for (let at = 8; at < recordHeaderSizeBytes; at++) aadBytes[at - 4] = record[at] ?? 0
  aadBytes.set(salt, 20)
  return aadBytes
}

function nonce(seq: number): Uint8Array {
  writeSeq(nonceWords, 4, seq)
  return nonceBytes
}

function writeSeq(header: DataView, at: number, seq: number): void {
  header.setUint32(at, Math.floor(seq / 2 ** 32))
  header.setUint32(at + 4, seq % 2 ** 32)
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
