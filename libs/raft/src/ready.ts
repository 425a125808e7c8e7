import type { Entry, HardState, NodeId, Snapshot } from './entry.ts'
import { APPEND_THREAD, APPLY_THREAD, type Message, message } from './message.ts'
import type { SoftState } from './raft.ts'
import type { ReadState } from './read-only.ts'

/**
 * What is to be done now, in this order: write `snapshot`, `entries` and `hardState`, durably when
 * `mustSync`; send `messages`; restore `snapshot` and apply `committedEntries`; then `advance`.
 *
 * Messages for which `waitsForDisk` holds leave after the write, all others may leave before it. A
 * snapshot is durable before anything that comes with it leaves, whatever `mustSync` says.
 */
export interface Ready {
  /** Set when it changed. */
  readonly softState: SoftState | undefined
  readonly hardState: HardState | undefined
  readonly readStates: readonly ReadState[]
  readonly entries: readonly Entry[]
  readonly snapshot: Snapshot | undefined
  readonly committedEntries: readonly Entry[]
  readonly messages: readonly Message[]
  /** Whether the write must reach the disk; a commit index alone may be lost. */
  readonly mustSync: boolean
}

// Asynchronous storage: the work of a Ready as messages to two local threads, each of which carries
// them out in order and then delivers the responses. Source: reference raft.md §4.10.

/** What the append thread writes, and what is delivered when it has. */
export const storageAppend = (id: NodeId, ready: Ready, responses: readonly Message[]): Message =>
  message({
    type: 'MsgStorageAppend',
    to: APPEND_THREAD,
    from: id,
    term: ready.hardState?.term ?? 0,
    vote: ready.hardState?.vote ?? 0,
    commit: ready.hardState?.commit ?? 0,
    entries: ready.entries,
    snapshot: ready.snapshot,
    responses,
  })

/** Tells the log what is stable. It names the term of the request, so that an old one is known. */
export const storageAppendResponse = (
  id: NodeId,
  term: number,
  last: Pick<Entry, 'term' | 'index'> | undefined,
  snapshot: Snapshot | undefined,
): Message =>
  message({
    type: 'MsgStorageAppendResp',
    to: id,
    from: APPEND_THREAD,
    term,
    index: last?.index ?? 0,
    logTerm: last?.term ?? 0,
    snapshot,
  })

export const storageApply = (id: NodeId, entries: readonly Entry[]): Message =>
  message({
    type: 'MsgStorageApply',
    to: APPLY_THREAD,
    from: id,
    entries,
    responses: [storageApplyResponse(id, entries)],
  })

export const storageApplyResponse = (id: NodeId, entries: readonly Entry[]): Message =>
  message({ type: 'MsgStorageApplyResp', to: id, from: APPLY_THREAD, entries })
