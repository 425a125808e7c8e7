import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import {
  BytesMalformed,
  ByteWriter,
  hasBytesAt,
  sameBytes,
  utf8,
  type Random,
} from '@conclave/kernel'
import { CryptographicFailure, type AeadKey } from '@conclave/crypto'
import type { NodeId } from '@conclave/raft'
import { JournalCorrupt, JournalForeign, JournalUndecryptable } from './errors.ts'
import {
  endOfData,
  frameAt,
  isUnfinished,
  openRecord,
  recordTypes,
  type RecordSealer,
} from './record.ts'

/* A segment is one file of the log. Drawn in docs/formats/journal.md, "Segments". */

export const segmentHeaderSizeBytes = 128
const magic = utf8('CNCLWAL1')
const formatVersion = 1
const aes256Gcm = 1
/** No record has this number, so no record shares a nonce with the header. */
const headerNonce = new Uint8Array(12).fill(0xff)
const authenticatedSizeBytes = 76
const tagEnd = 92
const reservedOffset = 92
const reservedEnd = 96
const crcOffset = 124

/** Whose journal it is. */
export interface Owner {
  readonly clusterId: string
  readonly nodeId: NodeId
}

/** The journal keys by their ids. The newest seals. */
export interface JournalKeys {
  readonly newestId: number
  readonly byId: ReadonlyMap<number, AeadKey>
}

export interface Segment extends RecordSealer {
  readonly name: string
  readonly keyId: number
  readonly seq: number
  readonly firstIndex: number
  /** Of the last record of the segment before, which ties the two together. */
  readonly previousCrc: number
  /** How long the file was made before it was used; 0 in files of builds that did not say. */
  readonly reservedSizeBytes: number
  /** Of the header, from which the chain of its records starts. */
  readonly crc: number
}

/** A segment on the disk, and the highest index that stands in it. */
export interface KeptSegment {
  readonly name: string
  readonly seq: number
  readonly keyId: number
  readonly lastIndex: number
}

const hex16 = (value: number): string => value.toString(16).padStart(16, '0')

/** `<number>-<first index>.wal`, 16 hex digits each, as etcd names them. */
const segmentName = (seq: number, firstIndex: number): string =>
  `${hex16(seq)}-${hex16(firstIndex)}.wal`

const segmentPattern = /^([\da-f]{16})-([\da-f]{16})\.wal$/

/** The number in a segment's name; undefined for other files. */
export function segmentSeq(name: string): number | undefined {
  const digits = segmentPattern.exec(name)?.[1]
  return digits === undefined ? undefined : Number.parseInt(digits, 16)
}

/** A segment that does not exist yet, and its header. */
export function newSegment(o: {
  owner: Owner
  keys: JournalKeys
  seq: number
  firstIndex: number
  previousCrc: number
  reservedSizeBytes: number
  random: Random
}): { segment: Segment; header: Uint8Array } {
  const salt = o.random.bytes(16)
  const key = segmentKey(keyOf(o.keys, o.keys.newestId), salt, o.owner, o.seq)
  const header = new Uint8Array(segmentHeaderSizeBytes)
  const view = new DataView(header.buffer)
  header.set(magic, 0)
  view.setUint16(8, formatVersion)
  view.setUint16(10, aes256Gcm)
  view.setUint32(12, o.keys.newestId)
  view.setBigUint64(16, BigInt(o.seq))
  view.setBigUint64(24, BigInt(o.firstIndex))
  header.set(salt, 32)
  header.set(clusterTag(o.owner), 48)
  view.setBigUint64(64, BigInt(o.owner.nodeId))
  view.setUint32(72, o.previousCrc)
  const authenticated = header.subarray(0, authenticatedSizeBytes)
  header.set(key.seal(headerNonce, authenticated, new Uint8Array()), authenticatedSizeBytes)
  view.setUint32(reservedOffset, o.reservedSizeBytes)
  const crc = crc32(header.subarray(0, crcOffset))
  view.setUint32(crcOffset, crc)
  const { seq, firstIndex, previousCrc, reservedSizeBytes } = o
  const name = segmentName(seq, firstIndex)
  const keyId = o.keys.newestId
  const names = { name, keyId, seq, firstIndex }
  return { segment: { ...names, previousCrc, reservedSizeBytes, crc, key, salt }, header }
}

/**
 * The segment that `bytes` begin with.
 *
 * @throws JournalCorrupt, JournalForeign or JournalUndecryptable
 */
