import { invariant } from '@conclave/kernel'
import { Compacted, RevisionAhead } from './errors.ts'
import { compareKeys } from './key-order.ts'
import { OrderedKeys } from './ordered-keys.ts'
import { ValuePages, type Place } from './value-pages.ts'
import type { KeyValue, ListOptions, ListResult, WatchBatch, WatchEvent } from './view.ts'

/**
 * What is kept of a key since one revision. There may be millions, so it is flat: it is itself the place
 * of its value, which lies in a page. A deletion has none.
 */
export interface Version extends Place {
  readonly modRevision: number
  /** 0 for a deletion, as all that follows is. */
  readonly createRevision: number
  readonly version: number
  /** 0 for none. */
  readonly lease: number
}

/** What one revision changed: nearly always one key, which then needs no list of its own. */
type Changes = KeyHistory | readonly KeyHistory[]

/** A version as it is read from a snapshot: a deletion has no value. */
export interface LoadedVersion {
  readonly modRevision: number
  readonly createRevision: number
  readonly version: number
  readonly lease: number
  /** A view, copied by whoever keeps it. */
  readonly value: Uint8Array | undefined
}

/** What is kept of a key, while it changes: a put overwrites it, and leaves a copy of it behind. */
type NewestVersion = { -readonly [Field in keyof Version]: Version[Field] }

/**
 * All that is kept of one key: it is itself the newest version, which nearly all have alone. Lists and
 * versions of their own would take as much memory again.
 */
interface KeyHistory extends NewestVersion {
  readonly key: string
  /** What it was before, oldest first. Not empty. */
  older: Version[] | undefined
}

/** What can be read at one moment: everything from `compactRevision` up to `revision`. */
export interface Span {
  readonly compactRevision: number
  readonly revision: number
}

const noBytes = new Uint8Array(0)
/** How many keys each commit looks at while values are being moved out of pages that few need. */
const keysTidiedPerCommit = 32

/**
 * The keys and their versions. Changes gather until {@link commit} makes one revision of them.
 *
 * Invariants: 1. `#batches[i]` lists, in key order, what revision `compactRevision + 1 + i` changed,
 * and is not empty; 2. of the versions at or before `compactRevision` a key keeps at most the newest,
 * and that one only if it is no deletion. Where a pin stands, 2. is made true once it is gone.
 */
export class VersionedKeys {
  readonly #histories = new Map<string, KeyHistory>()
  readonly #order = new OrderedKeys<KeyHistory>()
  #batches: Changes[]
  /** What changed since the last revision: the first one, and the others if there are any. */
  #changed: KeyHistory | undefined
  #alsoChanged: KeyHistory[] = []
  #revision: number
  #compactRevision: number
  #pinCount = 0
  /** What was compacted under a pin, and has something to forget. */
  #overdue = new Set<KeyHistory>()
  /** About as much as a snapshot of all this takes. */
  #sizeBytes = 0
  readonly #pages = new ValuePages()
  /** Behind which key the next ones are to be tidied. */
  #tidiedTo: string | undefined
  /** While a snapshot is read: what its keys say of each revision that is kept. */
  #loaded: Map<number, KeyHistory[]> | undefined

  constructor(revision = 0, compactRevision = 0) {
    this.#revision = revision
    this.#compactRevision = compactRevision
    this.#batches = []
    if (revision > compactRevision) this.#loaded = new Map()
  }

  /** Takes in the next key of a snapshot: after the last one in key order, with versions that follow 2. */
  load(key: string, loaded: readonly LoadedVersion[]): void {
    const [oldest, ...newer] = loaded
    invariant(oldest !== undefined, 'a key of a snapshot has a version')
    const history = historyOf(key, oldest.modRevision)
    this.#histories.set(key, history)
    this.#order.append(history)
    this.#sizeBytes += sizeOfKey(key)
    this.#loadVersion(history, oldest)
    for (const version of newer) {
      this.#keepOlder(history)
      this.#loadVersion(history, version)
    }
  }

  #loadVersion(history: KeyHistory, of: LoadedVersion): void {
    const { modRevision, value } = of
    history.modRevision = modRevision
    history.createRevision = of.createRevision
    history.version = of.version
    history.lease = of.lease
    if (value === undefined) noValue(history)
    else this.#pages.put(value, history)
    this.#sizeBytes += sizeOf(history)
    if (modRevision <= this.#compactRevision) return
    const batch = this.#loaded?.get(modRevision)
    if (batch === undefined) this.#loaded?.set(modRevision, [history])
    else batch.push(history)
  }

