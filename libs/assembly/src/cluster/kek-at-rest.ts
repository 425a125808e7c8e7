import { join } from 'node:path'
import { AeadKey, Kek } from '@conclave/crypto'
import { NodeDisk, type Disk } from '@conclave/journal'
import { wipe } from '@conclave/kernel'
import { eraseOn, writeWholeOn } from '../whole-on-disk.ts'
import { MemberFileUnusable, readPrivately } from './member-files.ts'

/*
 * The key that wraps all others, as it rests in a master's directory while autolock is off: 32 bytes,
 * for the owner alone. While autolock is on, the file is not there.
 */

export const kekFile = (directory: string): string => join(directory, 'kek.key')

/** Undefined when none rests here. @throws MemberFileUnusable when what rests here is no such key */
export async function loadKekAtRest(directory: string): Promise<Kek | undefined> {
  const file = kekFile(directory)
  const bytes = await readPrivately(file).catch((error: unknown) => {
    if (isMissing(error)) return undefined
    throw error
  })
  if (bytes === undefined) return undefined
  try {
    return Kek.of(AeadKey.of(bytes))
  } catch (cause) {
    throw new MemberFileUnusable(file, 'it is not a key of 32 bytes', cause)
  } finally {
    wipe(bytes)
  }
}

/** Resolves once it is there after a power failure, too. */
export async function saveKekAtRest(
  directory: string,
  kek: Kek,
  disk: Disk = new NodeDisk(),
): Promise<void> {
  await disk.makeDirectory(directory)
  const bytes = kek.key.bytes()
  try {
    await writeWholeOn(disk, kekFile(directory), bytes)
  } finally {
    wipe(bytes)
  }
}

/** Overwrites it, then removes it. Harmless when none rests here. Resolves once it is gone for good. */
export async function forgetKekAtRest(
  directory: string,
  disk: Disk = new NodeDisk(),
): Promise<void> {
  await eraseOn(disk, kekFile(directory))
}

const isMissing = (error: unknown): boolean =>
  error instanceof MemberFileUnusable && (error.cause as { code?: string })?.code === 'ENOENT'
