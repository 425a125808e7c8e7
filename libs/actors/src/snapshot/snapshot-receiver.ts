import { sameBytes } from '@conclave/kernel'
import { chunkDigest, ContentDigest, type Message, type SnapshotMeta } from '@conclave/raft'
import {
  SnapshotMalformed,
  type SnapshotReader,
  type StoreMachine,
  type StoreState,
} from '@conclave/store'
import type { SnapshotDisk, SnapshotSink } from '../ports.ts'
import type { ReplicaLimits } from '../replica-limits.ts'
import type { SnapshotChunk, SnapshotMessage, SnapshotOffer } from './snapshot-message.ts'

/** A snapshot that has arrived whole. Its file is written, and not yet part of the journal. */
export interface ReceivedSnapshot {
  readonly meta: SnapshotMeta
  readonly sizeBytes: number
  /** What the store becomes. */
  readonly state: StoreState
  readonly sink: SnapshotSink
}

export interface SnapshotReceiverOptions {
  readonly disk: SnapshotDisk
  readonly store: StoreMachine
  readonly limits: Pick<ReplicaLimits, 'snapshotWindow'>
  readonly post: (message: SnapshotMessage) => void
  /** The term, and up to where everything is committed here. */
  readonly position: () => { readonly term: number; readonly commitIndex: number }
  /** Gives the core a message. */
  readonly step: (message: Message) => void
  /** Whether the core, which has just been given its message, wants it installed. */
  readonly isWanted: (meta: SnapshotMeta) => boolean
  /** A stream was not what it was said to be; nothing has changed. */
  readonly onRefused: (index: number) => void
  readonly onFatal: (error: unknown) => void
}

/** A snapshot that is arriving. */
interface Incoming {
  offer: SnapshotOffer
  readonly meta: SnapshotMeta
  readonly reader: SnapshotReader
  readonly digest: ContentDigest
  readonly sink: Promise<SnapshotSink>
  /** Arrived and checked, and not yet taken in. */
  readonly waiting: SnapshotChunk[]
  /** Everything before this was taken in. */
  next: number
  sizeBytes: number
  isBusy: boolean
  /** The sender was told of a gap, and nothing has come since. */
  isGapTold: boolean
  isOver: boolean
}

/**
 * Takes in one snapshot at a time: each chunk is checked, decoded and written before the next, a few
 * milliseconds each. Nothing of it counts before all of it is there and makes a state: then the core
 * is told, the file becomes part of the journal, and the store becomes that state.
 */
export class SnapshotReceiver {
  readonly #options: SnapshotReceiverOptions
  #incoming: Incoming | undefined
  #received: ReceivedSnapshot | undefined
  #isStopped = false

  constructor(options: SnapshotReceiverOptions) {
    this.#options = options
  }

