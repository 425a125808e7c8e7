/** What a journal did beyond its promise, for whoever keeps a log. File names, never content. */
export type JournalEvent =
  /** A crash had interrupted a write. Its bytes were copied to `copy` and cut off. */
  | {
      readonly type: 'torn-tail-cut'
      readonly file: string
      readonly offset: number
      readonly sizeBytes: number
      readonly copy: string
    }
  | { readonly type: 'segment-started'; readonly file: string }
  | { readonly type: 'snapshot-saved'; readonly file: string; readonly index: number }
  /** A snapshot is damaged, but what the log and an older one hold stands for it. */
  | { readonly type: 'snapshot-unreadable'; readonly file: string; readonly why: string }
  /** The thread that opens records has ended, perhaps for want of memory: all of it is read here. */
  | { readonly type: 'opener-lost'; readonly why: string }
  | { readonly type: 'files-removed'; readonly files: readonly string[] }
  | { readonly type: 'failed'; readonly cause: unknown }
