import { join } from 'node:path'
import { AeadKey, CryptographicFailure, unwrapKey, wrapKey, type Kek } from '@conclave/crypto'
import type { Disk } from '@conclave/journal'
import {
  ByteReader,
  BytesMalformed,
  ByteWriter,
  hasBytesAt,
  Redacted,
  utf8,
  wipe,
  type Random,
} from '@conclave/kernel'
import { MemberFileUnusable } from '../../cluster/member-files.ts'
import { readIfThere, writeWholeOn } from '../../whole-on-disk.ts'

/*
 * The keys of a master's own journal, wrapped under the KEK: docs/formats/keyring.md, "The keys of a
 * journal". While a master goes from one KEK to another there are two sections in the file, and either
 * KEK opens the journal: whatever is interrupted, one of them is at hand afterwards.
 */

export const journalKeyFile = (directory: string): string => join(directory, 'journal.keys')

const magic = utf8('CNJ1')

export interface NamedKey {
  readonly id: number
  readonly key: AeadKey
}

/** Under which KEK the keys of one section are. */
export interface SectionHead {
  readonly version: number
  /** Whether that KEK must not rest here: it comes from the unlock key. */
  readonly isLocked: boolean
}

export interface Section extends SectionHead {
  readonly wrapped: readonly { readonly id: number; readonly bytes: Uint8Array }[]
}

export interface KeyOwner {
  readonly clusterId: string
  readonly masterId: string
}

/** What is wrapped under the name of its section opens in no other, with no other number. */
const nameOf = ({ masterId }: KeyOwner, { version, isLocked }: SectionHead, id: number): string =>
  `journal/${masterId}/${id}/${isLocked ? 'locked' : 'at-rest'}/${version}`

export function sealSection(o: {
  readonly owner: KeyOwner
  readonly head: SectionHead
  readonly kek: Kek
  /** Oldest first: the last one seals. */
  readonly keys: readonly NamedKey[]
  readonly random: Random
}): Section {
  const { owner, head, kek, keys, random } = o
  const wrapped = keys.map(({ id, key }) => {
    const bytes = new Redacted(key.bytes())
    try {
      const name = nameOf(owner, head, id)
      return { id, bytes: wrapKey({ kek, key: bytes, clusterId: owner.clusterId, name, random }) }
    } finally {
      wipe(bytes)
    }
  })
  return { ...head, wrapped }
}

/** The keys in a section, oldest first; undefined when this KEK does not open them. */
export function openSection(
  owner: KeyOwner,
  section: Section,
  kek: Kek,
): readonly NamedKey[] | undefined {
  const { clusterId } = owner
  try {
    return section.wrapped.map(({ id, bytes }) => {
      const name = nameOf(owner, section, id)
      const key = unwrapKey({ kek, clusterId, name, wrapped: bytes })
      try {
        return { id, key: AeadKey.of(key.reveal()) }
      } finally {
        wipe(key)
      }
    })
  } catch (error) {
    if (error instanceof CryptographicFailure) return undefined
    throw error
  }
}

/** @throws MemberFileUnusable when what is there is no such file */
export async function readSections(
  disk: Disk,
  directory: string,
): Promise<readonly Section[] | undefined> {
  const file = journalKeyFile(directory)
  const bytes = await readIfThere(disk, file)
  if (bytes === undefined) return undefined
  try {
    return decodeSections(bytes)
  } catch (cause) {
    if (!(cause instanceof BytesMalformed)) throw cause
    throw new MemberFileUnusable(file, `it is damaged: ${cause.message}`, cause)
  }
}

/** Takes the place of all that stood there. Resolves once that is durable. */
export const writeSections = (
  disk: Disk,
  directory: string,
  sections: readonly Section[],
): Promise<void> => writeWholeOn(disk, journalKeyFile(directory), encodeSections(sections))

export function encodeSections(sections: readonly Section[]): Uint8Array {
  const writer = new ByteWriter().raw(magic).uint(sections.length)
  for (const { version, isLocked, wrapped } of sections) {
    writer.uint(version).flag(isLocked).uint(wrapped.length)
    for (const { id, bytes } of wrapped) writer.uint(id).bytes(bytes)
  }
  return writer.take()
}

export function decodeSections(bytes: Uint8Array): readonly Section[] {
  if (!hasBytesAt(bytes, 0, magic)) throw new BytesMalformed('it does not begin with CNJ1')
  const reader = new ByteReader(bytes.subarray(magic.length))
  const sections = many(reader, () => ({
    version: reader.uint(),
    isLocked: reader.flag(),
    wrapped: many(reader, () => ({ id: reader.uint(), bytes: reader.bytes().slice() })),
  }))
  reader.end()
  const isWhole = sections.length > 0 && sections.every(({ wrapped }) => wrapped.length > 0)
  if (!isWhole) throw new BytesMalformed('it holds no key')
  return sections
}

function many<T>(reader: ByteReader, read: () => T): readonly T[] {
  const items: T[] = []
  for (let rest = reader.uint(); rest > 0; rest--) items.push(read())
  return items
}
