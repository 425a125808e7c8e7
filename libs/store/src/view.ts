/** A key as it is at some revision. Values are shared between readers: nobody may write into them. */
export interface KeyValue {
  readonly key: string
  readonly value: Uint8Array
  /** The revision that created the key, counted anew after a deletion. */
  readonly createRevision: number
  /** The revision that last changed it. */
  readonly modRevision: number
  /** How many times it was put since its creation: 1 for a new key. */
  readonly version: number
  readonly lease?: number
}

export interface ListOptions {
  readonly limit?: number
  /** Begin behind this key: the last one of the page before. */
  readonly after?: string
  /** Leave the values empty. */
  readonly keysOnly?: boolean
}

export interface ListResult {
  readonly kvs: readonly KeyValue[]
  /** The revision that was read: pass it on to read the next page of the same state. */
  readonly revision: number
  readonly more: boolean
}

/** The keys as they are at one revision: now, or any other that was not compacted. */
export interface View {
  readonly revision: number
  get(key: string): KeyValue | undefined
  /** The revision that wrote `key`, or 0 if it is not there: for whoever knows the rest already. */
  modRevision(key: string): number
  /** Keys that begin with `prefix`, in the order of their UTF-8 bytes. */
  list(prefix: string, options?: ListOptions): ListResult
}

/** A copy of the state that follows what is agreed on, and can say what it was a while ago. */
export interface LiveView extends View {
  /** Everything before it is forgotten for good, wherever the state is kept. */
  readonly compactRevision: number
  /**
   * @param at a revision that is still kept, rather than the newest
   * @throws Compacted, RevisionAhead
   */
  get(key: string, at?: number): KeyValue | undefined
  /** @throws Compacted, RevisionAhead */
  list(prefix: string, options?: ListOptions & { readonly at?: number }): ListResult
  /** The state as it was at `revision`. @throws Compacted, RevisionAhead */
  viewAt(revision: number): View
  /** Tells `listener` of each revision that changed something. Answers with how to stop. */
  onBatch(listener: (batch: WatchBatch) => void): () => void
  /** Tells `listener` when all may have changed at once: batches up to `revision` were not told. */
  onRestore(listener: (revision: number) => void): () => void
}

/** One change. `previous` is missing for a new key, and when it was compacted meanwhile. */
export type WatchEvent =
  | {
      readonly type: 'put'
      readonly key: string
      readonly kv: KeyValue
      readonly previous?: KeyValue
    }
  | { readonly type: 'delete'; readonly key: string; readonly previous?: KeyValue }

/** Everything one revision changed, in the order of the keys. A batch is never split. */
export interface WatchBatch {
  readonly revision: number
  readonly events: readonly WatchEvent[]
}
