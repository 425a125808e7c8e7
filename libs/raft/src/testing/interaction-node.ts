import { invariant } from '@conclave/kernel'
import { decodeConfChange } from '../codec.ts'
import type { RaftConfig } from '../config.ts'
import type { Entry, HardState, Snapshot } from '../entry.ts'
import type { Message } from '../message.ts'
import { RawNode } from '../raw-node.ts'
import type { Ready } from '../ready.ts'
import { MemoryStorage, emptySnapshot } from '../storage.ts'

/** Hands out the state machine as it is now, so that every snapshot is the newest possible. */
class NewestSnapshotStorage extends MemoryStorage {
  newest: Snapshot = emptySnapshot

  override snapshot(): Snapshot {
    return this.newest
  }
}

/** One member with its disk. Of its state machine nothing is ever printed but how far it has come. */
export class InteractionNode {
  readonly storage = new NewestSnapshotStorage()
  node: RawNode
  isUp = true
  /** Work for the two threads of asynchronous storage. */
  appendWork: Message[] = []
  applyWork: Message[] = []
  readonly #config: Omit<RaftConfig, 'storage' | 'applied'>

  constructor(config: Omit<RaftConfig, 'storage' | 'applied'>, first: Snapshot | undefined) {
    this.#config = config
    if (first !== undefined) {
      this.storage.applySnapshot(first)
      this.storage.newest = first
    }
    this.node = this.#start()
  }

  /** Only what was written survives. */
  restart(): void {
    this.node = this.#start()
    this.isUp = true
  }

  crash(): void {
    this.isUp = false
    this.appendWork = []
    this.applyWork = []
  }

  /** Writes and applies what synchronous storage leaves to the caller. */
  carryOut(ready: Ready): void {
    this.persist(ready.hardState, ready.entries, ready.snapshot)
    this.apply(ready.committedEntries)
  }

  persist(
    hardState: HardState | undefined,
    entries: readonly Entry[],
    snapshot: Snapshot | undefined,
  ): void {
    if (hardState !== undefined) this.storage.setHardState(hardState)
    if (snapshot !== undefined) {
      invariant(entries.length === 0, 'a snapshot and entries are not written at once')
      this.storage.applySnapshot(snapshot)
      this.storage.newest = snapshot
    }
    this.storage.append(entries)
  }

  apply(entries: readonly Entry[]): void {
    for (const { type, term, index, data } of entries) {
      const before = this.storage.newest
      const confState =
        type === 'EntryNormal'
          ? before.meta.confState
          : this.node.applyConfChange(decodeConfChange(data))
      this.storage.newest = { meta: { index, term, confState } }
    }
  }

  #start(): RawNode {
    const { index } = this.storage.newest.meta
    return new RawNode({ ...this.#config, storage: this.storage, applied: index })
  }
}
