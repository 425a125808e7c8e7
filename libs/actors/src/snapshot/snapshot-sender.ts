import { chunkDigest, type Message, type NodeId } from '@conclave/raft'
import type { SnapshotDisk, SnapshotSource } from '../ports.ts'
import type { ReplicaLimits } from '../replica-limits.ts'
import { sourceOf } from './memory-source.ts'
import type { SnapshotAck, SnapshotMessage } from './snapshot-message.ts'

export interface SnapshotSenderOptions {
  readonly disk: SnapshotDisk
  readonly limits: ReplicaLimits
  /** The snapshot of a store that nothing was done to. */
  readonly emptyState: Uint8Array
  readonly post: (message: SnapshotMessage) => void
  /** What became of a snapshot for `peer`: its core has it, or it must be taken for lost. */
  readonly report: (peer: NodeId, isReceived: boolean) => void
  readonly onFatal: (error: unknown) => void
}

/** How long an answer may take before it is asked for again. */
const patienceTicks = 4

/** One snapshot on its way to one peer. */
interface Stream {
  readonly message: Message
  source: SnapshotSource | undefined
  /** The next chunk to send; undefined until the peer says where to begin. */
  next: number | undefined
  /** Everything before this has arrived. */
  acked: number
  /** When it last got on, and when the peer was last asked or heard. */
  progressAt: number
  askedAt: number
  isSending: boolean
  isOver: boolean
}

/**
 * Sends snapshots to peers that need them, read from this member's own disk, so that there is no second
 * copy of the state in memory. A window of chunks is on its way; the peer says where to go on after a
 * loss. A stream that does not get on for `snapshotSendTicks` is given up.
 */
export class SnapshotSender {
  readonly #options: SnapshotSenderOptions
  readonly #streams = new Map<NodeId, Stream>()
  #ticks = 0

  constructor(options: SnapshotSenderOptions) {
    this.#options = options
  }

  /** @param message the MsgSnap that the core wants delivered */
  send(message: Message): void {
    this.#end(message.to)
    const now = this.#ticks
    const stream: Stream = {
      message,
      source: undefined,
      next: undefined,
      acked: 0,
      progressAt: now,
      askedAt: now,
      isSending: false,
      isOver: false,
    }
    this.#streams.set(message.to, stream)
    void this.#begin(stream)
  }

  acknowledged({ from, index, next, isFromThere, isDone }: SnapshotAck): void {
    const stream = this.#streams.get(from)
    if (stream?.source?.meta.index !== index) return
    stream.askedAt = this.#ticks
    if (isDone) {
      this.#end(from)
      this.#options.report(from, true)
      return
    }
    if (next > stream.acked) stream.progressAt = this.#ticks
    // A peer that has started anew has less than it said before.
    stream.acked = isFromThere ? next : Math.max(stream.acked, next)
    if (isFromThere) stream.next = next
    void this.#sendChunks(stream)
  }

  tick(): void {
    this.#ticks++
    for (const [peer, stream] of this.#streams) {
      if (this.#ticks - stream.progressAt >= this.#options.limits.snapshotSendTicks) {
        this.#end(peer)
        this.#options.report(peer, false)
      } else if (this.#ticks - stream.askedAt >= patienceTicks) this.#ask(stream)
    }
  }

  /** The link to this peer broke: chunks on their way are lost, and it says where to go on. */
  unreachable(peer: NodeId): void {
    const stream = this.#streams.get(peer)
    if (stream !== undefined) stream.next = undefined
  }

  /** Nothing is sent any more, as by a leader that leads no longer. */
  stop(): void {
    for (const peer of this.#streams.keys()) this.#end(peer)
  }

  async #begin(stream: Stream): Promise<void> {
    try {
      const source = (await this.#options.disk.openSnapshot()) ?? this.#founding(stream)
      if (stream.isOver) await source?.close()
      else {
        stream.source = source
        this.#ask(stream)
      }
    } catch (error) {
      if (!stream.isOver) this.#options.onFatal(error)
    }
  }

  /** Before the first one was saved, the core sends what every member began with: an empty state. */
  #founding({ message }: Stream): SnapshotSource | undefined {
    return message.snapshot && sourceOf(message.snapshot.meta, [this.#options.emptyState])
  }

  /** Offers it, or again: the answer says which chunk is wanted. */
  #ask(stream: Stream): void {
    const { source, message } = stream
    if (source === undefined) return
    stream.askedAt = this.#ticks
    const { meta, sizeBytes, chunkCount, digest } = source
    this.#options.post({
      type: 'SnapshotOffer',
      to: message.to,
      from: message.from,
      // A newer one may have been saved since the core chose.
      message: { ...message, snapshot: { meta } },
      sizeBytes,
      chunkCount,
      digest,
    })
  }

  /** As many as the window lets through. */
  async #sendChunks(stream: Stream): Promise<void> {
    const { source } = stream
    if (source === undefined || stream.isSending) return
    stream.isSending = true
    try {
      for (let number = this.#nextOf(stream); number !== undefined; number = this.#nextOf(stream)) {
        const bytes = await source.read(number)
        if (stream.isOver) break
        // The peer wants another one, meanwhile.
        if (stream.next !== number) continue
        stream.next = number + 1
        this.#post(stream, number, bytes)
      }
    } catch (error) {
      if (!stream.isOver) this.#options.onFatal(error)
    } finally {
      stream.isSending = false
      if (stream.isOver) await source.close()
    }
  }

  #nextOf({ isOver, next, acked, source }: Stream): number | undefined {
    const end = Math.min(acked + this.#options.limits.snapshotWindow, source?.chunkCount ?? 0)
    return isOver || next === undefined || next >= end ? undefined : next
  }

  #post({ message, source }: Stream, number: number, bytes: Uint8Array): void {
    const { to, from } = message
    const index = source?.meta.index ?? 0
    const digest = chunkDigest(bytes)
    this.#options.post({ type: 'SnapshotChunk', to, from, index, number, digest, bytes })
  }

  #end(peer: NodeId): void {
    const stream = this.#streams.get(peer)
    if (stream === undefined) return
    this.#streams.delete(peer)
    stream.isOver = true
    // While a chunk is being read, whoever reads it closes the file.
    if (!stream.isSending) void stream.source?.close().catch(this.#options.onFatal)
  }
}
