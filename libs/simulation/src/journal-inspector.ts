import { crc32 } from 'node:zlib'
import { JournalCorrupt, openJournal, type JournalKey } from '@conclave/journal'
import type { SimulatedDisk } from '@conclave/journal/testing'
import { Dice } from './dice.ts'
import { directory } from './process.ts'
import type { World } from './world.ts'

/*
 * Rule SI13: what lies on a disk is what docs/formats/journal.md says, read by nobody's code but this; and
 * somebody who cuts it off is found out. Members have been at rest for a while, so nothing is half written.
 */

const headerSizeBytes = 128
const keyIdOffset = 12
const headerCrcOffset = 124
const recordHeaderSizeBytes = 24
const overheadBytes = 40

export interface Inspected {
  readonly nodeId: number
  readonly disk: SimulatedDisk
  /** Oldest first: what follows is sealed under the last one. */
  readonly keys: readonly JournalKey[]
}

/** Looks at one member's journal, whose bits nobody has changed. */
export async function inspectJournal(world: World, inspected: Inspected): Promise<void> {
  const { nodeId, disk, keys } = inspected
  const segments = disk.paths().filter((path) => path.endsWith('.wal'))
  for (const path of segments) {
    const fault = faultIn(disk.bytes(path))
    if (fault !== undefined) world.violate('SI13', `${path} of member ${nodeId}: ${fault}`)
  }
  const newest = segments.at(-1)
  if (newest === undefined) return
  const keyId = view(disk.bytes(newest)).getUint32(keyIdOffset)
  if (keyId !== keys.at(-1)?.id) {
    world.violate('SI13', `member ${nodeId} goes on under key ${keyId}, which was replaced`)
  }
  if (await opensWhenCut(inspected, newest)) {
    world.violate('SI13', `${newest} of member ${nodeId} was cut off, and is taken for whole`)
  }
}

/** Records that follow each other, each sealed under a nonce of its own. */
function faultIn(bytes: Uint8Array): string | undefined {
  let crc = view(bytes).getUint32(headerCrcOffset)
  let before: Uint8Array | undefined
  for (let at = headerSizeBytes, seq = 0; ; seq++) {
    const record = recordAt(bytes, at, seq)
    if (record === undefined) return undefined
    crc = crc32(record.subarray(8), crc32(record.subarray(0, 4), crc))
    if (view(record).getUint32(4) !== crc) return `record ${seq} does not continue the chain`
    const body = record.subarray(recordHeaderSizeBytes, -16)
    if (before !== undefined && areOfOneNonce(before, body)) {
      return `records ${seq - 1} and ${seq} are sealed under one nonce`
    }
    before = body
    at += record.length
  }
}

function recordAt(bytes: Uint8Array, at: number, seq: number): Uint8Array | undefined {
  if (at + overheadBytes > bytes.length) return undefined
  const header = view(bytes.subarray(at))
  const end = at + overheadBytes + header.getUint32(0)
  const isRecord =
    header.getUint32(0) > 0 && header.getUint32(12) === seq && header.getUint8(16) > 0
  return isRecord && end <= bytes.length ? bytes.subarray(at, end) : undefined
}

/**
 * GCM is a stream: under one nonce, what is the same in both is the same sealed. Otherwise one byte in 256
 * is, by accident.
 */
function areOfOneNonce(a: Uint8Array, b: Uint8Array): boolean {
  const size = Math.min(a.length, b.length)
  const equal = a.subarray(0, size).filter((byte, at) => byte === b[at]).length
  return equal >= 12 && equal > size / 8
}

/** A copy whose newest segment is shorter than it was made, and ends within its data. */
async function opensWhenCut({ nodeId, disk, keys }: Inspected, newest: string): Promise<boolean> {
  const copy = disk.copy()
  const bytes = disk.bytes(newest)
  const first = recordAt(bytes, headerSizeBytes, 0)
  if (first === undefined) return false
  copy.overwrite(newest, bytes.subarray(0, headerSizeBytes + first.length - 8))
  const [seals, ...older] = keys.toReversed()
  if (seals === undefined) return false
  try {
    await openJournal({
      directory,
      disk: copy,
      key: seals.bytes,
      keyId: seals.id,
      olderKeys: older,
      clusterId: 'simulated',
      nodeId,
      random: new Dice(nodeId, 'inspector'),
    })
    return true
  } catch (error) {
    if (error instanceof JournalCorrupt) return false
    throw error
  }
}

const view = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
