import { ConclaveError, utf8 } from '@conclave/kernel'

import { Gather } from './gather.ts'

/*
 * Mesos streams: `<decimal length in bytes>\n<payload>`, repeated, nothing between two records.
 * Source: reference mesos.md §1.
 */

const newline = 0x0a
const digitsMax = 10

/** A stream that is no RecordIO, or announces a record that is too large. */
export class RecordIoMalformed extends ConclaveError {
  readonly code = 'record-io.malformed'
}

/** Cuts a stream into its records, however it was cut into chunks on its way. */
export class RecordIoDecoder {
  readonly #sizeBytesMax: number
  #digits = ''
  #body: Gather | undefined

  constructor(sizeBytesMax = 64 * 1024 * 1024) {
    this.#sizeBytesMax = sizeBytesMax
  }

  /** The payloads that `chunk` completes. @throws RecordIoMalformed */
  push(chunk: Uint8Array): Uint8Array[] {
    const records: Uint8Array[] = []
    let at = 0
    while (at < chunk.length) {
      if (this.#body === undefined) {
        const byte = chunk[at++] ?? 0
        if (byte === newline) this.#body = this.#begin()
        else this.#digit(byte)
      }
      if (this.#body === undefined) continue
      at += this.#body.take(chunk, at)
      if (!this.#body.isComplete) break
      records.push(this.#body.bytes())
      this.#body = undefined
    }
    return records
  }

  /** @throws RecordIoMalformed when the stream has ended within a record */
  end(): void {
    if (this.#digits !== '' || this.#body !== undefined) {
      throw new RecordIoMalformed('the stream ended within a record')
    }
  }

  #digit(byte: number): void {
    const isDigit = byte >= 0x30 && byte <= 0x39
    if (!isDigit || this.#digits.length >= digitsMax) {
      throw new RecordIoMalformed('a record begins with its length in decimal')
    }
    this.#digits += String.fromCharCode(byte)
  }

  #begin(): Gather {
    const size = Number(this.#digits)
    if (this.#digits === '') throw new RecordIoMalformed('a record without a length')
    if (size > this.#sizeBytesMax) {
      throw new RecordIoMalformed(`a record of ${size} bytes, ${this.#sizeBytesMax} are allowed`)
    }
    this.#digits = ''
    return new Gather(size)
  }
}

/**
 * The records of a stream as its chunks come.
 *
 * @throws RecordIoMalformed also when the stream ends within a record
 */
export async function* recordsOf(
  chunks: AsyncIterable<Uint8Array>,
  decoder = new RecordIoDecoder(),
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield* decoder.push(chunk)
  decoder.end()
}

/** One record as it is written into a stream. */
export const encodeRecord = (payload: Uint8Array): Uint8Array =>
  Buffer.concat([utf8(`${payload.length}\n`), payload])
