import { join } from 'node:path'
import type { Random } from '@conclave/kernel'
import type { HardState } from '@conclave/raft'
import type { Batch } from './continuity.ts'
import type { Disk, DiskFile } from './disk.ts'
import type { JournalEvent } from './event.ts'
import { writeBatches, writeMarker, type Marker } from './record-body.ts'
import { RecordBuffer } from './record-buffer.ts'
import { recordOverheadBytes, recordTypes, sealRecord, type RecordType } from './record.ts'
import {
  newSegment,
  segmentHeaderSizeBytes,
  type JournalKeys,
  type KeptSegment,
  type Owner,
  type Segment,
} from './segment.ts'

export interface SegmentWriterOptions {
  readonly disk: Disk
  readonly directory: string
  readonly owner: Owner
  readonly random: Random
  readonly segmentSizeBytes: number
  readonly onEvent: (event: JournalEvent) => void
  /** The number and the last checksum of the segment that recovery ended with, 0 for none. */
  readonly seq: number
  readonly crc: number
  readonly lastIndex: number
  readonly hardState: HardState | undefined
}

/** Kept free at the end of a segment, for a key change and the end. */
const tailSizeBytes = 2 * (recordOverheadBytes + 16)
const zeroes = new Uint8Array(1024 * 1024)
const spareName = 'spare.tmp'
const ignore = (): undefined => undefined

/** The segment being written. */
interface Active {
  readonly segment: Segment
  readonly file: DiskFile
  position: number
  crc: number
  recordSeq: number
  lastIndex: number
}

/**
 * Writes records one after another, each durable before the next begins, and starts segments.
 *
 * 1. A segment is only ever written by the writer that started it, so that no record number is used
 *    twice under its key: after a crash the next writer starts another.
 * 2. Each segment begins with the hard state, so that older ones can be removed.
 * 3. The next segment is reserved while this one is filled: zeroes on the platter, as recovery expects.
 */
export class SegmentWriter {
  readonly #options: SegmentWriterOptions
  readonly #buffer = new RecordBuffer()
  /** For the records that come between: the other buffer may hold one that waits for its segment. */
  readonly #controlBuffer = new RecordBuffer()
  #active: Active | undefined
  #finished: KeptSegment[] = []
  #seq: number
  #crc: number
  #lastIndex: number
  #hardState: HardState | undefined
  #spare: Promise<DiskFile> | undefined

  constructor(options: SegmentWriterOptions) {
    this.#options = options
    this.#seq = options.seq
    this.#crc = options.crc
    this.#lastIndex = options.lastIndex
    this.#hardState = options.hardState
  }

