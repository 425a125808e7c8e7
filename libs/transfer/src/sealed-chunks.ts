import { CryptographicFailure, tagSizeBytes, type AeadKey } from '@conclave/crypto'
import { ExportUnreadable } from './errors.ts'

/*
 * A stream in sealed chunks, none of which can be changed, left out, repeated or moved, and of which the
 * end cannot be cut off: the number of a chunk and whether it is the last are its nonce (the STREAM
 * construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015). Layout: docs/formats/export.md.
 */

const lengthSizeBytes = 4
/** A chunk holds whole frames, and a frame holds a value of any size that the store takes. */
export const chunkSizeBytesMax = 32 * 1024 * 1024

/** Frames are gathered until there are so many bytes. */
const chunkSizeBytesUsually = 256 * 1024

const nothing = new Uint8Array(0)

/** Seals `frames`. The key seals one stream and nothing else, since nonces count from 0. */
export async function* sealChunks(
  key: AeadKey,
  frames: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let gathered: Uint8Array[] = []
  let size = 0
  let number = 0
  for await (const frame of frames) {
    if (size > 0 && size + frame.length > chunkSizeBytesUsually) {
      yield sealChunk(key, number++, false, gathered, size)
      gathered = []
      size = 0
    }
    gathered.push(frame)
    size += frame.length
  }
  yield sealChunk(key, number, true, gathered, size)
}

/** @throws ExportUnreadable as soon as anything is not as it was sealed; after the last chunk all of it was */
export async function* openChunks(key: AeadKey, bytes: ByteSource): AsyncGenerator<Uint8Array> {
  for (let number = 0; ; number++) {
    const head = await bytes.take(lengthSizeBytes)
    const word = viewOf(head).getUint32(0)
    const isLast = word >= 0x8000_0000
    const size = word & 0x7fff_ffff
    if (size < tagSizeBytes || size > chunkSizeBytesMax + tagSizeBytes) {
      throw new ExportUnreadable(`chunk ${number} has no possible size`)
    }
    yield openChunk(key, number, isLast, await bytes.take(size))
    if (!isLast) continue
    if (!(await bytes.isAtEnd())) throw new ExportUnreadable('something follows the last chunk')
    return
  }
}

function sealChunk(
  key: AeadKey,
  number: number,
  isLast: boolean,
  frames: readonly Uint8Array[],
  size: number,
): Uint8Array {
  const plaintext = new Uint8Array(size)
  let at = 0
  for (const frame of frames) {
    plaintext.set(frame, at)
    at += frame.length
  }
  const chunk = new Uint8Array(lengthSizeBytes + size + tagSizeBytes)
  viewOf(chunk).setUint32(0, ((isLast ? 0x8000_0000 : 0) | (size + tagSizeBytes)) >>> 0)
  key.sealInto(chunk.subarray(lengthSizeBytes), nonceOf(number, isLast), nothing, plaintext)
  return chunk
}

function openChunk(key: AeadKey, number: number, isLast: boolean, sealed: Uint8Array): Uint8Array {
  try {
    return key.open(nonceOf(number, isLast), nothing, sealed)
  } catch (cause) {
    if (!(cause instanceof CryptographicFailure)) throw cause
    const what =
      number === 0
        ? 'it does not open: the passphrase or key is another, or the file is damaged'
        : `it is damaged at chunk ${number}`
    throw new ExportUnreadable(what, { cause })
  }
}

/** Seven zeros, the number (u32, highest byte first), and 1 for the last chunk or 0. */
function nonceOf(number: number, isLast: boolean): Uint8Array {
  const nonce = new Uint8Array(12)
  viewOf(nonce).setUint32(7, number)
  nonce[11] = isLast ? 1 : 0
  return nonce
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Bytes that come in pieces, taken in other pieces. */
export class ByteSource {
  readonly #pieces: AsyncIterator<Uint8Array>
  #rest: Uint8Array = nothing

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]()
  }

  /** Up to as many, without taking them. */
  async peek(size: number): Promise<Uint8Array> {
    const pieces = [this.#rest]
    let have = this.#rest.length
    while (have < size) {
      const next = await this.#pieces.next()
      if (next.done === true) break
      pieces.push(next.value)
      have += next.value.length
    }
    if (pieces.length > 1) this.#rest = Buffer.concat(pieces)
    return this.#rest.subarray(0, size)
  }

  /** Exactly as many. @throws ExportUnreadable when there are fewer */
  async take(size: number): Promise<Uint8Array> {
    const taken = await this.peek(size)
    if (taken.length < size) throw new ExportUnreadable('it is cut off')
    this.#rest = this.#rest.subarray(size)
    return taken
  }

  async isAtEnd(): Promise<boolean> {
    return (await this.peek(1)).length === 0
  }

  async close(): Promise<void> {
    await this.#pieces.return?.()
  }
}
