import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { extract, type Header } from 'tar-stream'
import { ImageRefused } from './errors.ts'
import type { Descriptor } from './manifest.ts'
import type { ImageTree, LayerEntry } from './image-tree.ts'

/*
 * One layer: bytes from a registry, unpacked as they come. Nothing of it is believed before its digests
 * were compared, and it can be no larger than it may be, however small it was packed.
 */

export interface ImageLimits {
  /** All layers of an image, as they are sent. */
  readonly packedSizeBytesMax: number
  /** All files of an image, unpacked. */
  readonly unpackedSizeBytesMax: number
  /** All entries of all layers. */
  readonly entriesMax: number
}

export const usualImageLimits: ImageLimits = {
  packedSizeBytesMax: 64 * 1_048_576,
  unpackedSizeBytesMax: 128 * 1_048_576,
  entriesMax: 50_000,
}

/** What an image has used of its limits so far. */
export class ImageBudget {
  readonly #limits: ImageLimits
  #packedBytes = 0
  #unpackedBytes = 0
  #entries = 0

  constructor(limits: ImageLimits) {
    this.#limits = limits
  }

  packed(sizeBytes: number): void {
    this.#packedBytes += sizeBytes
    this.#check(this.#packedBytes, this.#limits.packedSizeBytesMax, 'packed')
  }

  unpacked(sizeBytes: number): void {
    this.#unpackedBytes += sizeBytes
    this.#check(this.#unpackedBytes, this.#limits.unpackedSizeBytesMax, 'unpacked')
  }

  entry(): void {
    this.#entries++
    if (this.#entries <= this.#limits.entriesMax) return
    throw new ImageRefused(`the image has more than ${this.#limits.entriesMax} files`)
  }

  #check(sizeBytes: number, sizeBytesMax: number, how: string): void {
    if (sizeBytes <= sizeBytesMax) return
    throw new ImageRefused(`the image has more than ${sizeBytesMax} bytes, ${how}`)
  }
}

/**
 * Lays a layer over `tree`.
 *
 * @param diffId the digest of the unpacked archive, as the image's configuration has it
 * @throws ImageRefused
 */
export async function layLayer(
  from: AsyncIterable<Uint8Array>,
  { digest, size, mediaType }: Descriptor,
  diffId: string,
  tree: ImageTree,
  budget: ImageBudget,
): Promise<void> {
  const packed = new Measure()
  const unpacked = new Measure()
  const body = measured(from, packed, (length) => {
    budget.packed(length)
    if (packed.sizeBytes > size) {
      throw new ImageRefused(`the layer ${digest} is longer than ${size} bytes`)
    }
  })
  const compression = mediaType.endsWith('zstd')
    ? 'zstd'
    : mediaType.endsWith('gzip')
      ? 'gzip'
      : 'none'
  const entries = await archiveEntries(
    body,
    compression,
    (length, chunk) => {
      unpacked.add(chunk)
      budget.unpacked(length)
    },
    () => budget.entry(),
  ).catch((cause: unknown) => {
    if (cause instanceof ImageRefused) throw cause
    throw new ImageRefused(`the layer ${digest} cannot be unpacked`, { cause })
  })
  if (packed.digest() !== digest)
    throw new ImageRefused(`the layer ${digest} is not what its digest says`)
  if (unpacked.digest() !== diffId) {
    throw new ImageRefused(`the layer ${digest} does not unpack to ${diffId}`)
  }
  for (const entry of entries) tree.add(entry)
}

/**
 * What is in a tar archive, in order.
 *
 * @param onBytes told of each piece, unpacked; @param onEntry of each entry: either may throw to end it
 * @throws ImageRefused for what nobody may have, and whatever a damaged archive leads to
 */
export async function archiveEntries(
  body: AsyncIterable<Uint8Array>,
  compression: 'none' | 'gzip' | 'zstd',
  onBytes: (length: number, chunk: Uint8Array) => void,
  onEntry: () => void,
): Promise<readonly LayerEntry[]> {
  const entries: LayerEntry[] = []
  const archive = extract()
  const fed = feed(told(unpackedBytes(body, compression), onBytes), archive)
  try {
    for await (const entry of archive) {
      onEntry()
      const read = await entryOf(entry)
      if (read !== undefined) entries.push(read)
    }
    await fed
    return entries
  } catch (error) {
    await fed.catch(() => {})
    throw error
  }
}

async function* told(
  body: AsyncIterable<Uint8Array>,
  tell: (length: number, chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    tell(chunk.length, chunk)
    yield chunk
  }
}

class Measure {
  readonly #hash = createHash('sha256')
  sizeBytes = 0

  add(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    this.sizeBytes += bytes.length
  }

  digest(): string {
    return `sha256:${this.#hash.digest('hex')}`
  }
}

async function* measured(
  body: AsyncIterable<Uint8Array>,
  measure: Measure,
  check: (length: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    measure.add(chunk)
    check(chunk.length)
    yield chunk
  }
}

function unpackedBytes(
  body: AsyncIterable<Uint8Array>,
  compression: 'none' | 'gzip' | 'zstd',
): AsyncIterable<Uint8Array> {
  const from = Readable.from(body, { objectMode: false })
  const through =
    compression === 'zstd'
      ? createZstdDecompress()
      : compression === 'gzip'
        ? createGunzip()
        : undefined
  if (through === undefined) return from as AsyncIterable<Uint8Array>
  from.once('error', (error) => through.destroy(error))
  through.once('close', () => from.destroy())
  return from.pipe(through) as AsyncIterable<Uint8Array>
}

/** Hands bytes on at the pace of whoever reads the archive. What fails here fails there. */
async function feed(
  bytes: AsyncIterable<Uint8Array>,
  archive: ReturnType<typeof extract>,
): Promise<void> {
  try {
    for await (const chunk of bytes) {
      if (archive.destroyed) return
      if (!archive.write(chunk)) await writable(archive)
    }
    archive.end(undefined)
  } catch (error) {
    archive.destroy(error instanceof Error ? error : new Error('the layer broke off'))
    throw error
  }
}

function writable(archive: ReturnType<typeof extract>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const ready = (): void => {
    archive.off('drain', ready)
    archive.off('close', ready)
    resolve()
  }
  archive.on('drain', ready)
  archive.on('close', ready)
  return promise
}

async function entryOf(
  entry: AsyncIterable<unknown> & { readonly header: Header },
): Promise<LayerEntry | undefined> {
  const { type, name, mode, uid, gid, linkname, mtime } = entry.header
  const modifiedAtMs = mtime.getTime()
  const attributes = { path: name, mode: mode & 0o7777, uid, gid, modifiedAtMs }
  const chunks: Uint8Array[] = []
  // Also what has no content is read to its end: the next entry waits for it.
  for await (const chunk of entry) chunks.push(chunk as Uint8Array)
  switch (type) {
    case 'directory':
      return { kind: 'directory', ...attributes }
    case 'file':
    case 'contiguous-file':
      return { kind: 'file', ...attributes, bytes: Buffer.concat(chunks) }
    case 'symlink':
      return { kind: 'symlink', ...attributes, target: linkname }
    case 'link':
      return { kind: 'link', path: name, target: linkname }
    case 'block-device':
    case 'character-device':
    case 'fifo':
      throw new ImageRefused(`the image holds a ${type}, which no container gets`)
    default:
      return undefined
  }
}
