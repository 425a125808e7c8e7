import {
  AeadKey,
  createUnlockKey,
  deriveKek,
  formatUnlockKey,
  Kek,
  openEnvelope,
  sealEnvelope,
  wrapKey,
  wrapKeyring,
  type Keyring,
} from '@conclave/crypto'
import { Redacted, wipe, type Random, type RedactedBytes } from '@conclave/kernel'
import type { AuditRecord, EventDraft } from '@conclave/model'
import type { Op } from '@conclave/store'
import type { Access } from '../access.ts'
import type { ClusterKeys } from '../cluster-keys.ts'
import { Unavailable } from '../errors.ts'
import type { Caller } from '../master-api.ts'
import { keyringKey } from '../master-records.ts'
import { encodeRecord } from '../record.ts'
import { decideAndCommit, isStill, type Decision, type Replicated } from '../replicated.ts'
import { operatorResource } from '../resources.ts'
import { AutolockOff, AutolockUnchanged, KeyringRotating, LockChanged } from './errors.ts'
import {
  kekKey,
  kekLinkKey,
  kekLinkName,
  KekRecords,
  unlockKeyKey,
  unlockKeyPlace,
  type KekRecord,
} from './key-records.ts'
import type { LockApi, LockStatus } from './lock-api.ts'
import { isUnder, kindOf } from './sealed-records.ts'

export interface LockServiceOptions {
  readonly clusterId: string
  readonly replicated: Replicated
  readonly keys: ClusterKeys
  readonly access: Access
  readonly random: Random
  readonly emit: (draft: EventDraft) => void
  /** Every master of the cluster, by its id. */
  readonly masters: () => readonly string[]
  /** Resolves once this master's own files are under the newest KEK, or could not be written; then it goes on trying. */
  readonly keepOwn: () => Promise<void>
}

/** What an operator is put on record with. */
const resources = { lock: 'keys/kek', unlockKey: unlockKeyKey, keyring: keyringKey } as const

/** What operators do with the keys themselves, on any master. */
export class LockService implements LockApi {
  readonly #options: LockServiceOptions
  readonly #replicated: Replicated
  readonly #records: KekRecords

  constructor(options: LockServiceOptions) {
    this.#options = options
    this.#replicated = options.replicated
    this.#records = new KekRecords(options.replicated.view)
  }

  async status(caller: Caller): Promise<LockStatus> {
    await this.#enter(caller, 'list', resources.lock)
    return this.#status()
  }

  async lock(caller: Caller): Promise<RedactedBytes> {
    await this.#enter(caller, 'administer', resources.lock)
    const { random, emit } = this.#options
    const unlockKey = createUnlockKey(random)
    try {
      const text = await decideAndCommit(this.#replicated, (): Decision<RedactedBytes> => {
        const { isLocked, version } = this.#records.now
        if (isLocked) return { refuse: async () => new AutolockUnchanged(true) }
        // What had wrapped the DEKs rested on disks: they must not outlive it.
        const keyring = this.#keyring().rotate(random)
        const changes = this.#moveTo(deriveKek(unlockKey), true, keyring)
        return {
          commit: {
            compare: this.#claims(),
            success: [...changes, this.#keep(unlockKey, keyring)],
          },
          committed: () => {
            emit({ type: 'cluster.autolock-changed', isOn: true, version: version + 1 })
            emit({ type: 'keyring.rotated', dekId: keyring.newest.id })
            return formatUnlockKey(unlockKey)
          },
        }
      })
      await this.#options.keepOwn()
      return text
    } finally {
      wipe(unlockKey)
    }
  }