  /** All keys of the snapshot were loaded. Answers whether every revision that is kept changed one. */
  endLoading(): boolean {
    const loaded = this.#loaded
    this.#loaded = undefined
    if (loaded === undefined) return true
    if (loaded.size !== this.#revision - this.#compactRevision) return false
    for (let revision = this.#compactRevision + 1; revision <= this.#revision; revision++) {
      this.#batches.push(loaded.get(revision) ?? [])
    }
    return true
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
    return history === undefined ? undefined : shown(key, visible(history, at))
  }

  /** What there is of the key now, for whoever needs no more than its numbers. */
  newest(key: string): Version | undefined {
    const history = this.#histories.get(key)
    return history?.page === undefined ? undefined : history
  }

  list(prefix: string, options: ListOptions & { readonly at?: number | undefined }): ListResult {
    const { keysOnly = false, at = this.#revision } = options
    this.#checkReadable(at)
    const { shown: kvs, more } = this.#order.page(prefix, options, (history) => {
      const version = visible(history, at)
      return version && shownAs(history.key, version, keysOnly ? noBytes : valueOf(version))
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
   * in `span`, which stays as it is. Answers with the last one, or undefined when there are no more.
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
    this.#order.scan(after ?? '', (history) => {
      const { key } = history
      if (key === after) return true
      isAtEnd = count >= countMax ? false : isAtEnd
      if (!isAtEnd) return false
      count++
      last = key
      const readable = versionsIn(history, span)
      if (readable.length > 0) visit(key, readable)
      return true
    })
    return isAtEnd ? undefined : last
  }

  /** How many keys have anything that can be read. */
  get historyCount(): number {
    let count = this.#histories.size
    for (const history of this.#overdue) if (!isReadableIn(history, this)) count--
    return count
  }

  /** About as many bytes as all that is kept takes. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** Copies `value`. Answers how often the key was put since its creation. */
  put(key: string, value: Uint8Array, lease: number | undefined): number {
    const modRevision = this.#revision + 1
    const known = this.#histories.get(key)
    const history = known ?? this.#create(key, modRevision)
    const isNew = history.page === undefined
    if (known !== undefined) this.#keepOlder(history)
    history.modRevision = modRevision
    history.createRevision = isNew ? modRevision : history.createRevision
    history.version = isNew ? 1 : history.version + 1
    history.lease = lease ?? 0
    this.#pages.put(value, history)
    this.#sizeBytes += sizeOf(history)
    this.#noteChange(history)
    return history.version
  }

  #create(key: string, modRevision: number): KeyHistory {
    this.#sizeBytes += sizeOfKey(key)
    const created = historyOf(key, modRevision)
    this.#histories.set(key, created)
    this.#order.insert(created)
    return created
  }

  /** Whether there was anything to delete. */
  delete(key: string): boolean {
    const history = this.#histories.get(key)
    if (history?.page === undefined) return false
    this.#keepOlder(history)
    history.modRevision = this.#revision + 1
    history.createRevision = 0
    history.version = 0
    history.lease = 0
    noValue(history)
    this.#sizeBytes += sizeOf(history)
    this.#noteChange(history)
    return true
  }

