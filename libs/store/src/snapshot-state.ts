import {
  BytesEndEarly,
  BytesMalformed,
  ByteReader,
  ByteWriter,
  InvariantViolated,
} from '@conclave/kernel'
import { SnapshotMalformed } from './errors.ts'
import { compareKeys } from './key-order.ts'
import { Leases, type Lease } from './leases.ts'
import { rejections, Sessions, type Outcome, type Session } from './sessions.ts'
import {
  valueOf,
  VersionedKeys,
  type LoadedVersion,
  type Span,
  type Version,
} from './versioned-keys.ts'

/*
 * The bytes of the whole state: equal states give equal bytes, so they are also what replicas are
 * compared by. They are written and read in chunks that take a few milliseconds each, because the whole
 * of a large state would hold up everything else. Layout: docs/formats/store-snapshot.md.
 */

const snapshotFormat = 1

/** How many bytes a chunk has unless told otherwise. */
export const snapshotChunkBytes = 256 * 1024

/** How many keys are looked up at once. */
const keysPerPage = 64

export interface State {
  readonly keys: VersionedKeys
  readonly leases: Leases
  readonly sessions: Sessions
}

/**
 * Writes the state as it is at this moment, chunk by chunk, while it goes on changing. What compactions
 * forget meanwhile is kept until the end.
 */
export class SnapshotWriter {
  readonly #keys: VersionedKeys
  readonly #span: Span
  readonly #chunk: Uint8Array
  readonly #writer: ByteWriter
  /** Few, and so written at once: what comes behind the keys. */
  readonly #rest: Uint8Array
  readonly #unpin: () => void
  /** Looked up, and not yet written. */
  #found: { readonly key: string; readonly versions: readonly Version[] }[] = []
  /** Of the next that was found: whether its key is written, and how many of its versions. */
  #isKeyWritten = false
  #writtenCount = 0
  #after: string | undefined
  #areAllFound = false
  #isWhole = false

  constructor({ keys, leases, sessions }: State, chunkBytes = snapshotChunkBytes) {
    const { revision, compactRevision } = keys
    this.#keys = keys
    this.#span = { revision, compactRevision }
    this.#unpin = keys.pin()
    this.#rest = encodeRest(leases, sessions)
    this.#chunk = new Uint8Array(chunkBytes)
    this.#writer = new ByteWriter(chunkBytes)
    this.#writer.u8(snapshotFormat).uint(revision).uint(compactRevision).uint(keys.historyCount)
  }

  /**
   * The next chunk, or undefined behind the last. All have the same size, but the last may be shorter.
   * It is good until the next one is asked for: the same memory is used again.
   */
  next(): Uint8Array | undefined {
    while (!this.#isWhole && this.#writer.length < this.#chunk.length) this.#write()
    const size = this.#writer.moveTo(this.#chunk)
    return size === 0 ? undefined : this.#chunk.subarray(0, size)
  }

  /** All that is left of it in one piece, for states that are small. */
  whole(): Uint8Array {
    const whole = new ByteWriter(64 * 1024)
    for (let chunk = this.next(); chunk !== undefined; chunk = this.next()) whole.raw(chunk)
    return whole.end()
  }

  /** Nothing is kept for it any more. */
  close(): void {
    this.#unpin()
  }

  /** A piece of it: one key's versions as far as they fit, or what comes behind the keys. */
  #write(): void {
    if (this.#found.length === 0 && !this.#areAllFound) this.#find()
    const next = this.#found.at(-1)
    if (next !== undefined) this.#writeVersions(next.key, next.versions)
    else if (this.#areAllFound) {
      this.#writer.raw(this.#rest)
      this.#isWhole = true
      this.close()
    }
  }

  #writeVersions(key: string, versions: readonly Version[]): void {
    const writer = this.#writer
    if (!this.#isKeyWritten) writer.text(key).uint(versions.length)
    this.#isKeyWritten = true
    while (this.#writtenCount < versions.length && writer.length < this.#chunk.length) {
      const version = versions[this.#writtenCount++]
      if (version !== undefined) writeVersion(writer, version)
    }
    if (this.#writtenCount < versions.length) return
    this.#found.pop()
    this.#isKeyWritten = false
    this.#writtenCount = 0
  }

  #find(): void {
    this.#after = this.#keys.page(this.#after, keysPerPage, this.#span, (key, versions) => {
      this.#found.push({ key, versions })
    })
    // Popped from the end, which costs nothing.
    this.#found.reverse()
    this.#areAllFound = this.#after === undefined
  }
}

