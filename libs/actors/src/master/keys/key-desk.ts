import type { Random } from '@conclave/kernel'
import type { EventDraft } from '@conclave/model'
import type { Op, LiveView } from '@conclave/store'
import type { KeyKeeper, WantedKeys } from '../../ports.ts'
import type { Group } from '../../group.ts'
import type { Access } from '../access.ts'
import type { ClusterKeys } from '../cluster-keys.ts'
import { keyringKey } from '../master-records.ts'
import { encodeRecord } from '../record.ts'
import { isStill, type Replicated } from '../replicated.ts'
import type { Term } from '../term.ts'
import { kekKey, kekKeptKey, kekLinkKey, KekRecords, type KekRecord } from './key-records.ts'
import { KeyringRotation } from './keyring-rotation.ts'
import { LockService } from './lock-service.ts'
import { purgeRevision } from './purge.ts'
import { UnsealedHashes } from './unsealed-hashes.ts'

export interface KeyDeskOptions {
  readonly clusterId: string
  readonly masterId: string
  readonly store: LiveView
  readonly replica: Group
  readonly replicated: Replicated
  readonly keys: ClusterKeys
  readonly access: Access
  readonly random: Random
  /** Nothing is kept, and nothing has to be destroyed, where there is none. */
  readonly keeper: KeyKeeper | undefined
  readonly masters: () => readonly string[]
  readonly emit: (draft: EventDraft) => void
  readonly onProblem: (what: string, error: unknown) => void
}

/** All that a master has to do with the keys themselves, in one place. */
export class KeyDesk {
  readonly operators: LockService
  readonly #options: KeyDeskOptions
  readonly #records: KekRecords
  readonly #rotation: KeyringRotation
  readonly #unsealed: UnsealedHashes
  #kept: Omit<WantedKeys, 'kek'> | undefined
  /** Up to here, what was put out of use is gone from this master's disk. */
  #purged: number
  /** What a snapshot must stand for, so that it is. */
  #purging: { readonly revision: number; readonly index: number } | undefined
  #work: Promise<void> | undefined

  constructor(options: KeyDeskOptions) {
    const { store } = options
    this.#options = options
    this.#records = new KekRecords(store)
    this.operators = new LockService({ ...options, keepOwn: () => this.#keepOwn() })
    this.#rotation = new KeyringRotation(options)
    this.#unsealed = new UnsealedHashes(options)
    this.#purged = this.#cleanRevision()
    store.onRestore(() => {
      this.#purged = this.#cleanRevision()
      this.#purging = undefined
    })
  }

  /** For the leader, each tick. */
  lead(term: Term): void {
    void this.#unsealed.step(term)
    void this.#rotation.step(term)
  }

  /** Each second, on every master. What fails is tried again the next time. */
  async tick(isLeading: boolean): Promise<void> {
    if (this.#work !== undefined || this.#options.store.get(keyringKey) === undefined) return
    await this.#alone(async () => {
      await this.#keepUp()
      await this.#say()
      await this.#purge()
      if (isLeading) await this.#unlink()
    })
  }

  /** What was just agreed on counts for this master's files, even if it ends right after this. */
  async #keepOwn(): Promise<void> {
    while (this.#work !== undefined) await this.#work
    await this.#alone(() => this.#keepUp())
  }

  async #alone(work: () => Promise<void>): Promise<void> {
    this.#work = work().catch((error: unknown) =>
      this.#options.onProblem("this master's keys are not where they should be yet", error),
    )
    await this.#work
    this.#work = undefined
  }

  /** This master's own files follow what the cluster has agreed on. */
  async #keepUp(): Promise<void> {
    const { keeper, keys, masterId, emit } = this.#options
    const wanted = { ...keys.chain.current(), dekId: keys.keyring().newest.id }
    const { version, isLocked, dekId } = wanted
    if (this.#kept === undefined || !isSame(this.#kept, wanted)) {
      const { rotatedTo } = (await keeper?.keep(wanted)) ?? {}
      if (rotatedTo !== undefined) emit({ type: 'journal.key-rotated', masterId, keyId: rotatedTo })
      if (this.#kept !== undefined && this.#kept.version !== version) {
        emit({ type: 'master.kek-kept', masterId, version, isAtRest: !isLocked })
      }
      this.#kept = { version, isLocked, dekId }
    }
  }

  /** The others may forget the way from older KEKs once everybody has said this. */
  async #say(): Promise<void> {
    const { masterId, replicated } = this.#options
    const { version = 1 } = this.#kept ?? {}
    if (version === 1 || this.#records.keptBy(masterId) === version) return
    await replicated.commit({
      compare: [{ key: kekKey, target: 'version', is: '>', operand: 0 }],
      success: [{ do: 'put', key: kekKeptKey(masterId), value: encodeRecord({ version }) }],
    })
  }

  /**
   * What was overwritten in the state still stands in this master's journal, until a snapshot that is
   * newer has taken the place of it: keyrings with DEKs that were let go, and links of the KEK's chain.
   */
  async #purge(): Promise<void> {
    const { keeper, replica, masterId, emit } = this.#options
    const { destroyed, left } = (await keeper?.tidy()) ?? { destroyed: [], left: 0 }
    for (const keyId of destroyed) emit({ type: 'journal.key-destroyed', masterId, keyId })
    if (this.#purging !== undefined && replica.snapshotIndex >= this.#purging.index) {
      this.#purged = this.#purging.revision
      this.#purging = undefined
    }
    const revision = this.#cleanRevision()
    if (this.#purging === undefined && revision > this.#purged) {
      await keeper?.turnPage()
      // Newer than any that was begun before the page was turned.
      const index = Math.max(replica.appliedIndex, replica.snapshotIndex + 1)
      this.#purging = { revision, index }
    }
    if (left > 0 || this.#purging !== undefined) replica.demandSnapshot()
  }

  /** Up to which revision the history in the state itself holds nothing that was put out of use. */
  #cleanRevision(): number {
    const { store } = this.#options
    const revision = purgeRevision(store)
    return store.compactRevision >= revision ? revision : 0
  }

  /** Lets go of links that nobody needs any more. */
  async #unlink(): Promise<void> {
    const { replicated, masters } = this.#options
    const known = this.#records.stored
    if (known === undefined) return
    const { version, linkedFrom } = known.record
    const oldest = Math.min(version, ...masters().map((id) => this.#records.keptBy(id)))
    if (oldest <= linkedFrom) return
    const gone = Array.from({ length: oldest - linkedFrom }, (_, at) => linkedFrom + at + 1)
    const record: KekRecord = { ...known.record, linkedFrom: oldest }
    await replicated.commit({
      compare: [isStill(kekKey, known)],
      success: [
        { do: 'put', key: kekKey, value: encodeRecord(record) },
        ...gone.map((one): Op => ({ do: 'delete', key: kekLinkKey(one) })),
      ],
    })
  }
}

const isSame = (a: Omit<WantedKeys, 'kek'>, b: Omit<WantedKeys, 'kek'>): boolean =>
  a.version === b.version && a.isLocked === b.isLocked && a.dekId === b.dekId