  /** Half of what may be on its way, so that the other half can follow at once. */
  get #chunksPerAck(): number {
    return Math.max(1, Math.floor(this.#options.limits.snapshotWindow / 2))
  }

  /** The one that the core wants installed. */
  get received(): ReceivedSnapshot | undefined {
    return this.#received
  }

  /** It was installed. */
  forget(): void {
    this.#received = undefined
  }

  offered(offer: SnapshotOffer): void {
    const meta = offer.message.snapshot?.meta
    if (meta === undefined || offer.chunkCount === 0 || this.#isStopped) return
    const { term, commitIndex } = this.#options.position()
    if (offer.message.term < term) return
    if (meta.index <= commitIndex) {
      // Nothing is wanted; the core knows how to say so.
      this.#options.step(offer.message)
      return this.#answer(offer, 0, { isDone: true })
    }
    if (this.#received !== undefined) {
      const isIt = isSame(this.#received.meta, meta)
      if (isIt) this.#answer(offer, offer.chunkCount, { isDone: true })
      return
    }
    const incoming = this.#incoming
    if (incoming !== undefined && isSameOffer(incoming.offer, offer)) incoming.offer = offer
    else if (incoming !== undefined && offer.message.term < incoming.offer.message.term) return
    else this.#begin(offer, meta)
    const next = this.#incoming
    if (next !== undefined) this.#answer(offer, next.next + next.waiting.length)
  }

  arrived(chunk: SnapshotChunk): void {
    const incoming = this.#incoming
    if (incoming === undefined || chunk.index !== incoming.meta.index) return
    if (chunk.from !== incoming.offer.from) return
    const expected = incoming.next + incoming.waiting.length
    if (chunk.number < expected) return
    const isDamaged = !sameBytes(chunk.digest, chunkDigest(chunk.bytes))
    if (chunk.number > expected || isDamaged) {
      if (!incoming.isGapTold) this.#answer(incoming.offer, expected)
      incoming.isGapTold = true
      return
    }
    incoming.isGapTold = false
    incoming.waiting.push(chunk)
    void this.#takeIn(incoming)
  }

  /** Nothing is taken in any more. */
  stop(): void {
    this.#isStopped = true
    if (this.#incoming !== undefined) this.#incoming.isOver = true
    this.#incoming = undefined
  }

  #begin(offer: SnapshotOffer, meta: SnapshotMeta): void {
    this.#abandon()
    const sink = this.#options.disk.beginSnapshot(meta)
    // Heard of where it is used; until then it is nobody's.
    sink.catch(() => undefined)
    this.#incoming = {
      offer,
      meta,
      reader: this.#options.store.beginRestore(),
      digest: new ContentDigest(),
      sink,
      waiting: [],
      next: 0,
      sizeBytes: 0,
      isBusy: false,
      isGapTold: false,
      isOver: false,
    }
  }

  async #takeIn(incoming: Incoming): Promise<void> {
    if (incoming.isBusy) return
    incoming.isBusy = true
    try {
      const sink = await incoming.sink
      for (let chunk = incoming.waiting[0]; chunk !== undefined; chunk = incoming.waiting[0]) {
        if (incoming.isOver) break
        if (!fits(incoming, chunk)) throw new SnapshotMalformed('chunks of other sizes')
        incoming.reader.push(chunk.bytes)
        incoming.digest.add(chunk.digest)
        incoming.sizeBytes += chunk.bytes.length
        await sink.write(chunk.bytes)
        incoming.waiting.shift()
        incoming.next++
        if (incoming.isOver) break
        if (incoming.next === incoming.offer.chunkCount) this.#finish(incoming, sink)
        else if (incoming.next % this.#chunksPerAck === 0) {
          this.#answer(incoming.offer, incoming.next, { isFromThere: false })
        }
      }
    } catch (error) {
      if (error instanceof SnapshotMalformed) this.#refuse(incoming)
      else if (!this.#isStopped) this.#options.onFatal(error)
    } finally {
      incoming.isBusy = false
      // One that stops leaves the file to its next start.
      if (incoming.isOver && !this.#isStopped) this.#discard(incoming)
    }
  }

  #finish(incoming: Incoming, sink: SnapshotSink): void {
    const { offer, meta, reader, digest, sizeBytes } = incoming
    const state = reader.end()
    if (!sameBytes(digest.end(), offer.digest)) throw new SnapshotMalformed('another content')
    this.#incoming = undefined
    this.#options.step(offer.message)
    if (this.#options.isWanted(meta)) this.#received = { meta, sizeBytes, state, sink }
    else incoming.isOver = true
    this.#answer(offer, offer.chunkCount, { isDone: true })
  }

  /** It will be asked for from the beginning, once it is offered again. */
  #refuse(incoming: Incoming): void {
    incoming.isOver = true
    if (this.#incoming === incoming) this.#incoming = undefined
    this.#options.onRefused(incoming.meta.index)
  }

  #abandon(): void {
    const incoming = this.#incoming
    if (incoming === undefined) return
    this.#incoming = undefined
    incoming.isOver = true
    if (!incoming.isBusy) this.#discard(incoming)
  }

  #discard({ sink }: Incoming): void {
    sink
      .then((begun) => begun.discard())
      .catch((error: unknown) => {
        if (!this.#isStopped) this.#options.onFatal(error)
      })
  }

  #answer(
    { from, to, message }: SnapshotOffer,
    next: number,
    { isFromThere = true, isDone = false } = {},
  ): void {
    if (this.#isStopped) return
    const index = message.snapshot?.meta.index ?? 0
    const ends = { to: from, from: to }
    this.#options.post({ type: 'SnapshotAck', ...ends, index, next, isFromThere, isDone })
  }
}

/** All chunks have the size of the first, but the last, and together the size that was announced. */
function fits({ offer, next, sizeBytes }: Incoming, { bytes }: SnapshotChunk): boolean {
  const chunkBytes = next === 0 ? bytes.length : sizeBytes / next
  return next + 1 === offer.chunkCount
    ? bytes.length <= chunkBytes && sizeBytes + bytes.length === offer.sizeBytes
    : bytes.length === chunkBytes && sizeBytes + bytes.length < offer.sizeBytes
}

const isSame = (a: SnapshotMeta, b: SnapshotMeta): boolean =>
  a.index === b.index && a.term === b.term

const isSameOffer = (a: SnapshotOffer, b: SnapshotOffer): boolean =>
  a.chunkCount === b.chunkCount &&
  a.sizeBytes === b.sizeBytes &&
  sameBytes(a.digest, b.digest) &&
  isSame(metaOf(a), metaOf(b))

const metaOf = ({ message }: SnapshotOffer): SnapshotMeta =>
  message.snapshot?.meta ?? { index: 0, term: 0, confState: noMembers }

const noMembers = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
}
