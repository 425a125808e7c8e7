import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The files of a master's journal that end like this, oldest first, with their whole paths. */
export function journalFiles(
  masterDirectory: string,
  ending: '.wal' | '.snap' | '.torn',
): string[] {
  const directory = join(masterDirectory, 'journal')
  return readdirSync(directory)
    .filter((name) => name.endsWith(ending))
    .toSorted()
    .map((name) => join(directory, name))
}

/** Where the last byte that is no zero stands: what was reserved behind it was never written. */
export function writtenLength(file: string): number {
  return readFileSync(file).findLastIndex((byte) => byte !== 0) + 1
}

/** Flips one bit of the byte at `offset`. Flipped again, it is as it was. */
export function flipByte(file: string, offset: number): void {
  const bytes = readFileSync(file)
  bytes[offset] = (bytes[offset] ?? 0) ^ 0x40
  writeFileSync(file, bytes)
}

/** Where the records of a segment end, and how many there are. Source: docs/formats/journal.md. */
function endOfRecords(bytes: Buffer): { readonly offset: number; readonly count: number } {
  let offset = segmentHeaderSizeBytes
  let count = 0
  while (offset + 4 <= bytes.length && bytes.readUInt32BE(offset) !== 0) {
    offset += recordHeaderSizeBytes + bytes.readUInt32BE(offset) + tagSizeBytes
    count++
  }
  return { offset, count }
}

const segmentHeaderSizeBytes = 128
const recordHeaderSizeBytes = 24
const tagSizeBytes = 16

/**
 * Leaves at the end of a segment what a crash leaves there: the head of the next record and the
 * beginning of its body, and zeroes where the rest should be. @returns where that is
 */
export function tearTail(file: string): number {
  const bytes = readFileSync(file)
  const { offset, count } = endOfRecords(bytes)
  const head = Buffer.alloc(recordHeaderSizeBytes)
  head.writeUInt32BE(512, 0)
  head.set(randomBytes(4), 4)
  head.writeBigUInt64BE(BigInt(count), 8)
  head.writeUInt8(1, 16)
  bytes.set(Buffer.concat([head, randomBytes(200)]), offset)
  writeFileSync(file, bytes)
  return offset
}
