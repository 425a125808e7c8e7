import { invariant } from '@conclave/kernel'
import type { EventDraft } from '@conclave/model'
import {
  RaftError,
  type ConfState,
  type MemoryStorage,
  type Message,
  type NodeId,
  type RawNode,
  type Snapshot,
  type SnapshotMeta,
} from '@conclave/raft'
import { StoreMachine } from '@conclave/store'
import type { SnapshotDisk } from '../ports.ts'
import type { ReplicaLimits } from '../replica-limits.ts'
import type { SnapshotMessage } from './snapshot-message.ts'
import { SnapshotReceiver } from './snapshot-receiver.ts'
import { SnapshotSender } from './snapshot-sender.ts'

/** A snapshot of one moment, being written. */
export interface SnapshotUnderWay {
  readonly meta: SnapshotMeta
  /** The next chunk, until there are no more. It is good until the next one is asked for. */
  next(): Uint8Array | undefined
  /** All of it is durable: the log may begin behind it. */
  saved(): void
  /** It will not be finished. Harmless when it was. */
  abandon(): void
}

/** A snapshot of the leader that has arrived. */
export interface SnapshotToInstall {
  readonly meta: SnapshotMeta
  /** Resolves once it stands, durably, for everything up to its index. */
  commit(): Promise<void>
}

export interface ReplicaSnapshotsOptions {
  readonly masterId: string
  readonly storage: MemoryStorage
  readonly node: RawNode
  readonly config: () => ConfState
  readonly store: StoreMachine
  readonly disk: SnapshotDisk
  readonly limits: ReplicaLimits
  readonly emit: (draft: EventDraft) => void
  readonly post: (message: SnapshotMessage) => void
  readonly wake: () => void
  readonly onFatal: (error: unknown) => void
  /** What the log of this member begins with. */
  readonly index: number
}

/**
 * The snapshots of one replica: when one is due and how it is taken, and how they travel beside the core,
 * which sees of each no more than its MsgSnap.
 */
export class ReplicaSnapshots {
  readonly #options: ReplicaSnapshotsOptions
  readonly #sender: SnapshotSender
  readonly #receiver: SnapshotReceiver
  #appliedSince = { entries: 0, bytes: 0 }
  #isDue = false
  #index: number
  #takenAt = Number.NEGATIVE_INFINITY
  #ticks = 0

