export type { Batch } from './continuity.ts'
export type { Disk, DiskFile, DiskLock, DiskReader } from './disk.ts'
export {
  JournalClosed,
  JournalCorrupt,
  JournalFailed,
  JournalForeign,
  JournalLocked,
  JournalUndecryptable,
} from './errors.ts'
export type { JournalEvent } from './event.ts'
export {
  openJournal,
  type Journal,
  type JournalKey,
  type JournalOptions,
  type SnapshotSink,
  type SnapshotSource,
} from './journal.ts'
export { NodeDisk } from './node-disk.ts'
export type { Recovered } from './recovery.ts'
export type { OpenedSegment, SegmentOpener } from './segment-opener.ts'
export { openOnThread } from './thread-segment-opener.ts'
