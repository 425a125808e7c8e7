import { join } from 'node:path'
import { BytesMalformed, ByteReader } from '@conclave/kernel'
import type { Entry, HardState, Snapshot } from '@conclave/raft'
import { Continuity } from './continuity.ts'
import type { Disk } from './disk.ts'
import { JournalCorrupt } from './errors.ts'
import type { JournalEvent } from './event.ts'
import { readBatches, readMarker, type Marker } from './record-body.ts'
import { endOfData, recordTypes } from './record.ts'
import {
  readSegmentHeader,
  segmentSeq,
  type JournalKeys,
  type KeptSegment,
  type Owner,
  type Segment,
  type SegmentEnd,
} from './segment.ts'
import {
  LocalSegmentOpener,
  OpenerLost,
  type OpenedSegment,
  type SegmentOpener,
} from './segment-opener.ts'
import {
  isSnapshotName,
  SnapshotFileReader,
  snapshotName,
  type SnapshotFile,
} from './snapshot-file.ts'

/** What recovery found on the disk. */
export interface Recovered {
  readonly hardState?: HardState
  /** Its content is read through the journal. */
  readonly snapshot?: Snapshot
  readonly entries: readonly Entry[]
}

/** All that the journal needs to go on behind what was recovered. */
export interface RecoveredLog {
  readonly recovered: Recovered
  readonly continuity: Continuity
  readonly segments: readonly KeptSegment[]
  readonly lastSeq: number
  readonly lastCrc: number
  readonly snapshot: ChosenSnapshot | undefined
}

/** The snapshot that stands: its file, and the marker that made it part of the log. */
export interface ChosenSnapshot {
  readonly file: SnapshotFile
  readonly marker: Marker
}

export interface RecoveryOptions {
  readonly disk: Disk
  readonly directory: string
  readonly owner: Owner
  readonly keys: JournalKeys
  readonly onEvent: (event: JournalEvent) => void
  /** For so many segments. */
  readonly segmentOpener: (segmentCount: number) => SegmentOpener
}

interface ReadSegment extends KeptSegment {
  readonly reservedSizeBytes: number
  readonly sizeBytes: number
  /** Of the last one. */
  readonly bytes: Uint8Array
  readonly end: SegmentEnd
}

/**
 * Reads the whole journal, and then, only if all of it is in order, tidies the directory: the tail
 * that a crash tore is copied aside and cut, files that never became part of the journal are removed.
 *
 * @throws JournalCorrupt, JournalForeign or JournalUndecryptable, having changed nothing
 */
export async function recover(o: RecoveryOptions): Promise<RecoveredLog> {
  const names = [...(await o.disk.list(o.directory))].sort()
  const found = names.filter((name) => segmentSeq(name) !== undefined)
  const { log, segments } = await readLog(o, found)
  checkLength(segments.at(-1))
  log.continuity.settle()
  const chosen = await chooseSnapshot(o, names, log, segments[0])
  const recovered = settle(log, chosen?.marker)
  await shortenOthers(o, segments.slice(0, -1))
  await endLastSegment(o, segments.at(-1))
  await removeLeftovers(o, names, chosen?.file.name)
  return {
    recovered,
    continuity: log.continuity,
    segments: segments.map(({ name, seq, keyId, lastIndex }) => ({ name, seq, keyId, lastIndex })),
    lastSeq: segments.at(-1)?.seq ?? 0,
    lastCrc: segments.at(-1)?.end.crc ?? 0,
    snapshot: chosen,
  }
}

/** Plays records back, and knows afterwards what the log says. */
class LogReader {
  readonly continuity: Continuity
  entries: Entry[] = []
  readonly markers: Marker[] = []
  /** Whether a snapshot took the place of the log, so that its beginning is of no use any more. */
  wasReplaced = false

  constructor(isBeginningKnown: boolean) {
    this.continuity = new Continuity(isBeginningKnown)
  }

  /** Answers with the highest index in the record. @throws BytesMalformed for what may not stand here */
  read(type: number, body: Uint8Array): number {
    const reader = new ByteReader(body)
    if (type === recordTypes.batch) return this.#readBatches(reader)
    if (type === recordTypes.marker) this.#readMarker(reader)
    return 0
  }

  #readBatches(reader: ByteReader): number {
    let last = 0
    for (const batch of readBatches(reader)) {
      const objection = this.continuity.accept(batch)
      if (objection !== undefined) throw new BytesMalformed(objection)
      const [first] = batch.entries
      if (first === undefined) continue
      const start = this.entries[0]?.index ?? first.index
      this.entries.length = Math.max(0, first.index - start)
      for (const entry of batch.entries) this.entries.push(entry)
      last = Math.max(last, this.continuity.lastIndex)
    }
    reader.end()
    return last
  }

  #readMarker(reader: ByteReader): void {
    const marker = readMarker(reader)
    reader.end()
    this.markers.push(marker)
    this.continuity.snapshot(marker.index, marker.term, marker.replacesLog)
    if (!marker.replacesLog) return
    this.entries = []
    this.wasReplaced = true
  }
}

