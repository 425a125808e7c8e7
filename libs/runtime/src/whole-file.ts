import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Whole or not at all: beside the target, synced, renamed, and the directory synced. What lies beside
 * it already is removed rather than written into: it may be a link to somewhere else.
 */
export async function writeWhole(file: string, bytes: Uint8Array, mode: number): Promise<void> {
  const beside = `${file}.new`
  await rm(beside, { force: true })
  const handle = await open(beside, 'wx', mode)
  try {
    await handle.chmod(mode)
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(beside, file)
  await syncDirectory(dirname(file))
}

/** Makes renames within `directory` durable, where the system lets a directory be opened. */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
