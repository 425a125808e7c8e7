import type { KeyObject } from 'node:crypto'
import { parentPort } from 'node:worker_threads'
import { invariant } from '@conclave/kernel'
import { AeadKey } from '@conclave/crypto'
import { openRecords, type OpenedRecords } from './opened-records.ts'
import type { Segment } from './segment.ts'

/* The thread of thread-segment-opener.ts: opens one segment after the other. */

export type ToBeOpened = Omit<Segment, 'key'> & {
  /** Of this segment alone. It names memory that is not copied, and wiped when nobody names it any more. */
  readonly key: KeyObject
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Whether the file is wanted back. */
  readonly isLast: boolean
}

export interface OpenedThere extends OpenedRecords {
  /** The file, or nothing. */
  readonly bytes: Uint8Array<ArrayBuffer>
}

const port = parentPort
invariant(port !== null, 'this is the file of a thread')

port.on('message', ({ key, bytes, isLast, ...segment }: ToBeOpened) => {
  const records = openRecords({ ...segment, key: AeadKey.ofHandle(key) }, bytes)
  // What nobody wants any more goes now, and not when the collector comes by.
  const back = isLast ? bytes : new Uint8Array(bytes.buffer.transfer(0))
  const opened: OpenedThere = { ...records, bytes: back }
  port.postMessage(opened, [back.buffer, records.places.buffer, ...records.buffers])
})
