import { unwrapKeyring, wrapKeyring, type Keyring } from '@conclave/crypto'
import {
  ByteReader,
  BytesMalformed,
  ByteWriter,
  invariant,
  utf8,
  utf8Text,
  type Random,
} from '@conclave/kernel'
import { compareKeys, StateDigest, type StateRecord } from '@conclave/store'
import { ExportUnreadable } from './errors.ts'
import {
  headerSizeBytesMax,
  lockExport,
  readHeader,
  scryptCost,
  type ExportKeys,
  type ExportLock,
  type ExportUnlock,
} from './export-key.ts'
import { ByteSource, openChunks, sealChunks } from './sealed-chunks.ts'
import { StateManifest, type StateSource } from './state-source.ts'

/*
 * An export: a header, and sealed chunks of frames. A manifest comes first, then the wrapped keyring if
 * there is one, the records, and at the end how many they were and their digest. Layout:
 * docs/formats/export.md.
 */

const frames = { manifest: 1, keyring: 2, record: 3, end: 4 } as const

/** What an export turned out to hold, once all of it was read. */
export interface ExportSummary {
  readonly manifest: StateManifest
  readonly recordCount: number
  readonly digest: string
  readonly hasKeyring: boolean
}

/** The bytes of an export of `source`. They are no export before the last of them. */
export async function* writeExport(
  source: StateSource,
  lock: ExportLock,
  random: Random,
  cost = scryptCost as { readonly logN: number; readonly r: number; readonly p: number },
): AsyncGenerator<Uint8Array> {
  const keys = await lockExport(lock, random, cost)
  yield keys.header
  yield* sealChunks(keys.chunks, framesOf(source, keys, random))
}

async function* framesOf(
  { manifest, keyring, records }: StateSource,
  keys: ExportKeys,
  random: Random,
): AsyncGenerator<Uint8Array> {
  yield new ByteWriter()
    .u8(frames.manifest)
    .bytes(utf8(JSON.stringify(manifest)))
    .end()
  if (keyring !== undefined) {
    const { clusterId } = manifest
    const wrapped = wrapKeyring({ kek: keys.keyring, keyring, clusterId, random })
    yield new ByteWriter().u8(frames.keyring).bytes(wrapped).end()
  }
  const digest = new StateDigest()
  for await (const record of records()) {
    digest.add(record)
    yield writeRecord(record)
  }
  const { count } = digest
  yield new ByteWriter().u8(frames.end).uint(count).text(digest.end()).end()
}

/**
 * Reads an export to its end, and hands on each record before that: whoever acts on one has to be able to
 * undo it, or reads twice.
 *
 * @throws ExportUnreadable
 */
export async function* readExport(
  pieces: AsyncIterable<Uint8Array>,
  unlock: ExportUnlock,
): AsyncGenerator<ExportItem, ExportSummary> {
  const bytes = new ByteSource(pieces)
  try {
    const header = readHeader(await bytes.peek(headerSizeBytesMax))
    await bytes.take(header.sizeBytes)
    const reader = new FrameReader(await header.unlock(unlock))
    for await (const chunk of openChunks(reader.keys.chunks, bytes)) yield* reader.read(chunk)
    return reader.summary()
  } finally {
    await bytes.close()
  }
}

export type ExportItem =
  | { readonly kind: 'manifest'; readonly manifest: StateManifest }
  | { readonly kind: 'keyring'; readonly keyring: Keyring }
  | { readonly kind: 'record'; readonly record: StateRecord }

/** Reads all of it, and hands on nothing. @throws ExportUnreadable */
export async function verifyExport(
  pieces: AsyncIterable<Uint8Array>,
  unlock: ExportUnlock,
): Promise<ExportSummary> {
  const items = readExport(pieces, unlock)
  for (;;) {
    const next = await items.next()
    if (next.done === true) return next.value
  }
}