  constructor(options: ReplicaSnapshotsOptions) {
    this.#options = options
    this.#index = options.index
    const { node, disk, limits, post, store, emit, masterId, wake, onFatal } = options
    this.#sender = new SnapshotSender({
      disk,
      limits,
      post,
      onFatal,
      emptyState: new StoreMachine().snapshot(),
      report: (peer, isReceived) => {
        node.reportSnapshot(peer, isReceived)
        wake()
      },
    })
    this.#receiver = new SnapshotReceiver({
      disk,
      limits,
      store,
      post,
      onFatal,
      position: () => {
        const { term, commit } = node.basicStatus().hardState
        return { term, commitIndex: commit }
      },
      step: (message) => {
        node.step(message)
        wake()
      },
      isWanted: ({ index }) => node.pendingSnapshot()?.meta.index === index,
      onRefused: (index) => emit({ type: 'raft.snapshot-refused', masterId, index }),
    })
  }

  // ── on their way ──────────────────────────────────────────────────────────────────────────────

  /** Sends beside the core what it wants delivered. */
  send(messages: readonly Message[]): void {
    for (const message of messages) if (message.type === 'MsgSnap') this.#sender.send(message)
  }

  receive(message: SnapshotMessage): void {
    switch (message.type) {
      case 'SnapshotOffer':
        return this.#receiver.offered(message)
      case 'SnapshotChunk':
        return this.#receiver.arrived(message)
      case 'SnapshotAck':
        return this.#sender.acknowledged(message)
    }
  }

  tick(): void {
    this.#ticks++
    this.#sender.tick()
  }

  /** The link to this peer broke: what was on its way is probably lost. */
  unreachable(peer: NodeId): void {
    this.#sender.unreachable(peer)
  }

  /** Somebody else leads now. */
  stopSending(): void {
    this.#sender.stop()
  }

  close(): void {
    this.#sender.stop()
    this.#receiver.stop()
  }

  /** The file of the snapshot that the core wants installed. */
  toInstall(snapshot: Snapshot | undefined): SnapshotToInstall | undefined {
    if (snapshot === undefined) return undefined
    const { meta, sink } = this.#receivedAs(snapshot)
    return { meta, commit: () => sink.commit() }
  }

  /** The state becomes the one of `snapshot`, which is on the disk. */
  install(snapshot: Snapshot): void {
    const { storage, store, emit, masterId } = this.#options
    const { meta, state, sizeBytes } = this.#receivedAs(snapshot)
    storage.applySnapshot(snapshot)
    store.adopt(state)
    this.#receiver.forget()
    this.#index = meta.index
    this.#forgetDue()
    emit({ type: 'raft.snapshot-installed', masterId, index: meta.index, sizeBytes })
  }

  #receivedAs({ meta }: Snapshot): NonNullable<SnapshotReceiver['received']> {
    const { received } = this.#receiver
    invariant(received?.meta.index === meta.index, 'a snapshot is installed that has arrived')
    return received
  }

  // ── taken here ────────────────────────────────────────────────────────────────────────────────

  /** Entries of so many bytes, without what surrounds them, were applied. */
  applied(entries: number, bytes: number): void {
    const { limits } = this.#options
    const since = this.#appliedSince
    since.entries += entries
    since.bytes += bytes
    // A large state is written again only after a good part of it: else most of what is written is it.
    const part = Math.min(this.#options.store.sizeBytes / 4, logBytesMax)
    const isWorthIt = part < smallPartBytes || since.bytes >= part
    const isEnough = since.entries >= limits.snapshotEntries || since.bytes >= limits.snapshotBytes
    this.#isDue ||= isEnough && isWorthIt
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
  begin(applied: number): SnapshotUnderWay | undefined {
    const { node, limits, store, config, storage } = this.#options
    // Once per election timeout, because a peer that wants one takes it only at its next answer.
    const isWanted = node.wantsSnapshot() && this.#ticks - this.#takenAt >= limits.electionTicks
    if (!this.#isDue && !isWanted) return undefined
    this.#forgetDue()
    this.#takenAt = this.#ticks
    // Nothing was applied since the last one.
    if (applied <= this.#index) return undefined
    const term = storage.term(applied)
    invariant(typeof term === 'number', 'what was applied last is in the log')
    const meta = { index: applied, term, confState: config() }
    const writer = store.beginSnapshot(limits.snapshotChunkBytes)
    let sizeBytes = 0
    return {
      meta,
      next: () => {
        const chunk = writer.next()
        sizeBytes += chunk?.length ?? 0
        return chunk
      },
      saved: () => this.#saved(meta, sizeBytes),
      abandon: () => writer.close(),
    }
  }

  /** The log behind it may go, but for a tail; and peers may be sent it, since it can be read back. */
  #saved({ index, confState }: SnapshotMeta, sizeBytes: number): void {
    const { storage, limits, emit, masterId } = this.#options
    // Unless the leader has sent a newer one meanwhile.
    if (storage.createSnapshot(index, confState) instanceof RaftError) return
    this.#index = index
    emit({ type: 'raft.snapshot-taken', masterId, index, sizeBytes })
    const to = index - limits.trailingEntries
    if (to >= storage.firstIndex()) storage.compact(to)
  }

  #forgetDue(): void {
    this.#isDue = false
    this.#appliedSince = { entries: 0, bytes: 0 }
  }
}

/** A quarter of a state that is small. */
const smallPartBytes = 1024 * 1024
/** What of the log is kept in memory at most, however large the state. */
const logBytesMax = 64 * 1024 * 1024