  async unlock(caller: Caller): Promise<void> {
    await this.#enter(caller, 'administer', resources.lock)
    const { random, emit } = this.#options
    // A fresh one: the unlock key that was opens nothing from now on.
    const kek = Kek.of(AeadKey.draw(random))
    await decideAndCommit(this.#replicated, (): Decision<void> => {
      const { isLocked, version } = this.#records.now
      if (!isLocked) return { refuse: async () => new AutolockUnchanged(false) }
      const changes = this.#moveTo(kek, false, this.#keyring())
      return {
        commit: {
          compare: this.#claims(),
          success: [...changes, { do: 'delete', key: unlockKeyKey }],
        },
        committed: () =>
          emit({ type: 'cluster.autolock-changed', isOn: false, version: version + 1 }),
      }
    })
    await this.#options.keepOwn()
  }

  async unlockKey(caller: Caller): Promise<RedactedBytes> {
    await this.#enter(caller, 'read', resources.unlockKey)
    const { clusterId, keys } = this.#options
    const envelope = this.#replicated.view.get(unlockKeyKey)?.value
    if (envelope === undefined) throw new AutolockOff()
    const keyring = keys.keyring()
    const unlockKey = openEnvelope({ clusterId, ...unlockKeyPlace, keyring, envelope })
    try {
      return formatUnlockKey(unlockKey)
    } finally {
      wipe(unlockKey)
    }
  }

  async rotateUnlockKey(caller: Caller): Promise<RedactedBytes> {
    await this.#enter(caller, 'administer', resources.unlockKey)
    const { random, emit } = this.#options
    const meant = this.#records.now.version
    const unlockKey = createUnlockKey(random)
    try {
      const text = await decideAndCommit(this.#replicated, (): Decision<RedactedBytes> => {
        const { isLocked, version } = this.#records.now
        if (version !== meant) return { refuse: async () => new LockChanged() }
        if (!isLocked) return { refuse: async () => new AutolockOff() }
        const keyring = this.#keyring()
        return {
          commit: {
            compare: this.#claims(),
            success: [
              ...this.#moveTo(deriveKek(unlockKey), true, keyring),
              this.#keep(unlockKey, keyring),
            ],
          },
          committed: () => {
            emit({ type: 'cluster.unlock-key-rotated', version: version + 1 })
            return formatUnlockKey(unlockKey)
          },
        }
      })
      await this.#options.keepOwn()
      return text
    } finally {
      wipe(unlockKey)
    }
  }

  async rotateKeyring(caller: Caller): Promise<LockStatus> {
    await this.#enter(caller, 'administer', resources.keyring)
    const { keys, random, clusterId, emit } = this.#options
    await decideAndCommit(this.#replicated, (): Decision<void> => {
      const before = this.#keyring()
      if (before.deks.length > 1) return { refuse: async () => new KeyringRotating() }
      const keyring = before.rotate(random)
      const { kek } = keys.chain.current()
      const value = wrapKeyring({ kek, keyring, clusterId, random })
      return {
        commit: { compare: this.#claims(), success: [{ do: 'put', key: keyringKey, value }] },
        committed: () => emit({ type: 'keyring.rotated', dekId: keyring.newest.id }),
      }
    })
    return this.#status()
  }

  /** Who may, on record, looking at a fresh state. */
  async #enter(caller: Caller, as: AuditRecord['action'], path: string): Promise<void> {
    const { access } = this.#options
    await this.#replicated.refresh()
    if (!access.may(caller, operatorResource, 'full')) {
      throw await access.denied(caller, as, operatorResource, 'full', path)
    }
    await access.audit(caller, as, path, 'allowed')
  }

  #keyring(): Keyring {
    return this.#options.keys.keyring()
  }

  #claims() {
    const { view } = this.#replicated
    return [isStill(kekKey, this.#records.stored), isStill(keyringKey, view.get(keyringKey))]
  }

  /** The keyring under another KEK, and the link that leads there from the one before. */
  #moveTo(next: Kek, isLocked: boolean, keyring: Keyring): readonly Op[] {
    const { clusterId, keys, random } = this.#options
    const { kek, version } = keys.chain.current()
    const record: KekRecord = { ...this.#records.now, version: version + 1, isLocked }
    if (record.version <= version) throw new Unavailable('KEK versions ascend')
    const bytes = new Redacted(next.key.bytes())
    try {
      const name = kekLinkName(record.version)
      const link = wrapKey({ kek, key: bytes, clusterId, name, random })
      return [
        { do: 'put', key: kekKey, value: encodeRecord(record) },
        { do: 'put', key: kekLinkKey(record.version), value: link },
        {
          do: 'put',
          key: keyringKey,
          value: wrapKeyring({ kek: next, keyring, clusterId, random }),
        },
      ]
    } finally {
      wipe(bytes)
    }
  }

  #keep(unlockKey: RedactedBytes, keyring: Keyring): Op {
    const { clusterId, random } = this.#options
    const dek = keyring.newest
    const place = { clusterId, ...unlockKeyPlace }
    const value = sealEnvelope({ ...place, dek, plaintext: unlockKey, random })
    return { do: 'put', key: unlockKeyKey, value }
  }

  #status(): LockStatus {
    const { masters } = this.#options
    const { isLocked, version } = this.#records.now
    const { newest, deks } = this.#keyring()
    const isBehind = (masterId: string): boolean => this.#records.keptBy(masterId) < version
    return {
      isOn: isLocked,
      kekVersion: version,
      // The first one is nobody's to say anything of.
      waitingFor: version === 1 ? [] : masters().filter(isBehind),
      keys: { newest: newest.id, kept: deks.map(({ id }) => id), ...this.#progress(newest.id) },
    }
  }

  #progress(newest: number): { rewrapped: number; left: number } {
    const count = { rewrapped: 0, left: 0 }
    for (const kv of this.#replicated.view.list('').kvs) {
      const parts = kindOf(kv.key)?.partsOf(kv) ?? []
      if (parts.length === 0) continue
      if (parts.every((part) => isUnder(part, newest))) count.rewrapped++
      else count.left++
    }
    return count
  }
}
