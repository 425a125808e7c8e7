import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { hasBytesAt, invariant, utf8, type Random } from '@conclave/kernel'
import { CryptographicFailure, tagSizeBytes, type AeadKey } from '@conclave/crypto'
import { chunkDigest, ContentDigest, type SnapshotMeta } from '@conclave/raft'
import type { DiskFile, DiskReader } from './disk.ts'
import { JournalCorrupt, JournalUndecryptable } from './errors.ts'
import type { Marker } from './record-body.ts'
import { checkOwner, clusterTag, keyOf, type JournalKeys, type Owner } from './segment.ts'

/*
 * One snapshot in one file: a manifest, then chunks that are sealed one by one, and a digest of them
 * all, sealed too. Nobody ever holds the whole. Drawn in docs/formats/journal.md, "Snapshots".
 */

const manifestSizeBytes = 192
const magic = utf8('CNCLSNP1')
const formatVersion = 2
const aes256Gcm = 1
const crcOffset = 188
const digestSizeBytes = 32
const info = utf8('conclave/snapshot/v2')
/**
 * How much is left to the system to write when it likes. All of a snapshot at its end would keep the disk for
 * a hundred milliseconds, and every append waits behind it.
 */
const unsyncedBytesMax = 1024 * 1024

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

/** Writes one snapshot into an empty file, chunk by chunk. */
export class SnapshotFileWriter {
  readonly #file: DiskFile
  readonly #owner: Owner
  readonly #meta: SnapshotMeta
  readonly #salt: Uint8Array
  readonly #key: AeadKey
  readonly #hash = createHash('sha256')
  readonly #digest = new ContentDigest()
  readonly keyId: number
  /** What the marker must carry. */
  readonly id: Uint8Array
  #chunkSizeBytes = 0
  #sizeBytes = 0
  #number = 0
  #position = manifestSizeBytes
  #syncedTo = 0
  #sealed = new Uint8Array(0)

  constructor(o: {
    file: DiskFile
    meta: SnapshotMeta
    owner: Owner
    keys: JournalKeys
    random: Random
  }) {
    this.#file = o.file
    this.#owner = o.owner
    this.#meta = o.meta
    this.id = o.random.bytes(16)
    this.#salt = o.random.bytes(32)
    this.keyId = o.keys.newestId
    this.#key = chunkKey(keyOf(o.keys, this.keyId), this.#salt, o.owner)
  }