export function readSegmentHeader(
  name: string,
  bytes: Uint8Array,
  owner: Owner,
  keys: JournalKeys,
): Segment {
  const header = bytes.subarray(0, segmentHeaderSizeBytes)
  if (header.length < segmentHeaderSizeBytes) {
    throw new JournalCorrupt(name, header.length, 'the file ends inside its header')
  }
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength)
  const crc = view.getUint32(crcOffset)
  if (crc32(header.subarray(0, crcOffset)) !== crc) {
    throw new JournalCorrupt(name, 0, 'the header is damaged')
  }
  const isKnown =
    hasBytesAt(header, 0, magic) &&
    view.getUint16(8) === formatVersion &&
    view.getUint16(10) === aes256Gcm &&
    endOfData(header.subarray(reservedEnd, crcOffset)) === 0
  if (!isKnown) throw new JournalCorrupt(name, 0, 'the header is of no version known here')
  checkOwner(name, header.subarray(48, 64), view.getBigUint64(64), owner)
  const seq = Number(view.getBigUint64(16))
  const firstIndex = Number(view.getBigUint64(24))
  const keyId = view.getUint32(12)
  const salt = header.slice(32, 48)
  const journalKey = keys.byId.get(keyId)
  if (journalKey === undefined) throw new JournalUndecryptable(name, 0)
  const key = segmentKey(journalKey, salt, owner, seq)
  try {
    const tag = header.subarray(authenticatedSizeBytes, tagEnd)
    key.open(headerNonce, header.subarray(0, authenticatedSizeBytes), tag)
  } catch (error) {
    if (error instanceof CryptographicFailure) throw new JournalUndecryptable(name, 0)
    throw error
  }
  if (segmentName(seq, firstIndex) !== name) {
    throw new JournalCorrupt(name, 16, `the file calls itself ${segmentName(seq, firstIndex)}`)
  }
  const previousCrc = view.getUint32(72)
  const reservedSizeBytes = view.getUint32(reservedOffset)
  return { name, keyId, seq, firstIndex, previousCrc, reservedSizeBytes, crc, key, salt }
}

/** How a segment ends. */
export interface SegmentEnd {
  /** Behind the last whole record. */
  readonly offset: number
  readonly crc: number
  /** Whether it ends in bytes of a record that was never finished. */
  readonly isTorn: boolean
  /** Whether its writer ended it. */
  readonly isEnded: boolean
}

/** Told of a record: what stands in it, and where the record begins in the file. */
export type OnRecord = (type: number, body: Uint8Array, offset: number) => void

/**
 * Gives every record of a segment to `onRecord`, in order.
 *
 * @throws JournalCorrupt when something is damaged, or follows the end
 * @throws JournalUndecryptable when something undamaged does not open
 */
export function readRecords(segment: Segment, bytes: Uint8Array, onRecord: OnRecord): SegmentEnd {
  let offset = segmentHeaderSizeBytes
  let { crc } = segment
  let seq = 0
  let isEnded = false
  while (!isEnded) {
    const frame = frameAt(bytes, offset, crc)
    if (frame === undefined) break
    if (frame.header.seq !== seq) {
      throw new JournalCorrupt(
        segment.name,
        offset,
        `record ${frame.header.seq} follows ${seq - 1}`,
      )
    }
    onRecord(frame.header.type, open(segment, frame.record, seq, offset), offset)
    isEnded = frame.header.type === recordTypes.end
    crc = frame.header.crc
    offset += frame.record.length
    seq++
  }
  const isClean = endOfData(bytes) <= offset
  if (isClean) return { offset, crc, isTorn: false, isEnded }
  if (isEnded || !isUnfinished(bytes, offset, seq, segment)) {
    throw new JournalCorrupt(segment.name, offset, 'a record is damaged')
  }
  return { offset, crc, isTorn: true, isEnded }
}

function open(segment: Segment, record: Uint8Array, seq: number, offset: number): Uint8Array {
  try {
    return openRecord(record, seq, segment)
  } catch (error) {
    if (error instanceof CryptographicFailure) throw new JournalUndecryptable(segment.name, offset)
    if (error instanceof BytesMalformed) {
      throw new JournalCorrupt(segment.name, offset, error.message)
    }
    throw error
  }
}

function segmentKey(journalKey: AeadKey, salt: Uint8Array, owner: Owner, seq: number): AeadKey {
  const info = new Uint8Array(15 + 16 + 8 + 8)
  const view = new DataView(info.buffer)
  info.set(utf8('conclave/wal/v1'), 0)
  info.set(clusterTag(owner), 15)
  view.setBigUint64(31, BigInt(owner.nodeId))
  view.setBigUint64(39, BigInt(seq))
  return journalKey.derive(salt, info)
}

/** @throws JournalForeign */
export function checkOwner(
  name: string,
  cluster: Uint8Array,
  nodeId: bigint,
  owner: Owner,
  clusterOffset = 48,
): void {
  if (!sameBytes(clusterTag(owner), cluster)) {
    throw new JournalForeign(
      name,
      clusterOffset,
      `a member of another cluster than ${owner.clusterId}`,
    )
  }
  if (nodeId !== BigInt(owner.nodeId)) {
    const why = `member ${nodeId}, not by member ${owner.nodeId}`
    throw new JournalForeign(name, clusterOffset + 16, why)
  }
}

/** 16 bytes for a cluster id of any length. */
export function clusterTag({ clusterId }: Owner): Uint8Array {
  const id = new ByteWriter().text('conclave/cluster').text(clusterId).take()
  return createHash('sha256').update(id).digest().subarray(0, 16)
}

/** @throws JournalUndecryptable when there is no key `id` */
export function keyOf(keys: JournalKeys, id: number): AeadKey {
  const key = keys.byId.get(id)
  if (key === undefined) throw new JournalUndecryptable(`journal key ${id}`, 0)
  return key
}
