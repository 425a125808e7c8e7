import { invariant } from '@conclave/kernel'
import { Compacted, RevisionAhead } from './errors.ts'
import { compareKeys } from './key-order.ts'
import { OrderedKeys } from './ordered-keys.ts'
import type { KeyValue, ListOptions, ListResult, WatchBatch, WatchEvent } from './view.ts'

/** What a key is after its deletion: nothing, since this revision. */
export interface Deletion {
  readonly key: string
  readonly modRevision: number
  readonly value: undefined
}

export type Version = KeyValue | Deletion

/** All that is kept of one key, oldest first. Never empty. */
export interface KeyHistory {
  readonly key: string
  readonly versions: Version[]
}

/** What can be read at one moment: everything from `compactRevision` up to `revision`. */
export interface Span {
  readonly compactRevision: number
  readonly revision: number
}

const noBytes = new Uint8Array(0)

/**
 * The keys and their versions. Changes gather until {@link commit} makes one revision of them.
 *
 * Invariants: 1. `#batches[i]` lists, in key order, what revision `compactRevision + 1 + i` changed,
 * and is not empty; 2. of the versions at or before `compactRevision` a key keeps at most the newest,
 * and that one only if it is no deletion. Where a pin stands, 2. is made true once it is gone.
 */
export class VersionedKeys {
  readonly #histories: Map<string, KeyHistory>
  readonly #order: OrderedKeys<KeyHistory>
  #batches: (readonly KeyHistory[])[]
  #changed: KeyHistory[] = []
  #revision: number
  #compactRevision: number
  #pinCount = 0
  /** What was compacted under a pin, and has something to forget. */
  #overdue = new Set<KeyHistory>()
  /** About as much as a snapshot of all this takes. */
  #sizeBytes = 0

  /** @param histories in key order, following the invariants */
  constructor(revision = 0, compactRevision = 0, histories: readonly KeyHistory[] = []) {
    this.#revision = revision
    this.#compactRevision = compactRevision
    this.#histories = new Map(histories.map((history) => [history.key, history]))
    this.#order = OrderedKeys.of(histories)
    const batches = Array.from({ length: revision - compactRevision }, (): KeyHistory[] => [])
    for (const history of histories) {
      this.#sizeBytes += sizeOfKey(history.key)
      for (const version of history.versions) {
        this.#sizeBytes += sizeOf(version)
        batches[version.modRevision - compactRevision - 1]?.push(history)
      }
    }
    invariant(
      batches.every(({ length }) => length > 0),
      'every revision that is kept changed something',
    )
    this.#batches = batches
  }

  get revision(): number {
    return this.#revision
  }

  get compactRevision(): number {
    return this.#compactRevision
  }

  get(key: string, at = this.#revision): KeyValue | undefined {
    this.#checkReadable(at)
    const history = this.#histories.get(key)
    return history === undefined ? undefined : visible(history, at)
  }

