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
