import { utf8, utf8Text } from '@conclave/kernel'
import { RecordUnreadable, type KeyValue, type View } from '@conclave/store'
import type { z } from 'zod'

/*
 * Records are JSON under a key of the store. Layouts and schemas: docs/formats/records.md. They hold
 * names, times and sealed bytes, and never a value.
 */

export const encodeRecord = (record: unknown): Uint8Array => utf8(JSON.stringify(record))

/** @throws RecordUnreadable, which names the key and not what stands there */
export function decodeRecord<T>(schema: z.ZodType<T>, { key, value }: KeyValue): T {
  try {
    return schema.parse(JSON.parse(utf8Text(value)))
  } catch (cause) {
    throw new RecordUnreadable(key, cause)
  }
}

/** A record and the revision that wrote it, which is what a transaction compares. */
export interface Stored<T> {
  readonly record: T
  readonly modRevision: number
}

/**
 * The records of one schema, parsed once for each revision that wrote them: permissions are looked
 * at many times for every request.
 */
export class Records<T> {
  readonly #view: View
  readonly #schema: z.ZodType<T>
  readonly #countMax: number
  readonly #known = new Map<string, Stored<T>>()

  constructor(view: View, schema: z.ZodType<T>, countMax = 4096) {
    this.#view = view
    this.#schema = schema
    this.#countMax = countMax
  }

  get(key: string): Stored<T> | undefined {
    const kv = this.#view.get(key)
    return kv === undefined ? undefined : this.#read(kv)
  }

  list(prefix: string): readonly (Stored<T> & { readonly key: string })[] {
    return this.#view.list(prefix).kvs.map((kv) => ({ ...this.#read(kv), key: kv.key }))
  }

  #read(kv: KeyValue): Stored<T> {
    const known = this.#known.get(kv.key)
    if (known?.modRevision === kv.modRevision) return known
    const stored = { record: decodeRecord(this.#schema, kv), modRevision: kv.modRevision }
    if (this.#known.size >= this.#countMax) this.#known.clear()
    this.#known.set(kv.key, stored)
    return stored
  }
}