  /** The newest version becomes an older one, and may be overwritten. */
  #keepOlder(history: KeyHistory): void {
    const older = copyOf(history)
    if (history.older === undefined) history.older = [older]
    else history.older.push(older)
  }

  #noteChange(history: KeyHistory): void {
    if (this.#changed === undefined) this.#changed = history
    else this.#alsoChanged.push(history)
  }

  /** Makes one revision of the changes since the last one, if there were any. Answers whether so. */
  commit(): boolean {
    const changed = this.#changed
    if (changed === undefined) return false
    const [second] = this.#alsoChanged
    if (second === undefined) this.#batches.push(changed)
    else {
      const isOfTwo = this.#alsoChanged.length === 1
      this.#batches.push(isOfTwo ? inOrder(changed, second) : this.#sorted(changed))
      this.#alsoChanged = []
    }
    this.#changed = undefined
    this.#revision++
    if (this.#pages.isWasteful) this.#tidy()
    return true
  }

  #sorted(changed: KeyHistory): readonly KeyHistory[] {
    return [changed, ...this.#alsoChanged].sort((a, b) => compareKeys(a.key, b.key))
  }

  /** What `revision` changed below `prefix`; undefined when that is nothing. */
  batch(revision: number, prefix: string): WatchBatch | undefined {
    const changed = this.#batches[revision - this.#compactRevision - 1]
    invariant(changed !== undefined, 'a batch is asked for by a revision that is kept')
    const events = listOf(changed)
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
    for (const changes of compacted) {
      if ('key' in changes) this.#letGo(changes)
      else for (const history of changes) this.#letGo(history)
    }
  }

  #letGo(history: KeyHistory): void {
    if (this.#pinCount === 0) this.#forgetIn(history)
    else this.#overdue.add(history)
  }

  #forget(): void {
    for (const history of this.#overdue) this.#forgetIn(history)
    this.#overdue = new Set()
  }

  /** Harmless when it was done already. */
  #forgetIn(history: KeyHistory): void {
    const { key } = history
    const older = history.older ?? noVersions
    const keptFrom = firstKept(history, lastAtOrBefore(history, this.#compactRevision))
    if (keptFrom === 0) return
    for (let at = 0; at < keptFrom; at++) {
      const version = versionOf(history, at)
      if (version === undefined) continue
      this.#sizeBytes -= sizeOf(version)
      this.#pages.free(version)
    }
    history.older = keptFrom < older.length ? older.slice(keptFrom) : undefined
    if (keptFrom <= older.length) return
    this.#sizeBytes -= sizeOfKey(key)
    this.#histories.delete(key)
    this.#order.delete(key)
  }

  /** Moves the values of the next few keys out of pages that hold little else, round and round. */
  #tidy(): void {
    let left = keysTidiedPerCommit
    const from = this.#tidiedTo
    this.#tidiedTo = undefined
    this.#order.scan(from ?? '', (history) => {
      for (const version of history.older ?? noVersions) this.#pages.move(version)
      this.#pages.move(history)
      if (--left > 0) return true
      this.#tidiedTo = history.key
      return false
    })
  }

  #checkReadable(at: number): void {
    if (at === this.#revision) return
    if (at > this.#revision) throw new RevisionAhead(at, this.#revision)
    if (at < this.#compactRevision) throw new Compacted(at, this.#compactRevision)
  }
}

/** A secret is two keys: to sort so few costs more than to compare them. */
const inOrder = (a: KeyHistory, b: KeyHistory): readonly KeyHistory[] =>
  compareKeys(a.key, b.key) <= 0 ? [a, b] : [b, a]

const noVersions: readonly Version[] = []

/** The version at this place, oldest first. */
const versionOf = (history: KeyHistory, at: number): Version | undefined =>
  at === (history.older?.length ?? 0) ? history : history.older?.[at]

function visible(history: KeyHistory, at: number): Version | undefined {
  const version = versionOf(history, lastAtOrBefore(history, at))
  return version?.page === undefined ? undefined : version
}

/** One shape for all, deletions too: that is what makes them small, and quick to read. */
const historyOf = (key: string, modRevision: number): KeyHistory => ({
  key,
  modRevision,
  createRevision: 0,
  version: 0,
  lease: 0,
  page: undefined,
  offset: 0,
  sizeBytes: 0,
  older: undefined,
})

const copyOf = (of: Version): Version => ({
  modRevision: of.modRevision,
  createRevision: of.createRevision,
  version: of.version,
  lease: of.lease,
  page: of.page,
  offset: of.offset,
  sizeBytes: of.sizeBytes,
})

function noValue(of: NewestVersion): void {
  of.page = undefined
  of.offset = 0
  of.sizeBytes = 0
}

/** The value of a version that is no deletion, without a copy. */
export function valueOf({ page, offset, sizeBytes }: Version): Uint8Array {
  invariant(page !== undefined, 'a deletion has no value')
  return page.bytes.subarray(offset, offset + sizeBytes)
}

const listOf = (changes: Changes): readonly KeyHistory[] => ('key' in changes ? [changes] : changes)

const shown = (key: string, version: Version | undefined): KeyValue | undefined =>
  version === undefined ? undefined : shownAs(key, version, valueOf(version))

function shownAs(key: string, of: Version, value: Uint8Array): KeyValue {
  const { createRevision, modRevision, version, lease } = of
  return lease === 0
    ? { key, value, createRevision, modRevision, version }
    : { key, value, createRevision, modRevision, version, lease }
}

/** The place of the newest version at or before `revision`, or -1. */
function lastAtOrBefore(history: KeyHistory, revision: number): number {
  const older = history.older ?? noVersions
  if (history.modRevision <= revision) return older.length
  let low = 0
  let high = older.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((older[middle]?.modRevision ?? Infinity) <= revision) low = middle + 1
    else high = middle
  }
  return low - 1
}

/** Where what is kept begins, if `newest` is the place of the newest that may be forgotten, or -1. */
const firstKept = (history: KeyHistory, newest: number): number =>
  versionOf(history, newest)?.page === undefined ? newest + 1 : newest

const isReadableIn = (history: KeyHistory, span: Span): boolean =>
  firstKept(history, lastAtOrBefore(history, span.compactRevision)) <=
  lastAtOrBefore(history, span.revision)

/** Copied where it may be overwritten. */
function versionsIn(history: KeyHistory, span: Span): readonly Version[] {
  const from = firstKept(history, lastAtOrBefore(history, span.compactRevision))
  const to = lastAtOrBefore(history, span.revision) + 1
  const { older } = history
  if (older === undefined) return from < to ? [copyOf(history)] : noVersions
  const readable = older.slice(from, to)
  if (from < to && to > older.length) readable.push(copyOf(history))
  return readable
}

const sizeOfKey = (key: string): number => key.length + 8
const sizeOf = ({ sizeBytes }: Version): number => 24 + sizeBytes

function eventOf(history: KeyHistory, revision: number): WatchEvent {
  const { key } = history
  const at = lastAtOrBefore(history, revision)
  const version = versionOf(history, at)
  invariant(version?.modRevision === revision, 'a key has a version for each batch it is in')
  const before = versionOf(history, at - 1)
  const previous =
    before?.page === undefined ? {} : { previous: shownAs(key, before, valueOf(before)) }
  return version.page === undefined
    ? { type: 'delete', key, ...previous }
    : { type: 'put', key, kv: shownAs(key, version, valueOf(version)), ...previous }
}
