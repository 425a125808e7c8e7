import { createHash, type Hash } from 'node:crypto'
import { ByteWriter } from '@conclave/kernel'
import { Leases } from './leases.ts'
import { Sessions } from './sessions.ts'
import { SnapshotWriter } from './snapshot-state.ts'
import { VersionedKeys } from './versioned-keys.ts'
import type { KeyValue } from './view.ts'

/*
 * The state as it travels: the keys of one revision, without what came before them. A lease is a
 * promise of a process that runs, so keys under one are not carried elsewhere.
 */

/** One key as it was at the revision that travels, with its numbers. */
export type StateRecord = Omit<KeyValue, 'lease'>

/**
 * What tells whether all records arrived: how many, and SHA-256 over key and value of each, in key
 * order. Numbers are left out, because another engine gives its own.
 */
export class StateDigest {
  readonly #hash: Hash = createHash('sha256')
  #count = 0

  get count(): number {
    return this.#count
  }

  add({ key, value }: Pick<StateRecord, 'key' | 'value'>): void {
    const head = new ByteWriter(key.length + 16).text(key).uint(value.length)
    this.#hash.update(head.end()).update(value)
    this.#count++
  }

  /** In hex. Nothing is added afterwards. */
  end(): string {
    return this.#hash.digest('hex')
  }
}

/**
 * A snapshot of a machine that holds these records with their numbers, and can be read from `revision`
 * on.
 *
 * @param records in key order, none changed after `revision`
 */
export function snapshotOf(revision: number, records: readonly StateRecord[]): Uint8Array {
  const keys = new VersionedKeys(revision, revision)
  for (const { key, ...version } of records) keys.load(key, [{ ...version, lease: 0 }])
  return new SnapshotWriter({ keys, leases: new Leases(), sessions: new Sessions(1) }).whole()
}
