import { join } from 'node:path'
import { AeadKey, CryptographicFailure, unwrapKey, type Kek } from '@conclave/crypto'
import { wipe } from '@conclave/kernel'
import { kekFile } from '../../cluster/kek-at-rest.ts'
import { MemberFileUnusable } from '../../cluster/member-files.ts'
import { readIfThere } from '../../whole-on-disk.ts'
import { DiskKeyKeeper, type DiskKeyKeeperOptions } from './disk-key-keeper.ts'
import {
  journalKeyFile,
  openSection,
  readSections,
  sealSection,
  writeSections,
  type NamedKey,
  type Section,
} from './journal-key-file.ts'

/** A master's keys at its start: open, or waiting for the KEK that an operator's unlock key leads to. */
export type KeysAtStart =
  | { readonly state: 'open'; readonly keeper: DiskKeyKeeper }
  | {
      readonly state: 'locked'
      /** Undefined when this KEK opens nothing here. Takes as long for any. */
      readonly open: (kek: Kek) => DiskKeyKeeper | undefined
    }

/**
 * @param atRest the KEK that rests in the directory, if one does
 * @throws MemberFileUnusable when keys that should open do not
 */
export async function openKeys(
  options: DiskKeyKeeperOptions,
  atRest: Kek | undefined,
): Promise<KeysAtStart> {
  const { disk, directory } = options
  const sections = await readSections(disk, directory)
  if (sections === undefined) return { state: 'open', keeper: await first(options, atRest) }
  const keeper = atRest && openAny(options, sections, atRest)
  if (keeper !== undefined) return { state: 'open', keeper }
  const locked = sections.filter(({ isLocked }) => isLocked)
  if (locked.length > 0) return { state: 'locked', open: (kek) => openAny(options, sections, kek) }
  if (atRest === undefined) throw new MemberFileUnusable(kekFile(directory), 'it is not there')
  throw new MemberFileUnusable(
    journalKeyFile(directory),
    'it does not open under the key in kek.key',
  )
}

/** Every section is tried, whichever opens: how long it takes says nothing. */
function openAny(
  options: DiskKeyKeeperOptions,
  sections: readonly Section[],
  kek: Kek,
): DiskKeyKeeper | undefined {
  const opened = sections.flatMap((head) => {
    const keys = openSection(options.owner, head, kek)
    return keys === undefined ? [] : [{ head, keys }]
  })
  const newest = opened.at(-1)
  if (newest === undefined) return undefined
  const { head, keys } = newest
  return new DiskKeyKeeper(options, { head, kek, keys, isUnfinished: sections.length > 1 })
}

/** A master that never started here, or whose journal's key lies where it did before it could change. */
async function first(
  options: DiskKeyKeeperOptions,
  atRest: Kek | undefined,
): Promise<DiskKeyKeeper> {
  const { disk, directory, random } = options
  if (atRest === undefined) throw new MemberFileUnusable(kekFile(directory), 'it is not there')
  const older = join(directory, 'journal.key.wrapped')
  const wrapped = await readIfThere(disk, older)
  const key =
    wrapped === undefined ? AeadKey.draw(random) : unwrapOlder(options, older, wrapped, atRest)
  const keys: readonly NamedKey[] = [{ id: 1, key }]
  // Which of the cluster's KEKs this is will be seen in the cluster's state.
  const head = { version: 0, isLocked: false }
  const section = sealSection({ ...options, head, kek: atRest, keys })
  await writeSections(disk, directory, [section])
  if (wrapped !== undefined) {
    await disk.unlink(older)
    await disk.syncDirectory(directory)
  }
  return new DiskKeyKeeper(options, { head, kek: atRest, keys, isUnfinished: false })
}

function unwrapOlder(
  { owner }: DiskKeyKeeperOptions,
  file: string,
  wrapped: Uint8Array,
  kek: Kek,
): AeadKey {
  try {
    const name = `journal/${owner.masterId}`
    const bytes = unwrapKey({ kek, clusterId: owner.clusterId, name, wrapped })
    try {
      return AeadKey.of(bytes.reveal())
    } finally {
      wipe(bytes)
    }
  } catch (cause) {
    if (!(cause instanceof CryptographicFailure)) throw cause
    throw new MemberFileUnusable(file, 'it does not open under the key in kek.key', cause)
  }
}
