import { join } from 'node:path'
import { invariant, type Random } from '@conclave/kernel'
import { AeadKey } from '@conclave/crypto'
import type { NodeId, Snapshot } from '@conclave/raft'
import type { Batch, Continuity } from './continuity.ts'
import type { Disk, DiskLock } from './disk.ts'
import { JournalClosed, JournalFailed } from './errors.ts'
import type { JournalEvent } from './event.ts'
import { NodeDisk } from './node-disk.ts'
import type { Marker } from './record-body.ts'
import { recover, type Recovered, type RecoveredLog } from './recovery.ts'
import { SegmentWriter } from './segment-writer.ts'
import type { JournalKeys, KeptSegment, Owner } from './segment.ts'
import { snapshotName, writeSnapshot, type SnapshotFile } from './snapshot-file.ts'

/** A member's log on its own disk. A failure is final: whoever sees one stops the process. */
export interface Journal {
  /** Resolves once durable on disk. Calls made while an fsync is under way share the next one; order is kept. */
  append(batch: Batch): Promise<void>
  /**
   * Resolves once the snapshot stands for everything up to its index, on disk. Entries behind it stay
   * if the log agrees with it there, as after a snapshot of our own; otherwise it replaces them.
   */
  saveSnapshot(snapshot: Snapshot): Promise<void>
  /** Seals under another key from now on. What the old one sealed goes with the next snapshots. */
  rotateKey(key: JournalKey): Promise<void>
  /** The ids of the keys that files on the disk still need. The others may be destroyed. */
  keysInUse(): readonly number[]
  /** What was appended before becomes durable; nothing may be asked afterwards. */
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
}

/** Reserved twice per journal, so small: a laptop runs three masters. */
export const segmentSizeBytesDefault = 8 * 1024 * 1024

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
    const log = await recover({ disk, directory: o.directory, owner, keys, onEvent })
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
  #snapshotFile: SnapshotFile | undefined

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
    this.#snapshotFile = log.snapshotFile
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

  async saveSnapshot(snapshot: Snapshot): Promise<void> {
    this.#checkUsable()
    const saving = this.#savingSnapshot.then(() => this.#saveSnapshot(snapshot))
    this.#savingSnapshot = saving.catch(ignore)
    return saving
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
    const others = [this.#keys.newestId, this.#writer.keyId, this.#snapshotFile?.keyId]
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

  async #saveSnapshot(snapshot: Snapshot): Promise<void> {
    const { meta } = snapshot
    // One that is at least as new stands already, and says the same about what they share.
    if (this.#snapshotFile !== undefined && meta.index <= this.#snapshotFile.index) return
    const name = snapshotName(meta)
    try {
      if (this.#failure !== undefined) throw this.#failure
      const keys = this.#keys
      const snapshotId = await this.#writeSnapshotFile(name, snapshot, keys)
      if (this.#failure !== undefined) throw this.#failure
      const replacesLog = this.#continuity.isReplacedBy(meta.index, meta.term)
      this.#continuity.snapshot(meta.index, meta.term, replacesLog)
      const marker = { ...meta, snapshotId, replacesLog }
      const markerSeq = await this.#enqueue({ do: 'mark', marker })
      const replaced = this.#snapshotFile
      this.#snapshotFile = { name, keyId: keys.newestId, index: meta.index }
      this.#onEvent({ type: 'snapshot-saved', file: name, index: meta.index })
      await this.#removeWhatIsOlder(replaced?.name, meta.index, markerSeq)
    } catch (error) {
      throw this.#fail(error)
    }
  }

  async #writeSnapshotFile(
    name: string,
    snapshot: Snapshot,
    keys: JournalKeys,
  ): Promise<Uint8Array> {
    const path = join(this.#directory, name)
    const file = await this.#disk.create(`${path}.tmp`)
    const [owner, random] = [this.#owner, this.#random]
    const snapshotId = await writeSnapshot({ file, snapshot, owner, keys, random })
    await file.sync()
    await file.close()
    await this.#disk.rename(`${path}.tmp`, path)
    await this.#disk.syncDirectory(this.#directory)
    return snapshotId
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
