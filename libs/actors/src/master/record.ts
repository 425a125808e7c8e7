import { decodeRecord } from '@conclave/model'
import type { KeyValue, View } from '@conclave/store'
import type { z } from 'zod'

export { encodeRecord } from '@conclave/model'

/** A record and the revision that wrote it, which is what a transaction compares. */
export interface Stored<T> {
  readonly record: T
  readonly modRevision: number
}

/** A record as the state has it, and the revision that created it. */
export interface Kept<T> extends Stored<T> {
  readonly createRevision: number
}

/**
 * The records of one schema (docs/formats/records.md), parsed once for each revision that wrote them: permissions are looked
 * at many times for every request.
 */
export class Records<T> {
  readonly #view: View
  readonly #schema: z.ZodType<T>
  readonly #countMax: number
  readonly #known = new Map<string, Kept<T>>()

  constructor(view: View, schema: z.ZodType<T>, countMax = 4096) {
    this.#view = view
    this.#schema = schema
    this.#countMax = countMax
  }

  get(key: string): Kept<T> | undefined {
    const known = this.#known.get(key)
    // Asked for many times between two changes, and a number is less to make than what it stands for.
    if (known !== undefined && known.modRevision === this.#view.modRevision(key)) return known
    const kv = this.#view.get(key)
    return kv === undefined ? undefined : this.#read(kv)
  }

  list(prefix: string): readonly (Kept<T> & { readonly key: string })[] {
    return this.#view.list(prefix).kvs.map((kv) => ({ ...this.#read(kv), key: kv.key }))
  }

  #read(kv: KeyValue): Kept<T> {
    const known = this.#known.get(kv.key)
    if (known?.modRevision === kv.modRevision) return known
    const stored = {
      record: decodeRecord(this.#schema, kv.key, kv.value),
      modRevision: kv.modRevision,
      createRevision: kv.createRevision,
    }
    if (this.#known.size >= this.#countMax) this.#known.clear()
    this.#known.set(kv.key, stored)
    return stored
  }
}
