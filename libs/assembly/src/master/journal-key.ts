import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { unwrapKey, wrapKey, type Kek } from '@conclave/crypto'
import { Redacted, type Random, type RedactedBytes } from '@conclave/kernel'
import { MemberFileUnusable } from '../cluster/member-files.ts'
import { writePrivately } from '../private-file.ts'

const fileName = 'journal.key.wrapped'

/**
 * The key that seals this master's journal on its own disk: drawn at its first start, and kept wrapped
 * under the KEK. The caller wipes it.
 */
export async function journalKey(options: {
  readonly directory: string
  readonly clusterId: string
  readonly masterId: string
  readonly kek: Kek
  readonly random: Random
}): Promise<RedactedBytes> {
  const { directory, clusterId, masterId, kek, random } = options
  const file = join(directory, fileName)
  const name = `journal/${masterId}`
  const wrapped = await readIfThere(file)
  if (wrapped === undefined) {
    const key = new Redacted(random.bytes(32))
    await writePrivately(file, wrapKey({ kek, key, clusterId, name, random }))
    return key
  }
  try {
    return unwrapKey({ kek, clusterId, name, wrapped })
  } catch (cause) {
    throw new MemberFileUnusable(file, 'it does not open under the key in kek.key', cause)
  }
}

async function readIfThere(file: string): Promise<Uint8Array | undefined> {
  try {
    return new Uint8Array(await readFile(file))
  } catch (cause) {
    const { code } = cause as { code?: string }
    if (code === 'ENOENT') return undefined
    throw new MemberFileUnusable(file, `it cannot be read (${code})`, cause)
  }
}
