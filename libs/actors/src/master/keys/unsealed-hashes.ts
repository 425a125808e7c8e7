import type { Random } from '@conclave/kernel'
import { RecordUnreadable } from '@conclave/model'
import type { Compare, KeyValue, LiveView, Op } from '@conclave/store'
import type { ClusterKeys } from '../cluster-keys.ts'
import { passwordPrefix } from '../identity/identity-records.ts'
import { isUnsealedHash, sealPasswordHash, unsealedHash } from '../identity/password-records.ts'
import { keyringKey } from '../master-records.ts'
import { isStill, type Replicated } from '../replicated.ts'
import type { Term } from '../term.ts'

export interface UnsealedHashesOptions {
  readonly clusterId: string
  readonly store: LiveView
  readonly replicated: Replicated
  readonly keys: ClusterKeys
  readonly random: Random
  readonly onProblem: (what: string, error: unknown) => void
}

interface UnsealedHash {
  readonly kv: KeyValue
  readonly hash: string
}

/** Sealed in one transaction. */
const batchMax = 64

/**
 * Seals the hashes of passwords that an earlier build wrote, or that came with its state from elsewhere: the
 * leader's part, once in its term, since nobody writes such records any more. Then what they were goes
 * from the history, too.
 */
export class UnsealedHashes {
  readonly #options: UnsealedHashesOptions
  readonly #told = new Set<string>()
  #doneIn: Term | undefined
  #isBusy = false

  constructor(options: UnsealedHashesOptions) {
    this.#options = options
  }

  /** Does what there is to do, if anything. What fails is tried again with the next tick. */
  async step(term: Term): Promise<void> {
    const { store } = this.#options
    if (this.#isBusy || this.#doneIn === term || store.get(keyringKey) === undefined) return
    this.#isBusy = true
    try {
      if (await this.#sealAll()) this.#doneIn = term
    } catch (error) {
      this.#report('hashes of passwords wait to be sealed', error)
    } finally {
      this.#isBusy = false
    }
  }

  /** Answers whether none is left that can be. */
  async #sealAll(): Promise<boolean> {
    const { store } = this.#options
    const unsealed = store.list(passwordPrefix).kvs.filter(isUnsealedHash)
    const hashes = unsealed.flatMap((kv) => this.#read(kv))
    for (let at = 0; at < hashes.length; at += batchMax) {
      if (!(await this.#seal(hashes.slice(at, at + batchMax)))) return false
    }
    await this.#forgetHistory()
    return true
  }

  /** What was there before is not to be read again; whoever led before may not have come so far. */
  async #forgetHistory(): Promise<void> {
    const { store, replicated } = this.#options
    const changed = store.list(passwordPrefix).kvs.filter(({ version }) => version > 1)
    const revision = Math.max(0, ...changed.map(({ modRevision }) => modRevision))
    if (store.compactRevision >= revision) return
    await replicated.commit({
      compare: [],
      success: [{ do: 'compact', revision: store.revision }],
    })
  }

  /** A damaged record is nobody's hash, and keeps no other from being sealed. */
  #read(kv: KeyValue): readonly UnsealedHash[] {
    try {
      return [{ kv, hash: unsealedHash(kv) }]
    } catch (error) {
      if (!(error instanceof RecordUnreadable)) throw error
      this.#report('the hash of a password cannot be sealed', error)
      return []
    }
  }

  async #seal(batch: readonly UnsealedHash[]): Promise<boolean> {
    const { replicated, keys, clusterId, random } = this.#options
    const dek = keys.keyring().newest
    const committed = await replicated.commit({
      compare: batch.map(({ kv }): Compare => isStill(kv.key, kv)),
      success: batch.map(({ kv: { key }, hash }): Op => {
        const uid = key.slice(passwordPrefix.length)
        return { do: 'put', key, value: sealPasswordHash({ clusterId, dek, random }, uid, hash) }
      }),
    })
    return committed !== undefined
  }

  /** Once for each thing that stands in the way: this is tried many times a second. */
  #report(what: string, error: unknown): void {
    const said = error instanceof Error ? error.message : String(error)
    if (this.#told.has(said)) return
    this.#told.add(said)
    this.#options.onProblem(what, error)
  }
}
