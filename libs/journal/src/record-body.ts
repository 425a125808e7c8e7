import { ByteReader, ByteWriter, BytesMalformed } from '@conclave/kernel'
import {
  readConfState,
  writeConfState,
  type ConfState,
  type Entry,
  type EntryType,
  type HardState,
} from '@conclave/raft'
import type { Batch } from './continuity.ts'
import type { RecordBuffer } from './record-buffer.ts'

/*
 * What stands inside a record, before it is sealed: docs/formats/journal.md, "Bodies". The writer's
 * side goes straight into the record's buffer, because it sees every entry of a busy cluster.
 */

const entryTypes: readonly EntryType[] = ['EntryNormal', 'EntryConfChange', 'EntryConfChangeV2']

/** A snapshot that stands, from here on, for every entry up to its index. */
export interface Marker {
  readonly index: number
  readonly term: number
  /** 16 bytes that the snapshot file carries too. */
  readonly snapshotId: Uint8Array
  /**
   * Whether it took the place of the whole log, which did not reach or did not agree with it. Written
   * down, because whoever reads the log later may lack the entries that told.
   */
  readonly replacesLog: boolean
  readonly confState: ConfState
}

export function writeBatches(buffer: RecordBuffer, batches: readonly Batch[]): void {
  buffer.uint(batches.length)
  for (const { hardState, entries } of batches) {
    buffer.u8(hardState === undefined ? 0 : 1)
    if (hardState !== undefined) {
      buffer.uint(hardState.term).uint(hardState.vote).uint(hardState.commit)
    }
    buffer.uint(entries.length)
    const [first] = entries
    if (first === undefined) continue
    buffer.uint(first.index)
    for (const { type, term, data } of entries) {
      buffer.u8(entryTypes.indexOf(type)).uint(term).bytes(data)
    }
  }
}

/** @throws BytesMalformed */
export function readBatches(reader: ByteReader): readonly Batch[] {
  const batches: Batch[] = []
  for (let count = reader.uint(); count > 0; count--) {
    const hardState = reader.flag() ? readHardState(reader) : undefined
    const entries = readEntries(reader)
    batches.push(hardState === undefined ? { entries } : { hardState, entries })
  }
  return batches
}

function readHardState(reader: ByteReader): HardState {
  return { term: reader.uint(), vote: reader.uint(), commit: reader.uint() }
}

function readEntries(reader: ByteReader): readonly Entry[] {
  const count = reader.uint()
  if (count === 0) return []
  const entries: Entry[] = []
  const first = reader.uint()
  for (let index = first; index < first + count; index++) {
    const type = entryTypes[reader.u8()]
    if (type === undefined) throw new BytesMalformed(`entry ${index} is of no known type`)
    // Views of the record: its entries are needed, and go, together.
    entries.push({ type, index, term: reader.uint(), data: reader.bytesView() })
  }
  return entries
}

export function writeMarker(buffer: RecordBuffer, marker: Marker): void {
  buffer.uint(marker.index).uint(marker.term).raw(marker.snapshotId)
  buffer.u8(marker.replacesLog ? 1 : 0)
  buffer.raw(encodeConfState(marker.confState))
}

/** @throws BytesMalformed */
export function readMarker(reader: ByteReader): Marker {
  return {
    index: reader.uint(),
    term: reader.uint(),
    snapshotId: reader.raw(16),
    replacesLog: reader.flag(),
    confState: readConfState(reader),
  }
}

export function encodeConfState(state: ConfState): Uint8Array {
  const writer = new ByteWriter()
  writeConfState(writer, state)
  return writer.take()
}
