import { ConclaveError } from '@conclave/kernel'

/** Files cannot be copied out of a container, or into it. Names paths and what was wrong, never what is in a file. */
export class CopyRefused extends ConclaveError {
  readonly code = 'container.copy-refused'
  /** What whoever copies hears of it, as the exit code of a program. */
  readonly exitCode: (typeof copyExitCodes)[keyof typeof copyExitCodes]

  constructor(why: keyof typeof copyExitCodes, message: string) {
    super(message)
    this.exitCode = copyExitCodes[why]
  }
}

/** Nothing is at the path; it is not what it has to be; anything else. */
export const copyExitCodes = { missing: 1, invalid: 2, failed: 3 } as const

interface Attributes {
  /** As the archive has it: of whoever wrote it, and not to be believed. */
  readonly path: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly modifiedAtMs: number
}

export type ArchiveEntry =
  | ({ readonly kind: 'directory' } & Attributes)
  | ({ readonly kind: 'file'; readonly bytes: Uint8Array } & Attributes)
  | ({ readonly kind: 'symlink'; readonly target: string } & Attributes)
  /** Another name of a file that came before. */
  | ({ readonly kind: 'link'; readonly target: string } & Attributes)

/** The port: how files come and go as one stream of bytes. */
export interface ArchiveFormat {
  /** @throws CopyRefused */
  entriesOf(archive: Uint8Array, limits: ArchiveLimits): Promise<readonly ArchiveEntry[]>
  pack(entries: Iterable<ArchiveEntry>): AsyncIterable<Uint8Array>
}

export interface ArchiveLimits {
  /** All of it, unpacked. */
  readonly sizeBytesMax: number
  readonly entriesMax: number
}
