import { ByteReader, ByteWriter, BytesMalformed, invariant } from '@conclave/kernel'
import {
  type ConfChange,
  type ConfChangeSingle,
  confChangeTransitions,
  confChangeTypes,
  leaveJoint,
  leavesJoint,
} from './conf-change.ts'
import type { ConfState, Entry, EntryType, NodeId, SnapshotMeta } from './entry.ts'
import { type Message, isLocalType, messageTypes, noBytes } from './message.ts'

// Layouts in the notation of ByteWriter: `uint` is LEB128, `bytes` is a uint length and the bytes.
// Messages carry a version, because peers of two releases talk to each other during an upgrade;
// what lies in a journal is versioned by its segment.

/** 2: a snapshot's content travels beside its message. */
const messageVersion = 2

const entryTypes: readonly EntryType[] = ['EntryNormal', 'EntryConfChange', 'EntryConfChangeV2']

/** u8 type, uint term, uint index, bytes data */
function writeEntry(writer: ByteWriter, entry: Entry): void {
  writer.u8(entryTypes.indexOf(entry.type)).uint(entry.term).uint(entry.index).bytes(entry.data)
}

function readEntry(reader: ByteReader): Entry {
  const type = oneOf(entryTypes, reader.u8(), 'entry type')
  return { type, term: reader.uint(), index: reader.uint(), data: reader.bytesView() }
}

/** ids voters, ids votersOutgoing, ids learners, ids learnersNext, flag autoLeave */
export function writeConfState(writer: ByteWriter, state: ConfState): void {
  writeIds(writer, state.voters)
  writeIds(writer, state.votersOutgoing)
  writeIds(writer, state.learners)
  writeIds(writer, state.learnersNext)
  writer.flag(state.autoLeave)
}

export function readConfState(reader: ByteReader): ConfState {
  return {
    voters: readIds(reader),
    votersOutgoing: readIds(reader),
    learners: readIds(reader),
    learnersNext: readIds(reader),
    autoLeave: reader.flag(),
  }
}

/** uint index, uint term, ConfState */
function writeSnapshotMeta(writer: ByteWriter, meta: SnapshotMeta): void {
  writer.uint(meta.index).uint(meta.term)
  writeConfState(writer, meta.confState)
}

function readSnapshotMeta(reader: ByteReader): SnapshotMeta {
  return { index: reader.uint(), term: reader.uint(), confState: readConfState(reader) }
}

/**
 * u8 version, u8 type, then uint to, from, term, logTerm, index, commit, vote, flag reject, uint
 * rejectHint, bytes context, uint number of entries, the entries, flag, and the SnapshotMeta if it is set.
 */
export function encodeMessage(one: Message): Uint8Array {
  invariant(!isLocalType(one.type), 'a local message does not travel')
  const writer = new ByteWriter(sizeHint(one))
  writer.u8(messageVersion).u8(messageTypes.indexOf(one.type))
  writer.uint(one.to).uint(one.from).uint(one.term).uint(one.logTerm).uint(one.index)
  writer.uint(one.commit).uint(one.vote).flag(one.reject).uint(one.rejectHint).bytes(one.context)
  writer.uint(one.entries.length)
  for (const entry of one.entries) writeEntry(writer, entry)
  writer.flag(one.snapshot !== undefined)
  if (one.snapshot !== undefined) writeSnapshotMeta(writer, one.snapshot.meta)
  return writer.end()
}

/**
 * Its entries share one copy of `bytes`, which may come from a socket: a buffer for each of them would cost
 * more than they do, and they stay in the log, and leave it, together.
 *
 * @throws BytesMalformed when the bytes do not have the layout of {@link encodeMessage}
 */
export function decodeMessage(bytes: Uint8Array): Message {
  const reader = new ByteReader(new Uint8Array(bytes))
  const version = reader.u8()
  if (version !== messageVersion) throw new BytesMalformed(`unknown message version ${version}`)
  const type = oneOf(messageTypes, reader.u8(), 'message type')
  if (isLocalType(type)) throw new BytesMalformed(`${type} does not travel`)
  const one: Message = {
    type,
    to: reader.uint(),
    from: reader.uint(),
    term: reader.uint(),
    logTerm: reader.uint(),
    index: reader.uint(),
    commit: reader.uint(),
    vote: reader.uint(),
    reject: reader.flag(),
    rejectHint: reader.uint(),
    context: reader.bytesView(),
    entries: readMany(reader, readEntry),
    snapshot: reader.flag() ? { meta: readSnapshotMeta(reader) } : undefined,
    responses: [],
  }
  reader.end()
  return one
}

/**
 * u8 version (1 or 2), then for 1: change, bytes context; for 2: u8 transition, uint number of changes,
 * the changes, bytes context. A change is u8 type, uint node id. Leaving a joint configuration is no
 * bytes at all, so that a leader can always append it.
 */
export function encodeConfChange(change: ConfChange): Uint8Array {
  if (change.version === 2 && leavesJoint(change) && change.context.length === 0) return noBytes
  const writer = new ByteWriter(64).u8(change.version)
  if (change.version === 1) writeChange(writer, change)
  else {
    writer.u8(confChangeTransitions.indexOf(change.transition)).uint(change.changes.length)
    for (const single of change.changes) writeChange(writer, single)
  }
  return writer.bytes(change.context).take()
}

/** @throws BytesMalformed when the bytes do not have the layout of {@link encodeConfChange} */
export function decodeConfChange(bytes: Uint8Array): ConfChange {
  if (bytes.length === 0) return leaveJoint
  const reader = new ByteReader(bytes)
  const version = reader.u8()
  if (version !== 1 && version !== 2) {
    throw new BytesMalformed(`unknown configuration change version ${version}`)
  }
  const change: ConfChange =
    version === 1
      ? { version, ...readChange(reader), context: reader.bytes() }
      : {
          version,
          transition: oneOf(confChangeTransitions, reader.u8(), 'transition'),
          changes: readMany(reader, readChange),
          context: reader.bytes(),
        }
  reader.end()
  return change
}

function writeChange(writer: ByteWriter, change: ConfChangeSingle): void {
  writer.u8(confChangeTypes.indexOf(change.type)).uint(change.nodeId)
}

function readChange(reader: ByteReader): ConfChangeSingle {
  return { type: oneOf(confChangeTypes, reader.u8(), 'change type'), nodeId: reader.uint() }
}

function writeIds(writer: ByteWriter, ids: readonly NodeId[]): void {
  writer.uint(ids.length)
  for (const id of ids) writer.uint(id)
}

const readIds = (reader: ByteReader): NodeId[] => readMany(reader, (from) => from.uint())

/** A count that promises more than there are bytes fails at once rather than after a long loop. */
function readMany<T>(reader: ByteReader, readOne: (reader: ByteReader) => T): T[] {
  const count = reader.uint()
  if (count > reader.remaining) throw new BytesMalformed(`${count} items do not fit`)
  const items: T[] = []
  for (let at = 0; at < count; at++) items.push(readOne(reader))
  return items
}

function oneOf<T>(names: readonly T[], number: number, what: string): T {
  const name = names[number]
  if (name === undefined) throw new BytesMalformed(`${number} is no ${what}`)
  return name
}

function sizeHint(one: Message): number {
  let bytes = 96 + one.context.length
  for (const entry of one.entries) bytes += entry.data.length + 24
  return bytes
}
