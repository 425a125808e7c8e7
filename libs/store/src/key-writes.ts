import { Conflict } from './errors.ts'
import type { CasOptions, KeyTxn, SecretStore, TxnResult, WriteOptions } from './secret-store.ts'
import type { Compare } from './txn.ts'

type Writes = Pick<SecretStore, 'put' | 'delete' | 'deletePrefix' | 'txn'>

/** The short forms of a transaction, which are the same for every engine. */
export abstract class KeyWrites implements Writes {
  abstract txn(txn: KeyTxn, options?: WriteOptions): Promise<TxnResult>

  async put(
    key: string,
    value: Uint8Array,
    options: CasOptions & { readonly lease?: number } = {},
  ): Promise<{ readonly revision: number; readonly version: number }> {
    const { lease } = options
    const op = { do: 'put', key, value, ...(lease !== undefined && { lease }) } as const
    const { revision, responses } = await this.#change(key, op, options)
    return { revision, version: responses[0] ?? 0 }
  }

  async delete(
    key: string,
    options: CasOptions = {},
  ): Promise<{ readonly revision: number; readonly isDeleted: boolean }> {
    const { revision, responses } = await this.#change(key, { do: 'delete', key }, options)
    return { revision, isDeleted: (responses[0] ?? 0) > 0 }
  }

  async deletePrefix(
    prefix: string,
    options: WriteOptions = {},
  ): Promise<{ readonly revision: number; readonly count: number }> {
    const { revision, responses } = await this.txn(
      { compare: [], success: [{ do: 'delete-prefix', prefix }] },
      options,
    )
    return { revision, count: responses[0] ?? 0 }
  }

  async #change(
    key: string,
    op: KeyTxn['success'][number],
    { ifModRevision, session }: CasOptions,
  ): Promise<TxnResult> {
    const compare: Compare[] =
      ifModRevision === undefined
        ? []
        : [{ key, target: 'modRevision', is: '=', operand: ifModRevision }]
    const result = await this.txn(
      { compare, success: [op] },
      session === undefined ? {} : { session },
    )
    if (!result.succeeded) throw new Conflict(key, ifModRevision ?? 0)
    return result
  }
}
