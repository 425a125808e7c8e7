import { createHash, type Hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { ByteReader, hasBytesAt, utf8, type Random } from '@conclave/kernel'
import { CryptographicFailure, tagSizeBytes, type AeadKey } from '@conclave/crypto'
import { readConfState, type Snapshot, type SnapshotMeta } from '@conclave/raft'
import type { DiskFile } from './disk.ts'
import { JournalCorrupt, JournalUndecryptable } from './errors.ts'
import { encodeConfState, type Marker } from './record-body.ts'
import { checkOwner, clusterTag, keyOf, type JournalKeys, type Owner } from './segment.ts'

/*
 * One snapshot in one file: a manifest, then chunks that are sealed one by one, so that neither side
 * ever holds a second copy of the whole. Drawn in docs/formats/journal.md, "Snapshots".
 */

const manifestSizeBytes = 192
const magic = utf8('CNCLSNP1')
const formatVersion = 1
const aes256Gcm = 1
const chunkSizeBytes = 1024 * 1024
const crcOffset = 188
const info = utf8('conclave/snapshot/v1')

/** A snapshot on the disk. */
export interface SnapshotFile {
  readonly name: string
  readonly keyId: number
  readonly index: number
}

const hex16 = (value: number): string => value.toString(16).padStart(16, '0')

/** `<index>-<term>.snap`, 16 hex digits each. */
export const snapshotName = ({ index, term }: { index: number; term: number }): string =>
  `${hex16(index)}-${hex16(term)}.snap`

export const isSnapshotName = (name: string): boolean =>
  /^[\da-f]{16}-[\da-f]{16}\.snap$/.test(name)

/** Writes `snapshot` into the empty `file`. Answers with the id that its marker must carry. */
export async function writeSnapshot(o: {
  file: DiskFile
  snapshot: Snapshot
  owner: Owner
  keys: JournalKeys
  random: Random
}): Promise<Uint8Array> {
  const { file, owner, keys } = o
  const { meta, data } = o.snapshot
  const id = o.random.bytes(16)
  const salt = o.random.bytes(32)
  const key = chunkKey(keyOf(keys, keys.newestId), salt, owner)
  const hash = createHash('sha256')
  let position = manifestSizeBytes
  const chunkCount = 1 + Math.ceil(data.length / chunkSizeBytes)
  for (let number = 0; number < chunkCount; number++) {
    const start = (number - 1) * chunkSizeBytes
    const plaintext =
      number === 0 ? encodeConfState(meta.confState) : data.subarray(start, start + chunkSizeBytes)
    const isLast = number === chunkCount - 1
    const sealed = key.seal(nonce(number), aad(id, meta, number, isLast), plaintext)
    hash.update(sealed)
    await file.write(sealed, position)
    position += sealed.length
  }
  await file.write(manifest({ owner, keyId: keys.newestId, id, salt, meta, data, hash }), 0)
  return id
}

/**
 * The snapshot in `bytes`, which must be the one that `marker` speaks of.
 *
 * @throws JournalCorrupt, JournalForeign or JournalUndecryptable
 */
export function readSnapshot(o: {
  name: string
  bytes: Uint8Array
  marker: Marker
  owner: Owner
  keys: JournalKeys
}): { readonly snapshot: Snapshot; readonly keyId: number } {
  const { name, bytes, marker } = o
  const { key, keyId, dataSizeBytes } = readManifest(o)
  const chunkCount = 1 + Math.ceil(dataSizeBytes / chunkSizeBytes)
  const chunksSizeBytes = bytes.length - manifestSizeBytes
  const headSizeBytes = chunksSizeBytes - dataSizeBytes - chunkCount * tagSizeBytes
  // The manifest is not sealed, so its size is checked before anything is made of it.
  if (headSizeBytes < 0) throw new JournalCorrupt(name, 104, 'the file is shorter than it says')
  const data = new Uint8Array(dataSizeBytes)
  let position = manifestSizeBytes
  let confState = marker.confState
  for (let number = 0; number < chunkCount; number++) {
    const start = (number - 1) * chunkSizeBytes
    const size = number === 0 ? headSizeBytes : Math.min(chunkSizeBytes, dataSizeBytes - start)
    const sealed = bytes.subarray(position, position + size + tagSizeBytes)
    const bound = aad(marker.snapshotId, marker, number, number === chunkCount - 1)
    const plaintext = openChunk(key, number, bound, sealed, name, position)
    if (number === 0) confState = readConfState(new ByteReader(plaintext))
    else data.set(plaintext, start)
    position += sealed.length
  }
  const { index, term } = marker
  return { snapshot: { meta: { index, term, confState }, data }, keyId }
}

function readManifest(o: {
  name: string
  bytes: Uint8Array
  marker: Marker
  owner: Owner
  keys: JournalKeys
}): { key: AeadKey; keyId: number; dataSizeBytes: number } {
  const { name, bytes, marker } = o
  if (bytes.length < manifestSizeBytes) {
    throw new JournalCorrupt(name, bytes.length, 'the file ends inside its manifest')
  }
  const head = bytes.subarray(0, manifestSizeBytes)
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  if (crc32(head.subarray(0, crcOffset)) !== view.getUint32(crcOffset)) {
    throw new JournalCorrupt(name, 0, 'the manifest is damaged')
  }
  const isKnown =
    hasBytesAt(head, 0, magic) &&
    view.getUint16(8) === formatVersion &&
    view.getUint16(10) === aes256Gcm
  if (!isKnown) throw new JournalCorrupt(name, 0, 'the manifest is of no version known here')
  checkOwner(name, head.subarray(64, 80), view.getBigUint64(80), o.owner, 64)
  const isMarked =
    hasBytesAt(head, 16, marker.snapshotId) &&
    view.getBigUint64(88) === BigInt(marker.index) &&
    view.getBigUint64(96) === BigInt(marker.term)
  if (!isMarked) throw new JournalCorrupt(name, 16, 'the log speaks of another snapshot')
  const hash = createHash('sha256').update(bytes.subarray(manifestSizeBytes)).digest()
  if (!hasBytesAt(head, 112, hash)) {
    throw new JournalCorrupt(name, manifestSizeBytes, 'the content is damaged')
  }
  const keyId = view.getUint32(12)
  const journalKey = o.keys.byId.get(keyId)
  if (journalKey === undefined) throw new JournalUndecryptable(name, 0)
  const key = chunkKey(journalKey, head.slice(32, 64), o.owner)
  return { key, keyId, dataSizeBytes: Number(view.getBigUint64(104)) }
}

function manifest(o: {
  owner: Owner
  keyId: number
  id: Uint8Array
  salt: Uint8Array
  meta: SnapshotMeta
  data: Uint8Array
  hash: Hash
}): Uint8Array {
  const head = new Uint8Array(manifestSizeBytes)
  const view = new DataView(head.buffer)
  head.set(magic, 0)
  view.setUint16(8, formatVersion)
  view.setUint16(10, aes256Gcm)
  view.setUint32(12, o.keyId)
  head.set(o.id, 16)
  head.set(o.salt, 32)
  head.set(clusterTag(o.owner), 64)
  view.setBigUint64(80, BigInt(o.owner.nodeId))
  view.setBigUint64(88, BigInt(o.meta.index))
  view.setBigUint64(96, BigInt(o.meta.term))
  view.setBigUint64(104, BigInt(o.data.length))
  head.set(o.hash.digest(), 112)
  view.setUint32(crcOffset, crc32(head.subarray(0, crcOffset)))
  return head
}

function openChunk(
  key: AeadKey,
  number: number,
  bound: Uint8Array,
  sealed: Uint8Array,
  name: string,
  position: number,
): Uint8Array {
  try {
    return key.open(nonce(number), bound, sealed)
  } catch (error) {
    if (error instanceof CryptographicFailure) throw new JournalUndecryptable(name, position)
    throw error
  }
}

/** A key for one snapshot, so that chunk numbers are nonces. */
function chunkKey(journalKey: AeadKey, salt: Uint8Array, owner: Owner): AeadKey {
  const bound = new Uint8Array(info.length + 24)
  bound.set(info, 0)
  bound.set(clusterTag(owner), info.length)
  new DataView(bound.buffer).setBigUint64(info.length + 16, BigInt(owner.nodeId))
  return journalKey.derive(salt, bound)
}

function aad(
  id: Uint8Array,
  meta: { readonly index: number; readonly term: number },
  number: number,
  isLast: boolean,
): Uint8Array {
  const bytes = new Uint8Array(37)
  const view = new DataView(bytes.buffer)
  bytes.set(id, 0)
  view.setBigUint64(16, BigInt(meta.index))
  view.setBigUint64(24, BigInt(meta.term))
  view.setUint32(32, number)
  view.setUint8(36, isLast ? 1 : 0)
  return bytes
}

function nonce(number: number): Uint8Array {
  const bytes = new Uint8Array(12)
  new DataView(bytes.buffer).setUint32(8, number)
  return bytes
}
