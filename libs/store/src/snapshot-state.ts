import {
  BytesMalformed,
  ByteReader,
  ByteWriter,
  invariant,
  InvariantViolated,
} from '@conclave/kernel'
import { SnapshotMalformed } from './errors.ts'
import { compareKeys } from './key-order.ts'
import { Leases, type Lease } from './leases.ts'
import { rejections, Sessions, type Outcome, type Session } from './sessions.ts'
import { VersionedKeys, type KeyHistory, type Span, type Version } from './versioned-keys.ts'

/*
 * The bytes of the whole state: equal states give equal bytes, so they are also what replicas are
 * compared by. Layout: docs/formats/store-snapshot.md.
 */

const snapshotFormat = 1

export interface State {
  readonly keys: VersionedKeys
  readonly leases: Leases
  readonly sessions: Sessions
}

/**
 * Writes the state as it is at this moment, in steps between which it may go on changing: the whole of
 * a large one would hold up everything else. What compactions forget meanwhile is kept until the end.
 */
export class SnapshotWriter {
  readonly #keys: VersionedKeys
  readonly #span: Span
  readonly #writer: ByteWriter
  /** Few, and so written at once: what comes behind the keys. */
  readonly #rest: Uint8Array
  readonly #unpin: () => void
  #after: string | undefined
  #isWhole = false

  constructor({ keys, leases, sessions }: State) {
    const { revision, compactRevision } = keys
    this.#keys = keys
    this.#span = { revision, compactRevision }
    this.#unpin = keys.pin()
    this.#rest = encodeRest(leases, sessions)
    // Slightly too much, so that the writer need not grow: copying 40 MB twice is most of the work.
    this.#writer = new ByteWriter(4096 + this.#rest.length + keys.sizeBytes)
    this.#writer.u8(snapshotFormat).uint(revision).uint(compactRevision).uint(keys.historyCount)
  }

