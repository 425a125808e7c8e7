import { ByteSlabs, invariant } from '@conclave/kernel'
import { JournalCorrupt, JournalUndecryptable } from './errors.ts'
import { readRecords, type OnRecord, type Segment, type SegmentEnd } from './segment.ts'

/*
 * A whole segment, opened, in a form that crosses from one thread to another: bodies side by side in a few
 * buffers, and numbers that say where. A view for each record would be made, copied and made anew.
 */

/** Records with an entry or two come by the million: memory of its own for each is the collector's work. */
const smallRecordSizeBytes = 2048

/** Keeps small bodies side by side; larger ones have memory of their own already. */
export class BodyKeeper {
  readonly #slabs = new ByteSlabs()

  keep(body: Uint8Array): Uint8Array {
    return body.length <= smallRecordSizeBytes ? this.#slabs.keep(body) : body
  }
}

/** What reading a segment comes to: where it ends, or why it is refused. */
export type SegmentOutcome =
  | { readonly is: 'read'; readonly end: SegmentEnd }
  | { readonly is: 'corrupt'; readonly offset: number; readonly why: string }
  | { readonly is: 'undecryptable'; readonly offset: number }

/** All records up to the end or to the first that is refused. */
export interface OpenedRecords {
  readonly buffers: readonly ArrayBuffer[]
  /** For each record its type, its offset in the file, which buffer its body is in, where, and how long it is. */
  readonly places: Uint32Array<ArrayBuffer>
  readonly outcome: SegmentOutcome
}

const numbersPerRecord = 5

export function openRecords(segment: Segment, bytes: Uint8Array): OpenedRecords {
  const keeper = new BodyKeeper()
  const numbers = new Map<ArrayBuffer, number>()
  const places: number[] = []
  const outcome = outcomeOf(() =>
    readRecords(segment, bytes, (type, body, offset) => {
      const { buffer, byteOffset, length } = keeper.keep(body)
      invariant(buffer instanceof ArrayBuffer, 'no thread shares what it has opened')
      const number = numbers.get(buffer) ?? numbers.size
      numbers.set(buffer, number)
      places.push(type, offset, number, byteOffset, length)
    }),
  )
  return { buffers: [...numbers.keys()], places: Uint32Array.from(places), outcome }
}

/** As `readRecords` would have done it: the records first, and then the refusal. */
export function playBack(
  file: string,
  { buffers, places, outcome }: OpenedRecords,
  onRecord: OnRecord,
): SegmentEnd {
  for (let at = 0; at < places.length; at += numbersPerRecord) {
    const [type = 0, offset = 0, number = 0, start, length] = places.subarray(
      at,
      at + numbersPerRecord,
    )
    onRecord(type, new Uint8Array(buffers[number] as ArrayBuffer, start, length), offset)
  }
  if (outcome.is === 'corrupt') throw new JournalCorrupt(file, outcome.offset, outcome.why)
  if (outcome.is === 'undecryptable') throw new JournalUndecryptable(file, outcome.offset)
  return outcome.end
}

function outcomeOf(read: () => SegmentEnd): SegmentOutcome {
  try {
    return { is: 'read', end: read() }
  } catch (error) {
    if (error instanceof JournalCorrupt) {
      return { is: 'corrupt', offset: error.offset, why: error.why }
    }
    if (error instanceof JournalUndecryptable) return { is: 'undecryptable', offset: error.offset }
    throw error
  }
}