  /** Answers with the number of the segment that the batches are in. */
  async writeBatches(keys: JournalKeys, batches: readonly Batch[]): Promise<number> {
    writeBatches(this.#buffer.begin(), batches)
    const active = await this.#write(keys, recordTypes.batch)
    for (const { hardState, entries } of batches) {
      this.#hardState = hardState ?? this.#hardState
      const last = entries.at(-1)
      if (last === undefined) continue
      this.#lastIndex = last.index
      active.lastIndex = Math.max(active.lastIndex, last.index)
    }
    return active.segment.seq
  }

  /** Answers with the number of the segment that the marker is in. */
  async writeMarker(keys: JournalKeys, marker: Marker): Promise<number> {
    writeMarker(this.#buffer.begin(), marker)
    const active = await this.#write(keys, recordTypes.marker)
    this.#lastIndex = Math.max(this.#lastIndex, marker.index)
    return active.segment.seq
  }

  /** Ends the segment, so that what follows is sealed under the newest of `keys`. */
  async changeKey(keys: JournalKeys): Promise<number> {
    if (this.#active === undefined) return this.#seq
    this.#controlBuffer.begin().uint(keys.newestId)
    await this.#seal(this.#active, recordTypes.keyChange, this.#controlBuffer)
    await this.#end(this.#active)
    return this.#seq
  }

  /** The key of the segment being written, if there is one. */
  get keyId(): number | undefined {
    return this.#active?.segment.keyId
  }

  /** The segments that were ended since the last call, oldest first. */
  takeFinished(): readonly KeptSegment[] {
    const finished = this.#finished
    this.#finished = []
    return finished
  }

  /** Ends what was begun, and gives back what was reserved. */
  async close(): Promise<void> {
    // A reserve that could not be made is not needed any more.
    const spare = await this.#spare?.catch(ignore)
    const active = this.#active
    if (active !== undefined) await this.#end(active, { isLast: true })
    if (spare === undefined) return
    await spare.close()
    await this.#options.disk.unlink(join(this.#options.directory, spareName))
  }

  /** Lets go of the files after a failure. Nothing more is written, not even an end. */
  async abandon(): Promise<void> {
    const spare = await this.#spare?.catch(ignore)
    for (const file of [spare, this.#active?.file]) await file?.close().catch(ignore)
  }

  /** Seals what {@link #buffer} holds into a segment that has room for it. */
  async #write(keys: JournalKeys, type: RecordType): Promise<Active> {
    const sizeBytes = this.#buffer.finish().length + tailSizeBytes
    let active = this.#active
    if (active !== undefined && active.position + sizeBytes > this.#options.segmentSizeBytes) {
      await this.#end(active)
      active = undefined
    }
    active ??= await this.#start(keys)
    await this.#seal(active, type, this.#buffer)
    return active
  }

  async #seal(active: Active, type: RecordType, buffer: RecordBuffer): Promise<void> {
    await writeRecord(active, type, buffer)
    await active.file.sync()
  }

  async #end(active: Active, { isLast = false } = {}): Promise<void> {
    await this.#seal(active, recordTypes.end, this.#controlBuffer.begin())
    if (isLast) {
      await active.file.truncate(active.position)
      await active.file.sync()
    }
    await active.file.close()
    const { name, seq, keyId } = active.segment
    this.#finished.push({ name, seq, keyId, lastIndex: active.lastIndex })
    this.#crc = active.crc
    this.#active = undefined
  }

  async #start(keys: JournalKeys): Promise<Active> {
    const { disk, directory, owner, random, segmentSizeBytes, onEvent } = this.#options
    const file = await this.#takeSpare()
    const { segment, header } = newSegment({
      owner,
      keys,
      random,
      seq: this.#seq + 1,
      firstIndex: this.#lastIndex + 1,
      previousCrc: this.#crc,
      reservedSizeBytes: segmentSizeBytes,
    })
    await file.write(header, 0)
    const position = segmentHeaderSizeBytes
    const active = { segment, file, position, crc: segment.crc, recordSeq: 0, lastIndex: 0 }
    if (this.#hardState !== undefined) {
      writeBatches(this.#controlBuffer.begin(), [{ hardState: this.#hardState, entries: [] }])
      await writeRecord(active, recordTypes.batch, this.#controlBuffer)
    }
    await file.sync()
    await disk.rename(join(directory, spareName), join(directory, segment.name))
    await disk.syncDirectory(directory)
    this.#seq++
    this.#active = active
    void this.#reserve()
    onEvent({ type: 'segment-started', file: segment.name })
    return active
  }

  #reserve(): Promise<DiskFile> {
    const spare = this.#fillSpare()
    // Whoever needs it hears of a failure; until then it is nobody's.
    spare.catch(ignore)
    this.#spare = spare
    return spare
  }

  /** A spare holds nothing yet, so it is the one thing worth a second try: room may have come back. */
  async #takeSpare(): Promise<DiskFile> {
    const file = await (this.#spare ?? this.#reserve()).catch(() => this.#reserve())
    this.#spare = undefined
    return file
  }

  async #fillSpare(): Promise<DiskFile> {
    const { disk, directory, segmentSizeBytes } = this.#options
    const path = join(directory, spareName)
    const file = await disk.create(path)
    try {
      for (let at = 0; at < segmentSizeBytes; at += zeroes.length) {
        await file.write(zeroes.subarray(0, segmentSizeBytes - at), at)
      }
      await file.sync()
      return file
    } catch (error) {
      await file.close()
      await disk.unlink(path)
      throw error
    }
  }
}

/** Not yet durable: that takes a sync of the file. */
async function writeRecord(active: Active, type: RecordType, buffer: RecordBuffer): Promise<void> {
  const record = buffer.finish()
  const { key, salt } = active.segment
  const { position, recordSeq: seq, crc: previousCrc } = active
  active.crc = sealRecord(record, { key, salt, type, seq, previousCrc })
  active.recordSeq++
  active.position += record.length
  await active.file.write(record, position)
}
