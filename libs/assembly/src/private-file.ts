import { mkdir, open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Readable by its owner alone; whole or not at all. */
export async function writePrivately(file: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const beside = `${file}.new`
  const handle = await open(beside, 'w', 0o600)
  try {
    await handle.chmod(0o600)
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(beside, file)
}
