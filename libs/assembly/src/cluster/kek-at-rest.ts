import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AeadKey, keySizeBytes, Kek } from '@conclave/crypto'
import { wipe } from '@conclave/kernel'
import { syncDirectory } from '@conclave/runtime'
import { writePrivately } from '../private-file.ts'
import { MemberFileUnusable, readPrivately } from './member-files.ts'

/*
 * The key that wraps all others, as it rests in a master's directory while autolock is off: 32 bytes,
 * for the owner alone. While autolock is on, the file is not there.
 */

const fileName = 'kek.key'

/** Undefined when none rests here. @throws MemberFileUnusable when what rests here is no such key */
export async function loadKekAtRest(directory: string): Promise<Kek | undefined> {
  const file = join(directory, fileName)
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
export async function saveKekAtRest(directory: string, kek: Kek): Promise<void> {
  const bytes = kek.key.bytes()
  try {
    await writePrivately(join(directory, fileName), bytes)
  } finally {
    wipe(bytes)
  }
}

/** Overwrites it, then removes it. Harmless when none rests here. Resolves once it is gone for good. */
export async function forgetKekAtRest(directory: string): Promise<void> {
  const file = join(directory, fileName)
  // A name beside it is what an interrupted save has left.
  for (const one of [`${file}.new`, file]) await overwrite(one)
  await rm(`${file}.new`, { force: true })
  await rm(file, { force: true })
  await syncDirectory(directory)
}

async function overwrite(file: string): Promise<void> {
  let handle
  try {
    handle = await open(file, 'r+')
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return
    throw error
  }
  try {
    const { size } = await handle.stat()
    await handle.write(new Uint8Array(Math.max(size, keySizeBytes)), 0)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof MemberFileUnusable && (error.cause as { code?: string })?.code === 'ENOENT'
