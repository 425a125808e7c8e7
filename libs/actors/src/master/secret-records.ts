import { SecretMetadata, SecretVersion, type SecretPath } from '@conclave/model'
import type { Op } from '@conclave/store'
import { z } from 'zod'
import { encodeRecord } from './record.ts'

/*
 * Secrets in the store (docs/formats/records.md): what may be shown of each, apart from the sealed
 * bytes of each version, so that listing never touches an envelope.
 */

/** Below which every secret's record lies, by its path. */
export const secretPrefix = 'secret/'
export const secretKey = (path: SecretPath): string => secretPrefix + path

/** Below which the sealed bytes of every version lie. */
export const envelopePrefix = 'envelope/'
/** The last `@` separates the version: a path may have others. */
export const envelopeKey = (path: SecretPath, version: number): string =>
  `${envelopePrefix}${path}@${version}`

/** What a deleted secret leaves behind, so that no version number is given out twice. */
export const lastVersionKey = (path: SecretPath): string => `secret-last/${path}`

/** Versions that are kept of each secret, the current one among them. */
const versionsKeptMax = 10

export const SecretRecord = z.object({
  createdAtMs: z.int().nonnegative(),
  labels: z.record(z.string(), z.string()),
  /** Oldest first, at least one: the last is the current one. */
  versions: z.array(SecretVersion).min(1).readonly(),
})
export type SecretRecord = Readonly<z.infer<typeof SecretRecord>>

export const LastVersion = z.object({ version: z.int().positive() })

export function currentVersion({ versions }: SecretRecord): SecretVersion {
  const current = versions.at(-1)
  if (current === undefined) throw new RangeError('a secret has at least one version')
  return current
}

/** What may be shown of a secret as it is now, or of an older version of it. */
export function metadataOf(
  path: SecretPath,
  record: SecretRecord,
  of: SecretVersion = currentVersion(record),
): SecretMetadata {
  const { version, kind, sizeBytes, createdAtMs } = of
  const { labels } = record
  return {
    path,
    version,
    kind,
    sizeBytes,
    createdAtMs: record.createdAtMs,
    updatedAtMs: createdAtMs,
    labels,
  }
}

/** `record` with one more version, and without the ones that are then too many. */
export function withVersion(
  record: SecretRecord | undefined,
  added: SecretVersion,
  labels: Readonly<Record<string, string>> | undefined,
): { readonly record: SecretRecord; readonly dropped: readonly number[] } {
  const versions = [...(record?.versions ?? []), added]
  const dropped = versions.splice(0, Math.max(0, versions.length - versionsKeptMax))
  return {
    record: {
      createdAtMs: record?.createdAtMs ?? added.createdAtMs,
      labels: labels ?? record?.labels ?? {},
      versions,
    },
    dropped: dropped.map(({ version }) => version),
  }
}

/** The changes that store one more version of `path`. */
export function putVersion(
  path: SecretPath,
  next: { readonly record: SecretRecord; readonly dropped: readonly number[] },
  envelope: Uint8Array,
): readonly Op[] {
  const { version } = currentVersion(next.record)
  return [
    { do: 'put', key: secretKey(path), value: encodeRecord(next.record) },
    { do: 'put', key: envelopeKey(path, version), value: envelope },
    ...next.dropped.map((old): Op => ({ do: 'delete', key: envelopeKey(path, old) })),
  ]
}

/** The changes that end `path`: every version goes, but for the number of the last. */
export function deleteAll(path: SecretPath, record: SecretRecord): readonly Op[] {
  return [
    { do: 'delete', key: secretKey(path) },
    ...record.versions.map(({ version }): Op => ({
      do: 'delete',
      key: envelopeKey(path, version),
    })),
    {
      do: 'put',
      key: lastVersionKey(path),
      value: encodeRecord({ version: currentVersion(record).version }),
    },
  ]
}
