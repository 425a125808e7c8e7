import { Compacted, RevisionAhead } from './errors.ts'
import { compareKeys } from './key-order.ts'
import { OrderedKeys } from './ordered-keys.ts'
import type {
  KeyValue,
  ListOptions,
  ListResult,
  LiveView,
  View,
  WatchBatch,
  WatchEvent,
} from './view.ts'

/** One change as whoever is mirrored tells of it, with its numbers. */
export type MirrorChange =
  | { readonly type: 'put'; readonly kv: KeyValue }
  | { readonly type: 'delete'; readonly key: string }

/** What a key was from one revision on; nothing, when it was deleted. */
interface Version {
  readonly modRevision: number
  readonly kv: KeyValue | undefined
}

/** All that is kept of one key, oldest first. Never empty. */
interface History {
  readonly key: string
  versions: Version[]
}

const noBytes = new Uint8Array(0)

/**
 * A copy of a state that is kept elsewhere, fed with what changed there. Its revisions are the other's: they
 * rise with gaps where others live in the same place. What was changed since it began, or since it was told
 * to forget, can be read as it was.
 */
export class Mirror implements LiveView {
  #histories = new Map<string, History>()
  #order = new OrderedKeys<History>()
  /** What was changed since {@link #base}, by revision. */
  #recent: { readonly revision: number; readonly changed: readonly History[] }[] = []
  #revision = 0
  /** The oldest revision that can be read here. */
  #base = 0
  #compactRevision = 0
  readonly #batchListeners = new Set<(batch: WatchBatch) => void>()
  readonly #restoreListeners = new Set<(revision: number) => void>()

  get revision(): number {
    return this.#revision
  }

  get compactRevision(): number {
    return this.#compactRevision
  }

  /** Becomes all of `kvs`, as they are at `revision`. What was before is forgotten. */
  become(revision: number, kvs: readonly KeyValue[]): void {
    this.#histories = new Map()
    this.#order = new OrderedKeys()
    this.#recent = []
    this.#revision = revision
    this.#base = revision
    for (const kv of kvs.toSorted((a, b) => compareKeys(a.key, b.key))) {
      const history = { key: kv.key, versions: [{ modRevision: kv.modRevision, kv }] }
      this.#histories.set(kv.key, history)
      this.#order.append(history)
    }
    for (const listener of this.#restoreListeners) listener(revision)
  }

  /** Takes over what `revision` changed, each key once. Revisions rise; one may have changed nothing here. */
  apply(revision: number, changes: readonly MirrorChange[]): void {
    const events = changes
      .map((change) => this.#change(revision, change))
      .filter((event) => event !== undefined)
      .toSorted((a, b) => compareKeys(a.key, b.key))
    this.#revision = revision
    if (events.length === 0) return
    const changed = events.flatMap(({ key }) => this.#histories.get(key) ?? [])
    this.#recent.push({ revision, changed })
    for (const listener of this.#batchListeners) listener({ revision, events })
  }

  /** What was overwritten or deleted up to `revision` is gone where the state is kept, and so it is here. */
  compact(revision: number): void {
    this.#compactRevision = Math.max(this.#compactRevision, revision)
    this.#base = Math.max(this.#base, Math.min(revision, this.#revision))
    const first = this.#recent.findIndex((one) => one.revision > this.#base)
    const over = this.#recent.splice(0, first < 0 ? this.#recent.length : first)
    for (const history of new Set(over.flatMap(({ changed }) => changed))) this.#forget(history)
  }

  get(key: string, at = this.#revision): KeyValue | undefined {
    this.#checkReadable(at)
    const history = this.#histories.get(key)
    return history && visible(history, at)
  }

  modRevision(key: string): number {
    return this.get(key)?.modRevision ?? 0
  }

  list(prefix: string, options: ListOptions & { readonly at?: number } = {}): ListResult {
    const { keysOnly = false, at = this.#revision } = options
    this.#checkReadable(at)
    const { shown: kvs, more } = this.#order.page(prefix, options, (history) => {
      const kv = visible(history, at)
      return kv !== undefined && keysOnly ? { ...kv, value: noBytes } : kv
    })
    return { kvs, revision: at, more }
  }

  viewAt(revision: number): View {
    this.#checkReadable(revision)
    return {
      revision,
      get: (key) => this.get(key, revision),
      modRevision: (key) => this.get(key, revision)?.modRevision ?? 0,
      list: (prefix, options) => this.list(prefix, { ...options, at: revision }),
    }
  }

  onBatch(listener: (batch: WatchBatch) => void): () => void {
    this.#batchListeners.add(listener)
    return () => this.#batchListeners.delete(listener)
  }

  onRestore(listener: (revision: number) => void): () => void {
    this.#restoreListeners.add(listener)
    return () => this.#restoreListeners.delete(listener)
  }

  #change(revision: number, change: MirrorChange): WatchEvent | undefined {
    const key = change.type === 'put' ? change.kv.key : change.key
    const known = this.#histories.get(key)
    const previous = known?.versions.at(-1)?.kv
    // Deleted and put between two looks at it, or never seen: there is nothing to tell.
    if (change.type === 'delete' && previous === undefined) return undefined
    const kv = change.type === 'put' ? change.kv : undefined
    const version = { modRevision: revision, kv }
    if (known === undefined) {
      const history = { key, versions: [version] }
      this.#histories.set(key, history)
      this.#order.insert(history)
    } else {
      known.versions.push(version)
    }
    const before = previous && { previous }
    return kv === undefined
      ? { type: 'delete', key, ...before }
      : { type: 'put', key, kv, ...before }
  }

  /** Of what nobody can read any more, the newest at {@link #base} is kept, unless it is a deletion. */
  #forget(history: History): void {
    const { versions, key } = history
    const first = versions.findLastIndex(({ modRevision }) => modRevision <= this.#base)
    if (first > 0) history.versions = versions.slice(first)
    if (history.versions[0]?.kv !== undefined || first < 0) return
    history.versions = history.versions.slice(1)
    if (history.versions.length > 0) return
    this.#histories.delete(key)
    this.#order.delete(key)
  }

  #checkReadable(at: number): void {
    if (at > this.#revision) throw new RevisionAhead(at, this.#revision)
    if (at < this.#base) throw new Compacted(at, this.#base)
  }
}

function visible({ versions }: History, at: number): KeyValue | undefined {
  const newest = versions.at(-1)
  if (newest !== undefined && newest.modRevision <= at) return newest.kv
  return versions.findLast(({ modRevision }) => modRevision <= at)?.kv
}