  /** All chunks have one size, but the last, which may be shorter. Resolves once it is written. */
  async write(chunk: Uint8Array): Promise<void> {
    if (this.#number === 0) this.#chunkSizeBytes = chunk.length
    const isAligned = this.#sizeBytes === this.#number * this.#chunkSizeBytes
    invariant(
      isAligned && chunk.length > 0 && chunk.length <= this.#chunkSizeBytes,
      'no chunk is larger than the first, and none follows a shorter one',
    )
    this.#digest.add(chunkDigest(chunk))
    this.#sizeBytes += chunk.length
    await this.#writeSealed(chunk, false)
  }

  /** After the last chunk. Not yet durable: that takes a sync of the file. */
  async end(): Promise<void> {
    await this.#writeSealed(this.#digest.end(), true)
    await this.#file.write(this.#manifest(), 0)
  }

  async #writeSealed(plaintext: Uint8Array, isLast: boolean): Promise<void> {
    const number = this.#number++
    const size = plaintext.length + tagSizeBytes
    // The same memory for each: a large state would make as much garbage.
    if (this.#sealed.length < size) this.#sealed = new Uint8Array(size)
    const sealed = this.#sealed.subarray(0, size)
    this.#key.sealInto(sealed, nonce(number), aad(this.id, this.#meta, number, isLast), plaintext)
    this.#hash.update(sealed)
    await this.#file.write(sealed, this.#position)
    this.#position += size
    if (this.#position - this.#syncedTo < unsyncedBytesMax) return
    this.#syncedTo = this.#position
    await this.#file.sync()
  }

  #manifest(): Uint8Array {
    const head = new Uint8Array(manifestSizeBytes)
    const view = new DataView(head.buffer)
    head.set(magic, 0)
    view.setUint16(8, formatVersion)
    view.setUint16(10, aes256Gcm)
    view.setUint32(12, this.keyId)
    head.set(this.id, 16)
    head.set(this.#salt, 32)
    head.set(clusterTag(this.#owner), 64)
    view.setBigUint64(80, BigInt(this.#owner.nodeId))
    view.setBigUint64(88, BigInt(this.#meta.index))
    view.setBigUint64(96, BigInt(this.#meta.term))
    view.setBigUint64(104, BigInt(this.#sizeBytes))
    head.set(this.#hash.digest(), 112)
    view.setUint32(144, this.#chunkSizeBytes)
    view.setUint32(crcOffset, crc32(head.subarray(0, crcOffset)))
    return head
  }
}

export interface SnapshotReading {
  readonly name: string
  readonly file: DiskReader
  /** The file must be the one that it speaks of. */
  readonly marker: Marker
  readonly owner: Owner
  readonly keys: JournalKeys
}

/** One snapshot of the journal, open for reading, chunk by chunk in any order. */
export class SnapshotFileReader {
  readonly #o: SnapshotReading
  readonly #manifest: Manifest
  /** What the content is known by: {@link ContentDigest}. */
  readonly digest: Uint8Array

  private constructor(o: SnapshotReading, manifest: Manifest, digest: Uint8Array) {
    this.#o = o
    this.#manifest = manifest
    this.digest = digest
  }

  /**
   * Reads what surrounds the chunks.
   *
   * @throws JournalCorrupt, JournalForeign or JournalUndecryptable
   */
  static async open(o: SnapshotReading): Promise<SnapshotFileReader> {
    const manifest = await readManifest(o)
    const trailer = await readChunk(o, manifest, manifest.chunkCount)
    return new SnapshotFileReader(o, manifest, open(o, manifest, manifest.chunkCount, trailer))
  }

  /**
   * Reads the whole file once, to see that it can be read again.
   *
   * @throws JournalCorrupt when it is damaged, JournalUndecryptable when it is not and does not open
   */
  static async check(o: SnapshotReading): Promise<{ readonly keyId: number }> {
    const manifest = await readManifest(o)
    const hash = createHash('sha256')
    let failure: unknown
    for (let number = 0; number <= manifest.chunkCount; number++) {
      const sealed = await readChunk(o, manifest, number)
      hash.update(sealed)
      try {
        open(o, manifest, number, sealed)
      } catch (error) {
        failure ??= error
      }
    }
    if (!hasBytesAt(manifest.hash, 0, hash.digest())) {
      throw new JournalCorrupt(o.name, manifestSizeBytes, 'the content is damaged')
    }
    if (failure !== undefined) throw failure
    return manifest
  }

  get meta(): SnapshotMeta {
    const { index, term, confState } = this.#o.marker
    return { index, term, confState }
  }

  /** Of the content, without what seals it. */
  get sizeBytes(): number {
    return this.#manifest.sizeBytes
  }

  get chunkCount(): number {
    return this.#manifest.chunkCount
  }

  /** @throws JournalCorrupt or JournalUndecryptable */
  async read(number: number): Promise<Uint8Array> {
    const sealed = await readChunk(this.#o, this.#manifest, number)
    return open(this.#o, this.#manifest, number, sealed)
  }

  close(): Promise<void> {
    return this.#o.file.close()
  }
}

interface Manifest {
  readonly key: AeadKey
  readonly keyId: number
  readonly sizeBytes: number
  readonly chunkSizeBytes: number
  readonly chunkCount: number
  /** Of everything behind the manifest. */
  readonly hash: Uint8Array
}

async function readManifest({
  name,
  file,
  marker,
  owner,
  keys,
}: SnapshotReading): Promise<Manifest> {
  const head = await file.read(0, manifestSizeBytes)
  if (head.length < manifestSizeBytes) {
    throw new JournalCorrupt(name, head.length, 'the file ends inside its manifest')
  }
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  if (crc32(head.subarray(0, crcOffset)) !== view.getUint32(crcOffset)) {
    throw new JournalCorrupt(name, 0, 'the manifest is damaged')
  }
  const isKnown =
    hasBytesAt(head, 0, magic) &&
    view.getUint16(8) === formatVersion &&
    view.getUint16(10) === aes256Gcm
  if (!isKnown) throw new JournalCorrupt(name, 0, 'the manifest is of no version known here')
  checkOwner(name, head.subarray(64, 80), view.getBigUint64(80), owner, 64)
  const isMarked =
    hasBytesAt(head, 16, marker.snapshotId) &&
    view.getBigUint64(88) === BigInt(marker.index) &&
    view.getBigUint64(96) === BigInt(marker.term)
  if (!isMarked) throw new JournalCorrupt(name, 16, 'the log speaks of another snapshot')
  const keyId = view.getUint32(12)
  const journalKey = keys.byId.get(keyId)
  if (journalKey === undefined) throw new JournalUndecryptable(name, 0)
  const sizeBytes = Number(view.getBigUint64(104))
  const chunkSizeBytes = view.getUint32(144)
  const chunkCount = sizeBytes === 0 ? 0 : Math.ceil(sizeBytes / chunkSizeBytes)
  // The manifest is not sealed, so its sizes are checked before anything is made of them.
  const contentEnd = placeOf(chunkCount, { sizeBytes, chunkSizeBytes })
  if (file.sizeBytes !== contentEnd + digestSizeBytes + tagSizeBytes) {
    throw new JournalCorrupt(name, 104, 'the file has another size than it says')
  }
  const key = chunkKey(journalKey, head.slice(32, 64), owner)
  return { key, keyId, sizeBytes, chunkSizeBytes, chunkCount, hash: head.slice(112, 144) }
}

/** Where chunk `number` begins. */
const placeOf = (
  number: number,
  o: { readonly sizeBytes: number; readonly chunkSizeBytes: number },
): number =>
  manifestSizeBytes + Math.min(number * o.chunkSizeBytes, o.sizeBytes) + number * tagSizeBytes

/** A chunk as it is sealed; the one behind the content is the trailer. */
function readChunk(
  { file }: SnapshotReading,
  manifest: Manifest,
  number: number,
): Promise<Uint8Array> {
  const isTrailer = number === manifest.chunkCount
  const end = isTrailer ? file.sizeBytes : placeOf(number + 1, manifest)
  const start = placeOf(number, manifest)
  return file.read(start, end - start)
}

function open(
  { name, marker }: SnapshotReading,
  manifest: Manifest,
  number: number,
  sealed: Uint8Array,
): Uint8Array {
  const isLast = number === manifest.chunkCount
  try {
    const bound = aad(marker.snapshotId, marker, number, isLast)
    return manifest.key.open(nonce(number), bound, sealed)
  } catch (error) {
    if (!(error instanceof CryptographicFailure)) throw error
    throw new JournalUndecryptable(name, placeOf(number, manifest))
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
  at: { readonly index: number; readonly term: number },
  number: number,
  isLast: boolean,
): Uint8Array {
  const bytes = new Uint8Array(37)
  const view = new DataView(bytes.buffer)
  bytes.set(id, 0)
  view.setBigUint64(16, BigInt(at.index))
  view.setBigUint64(24, BigInt(at.term))
  view.setUint32(32, number)
  view.setUint8(36, isLast ? 1 : 0)
  return bytes
}

function nonce(number: number): Uint8Array {
  const bytes = new Uint8Array(12)
  new DataView(bytes.buffer).setUint32(8, number)
  return bytes
}
