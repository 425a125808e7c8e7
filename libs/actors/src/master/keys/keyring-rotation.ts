import { CryptographicFailure, wrapKeyring, type Keyring } from '@conclave/crypto'
import type { Random } from '@conclave/kernel'
import type { EventDraft } from '@conclave/model'
import type { Compare, KeyValue, Op, LiveView } from '@conclave/store'
import type { ClusterKeys } from '../cluster-keys.ts'
import { keyringKey } from '../master-records.ts'
import { isStill, type Replicated } from '../replicated.ts'
import type { Term } from '../term.ts'
import { purgeRevision } from './purge.ts'
import {
  holdsStrayEnvelope,
  isUnder,
  kindOf,
  rewrapped,
  type SealedPart,
} from './sealed-records.ts'

export interface KeyringRotationOptions {
  readonly clusterId: string
  readonly store: LiveView
  readonly replicated: Replicated
  readonly keys: ClusterKeys
  readonly random: Random
  readonly emit: (draft: EventDraft) => void
  readonly onProblem: (what: string, error: unknown) => void
}

/** Looked through in one step: a fraction of a millisecond's work for each hundred. */
const pageKeysMax = 500
/** Moved in one transaction. */
const batchMax = { records: 64, bytes: 1024 * 1024 }

/** One look at every record there is. */
interface Pass {
  readonly term: Term
  readonly dekId: number
  after: string | undefined
  /** Records that were not under the newest DEK when they were looked at. */
  old: number
}

/**
 * The leader's part in a rotation of the keyring, a small step at a time: moves every sealed record
 * under the newest DEK, and lets the older ones go once a whole look at the state has found nothing
 * that needs them. Nothing is remembered but in the state itself, so whoever leads next goes on.
 *
 * Nobody seals under an older DEK meanwhile: every transaction that brings an envelope claims the
 * keyring it was sealed under ({@link ClusterKeys.guarded}), and what the cluster's core had sealed
 * before is in the log when a look begins.
 */
export class KeyringRotation {
  readonly #options: KeyringRotationOptions
  readonly #told = new Set<string>()
  #pass: Pass | undefined
  #busy: Term | undefined

  constructor(options: KeyringRotationOptions) {
    this.#options = options
  }

  /** Does a little, if there is anything to do and the last step has ended. */
  async step(term: Term): Promise<void> {
    if (this.#busy === term) return
    this.#busy = term
    try {
      await this.#step(term)
    } catch (error) {
      this.#pass = undefined
      this.#report('the rotation of the keyring waits', error)
    } finally {
      // A term that ended may never settle; the next one has a step of its own by then.
      if (this.#busy === term) this.#busy = undefined
    }
  }

  async #step(term: Term): Promise<void> {
    const { store, keys } = this.#options
    if (store.get(keyringKey) === undefined) return
    const { newest, deks } = keys.keyring()
    if (deks.length === 1) {
      this.#pass = undefined
      return this.#forgetHistory()
    }
    const pass = this.#passOf(term, newest.id) ?? (await this.#begin(term, newest.id))
    const { kvs, more } = store.list('', {
      limit: pageKeysMax,
      ...(pass.after !== undefined && { after: pass.after }),
    })
    for (const kv of kvs) this.#checkNoStray(kv)
    await this.#move(term, pass, kvs)
    pass.after = kvs.at(-1)?.key ?? pass.after
    if (more) return
    this.#pass = undefined
    if (pass.old === 0) await this.#drop()
  }

  /** The look under way: one that began in another term may have missed what that one's core had sealed. */
  #passOf(term: Term, dekId: number): Pass | undefined {
    return this.#pass?.term === term && this.#pass.dekId === dekId ? this.#pass : undefined
  }

