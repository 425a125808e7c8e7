import { BodyKeeper } from './opened-records.ts'
import { readRecords, type OnRecord, type Segment, type SegmentEnd } from './segment.ts'

/** A segment whose records are opened, or will be when they are read. */
export interface OpenedSegment {
  /** The file; of one that others follow perhaps nothing. */
  readonly bytes: Uint8Array
  readonly sizeBytes: number
  /**
   * Gives every record to `onRecord`, in order; their bodies are the receiver's to keep. To be called once.
   *
   * @throws JournalCorrupt when something is damaged, or follows the end
   * @throws JournalUndecryptable when something undamaged does not open
   */
  read(onRecord: OnRecord): SegmentEnd
}

/** The port: where records are opened, which is most of what a recovery does. */
export interface SegmentOpener {
  /** How many segments may be under way, or wait, beside the one that is played back. */
  readonly aheadCount: number
  /**
   * `bytes` are the opener's from now on.
   *
   * @throws OpenerLost, and then another one may be asked
   * @param isLast in the journal, whose file is looked at again; several are read at once, and may come in any order
   */
  open(segment: Segment, bytes: Uint8Array, isLast: boolean): Promise<OpenedSegment>
  close(): Promise<void>
}

/** Records can be opened there no more, whatever stands in them. */
export class OpenerLost extends Error {}

/** One record after the other, when it is its turn: the same on every run. */
export class LocalSegmentOpener implements SegmentOpener {
  readonly aheadCount = 1
  readonly #keeper = new BodyKeeper()

  open(segment: Segment, bytes: Uint8Array): Promise<OpenedSegment> {
    const keeper = this.#keeper
    return Promise.resolve({
      bytes,
      sizeBytes: bytes.length,
      read: (onRecord) =>
        readRecords(segment, bytes, (type, body, offset) =>
          onRecord(type, keeper.keep(body), offset),
        ),
    })
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
