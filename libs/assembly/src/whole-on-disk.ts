import { dirname } from 'node:path'
import type { Disk } from '@conclave/journal'

/*
 * Small files through the journal's port of a disk, so that a test can cut the power between any two
 * steps of theirs.
 */

/** The bytes of a file; undefined where there is none. */
export async function readIfThere(disk: Disk, file: string): Promise<Uint8Array | undefined> {
  try {
    return await disk.read(file)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** Whole or not at all, for the owner alone, and there after a power failure once this resolves. */
export async function writeWholeOn(disk: Disk, file: string, bytes: Uint8Array): Promise<void> {
  const beside = besideOf(file)
  // What lies there is removed rather than written into: it may be a link to somewhere else.
  await unlinkIfThere(disk, beside)
  const handle = await disk.create(beside)
  try {
    await handle.write(bytes, 0)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await disk.rename(beside, file)
  await disk.syncDirectory(dirname(file))
}

/** Resolves once it is gone also after a power failure. Harmless when it is not there. */
export async function removeOn(disk: Disk, file: string): Promise<void> {
  await unlinkIfThere(disk, file)
  await disk.syncDirectory(dirname(file))
}

/** Overwrites a file, and what an interrupted write has left beside it, and removes both. */
export async function eraseOn(disk: Disk, file: string): Promise<void> {
  let wasThere = false
  for (const one of [besideOf(file), file]) {
    const bytes = await readIfThere(disk, one)
    if (bytes === undefined) continue
    wasThere = true
    const size = bytes.length
    bytes.fill(0)
    await overwrite(disk, one, size)
    await disk.unlink(one)
  }
  if (wasThere) await disk.syncDirectory(dirname(file))
}

async function overwrite(disk: Disk, file: string, size: number): Promise<void> {
  const handle = await disk.open(file)
  try {
    await handle.write(new Uint8Array(size), 0)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function unlinkIfThere(disk: Disk, file: string): Promise<void> {
  try {
    await disk.unlink(file)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}

const besideOf = (file: string): string => `${file}.new`

const isMissing = (error: unknown): boolean => (error as { code?: string }).code === 'ENOENT'
