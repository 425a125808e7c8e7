import { join } from 'node:path'
import { invariant, type Random } from '@conclave/kernel'
import { AeadKey } from '@conclave/crypto'
import type { NodeId, SnapshotMeta } from '@conclave/raft'
import type { Batch, Continuity } from './continuity.ts'
import type { Disk, DiskFile, DiskLock } from './disk.ts'
import { JournalClosed, JournalFailed } from './errors.ts'
import type { JournalEvent } from './event.ts'
import { NodeDisk } from './node-disk.ts'
import type { Marker } from './record-body.ts'
import { recover, type ChosenSnapshot, type Recovered, type RecoveredLog } from './recovery.ts'
import { LocalSegmentOpener, type SegmentOpener } from './segment-opener.ts'
import { SegmentWriter } from './segment-writer.ts'
import type { JournalKeys, KeptSegment, Owner } from './segment.ts'
import { SnapshotFileReader, SnapshotFileWriter, snapshotName } from './snapshot-file.ts'

/** A member's log on its own disk. A failure is final: whoever sees one stops the process. */
export interface Journal {
  /** Resolves once durable on disk. Calls made while an fsync is under way share the next one; order is kept. */
  append(batch: Batch): Promise<void>
  /** Begins a file for a snapshot. It is no part of the journal before {@link SnapshotSink.commit}. */
  beginSnapshot(meta: SnapshotMeta): Promise<SnapshotSink>
  /** The newest snapshot that stands, open for reading whatever happens to it meanwhile. */
  openSnapshot(): Promise<SnapshotSource | undefined>
  /** Seals under another key from now on. What the old one sealed goes with the next snapshots. */
  rotateKey(key: JournalKey): Promise<void>
  /** The ids of the keys that files on the disk still need. The others may be destroyed. */
  keysInUse(): readonly number[]
  /** What was appended before becomes durable; nothing may be asked afterwards. */
  close(): Promise<void>
}

/** A snapshot being saved, chunk by chunk. */
export interface SnapshotSink {
  /** Resolves once it is written. All chunks have one size, but the last, which may be shorter. */
  write(chunk: Uint8Array): Promise<void>
  /**
   * Resolves once the snapshot stands for everything up to its index, on disk. Entries behind it stay
   * if the log agrees with it there, as after a snapshot of our own; otherwise it replaces them.
   */
  commit(): Promise<void>
  /** It will not be committed, and its file goes. */
  discard(): Promise<void>
}

/** A snapshot of the journal, open for reading. */
export interface SnapshotSource {
  readonly meta: SnapshotMeta
  readonly sizeBytes: number
  readonly chunkCount: number
  /** What the content is known by: `ContentDigest` of `@conclave/raft`. */
  readonly digest: Uint8Array
  /** @throws JournalCorrupt or JournalUndecryptable */
  read(number: number): Promise<Uint8Array>
  close(): Promise<void>
}

export interface JournalKey {
  readonly id: number
  /** 32 bytes, copied. */
  readonly bytes: Uint8Array
}

export interface JournalOptions {
  readonly directory: string
  /** The 32-byte journal key that seals, copied. */
  readonly key: Uint8Array
  /** Its id, 1 unless it was ever rotated. */
  readonly keyId?: number
  /** Keys that older files may still need. */
  readonly olderKeys?: readonly JournalKey[]
  readonly clusterId: string
  readonly nodeId: NodeId
  readonly random: Random
  /** How much of the disk one segment reserves. 64 MiB suit a server. */
  readonly segmentSizeBytes?: number
  readonly onEvent?: (event: JournalEvent) => void
  readonly disk?: Disk
  /** Where the records of so many segments are opened at the start: here, unless it is said. */
  readonly segmentOpener?: (segmentCount: number) => SegmentOpener
}

/** Reserved twice per journal, so small: a laptop runs three masters. */
const segmentSizeBytesDefault = 8 * 1024 * 1024