  async #begin(term: Term, dekId: number): Promise<Pass> {
    // What this master's core has sealed under an older DEK is agreed on, and seen, before the look begins.
    await term.settled()
    await this.#options.replicated.refresh()
    const pass = { term, dekId, after: undefined, old: 0 }
    this.#pass = pass
    return pass
  }

  async #move(term: Term, pass: Pass, kvs: readonly KeyValue[]): Promise<void> {
    const { keys, clusterId, random } = this.#options
    const keyring = keys.keyring()
    const change = (part: SealedPart): Uint8Array => rewrapped(part, { clusterId, keyring, random })
    const ofTasks = new Map<string, string>()
    const batches: { kv: KeyValue; value: Uint8Array }[][] = [[]]
    let [records, bytes] = [0, 0]
    for (const kv of kvs) {
      const kind = kindOf(kv.key)
      const old = kind?.partsOf(kv).filter((part) => !isUnder(part, keyring.newest.id)) ?? []
      if (kind === undefined || old.length === 0) continue
      pass.old++
      if (kind.replaced === undefined) {
        for (const part of old)
          ofTasks.set(part.inlineId ?? '', textOf(this.#opened(kv, () => change(part))))
        continue
      }
      const { replaced } = kind
      const value = this.#opened(kv, () => replaced(kv, change))
      if (records >= batchMax.records || bytes + value.length > batchMax.bytes) {
        batches.push([])
        ;[records, bytes] = [0, 0]
      }
      records++
      bytes += value.length
      batches.at(-1)?.push({ kv, value })
    }
    for (const batch of batches) await this.#commit(batch, keyring)
    if (ofTasks.size === 0) return
    term.step({ kind: 'resealed', envelopes: ofTasks })
    await term.settled()
    this.#tell(keyring, ofTasks.size)
  }

  /** A record that does not open would be lost with the key: then the key stays. */
  #opened<T>({ key }: KeyValue, open: () => T): T {
    try {
      return open()
    } catch (error) {
      if (!(error instanceof CryptographicFailure)) throw error
      throw new Error(`${key} does not open, so the older keys are kept`, { cause: error })
    }
  }

  #checkNoStray(kv: KeyValue): void {
    if (!holdsStrayEnvelope(kv)) return
    throw new Error(`${kv.key} holds an envelope, and no kind of sealed record is stored there`)
  }

  async #commit(
    batch: readonly { kv: KeyValue; value: Uint8Array }[],
    keyring: Keyring,
  ): Promise<void> {
    if (batch.length === 0) return
    const committed = await this.#options.replicated.commit({
      compare: batch.map(({ kv }): Compare => isStill(kv.key, kv)),
      success: batch.map(({ kv, value }): Op => ({ do: 'put', key: kv.key, value })),
    })
    // Somebody was faster with one of them: the next look finds those that are left.
    if (committed !== undefined) this.#tell(keyring, batch.length)
  }

  #tell(keyring: Keyring, records: number): void {
    this.#options.emit({ type: 'keyring.rewrapped', dekId: keyring.newest.id, records })
  }

  /** Nothing that is kept needs the older DEKs; then what was overwritten goes, and then they do. */
  async #drop(): Promise<void> {
    const { store, keys, replicated, clusterId, random, emit } = this.#options
    const known = store.get(keyringKey)
    const keyring = keys.keyring()
    await replicated.commit({
      compare: [],
      success: [{ do: 'compact', revision: store.revision }],
    })
    const old = keyring.deks.filter(({ id }) => id !== keyring.newest.id)
    const left = old.reduce((rest, { id }) => rest.drop(id), keyring)
    const { kek } = keys.chain.current()
    const dropped = await replicated.commit({
      compare: [isStill(keyringKey, known)],
      success: [
        {
          do: 'put',
          key: keyringKey,
          value: wrapKeyring({ kek, keyring: left, clusterId, random }),
        },
      ],
    })
    if (dropped === undefined) return
    for (const { id } of old) emit({ type: 'keyring.dropped', dekId: id })
  }

  /** Earlier keyrings, and links of the KEK's chain, must not be there to be read again. */
  async #forgetHistory(): Promise<void> {
    const { store, replicated } = this.#options
    if (store.compactRevision >= purgeRevision(store)) return
    await replicated.commit({
      compare: [],
      success: [{ do: 'compact', revision: store.revision }],
    })
  }

  /** Once for each thing that stands in the way: this is tried many times a second. */
  #report(what: string, error: unknown): void {
    const said = error instanceof Error ? error.message : String(error)
    if (this.#told.has(said)) return
    this.#told.add(said)
    this.#options.onProblem(what, error)
  }
}

const textOf = (envelope: Uint8Array): string => Buffer.from(envelope).toString('base64')
