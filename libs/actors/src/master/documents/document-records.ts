import type { Op } from '@conclave/store'
import { z } from 'zod'
import { encodeRecord } from '../record.ts'
import type { Document } from './document-api.ts'

/*
 * Documents in the store (docs/formats/records.md): each under its id, and the id under the name, so
 * that two of one name cannot both be committed.
 */

export const documentPrefix = (kind: string): string => `document/${kind}/`
export const documentKey = (kind: string, id: string): string => documentPrefix(kind) + id
const anyDocument = 'document/'

/** Which document a key is of, if it is of one. */
export function documentPlaceOf(
  key: string,
): { readonly kind: string; readonly id: string } | undefined {
  if (!key.startsWith(anyDocument)) return undefined
  const [kind = '', id = ''] = key.slice(anyDocument.length).split('/')
  return { kind, id }
}

export const documentNameKey = (kind: string, name: string): string =>
  `document-name/${kind}/${name}`

export const DocumentRecord = z.object({
  name: z.string().max(255),
  createdAtMs: z.int().nonnegative(),
  updatedAtMs: z.int().nonnegative(),
  body: z.json(),
})
export type DocumentRecord = Readonly<z.infer<typeof DocumentRecord>>

export const DocumentNameRecord = z.object({ id: z.string().max(128) })

export const documentOf = (
  kind: string,
  id: string,
  { record, modRevision }: { readonly record: DocumentRecord; readonly modRevision: number },
): Document => ({ kind, id, ...record, revision: modRevision })

export const putDocument = (kind: string, id: string, record: DocumentRecord): readonly Op[] => [
  { do: 'put', key: documentKey(kind, id), value: encodeRecord(record) },
]

export const putDocumentName = (kind: string, id: string, name: string): readonly Op[] => [
  { do: 'put', key: documentNameKey(kind, name), value: encodeRecord({ id }) },
]