/** What one record may carry of batches that wait for the disk; a single larger one still goes alone. */
const recordSizeBytesMax = 4 * 1024 * 1024

/**
 * Opens the journal in `directory`, which is made if need be, and reads back what it holds.
 *
 * @throws JournalLocked, JournalCorrupt, JournalForeign or JournalUndecryptable
 */
export async function openJournal(
  o: JournalOptions,
): Promise<{ readonly journal: Journal; readonly recovered: Recovered }> {
  const disk = o.disk ?? new NodeDisk()
  await disk.makeDirectory(o.directory)
  const lock = await disk.lock(o.directory)
  try {
    const owner = { clusterId: o.clusterId, nodeId: o.nodeId }
    const onEvent = o.onEvent ?? ignore
    const keys = readKeys(o)
    const segmentOpener = o.segmentOpener ?? openHere
    const { directory } = o
    const log = await recover({ disk, directory, owner, keys, onEvent, segmentOpener })
    return {
      journal: new DiskJournal(o, { disk, lock, owner, keys, log }),
      recovered: log.recovered,
    }
  } catch (error) {
    await lock.release()
    throw error
  }
}

const ignore = (): void => undefined
const openHere = (): SegmentOpener => new LocalSegmentOpener()

function readKeys(o: JournalOptions): JournalKeys {
  const newestId = o.keyId ?? 1
  const byId = new Map(o.olderKeys?.map(({ id, bytes }) => [id, AeadKey.of(bytes)]))
  return { newestId, byId: byId.set(newestId, AeadKey.of(o.key)) }
}

interface Parts {
  readonly disk: Disk
  readonly lock: DiskLock
  readonly owner: Owner
  readonly keys: JournalKeys
  readonly log: RecoveredLog
}

type Work =
  | { readonly do: 'append'; readonly batch: Batch; readonly sizeBytes: number }
  | { readonly do: 'mark'; readonly marker: Marker }
  | { readonly do: 'rotate'; readonly keys: JournalKeys }

interface BegunSnapshot {
  readonly meta: SnapshotMeta
  readonly writer: SnapshotFileWriter
  readonly file: DiskFile
  readonly path: string
}

interface Waiting {
  readonly work: Work
  /** Told the number of the segment it was written to. */
  readonly resolve: (seq: number) => void
  readonly reject: (error: Error) => void
}

class DiskJournal implements Journal {
  readonly #directory: string
  readonly #disk: Disk
  readonly #lock: DiskLock
  readonly #owner: Owner
  readonly #random: Random
  readonly #onEvent: (event: JournalEvent) => void
  readonly #writer: SegmentWriter
  readonly #continuity: Continuity
  #keys: JournalKeys
  #segments: readonly KeptSegment[]
  #snapshot: ChosenSnapshot | undefined
  #snapshotCount = 0

  #queue: Waiting[] = []
  #draining: Promise<void> | undefined
  #savingSnapshot: Promise<void> = Promise.resolve()
  #failure: JournalFailed | undefined
  #isClosed = false