/** Reads all of it, and once more here where the one who opens records is lost: nothing was changed by then. */
async function readLog(o: RecoveryOptions, names: readonly string[]): Promise<ReadLog> {
  const read = async (from: RecoveryOptions): Promise<ReadLog> => {
    const log = new LogReader(names[0] === undefined || segmentSeq(names[0]) === 1)
    return { log, segments: await readSegments(from, names, log) }
  }
  try {
    return await read(o)
  } catch (error) {
    if (!(error instanceof OpenerLost)) throw error
    o.onEvent({ type: 'opener-lost', why: error.message })
    return read({ ...o, segmentOpener: () => new LocalSegmentOpener() })
  }
}

interface ReadLog {
  readonly log: LogReader
  readonly segments: readonly ReadSegment[]
}

async function readSegments(
  o: RecoveryOptions,
  names: readonly string[],
  log: LogReader,
): Promise<readonly ReadSegment[]> {
  const opener = o.segmentOpener(names.length)
  try {
    return await playSegments(o, names, log, opener)
  } finally {
    await opener.close()
  }
}

async function playSegments(
  o: RecoveryOptions,
  names: readonly string[],
  log: LogReader,
  opener: SegmentOpener,
): Promise<readonly ReadSegment[]> {
  const segments: ReadSegment[] = []
  const begin = (at: number): Promise<Ahead> => readAhead(o, names, at, opener)
  const ahead = [...names.keys()].slice(0, 1 + opener.aheadCount).map(begin)
  for (const [at, name] of names.entries()) {
    const previous = segments.at(-1)
    const { segment, opened } = await (ahead.shift() ?? begin(at))
    const next = at + 1 + opener.aheadCount
    if (next < names.length) ahead.push(begin(next))
    if (previous !== undefined) checkFollows(previous, segment)
    let lastIndex = 0
    const end = opened.read((type, body, offset) => {
      try {
        lastIndex = Math.max(lastIndex, log.read(type, body))
      } catch (error) {
        if (error instanceof BytesMalformed) throw new JournalCorrupt(name, offset, error.message)
        throw error
      }
    })
    const { seq, keyId, reservedSizeBytes } = segment
    const { bytes, sizeBytes } = opened
    // Only the last one is looked at again: together they may be more than there is memory.
    if (previous !== undefined) segments[at - 1] = { ...previous, bytes: noBytes }
    segments.push({ name, seq, keyId, lastIndex, reservedSizeBytes, sizeBytes, bytes, end })
  }
  return segments
}

/** Begins to read a segment, and perhaps to open it, while those before are played back. */
function readAhead(
  o: RecoveryOptions,
  names: readonly string[],
  at: number,
  opener: SegmentOpener,
): Promise<Ahead> {
  const reading = readSegment(o, names[at] ?? '', opener, at === names.length - 1)
  // Heard of where it is awaited, if it ever is.
  reading.catch(() => undefined)
  return reading
}

interface Ahead {
  readonly segment: Segment
  readonly opened: OpenedSegment
}

async function readSegment(
  o: RecoveryOptions,
  name: string,
  opener: SegmentOpener,
  isLast: boolean,
): Promise<Ahead> {
  const bytes = await o.disk.read(join(o.directory, name))
  const segment = readSegmentHeader(name, bytes, o.owner, o.keys)
  return { segment, opened: await opener.open(segment, bytes, isLast) }
}

const noBytes = new Uint8Array(0)

function checkFollows(
  previous: ReadSegment,
  next: { readonly name: string; readonly seq: number; readonly previousCrc: number },
): void {
  if (next.seq !== previous.seq + 1) {
    throw new JournalCorrupt(next.name, 16, `segment ${next.seq} follows segment ${previous.seq}`)
  }
  if (previous.end.isTorn || next.previousCrc !== previous.end.crc) {
    const why = 'records are missing before the next segment'
    throw new JournalCorrupt(previous.name, previous.end.offset, why)
  }
}

/**
 * A crash shortens no file: it was as long as it is to be before it was used. If it is shorter, and its
 * writer had not ended it, then somebody cut it, and with it perhaps what had been acknowledged.
 */
function checkLength(last: ReadSegment | undefined): void {
  if (last === undefined || last.end.isEnded || last.bytes.length >= last.reservedSizeBytes) return
  const why = `the file ends before the ${last.reservedSizeBytes} bytes that were reserved for it`
  throw new JournalCorrupt(last.name, last.bytes.length, why)
}