function encodeRest(leases: Leases, sessions: Sessions): Uint8Array {
  const writer = new ByteWriter()
  const held = leases.list()
  writer.uint(held.length)
  for (const { id, ttlMs, expiresAtMs } of held) writer.uint(id).uint(ttlMs).uint(expiresAtMs)
  const remembered = sessions.list()
  writer.uint(remembered.length)
  for (const one of remembered) {
    writer.text(one.session.client).uint(one.session.seq)
    writeOutcome(writer, one)
  }
  return writer.end()
}

/** What comes next in the bytes. */
type Part =
  | 'head'
  | 'key'
  | 'version'
  | 'lease-count'
  | 'lease'
  | 'session-count'
  | 'session'
  | 'end'

const noBytes = new Uint8Array(0)
/** No part is as large as this: one that says so must not gather a whole stream. */
const partBytesMax = 64 * 1024 * 1024

/** Reads what {@link SnapshotWriter} wrote, chunk by chunk, however it was cut into chunks. */
export class SnapshotReader {
  readonly #sessionsMax: number
  #part: Part = 'head'
  /** The beginning of what the next chunk completes. */
  #begun: Uint8Array = noBytes
  /** How many keys, leases or sessions are still to come. */
  #left = 0
  #keys = new VersionedKeys()
  #key = ''
  #lastKey: string | undefined
  #versions: LoadedVersion[] = []
  #versionsLeft = 0
  readonly #leased: { readonly key: string; readonly lease: number }[] = []
  readonly #leases: Lease[] = []
  readonly #sessions: Session[] = []

  constructor(sessionsMax: number) {
    this.#sessionsMax = sessionsMax
  }

