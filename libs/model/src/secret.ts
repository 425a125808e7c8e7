import { ConclaveError, trimOf, utf8 } from '@conclave/kernel'
import { z } from 'zod'

/** A text that cannot name a secret. Its message names the field and the shape, never the text. */
export class PathInvalid extends ConclaveError {
  readonly code = 'secret.path-invalid'

  constructor(field: string, fault: string) {
    super(`${field} ${fault}; expected segments joined by "/", such as dev/db/password`)
  }
}

export const secretPathSizeBytesMax = 1024

/** 1 MiB less 1 KiB of metadata, as DC/OS counts. Source: reference/dcos.md §4. */
export const secretSizeBytesMax = 1_047_552

// Controls, format characters (an overturned text direction fools who reads a log), line separators.
const invisible = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u
// `?#%` are what the backup tool puts into a URL unescaped; `*` is the wildcard of resource ids.
const reserved = /[?#%*\\]/

/** What nearly every path is: letters, digits and `_`, `-`, `.`, no segment beginning with a dot. */
const plain = /^[\w-][\w.-]*(?:\/[\w-][\w.-]*)*$/

/** What keeps `text` from being a canonical path, in words that can follow a field's name. */
function pathFault(text: string): string | undefined {
  if (text.length <= secretPathSizeBytesMax && plain.test(text)) return undefined
  if (text === '') return 'is empty'
  if (!text.isWellFormed()) return 'is not valid Unicode'
  if (utf8(text).length > secretPathSizeBytesMax) {
    return `is longer than ${secretPathSizeBytesMax} bytes`
  }
  if (invisible.test(text)) return 'has a control character or another invisible one'
  if (reserved.test(text)) return 'has one of the characters ? # % * \\'
  for (const [index, segment] of text.split('/').entries()) {
    if (segment === '') return `has an empty segment (number ${index + 1})`
    if (segment === '.' || segment === '..') return `has the segment "${segment}"`
  }
  return undefined
}

/** Where a secret is kept, in its one canonical form: no leading slash, such as `dev/db/password`. */
export const SecretPath = z
  .string()
  .superRefine((text, context) => {
    const fault = pathFault(text)
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault })
  })
  .brand<'SecretPath'>()
export type SecretPath = z.infer<typeof SecretPath>

/**
 * The path that `text` names. Leading slashes do not count: `//a/b` and `a/b` are one secret
 * (reference/dcos.md §4). Percent-decoding is the face's work, and happens before.
 *
 * @param field what the person who wrote `text` calls it, for the message
 * @throws PathInvalid
 */
export function parseSecretPath(text: string, field = 'the secret path'): SecretPath {
  const path = text.replace(/^\/+/, '')
  const fault = pathFault(path)
  if (fault !== undefined) throw new PathInvalid(field, fault)
  return path as SecretPath
}

/**
 * The folder that `text` names, '' for the root. Slashes at either end do not count.
 *
 * @throws PathInvalid
 */
export function parseSecretFolder(text: string, field = 'the folder'): SecretPath | '' {
  const folder = trimOf(text, '/')
  return folder === '' ? '' : parseSecretPath(folder, field)
}

/** Whether the bytes came as the text of a JSON field, or as they are. Readers get them back alike. */
export const SecretKind = z.enum(['text', 'binary'])
export type SecretKind = z.infer<typeof SecretKind>

const timeMs = z.int().nonnegative()

/** One of the versions of a secret that are still kept. */
export const SecretVersion = z.object({
  version: z.int().positive(),
  kind: SecretKind,
  sizeBytes: z.int().nonnegative(),
  createdAtMs: timeMs,
})
export type SecretVersion = z.infer<typeof SecretVersion>

/** What may be listed, logged and shown. It has no field for the value, so it cannot leak one. */
export const SecretMetadata = z.object({
  path: SecretPath,
  version: z.int().positive(),
  kind: SecretKind,
  sizeBytes: z.int().nonnegative(),
  /** When the secret was first created; {@link SecretVersion} says when each version was. */
  createdAtMs: timeMs,
  updatedAtMs: timeMs,
  labels: z.record(z.string(), z.string()),
  /** The versions that are still kept, oldest first; left out where one version is spoken of. */
  versions: z.array(SecretVersion).readonly().optional(),
  /** Of the secret from its creation to its deletion, in SwarmKit's form: 25 of `[0-9a-z]`. */
  id: z.string().max(25).optional(),
  /** Of the store, when the record was last written. */
  revision: z.int().nonnegative().optional(),
})
export type SecretMetadata = Readonly<z.infer<typeof SecretMetadata>>