/** The newest snapshot that the log speaks of and that is whole, if the log goes on from there. */
async function chooseSnapshot(
  o: RecoveryOptions,
  names: readonly string[],
  log: LogReader,
  first: ReadSegment | undefined,
): Promise<ChosenSnapshot | undefined> {
  let damage: JournalCorrupt | undefined
  for (const marker of log.markers.toReversed()) {
    if (marker.index < (log.continuity.base ?? 0)) break
    const name = snapshotName(marker)
    try {
      if (!names.includes(name)) throw new JournalCorrupt(name, 0, 'the file is missing')
      const keyId = await checkSnapshot(o, name, marker)
      if (damage !== undefined) report(o, damage)
      return { marker, file: { name, keyId, index: marker.index } }
    } catch (error) {
      if (!(error instanceof JournalCorrupt)) throw error
      damage ??= error
    }
  }
  // The first segment of all still holds every entry since the member was born.
  const isWhole = first === undefined || (first.seq === 1 && !log.wasReplaced)
  if (!isWhole) {
    throw damage ?? new JournalCorrupt(first.name, 0, 'the log begins in the middle')
  }
  if (damage !== undefined) report(o, damage)
  return undefined
}

/** Answers with the id of its key. @throws JournalCorrupt, JournalForeign or JournalUndecryptable */
async function checkSnapshot(o: RecoveryOptions, name: string, marker: Marker): Promise<number> {
  const file = await o.disk.openToRead(join(o.directory, name))
  try {
    const { keyId } = await SnapshotFileReader.check({ ...o, name, file, marker })
    return keyId
  } finally {
    await file.close()
  }
}

function report(o: RecoveryOptions, damage: JournalCorrupt): void {
  o.onEvent({ type: 'snapshot-unreadable', file: damage.file, why: damage.message })
}

function settle(log: LogReader, marker: Marker | undefined): Recovered {
  const snapshot = marker && snapshotOf(marker)
  const index = snapshot?.meta.index ?? 0
  const entries = log.entries.filter((entry) => entry.index > index)
  const hardState = liftTo(log.continuity.hardState, snapshot)
  return {
    ...(hardState === undefined ? {} : { hardState }),
    ...(snapshot === undefined ? {} : { snapshot }),
    entries,
  }
}

const snapshotOf = ({ index, term, confState }: Marker): Snapshot => ({
  meta: { index, term, confState },
})

/**
 * A snapshot is committed, and of a term that the member must have seen: a crash between saving one
 * that came from the leader and the next hard state must not make it forget that. Nobody was voted
 * for in a term that was never written.
 */
function liftTo(
  hardState: HardState | undefined,
  snapshot: Snapshot | undefined,
): HardState | undefined {
  if (snapshot === undefined) return hardState
  const { index, term } = snapshot.meta
  if (hardState === undefined || hardState.term < term) return { term, vote: 0, commit: index }
  return { ...hardState, commit: Math.max(hardState.commit, index) }
}

/** What is reserved in a segment that others follow will not be used; its successor says where it ends. */
async function shortenOthers(o: RecoveryOptions, segments: readonly ReadSegment[]): Promise<void> {
  for (const { name, sizeBytes, end } of segments) {
    if (sizeBytes <= end.offset) continue
    const file = await o.disk.open(join(o.directory, name))
    await file.truncate(end.offset)
    await file.close()
  }
}

/**
 * The segment will not be written again (docs/formats/journal.md): a torn tail is wiped. What was read
 * may be in the cache alone, when it was the process that died and not the machine: it must be on the
 * platter, name and all, before anything is written that leans on it. The file keeps its length, by
 * which the next recovery sees whether somebody cut it.
 */
async function endLastSegment(o: RecoveryOptions, last: ReadSegment | undefined): Promise<void> {
  if (last !== undefined) {
    const { offset, isTorn } = last.end
    if (isTorn) await copyAside(o, last)
    const file = await o.disk.open(join(o.directory, last.name))
    if (isTorn) await file.write(new Uint8Array(endOfData(last.bytes) - offset), offset)
    await file.sync()
    await file.close()
  }
  await o.disk.syncDirectory(o.directory)
}

async function copyAside(o: RecoveryOptions, { name, bytes, end }: ReadSegment): Promise<void> {
  const torn = bytes.subarray(end.offset, endOfData(bytes))
  const copy = `${name}.torn`
  const path = join(o.directory, copy)
  if ((await o.disk.list(o.directory)).includes(copy)) await o.disk.unlink(path)
  const file = await o.disk.create(path)
  await file.write(torn, 0)
  await file.sync()
  await file.close()
  await o.disk.syncDirectory(o.directory)
  const sizeBytes = torn.length
  o.onEvent({ type: 'torn-tail-cut', file: name, offset: end.offset, sizeBytes, copy })
}

/** Half-made files, and snapshots that the chosen one stands for or that no marker made part of the log. */
async function removeLeftovers(
  o: RecoveryOptions,
  names: readonly string[],
  snapshotFile: string | undefined,
): Promise<void> {
  const leftovers = names.filter(
    (name) => name.endsWith('.tmp') || (isSnapshotName(name) && name !== snapshotFile),
  )
  if (leftovers.length === 0) return
  for (const name of leftovers) await o.disk.unlink(join(o.directory, name))
  await o.disk.syncDirectory(o.directory)
  o.onEvent({ type: 'files-removed', files: leftovers })
}