  list(prefix: string, options: ListOptions & { readonly at?: number | undefined }): ListResult {
    const { limit = Infinity, after, keysOnly = false, at = this.#revision } = options
    this.#checkReadable(at)
    const kvs: KeyValue[] = []
    let more = false
    const start = after !== undefined && compareKeys(after, prefix) > 0 ? after : prefix
    this.#order.scan(start, (history) => {
      if (history.key === after) return true
      if (!history.key.startsWith(prefix)) return false
      const kv = visible(history, at)
      if (kv === undefined) return true
      more = kvs.length >= limit
      if (!more) kvs.push(keysOnly ? { ...kv, value: noBytes } : kv)
      return !more
    })
    return { kvs, revision: at, more }
  }

  /**
   * Until the answer is called, {@link page} gives whatever could be read at this moment, however
   * much is changed and compacted meanwhile.
   */
  pin(): () => void {
    this.#pinCount++
    let isPinned = true
    return () => {
      if (!isPinned) return
      isPinned = false
      this.#pinCount--
      if (this.#pinCount === 0) this.#forget()
    }
  }

  /**
   * Visits up to `countMax` keys behind `after`, in key order, each with all that could be read of it
   * in `span`. Answers with the last one, or undefined when there are no more.
   */
  page(
    after: string | undefined,
    countMax: number,
    span: Span,
    visit: (key: string, versions: readonly Version[]) => void,
  ): string | undefined {
    let count = 0
    let last: string | undefined
    let isAtEnd = true
    this.#order.scan(after ?? '', ({ key, versions }) => {
      if (key === after) return true
      isAtEnd = count >= countMax ? false : isAtEnd
      if (!isAtEnd) return false
      count++
      last = key
      const readable = versionsIn(versions, span)
      if (readable.length > 0) visit(key, readable)
      return true
    })
    return isAtEnd ? undefined : last
  }

  /** How many keys have anything that can be read. */
  get historyCount(): number {
    let count = this.#histories.size
    for (const { versions } of this.#overdue) if (versionsIn(versions, this).length === 0) count--
    return count
  }

  /** About as many bytes as all that is kept takes. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  put(key: string, value: Uint8Array, lease: number | undefined): KeyValue {
    const modRevision = this.#revision + 1
    const history = this.#histories.get(key)
    const previous = history?.versions.at(-1)
    const isNew = previous?.value === undefined
    const numbers = {
      key,
      value,
      createRevision: isNew ? modRevision : previous.createRevision,
      modRevision,
      version: isNew ? 1 : previous.version + 1,
    }
    const kv: KeyValue = lease === undefined ? numbers : { ...numbers, lease }
    this.#sizeBytes += sizeOf(kv)
    if (history === undefined) {
      this.#sizeBytes += sizeOfKey(key)
      const created = { key, versions: [kv] }
      this.#histories.set(key, created)
      this.#order.insert(created)
      this.#changed.push(created)
    } else {
      history.versions.push(kv)
      this.#changed.push(history)
    }
    return kv
  }

  /** Whether there was anything to delete. */
  delete(key: string): boolean {
    const history = this.#histories.get(key)
    if (history === undefined || history.versions.at(-1)?.value === undefined) return false
    const deletion: Deletion = { key, modRevision: this.#revision + 1, value: undefined }
    this.#sizeBytes += sizeOf(deletion)
    history.versions.push(deletion)
    this.#changed.push(history)
    return true
  }

  /** Makes one revision of the changes since the last one, if there were any. Answers whether so. */
  commit(): boolean {
    if (this.#changed.length === 0) return false
    if (this.#changed.length > 1) this.#changed.sort((a, b) => compareKeys(a.key, b.key))
    this.#batches.push(this.#changed)
    this.#changed = []
    this.#revision++
    return true
  }

  /** What `revision` changed below `prefix`; undefined when that is nothing. */
  batch(revision: number, prefix: string): WatchBatch | undefined {
    const changed = this.#batches[revision - this.#compactRevision - 1]
    invariant(changed !== undefined, 'a batch is asked for by a revision that is kept')
    const events = changed
      .filter(({ key }) => key.startsWith(prefix))
      .map((history) => eventOf(history, revision))
    return events.length === 0 ? undefined : { revision, events }
  }

  /** Forgets what nobody can read any more once `revision` is the oldest that can be read. */
  compact(revision: number): void {
    if (revision <= this.#compactRevision) return
    const compacted = this.#batches.splice(0, revision - this.#compactRevision)
    this.#compactRevision = revision
    // Only a key that was changed in a compacted revision can have anything to forget.
    for (const history of compacted.flat()) this.#overdue.add(history)
    if (this.#pinCount === 0) this.#forget()
  }

  #forget(): void {
    for (const { key, versions } of this.#overdue) {
      const newest = lastAtOrBefore(versions, this.#compactRevision)
      const forgotten = versions.splice(0, firstKept(versions, newest))
      for (const version of forgotten) this.#sizeBytes -= sizeOf(version)
      if (versions.length > 0) continue
      this.#sizeBytes -= sizeOfKey(key)
      this.#histories.delete(key)
      this.#order.delete(key)
    }
    this.#overdue = new Set()
  }

  #checkReadable(at: number): void {
    if (at === this.#revision) return
    if (at > this.#revision) throw new RevisionAhead(at, this.#revision)
    if (at < this.#compactRevision) throw new Compacted(at, this.#compactRevision)
  }
}

function visible({ versions }: KeyHistory, at: number): KeyValue | undefined {
  const newest = versions.at(-1)
  const version =
    newest !== undefined && newest.modRevision <= at
      ? newest
      : versions[lastAtOrBefore(versions, at)]
  return version?.value === undefined ? undefined : version
}

/** The place of the newest version at or before `revision`, or -1. */
function lastAtOrBefore(versions: readonly Version[], revision: number): number {
  let low = 0
  let high = versions.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((versions[middle]?.modRevision ?? Infinity) <= revision) low = middle + 1
    else high = middle
  }
  return low - 1
}

/** Where what is kept begins, if `newest` is the newest that may be forgotten, or -1. */
const firstKept = (versions: readonly Version[], newest: number): number =>
  versions[newest]?.value === undefined ? newest + 1 : newest

function versionsIn(versions: readonly Version[], span: Span): readonly Version[] {
  const from = firstKept(versions, lastAtOrBefore(versions, span.compactRevision))
  const to = lastAtOrBefore(versions, span.revision) + 1
  return from === 0 && to === versions.length ? versions : versions.slice(from, to)
}

const sizeOfKey = (key: string): number => key.length + 8
const sizeOf = ({ value }: Version): number => 24 + (value?.length ?? 0)

function eventOf({ key, versions }: KeyHistory, revision: number): WatchEvent {
  const at = lastAtOrBefore(versions, revision)
  const version = versions[at]
  invariant(version?.modRevision === revision, 'a key has a version for each batch it is in')
  const before = versions[at - 1]
  const previous = before?.value === undefined ? {} : { previous: before }
  return version.value === undefined
    ? { type: 'delete', key, ...previous }
    : { type: 'put', key, kv: version, ...previous }
}