  constructor(o: JournalOptions, parts: Parts) {
    const { disk, lock, owner, keys, log } = parts
    this.#directory = o.directory
    this.#disk = disk
    this.#lock = lock
    this.#owner = owner
    this.#random = o.random
    this.#onEvent = o.onEvent ?? ignore
    this.#keys = keys
    this.#continuity = log.continuity
    this.#segments = log.segments
    this.#snapshot = log.snapshot
    this.#writer = new SegmentWriter({
      disk,
      directory: o.directory,
      owner,
      random: o.random,
      segmentSizeBytes: o.segmentSizeBytes ?? segmentSizeBytesDefault,
      onEvent: this.#onEvent,
      seq: log.lastSeq,
      crc: log.lastCrc,
      lastIndex: log.continuity.lastIndex,
      hardState: log.recovered.hardState,
    })
  }

  async append(batch: Batch): Promise<void> {
    this.#checkUsable()
    const objection = this.#continuity.accept(batch)
    invariant(objection === undefined, `the journal is asked to write nonsense: ${objection}`)
    const sizeBytes = batch.entries.reduce((sum, { data }) => sum + data.length + 16, 32)
    await this.#enqueue({ do: 'append', batch, sizeBytes })
  }

  async beginSnapshot(meta: SnapshotMeta): Promise<SnapshotSink> {
    this.#checkUsable()
    // Two may be under way for one index: one of our own, and one of the leader's.
    const path = join(this.#directory, `${snapshotName(meta)}.${++this.#snapshotCount}.tmp`)
    const [owner, keys, random] = [this.#owner, this.#keys, this.#random]
    const file = await this.#whileUsable(() => this.#disk.create(path))
    const writer = new SnapshotFileWriter({ file, meta, owner, keys, random })
    let isOver = false
    const over = (): boolean => {
      const wasOver = isOver
      isOver = true
      return wasOver
    }
    return {
      write: (chunk) => this.#whileUsable(() => writer.write(chunk)),
      commit: () => {
        invariant(!over(), 'a snapshot is committed or discarded, once')
        return this.#inTurn(() => this.#commit({ meta, writer, file, path }))
      },
      discard: () => (over() ? Promise.resolve() : this.#discard({ file, path })),
    }
  }

  async openSnapshot(): Promise<SnapshotSource | undefined> {
    this.#checkUsable()
    // Not while it is being replaced: its name would go between two steps.
    return this.#inTurn(async () => {
      const snapshot = this.#snapshot
      if (snapshot === undefined) return undefined
      const { marker } = snapshot
      const { name } = snapshot.file
      const [owner, keys] = [this.#owner, this.#keys]
      const file = await this.#whileUsable(() => this.#disk.openToRead(join(this.#directory, name)))
      return SnapshotFileReader.open({ name, file, marker, owner, keys })
    })
  }

  async rotateKey({ id, bytes }: JournalKey): Promise<void> {
    this.#checkUsable()
    const byId = new Map(this.#keys.byId).set(id, AeadKey.of(bytes))
    this.#keys = { newestId: id, byId }
    await this.#enqueue({ do: 'rotate', keys: this.#keys })
  }

  keysInUse(): readonly number[] {
    this.#segments = [...this.#segments, ...this.#writer.takeFinished()]
    const ids = this.#segments.map(({ keyId }) => keyId)
    const others = [this.#keys.newestId, this.#writer.keyId, this.#snapshot?.file.keyId]
    for (const id of others) if (id !== undefined) ids.push(id)
    return [...new Set(ids)].sort((a, b) => a - b)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#savingSnapshot
    await this.#draining
    try {
      if (this.#failure === undefined) await this.#writer.close()
      else await this.#writer.abandon()
    } catch (error) {
      throw this.#fail(error)
    } finally {
      await this.#lock.release()
    }
  }

  #checkUsable(): void {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#isClosed) throw new JournalClosed()
  }

  #enqueue(work: Work): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ work, resolve, reject })
      this.#draining ??= this.#drain()
    })
  }

  async #drain(): Promise<void> {
    // Whatever else is asked in this turn of the event loop shares the first record.
    await Promise.resolve()
    try {
      while (this.#queue.length > 0) {
        const group = this.#nextGroup()
        const seq = await this.#carryOut(group.map(({ work }) => work))
        for (const { resolve } of group) resolve(seq)
        this.#queue.splice(0, group.length)
      }
    } catch (error) {
      const failure = this.#fail(error)
      for (const { reject } of this.#queue) reject(failure)
      this.#queue = []
    } finally {
      this.#draining = undefined
    }
  }

  /** The work at the head of the queue that one record can hold. */
  #nextGroup(): readonly Waiting[] {
    let count = 0
    let sizeBytes = 0
    for (const { work } of this.#queue) {
      if (count > 0 && (work.do !== 'append' || sizeBytes + work.sizeBytes > recordSizeBytesMax)) {
        break
      }
      count++
      if (work.do !== 'append') break
      sizeBytes += work.sizeBytes
    }
    return this.#queue.slice(0, count)
  }

  /** Answers with the number of the segment. */
  #carryOut(group: readonly Work[]): Promise<number> {
    const [first] = group
    if (first?.do === 'mark') return this.#writer.writeMarker(this.#keys, first.marker)
    if (first?.do === 'rotate') return this.#writer.changeKey(first.keys)
    const batches = group.flatMap((work) => (work.do === 'append' ? [work.batch] : []))
    return this.#writer.writeBatches(this.#keys, batches)
  }

  /** One after the other, whatever becomes of the one before. */
  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const acting = this.#savingSnapshot.then(act)
    this.#savingSnapshot = acting.then(ignore, ignore)
    return acting
  }

  async #whileUsable<T>(act: () => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure
    try {
      return await act()
    } catch (error) {
      throw this.#fail(error)
    }
  }

  async #commit(o: BegunSnapshot): Promise<void> {
    const { meta, writer } = o
    // One that is at least as new stands already, and says the same about what they share.
    if (this.#snapshot !== undefined && meta.index <= this.#snapshot.file.index) {
      return this.#discard(o)
    }
    const name = snapshotName(meta)
    await this.#whileUsable(async () => {
      await writer.end()
      await this.#nameSnapshot(o, name)
      const replacesLog = this.#continuity.isReplacedBy(meta.index, meta.term)
      this.#continuity.snapshot(meta.index, meta.term, replacesLog)
      const marker = { ...meta, snapshotId: writer.id, replacesLog }
      const markerSeq = await this.#enqueue({ do: 'mark', marker })
      const replaced = this.#snapshot
      this.#snapshot = { file: { name, keyId: writer.keyId, index: meta.index }, marker }
      this.#onEvent({ type: 'snapshot-saved', file: name, index: meta.index })
      await this.#removeWhatIsOlder(replaced?.file.name, meta.index, markerSeq)
    })
  }

  /** From now on it may be marked: content first, then its name, each on the platter. */
  async #nameSnapshot({ file, path }: BegunSnapshot, name: string): Promise<void> {
    await file.sync()
    await file.close()
    await this.#disk.rename(path, join(this.#directory, name))
    await this.#disk.syncDirectory(this.#directory)
    if (this.#failure !== undefined) throw this.#failure
  }

  async #discard({ file, path }: { file: DiskFile; path: string }): Promise<void> {
    await this.#whileUsable(async () => {
      await file.close()
      await this.#disk.unlink(path)
    })
  }

  /** Oldest first, each on its own, so that a crash in between leaves a log without gaps. */
  async #removeWhatIsOlder(
    replaced: string | undefined,
    index: number,
    markerSeq: number,
  ): Promise<void> {
    const segments = [...this.#segments, ...this.#writer.takeFinished()]
    const needed = segments.findIndex(({ seq, lastIndex }) => seq >= markerSeq || lastIndex > index)
    const old = needed < 0 ? segments : segments.slice(0, needed)
    this.#segments = segments.slice(old.length)
    const files = [...(replaced === undefined ? [] : [replaced]), ...old.map(({ name }) => name)]
    for (const file of files) {
      await this.#disk.unlink(join(this.#directory, file))
      await this.#disk.syncDirectory(this.#directory)
    }
    if (files.length > 0) this.#onEvent({ type: 'files-removed', files })
  }

  #fail(error: unknown): Error {
    if (error instanceof JournalClosed || error instanceof JournalFailed) return error
    if (this.#failure === undefined) {
      this.#failure = new JournalFailed(error)
      this.#onEvent({ type: 'failed', cause: error })
    }
    return this.#failure
  }
}
