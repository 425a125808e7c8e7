import type { EventDraft } from '@conclave/model'
import {
  RaftError,
  type ConfState,
  type MemoryStorage,
  type Message,
  type NodeId,
  type RawNode,
  type Snapshot,
} from '@conclave/raft'
import type { StoreMachine } from '@conclave/store'
import type { ReplicaLimits } from '../replica-limits.ts'

/** A snapshot of one moment, being written. */
export interface SnapshotUnderWay {
  /** Writes up to `keysMax` more keys. Answers whether that was all. */
  step(keysMax: number): boolean
  /** After the last step; undefined when it is not needed any more. */
  finish(): Snapshot | undefined
  /** It will not be finished. */
  abandon(): void
}

export interface ReplicaSnapshotsOptions {
  readonly masterId: string
  readonly storage: MemoryStorage
  readonly node: RawNode
  /** As applied: the core's own may be ahead of the store while a snapshot is installed. */
  readonly config: () => ConfState
  readonly store: StoreMachine
  readonly limits: ReplicaLimits
  readonly emit: (draft: EventDraft) => void
  /** What the log of this member begins with. */
  readonly base: { readonly index: number; readonly sizeBytes: number }
}

/** The snapshots of one replica: when one is due, how it is taken, and what becomes of those it sends. */
export class ReplicaSnapshots {
  readonly #options: ReplicaSnapshotsOptions
  #appliedSince = { entries: 0, bytes: 0 }
  #isDue = false
  #index: number
  #sizeBytes: number
  #takenAt = Number.NEGATIVE_INFINITY
  /** When the last one left for a peer. Raft ignores what is reported of one that arrived. */
  readonly #sent = new Map<NodeId, number>()

  constructor(options: ReplicaSnapshotsOptions) {
    this.#options = options
    this.#index = options.base.index
    this.#sizeBytes = options.base.sizeBytes
  }

  // ── sent to peers ─────────────────────────────────────────────────────────────────────────────

  noteSent(messages: readonly Message[], ticks: number): void {
    for (const { type, to } of messages) if (type === 'MsgSnap') this.#sent.set(to, ticks)
  }

  tick(ticks: number): void {
    for (const [peer, sentAt] of this.#sent) {
      if (ticks - sentAt >= this.#options.limits.snapshotSendTicks) this.#isLost(peer)
    }
  }

  /** The link to this peer broke: what was on its way is probably lost. */
  unreachable(peer: NodeId): void {
    if (this.#sent.has(peer)) this.#isLost(peer)
  }

  #isLost(peer: NodeId): void {
    this.#sent.delete(peer)
    this.#options.node.reportSnapshot(peer, false)
  }

  // ── taken here ────────────────────────────────────────────────────────────────────────────────

  /** Entries of so many bytes, without what surrounds them, were applied. */
  applied(entries: number, bytes: number): void {
    const { limits } = this.#options
    const since = this.#appliedSince
    since.entries += entries
    since.bytes += bytes
    // A large state is written again only after a good part of it: else most of what is written is it.
    const isWorthIt = this.#sizeBytes < largeSnapshotBytes || since.bytes >= this.#sizeBytes / 4
    this.#isDue ||=
      (since.entries >= limits.snapshotEntries && isWorthIt) || since.bytes >= limits.snapshotBytes
  }

  /** What the newest snapshot stands for. */
  get index(): number {
    return this.#index
  }

  /** One is due whatever was applied: what older ones hold must not be there any more. */
  demand(): void {
    this.#isDue = true
  }

  /**
   * Begins a snapshot of what is applied, when enough was since the last one or a peer needs a newer one
   * than there is.
   */
  begin(applied: number, ticks: number): SnapshotUnderWay | undefined {
    const { node, limits, store, config } = this.#options
    // Once per election timeout, because a peer that wants one takes it only at its next answer.
    const isWanted = node.wantsSnapshot() && ticks - this.#takenAt >= limits.electionTicks
    if (!this.#isDue && !isWanted) return undefined
    this.#forgetDue()
    this.#takenAt = ticks
    // Nothing was applied since the last one.
    if (applied <= this.#index) return undefined
    const confState = config()
    const writer = store.beginSnapshot()
    return {
      step: (keysMax) => writer.step(keysMax),
      finish: () => this.#finish(applied, confState, writer.take()),
      abandon: () => writer.close(),
    }
  }

  #finish(index: number, confState: ConfState, data: Uint8Array): Snapshot | undefined {
    const { storage, emit, masterId } = this.#options
    const snapshot = storage.createSnapshot(index, confState, data)
    // The leader has sent a newer one meanwhile.
    if (snapshot instanceof RaftError) return undefined
    this.#index = index
    this.#sizeBytes = data.length
    emit({ type: 'raft.snapshot-taken', masterId, index, sizeBytes: data.length })
    return snapshot
  }

  /** The snapshot up to `index` is durable: older entries may go, but for a tail. */
  compact(index: number): void {
    const { storage, limits } = this.#options
    const to = index - limits.trailingEntries
    if (to >= storage.firstIndex()) storage.compact(to)
  }

  // ── received ──────────────────────────────────────────────────────────────────────────────────

  /** The state becomes the one of `snapshot`, which is on the disk. */
  install(snapshot: Snapshot): void {
    const { storage, store, emit, masterId } = this.#options
    const { meta, data } = snapshot
    storage.applySnapshot(snapshot)
    store.restore(data)
    this.#index = meta.index
    this.#sizeBytes = data.length
    this.#forgetDue()
    emit({ type: 'raft.snapshot-installed', masterId, index: meta.index, sizeBytes: data.length })
  }

  #forgetDue(): void {
    this.#isDue = false
    this.#appliedSince = { entries: 0, bytes: 0 }
  }
}

const largeSnapshotBytes = 4 * 1024 * 1024
