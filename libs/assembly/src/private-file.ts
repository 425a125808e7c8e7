import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { writeWhole } from '@conclave/runtime'

/** Readable by its owner alone; whole or not at all, and there after a power failure. */
export async function writePrivately(file: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await writeWhole(file, bytes, 0o600)
}
