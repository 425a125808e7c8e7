import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { utf8 } from '@conclave/kernel'
import { writeWhole } from '@conclave/runtime'

import { CandidateOptionsInvalid, type Settings } from './candidate-options.ts'

/**
 * Holds an instance to the group that it first belonged to. With another list it would count another
 * majority than the votes that it has given were for.
 *
 * @throws CandidateOptionsInvalid
 */
export async function holdToMembers({ directory, kind, id, members }: Settings): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const file = join(directory, 'group.json')
  const wanted = JSON.stringify({ kind, id, members })
  const known = await readFile(file, 'utf8').catch((error: unknown) => {
    if ((error as { code?: string }).code === 'ENOENT') return undefined
    throw error
  })
  if (known === undefined) return writeWhole(file, utf8(wanted), 0o600)
  if (known === wanted) return
  throw new CandidateOptionsInvalid(
    `${directory} is of another kind, id or list of members: a group keeps these; begin a new kind in new directories`,
  )
}
