import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { FirstAuthority } from '@conclave/actors'
import type { TlsIdentity } from '@conclave/runtime'
import { MemberFileUnusable } from './member-files.ts'

/** The authority's key as the set-up leaves it beside each master, wrapped under the KEK. */
export const firstAuthorityFile = (directory: string): string => join(directory, 'ca.key.wrapped')

/** Undefined once the store has it. @throws MemberFileUnusable */
export async function loadFirstAuthority(
  directory: string,
  { authorityPem }: TlsIdentity,
): Promise<FirstAuthority | undefined> {
  const file = firstAuthorityFile(directory)
  try {
    return { certificatePem: authorityPem, wrappedKey: new Uint8Array(await readFile(file)) }
  } catch (cause) {
    const { code } = cause as { code?: string }
    if (code === 'ENOENT') return undefined
    throw new MemberFileUnusable(file, `it cannot be read (${code})`, cause)
  }
}

/** Harmless when it is gone already. */
export const forgetFirstAuthority = (directory: string): Promise<void> =>
  rm(firstAuthorityFile(directory), { force: true })
