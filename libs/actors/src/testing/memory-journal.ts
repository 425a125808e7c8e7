import type { Entry, HardState, SnapshotMeta } from '@conclave/raft'
import type { Journal, Recovered, SnapshotSink, SnapshotSource } from '../ports.ts'
import { sourceOf } from '../snapshot/memory-source.ts'

/** What lies on it: what is recovered, and the content of the snapshot. */
interface MemoryDisk extends Recovered {
  readonly content?: readonly Uint8Array[]
}

interface Waiting {
  readonly write: (disk: MemoryDisk) => MemoryDisk
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * The twin of a journal: what became durable, and what did not yet. Everything does at once, unless a
 * test holds it back; a crash then loses it, as a power cut loses what was not synced.
 */
export class MemoryJournal implements Journal {
  #disk: MemoryDisk
  #waiting: Waiting[] = []
  #isHeld = false
  #isGone = false
  #failure: unknown
  /** How often something became durable; all that waited together counts once. */
  syncCount = 0

  constructor(disk: MemoryDisk = { entries: [] }) {
    this.#disk = disk
  }

  append(batch: { hardState?: HardState; entries: readonly Entry[] }): Promise<void> {
    return this.#write((disk) => ({
      ...disk,
      ...(batch.hardState && { hardState: batch.hardState }),
      entries: appended(disk.entries, batch.entries),
    }))
  }

  beginSnapshot(meta: SnapshotMeta): Promise<SnapshotSink> {
    const content: Uint8Array[] = []
    return Promise.resolve({
      write: (chunk) => {
        content.push(chunk.slice())
        return Promise.resolve()
      },
      commit: () => this.#write((disk) => withSnapshot(disk, meta, content)),
      discard: () => Promise.resolve(),
    })
  }

  openSnapshot(): Promise<SnapshotSource | undefined> {
    const { snapshot, content } = this.#disk
    if (snapshot === undefined || content === undefined) return Promise.resolve(undefined)
    return Promise.resolve(sourceOf(snapshot.meta, content))
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  /** From now on nothing becomes durable. */
  hold(): void {
    this.#isHeld = true
  }

  /** What was held becomes durable, and all that comes. */
  release(): void {
    this.#isHeld = false
    this.#sync()
  }

  /** The disk fails: whatever is asked from now on, and what is held, is refused with `error`. */
  fail(error: unknown): void {
    this.#failure = error
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }

  /** What a restart finds: what was durable, and nothing else. Who still uses this one hears no more. */
  crash(): MemoryJournal {
    this.#isGone = true
    this.#waiting = []
    return new MemoryJournal(this.#disk)
  }

  /** What recovery reads back. */
  recovered(): Recovered {
    const { content: _, ...recovered } = this.#disk
    return recovered
  }

  /** The chunks of the snapshot that is recovered. */
  content(): readonly Uint8Array[] {
    return this.#disk.content ?? []
  }

  #write(write: (disk: MemoryDisk) => MemoryDisk): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ write, resolve, reject })
      if (this.#waiting.length === 1) void Promise.resolve().then(() => this.#sync())
    })
  }

  #sync(): void {
    if (this.#isHeld || this.#isGone || this.#waiting.length === 0) return
    this.syncCount++
    for (const { write, resolve } of this.#waiting.splice(0)) {
      this.#disk = write(this.#disk)
      resolve()
    }
  }
}

/** Entries take the place of those with their index, and of all that follow. */
function appended(log: readonly Entry[], entries: readonly Entry[]): readonly Entry[] {
  const [first] = entries
  if (first === undefined) return log
  return [...log.filter(({ index }) => index < first.index), ...entries]
}

/** What follows stays when the log agrees with the snapshot (Raft §7). */
function withSnapshot(
  disk: MemoryDisk,
  meta: SnapshotMeta,
  content: readonly Uint8Array[],
): MemoryDisk {
  const { index, term } = meta
  if (index <= (disk.snapshot?.meta.index ?? 0)) return disk
  const isKept = disk.entries.some((entry) => entry.index === index && entry.term === term)
  const known = disk.hardState
  const hardState =
    known === undefined || known.term < term
      ? { term, vote: 0, commit: index }
      : { ...known, commit: Math.max(known.commit, index) }
  const entries = isKept ? disk.entries.filter((entry) => entry.index > index) : []
  return { hardState, snapshot: { meta }, content, entries }
}