class FrameReader {
  readonly keys: ExportKeys
  readonly #digest = new StateDigest()
  #manifest: StateManifest | undefined
  #hasKeyring = false
  #last: string | undefined
  #summary: ExportSummary | undefined

  constructor(keys: ExportKeys) {
    this.keys = keys
  }

  *read(chunk: Uint8Array): Generator<ExportItem> {
    const reader = new ByteReader(chunk)
    try {
      while (reader.remaining > 0) {
        const item = this.#frame(reader)
        if (item !== undefined) yield item
      }
    } catch (cause) {
      if (!(cause instanceof BytesMalformed)) throw cause
      throw new ExportUnreadable('it opens, but what is inside is no export', { cause })
    }
  }

  summary(): ExportSummary {
    if (this.#summary === undefined) throw new ExportUnreadable('it has no end')
    return this.#summary
  }

  #frame(reader: ByteReader): ExportItem | undefined {
    const kind = reader.u8()
    if (this.#summary !== undefined) throw new ExportUnreadable('something follows its end')
    if (this.#manifest === undefined) {
      if (kind !== frames.manifest) throw new ExportUnreadable('it does not begin with a manifest')
      this.#manifest = readManifest(reader.bytes())
      return { kind: 'manifest', manifest: this.#manifest }
    }
    switch (kind) {
      case frames.keyring:
        return { kind: 'keyring', keyring: this.#keyring(reader.bytes()) }
      case frames.record:
        return { kind: 'record', record: this.#record(reader) }
      case frames.end:
        this.#end(reader.uint(), reader.text())
        return undefined
      default:
        throw new ExportUnreadable(`a frame of kind ${kind} is not known`)
    }
  }

  #keyring(wrapped: Uint8Array): Keyring {
    invariant(this.#manifest !== undefined, 'the manifest comes first')
    if (this.#hasKeyring || this.#digest.count > 0) {
      throw new ExportUnreadable('a keyring is not where it should be')
    }
    this.#hasKeyring = true
    const { clusterId } = this.#manifest
    try {
      return unwrapKeyring({ kek: this.keys.keyring, clusterId, wrapped })
    } catch (cause) {
      throw new ExportUnreadable('the keyring inside does not open', { cause })
    }
  }

  #record(reader: ByteReader): StateRecord {
    const record = readRecord(reader)
    const isBehind = this.#last === undefined || compareKeys(record.key, this.#last) > 0
    if (!isBehind || record.modRevision > (this.#manifest?.revision ?? 0)) {
      throw new ExportUnreadable('its records are not those of one revision in order')
    }
    this.#last = record.key
    this.#digest.add(record)
    return record
  }

  #end(count: number, digest: string): void {
    const { count: recordCount } = this.#digest
    const own = this.#digest.end()
    invariant(this.#manifest !== undefined, 'the manifest comes first')
    if (count !== recordCount || digest !== own) {
      throw new ExportUnreadable('its records are not those that it counts')
    }
    this.#summary = {
      manifest: this.#manifest,
      recordCount,
      digest,
      hasKeyring: this.#hasKeyring,
    }
  }
}

function writeRecord(record: StateRecord): Uint8Array {
  const { key, value, createRevision, modRevision, version } = record
  return new ByteWriter(key.length + value.length + 48)
    .u8(frames.record)
    .text(key)
    .uint(createRevision)
    .uint(modRevision)
    .uint(version)
    .bytes(value)
    .end()
}

function readRecord(reader: ByteReader): StateRecord {
  const key = reader.text()
  const createRevision = reader.uint()
  const modRevision = reader.uint()
  const version = reader.uint()
  return { key, createRevision, modRevision, version, value: reader.bytes() }
}

function readManifest(bytes: Uint8Array): StateManifest {
  try {
    return StateManifest.parse(JSON.parse(utf8Text(bytes)))
  } catch (cause) {
    throw new ExportUnreadable('its manifest is of another build', { cause })
  }
}