  /** @throws SnapshotMalformed when the bytes do not follow the layout, or no store can be in that state */
  push(chunk: Uint8Array): void {
    refusingOthers(() => {
      const bytes = this.#begun.length === 0 ? chunk : joined(this.#begun, chunk)
      // A copy, of a Buffer too: the chunk's memory is its owner's.
      this.#begun = new Uint8Array(bytes.subarray(this.#readParts(bytes)))
      demand(this.#begun.length <= partBytesMax, 'a part larger than any')
    })
  }

  /** The state, once every chunk was pushed. @throws SnapshotMalformed */
  end(): State {
    return refusingOthers(() => {
      demand(this.#part === 'end', 'the end is missing')
      demand(this.#begun.length === 0, 'bytes behind the end')
      const leases = new Leases(this.#leases)
      for (const { key, lease } of this.#leased) {
        demand(leases.has(lease), 'a key under no known lease')
        leases.attach(lease, key)
      }
      demand(this.#keys.endLoading(), 'a revision that changed nothing')
      const sessions = new Sessions(this.#sessionsMax, this.#sessions)
      return { keys: this.#keys, leases, sessions }
    })
  }

  /** Reads whole parts, and answers how many bytes they took. */
  #readParts(bytes: Uint8Array): number {
    const reader = new ByteReader(bytes)
    let readBytes = 0
    try {
      while (this.#part !== 'end') {
        this.#readPart(reader)
        readBytes = bytes.length - reader.remaining
      }
    } catch (error) {
      // The rest of it is in the next chunk. A part changes nothing here before all of it is read.
      if (!(error instanceof BytesEndEarly)) throw error
    }
    return readBytes
  }

  #readPart(reader: ByteReader): void {
    switch (this.#part) {
      case 'head':
        return this.#readHead(reader)
      case 'key':
        return this.#readKey(reader)
      case 'version':
        return this.#readVersion(reader)
      case 'lease-count':
        return this.#expect(reader.uint(), 'lease', 'session-count')
      case 'lease':
        return this.#readLease(reader)
      case 'session-count':
        return this.#expect(reader.uint(), 'session', 'end')
      case 'session':
        return this.#readSession(reader)
      case 'end':
    }
  }

  #readHead(reader: ByteReader): void {
    const format = reader.u8()
    if (format !== snapshotFormat)
      throw new BytesMalformed(`snapshot format ${format} is not known`)
    const revision = reader.uint()
    const compactRevision = reader.uint()
    const keyCount = reader.uint()
    demand(compactRevision <= revision, 'compacted ahead of its revision')
    this.#keys = new VersionedKeys(revision, compactRevision)
    this.#expect(keyCount, 'key', 'lease-count')
  }

  #readKey(reader: ByteReader): void {
    const key = reader.text()
    const versionCount = reader.uint()
    demand(this.#lastKey === undefined || compareKeys(this.#lastKey, key) < 0, 'keys out of order')
    demand(versionCount > 0, 'a key without a version')
    this.#key = key
    this.#versions = []
    this.#versionsLeft = versionCount
    this.#part = 'version'
  }

  #readVersion(reader: ByteReader): void {
    const version = readVersion(reader)
    const { revision, compactRevision } = this.#keys
    const previous = this.#versions.at(-1)
    demand(version.modRevision > (previous?.modRevision ?? 0), 'versions out of order')
    demand(version.modRevision <= revision, 'a version ahead of its revision')
    const isKept = previous === undefined && version.value !== undefined
    demand(isKept || version.modRevision > compactRevision, 'a version that was compacted')
    this.#versions.push(version)
    this.#versionsLeft--
    if (this.#versionsLeft > 0) return
    this.#keys.load(this.#key, this.#versions)
    if (version.lease !== 0) this.#leased.push({ key: this.#key, lease: version.lease })
    this.#lastKey = this.#key
    this.#part = 'key'
    this.#countDown('lease-count')
  }

  #readLease(reader: ByteReader): void {
    const lease = { id: reader.uint(), ttlMs: reader.uint(), expiresAtMs: reader.uint() }
    demand(lease.id > (this.#leases.at(-1)?.id ?? 0), 'leases out of order')
    this.#leases.push(lease)
    this.#countDown('session-count')
  }

  #readSession(reader: ByteReader): void {
    const session = { client: reader.text(), seq: reader.uint() }
    this.#sessions.push({ ...readOutcome(reader), session })
    this.#countDown('end')
  }

  #expect(count: number, part: Part, otherwise: Part): void {
    this.#left = count
    this.#part = count > 0 ? part : otherwise
  }

  #countDown(next: Part): void {
    this.#left--
    if (this.#left === 0) this.#part = next
  }
}

/** @throws SnapshotMalformed for bytes that are no snapshot, rather than what found them so */
function refusingOthers<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof BytesMalformed || cause instanceof InvariantViolated)) throw cause
    throw new SnapshotMalformed(`no snapshot of this store: ${cause.message}`, { cause })
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length)
  both.set(first)
  both.set(second, first.length)
  return both
}

const isDeleted = 0
const isPut = 1
const isPutUnderLease = 2

function writeVersion(writer: ByteWriter, version: Version): void {
  const { lease, modRevision, createRevision, version: count, page } = version
  if (page === undefined) {
    writer.u8(isDeleted).uint(modRevision)
    return
  }
  writer.u8(lease === 0 ? isPut : isPutUnderLease)
  writer.uint(modRevision).uint(createRevision).uint(count)
  if (lease !== 0) writer.uint(lease)
  writer.bytes(valueOf(version))
}

function readVersion(reader: ByteReader): LoadedVersion {
  const kind = reader.u8()
  demand(kind <= isPutUnderLease, 'an unknown kind of version')
  const modRevision = reader.uint()
  if (kind === isDeleted) {
    return { modRevision, createRevision: 0, version: 0, lease: 0, value: undefined }
  }
  const createRevision = reader.uint()
  const version = reader.uint()
  demand(createRevision > 0 && createRevision <= modRevision, 'a version before its creation')
  demand(version > 0 && version <= modRevision - createRevision + 1, 'more versions than revisions')
  const lease = kind === isPut ? 0 : reader.uint()
  demand(kind === isPut || lease > 0, 'a key under the lease 0')
  return { modRevision, createRevision, version, lease, value: reader.bytesView() }
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