  /** Writes up to `keysMax` more keys. Answers whether that was all. */
  step(keysMax: number): boolean {
    if (this.#isWhole) return true
    const writer = this.#writer
    this.#after = this.#keys.page(this.#after, keysMax, this.#span, (key, versions) => {
      writer.text(key).uint(versions.length)
      for (const version of versions) writeVersion(writer, version)
    })
    if (this.#after !== undefined) return false
    writer.raw(this.#rest)
    this.close()
    this.#isWhole = true
    return true
  }

  /** All of it, after the last step. */
  take(): Uint8Array {
    invariant(this.#isWhole, 'a snapshot is taken when it is whole')
    return this.#writer.end()
  }

  /** Nothing is kept for it any more. */
  close(): void {
    this.#unpin()
  }
}

function encodeRest(leases: Leases, sessions: Sessions): Uint8Array {
  const writer = new ByteWriter()
  const held = leases.list()
  writer.uint(held.length)
  for (const { id, ttlMs, expiresAtMs } of held) writer.uint(id).uint(ttlMs).uint(expiresAtMs)
  const remembered = sessions.list()
  writer.uint(remembered.length)
  for (const { client, seq, outcome } of remembered) {
    writer.text(client).uint(seq)
    writeOutcome(writer, outcome)
  }
  return writer.end()
}

/** @throws SnapshotMalformed when the bytes do not follow the layout, or no store can be in that state */
export function decodeState(bytes: Uint8Array, sessionsMax: number): State {
  try {
    return readState(new ByteReader(bytes), sessionsMax)
  } catch (cause) {
    if (!(cause instanceof BytesMalformed || cause instanceof InvariantViolated)) throw cause
    throw new SnapshotMalformed(`no snapshot of this store: ${cause.message}`, { cause })
  }
}

function readState(reader: ByteReader, sessionsMax: number): State {
  const format = reader.u8()
  if (format !== snapshotFormat) throw new BytesMalformed(`snapshot format ${format} is not known`)
  const revision = reader.uint()
  const compactRevision = reader.uint()
  demand(compactRevision <= revision, 'compacted ahead of its revision')
  // A revision that is kept changed a key, and that takes bytes: no huge count reserves memory.
  demand(revision - compactRevision <= reader.remaining, 'more revisions than bytes')

  const histories: KeyHistory[] = []
  const leased: KeyHistory[] = []
  for (let rest = reader.uint(); rest > 0; rest--) {
    const history = readHistory(reader, revision, compactRevision)
    const before = histories.at(-1)
    demand(before === undefined || compareKeys(before.key, history.key) < 0, 'keys out of order')
    histories.push(history)
    if (leaseOf(history) !== undefined) leased.push(history)
  }
  const held: Lease[] = []
  for (let rest = reader.uint(); rest > 0; rest--) {
    const lease = { id: reader.uint(), ttlMs: reader.uint(), expiresAtMs: reader.uint() }
    demand(lease.id > (held.at(-1)?.id ?? 0), 'leases out of order')
    held.push(lease)
  }
  const remembered: Session[] = []
  for (let rest = reader.uint(); rest > 0; rest--) {
    remembered.push({ client: reader.text(), seq: reader.uint(), outcome: readOutcome(reader) })
  }
  reader.end()

  const leases = new Leases(held)
  for (const history of leased) {
    const lease = leaseOf(history)
    demand(lease !== undefined && leases.has(lease), 'a key under no known lease')
    leases.attach(lease, history.key)
  }
  return {
    keys: new VersionedKeys(revision, compactRevision, histories),
    leases,
    sessions: new Sessions(sessionsMax, remembered),
  }
}

const isDeleted = 0
const isPut = 1
const isPutUnderLease = 2

function writeVersion(writer: ByteWriter, version: Version): void {
  if (version.value === undefined) {
    writer.u8(isDeleted).uint(version.modRevision)
    return
  }
  const { lease, modRevision, createRevision, version: count, value } = version
  writer.u8(lease === undefined ? isPut : isPutUnderLease)
  writer.uint(modRevision).uint(createRevision).uint(count)
  if (lease !== undefined) writer.uint(lease)
  writer.bytes(value)
}

function readHistory(reader: ByteReader, revision: number, compactRevision: number): KeyHistory {
  const key = reader.text()
  const versions: Version[] = []
  let previous: Version | undefined
  for (let rest = reader.uint(); rest > 0; rest--) {
    const version = readVersion(reader, key)
    demand(version.modRevision > (previous?.modRevision ?? 0), 'versions out of order')
    demand(
      previous === undefined
        ? version.value !== undefined || version.modRevision > compactRevision
        : version.modRevision > compactRevision,
      'a version that was compacted',
    )
    previous = version
    versions.push(version)
  }
  demand(previous !== undefined && previous.modRevision <= revision, 'a key without a version')
  return { key, versions }
}

function readVersion(reader: ByteReader, key: string): Version {
  const kind = reader.u8()
  demand(kind <= isPutUnderLease, 'an unknown kind of version')
  const modRevision = reader.uint()
  if (kind === isDeleted) return { key, modRevision, value: undefined }
  const createRevision = reader.uint()
  const version = reader.uint()
  demand(createRevision > 0 && createRevision <= modRevision, 'a version before its creation')
  demand(version > 0 && version <= modRevision - createRevision + 1, 'more versions than revisions')
  if (kind === isPut) return { key, value: reader.bytes(), createRevision, modRevision, version }
  const lease = reader.uint()
  return { key, value: reader.bytes(), createRevision, modRevision, version, lease }
}

function leaseOf({ versions }: KeyHistory): number | undefined {
  const newest = versions.at(-1)
  return newest?.value === undefined ? undefined : newest.lease
}

function writeOutcome(writer: ByteWriter, outcome: Outcome): void {
  const { revision, succeeded, failedCompare, rejection, responses } = outcome
  writer.uint(revision).flag(succeeded)
  writer.uint(failedCompare === undefined ? 0 : failedCompare + 1)
  writer.uint(rejection === undefined ? 0 : rejections.indexOf(rejection) + 1)
  writer.uint(responses.length)
  for (const response of responses) writer.uint(response)
}

function readOutcome(reader: ByteReader): Outcome {
  const revision = reader.uint()
  const succeeded = reader.flag()
  const failedCompare = reader.uint()
  const rejectionNumber = reader.uint()
  const rejection = rejections[rejectionNumber - 1]
  demand(rejectionNumber === 0 || rejection !== undefined, 'an unknown rejection')
  const responses: number[] = []
  for (let rest = reader.uint(); rest > 0; rest--) responses.push(reader.uint())
  return {
    revision,
    succeeded,
    ...(failedCompare === 0 ? {} : { failedCompare: failedCompare - 1 }),
    ...(rejection === undefined ? {} : { rejection }),
    responses,
  }
}

function demand(claim: boolean, fault: string): asserts claim {
  if (!claim) throw new BytesMalformed(fault)
}
