import { invariant } from '@conclave/kernel'
import { describeProgress } from './describe.ts'
import { type Entry, type NodeId, none } from './entry.ts'
import { RaftError, snapshotUnavailable } from './errors.ts'
import { isEntries } from './log.ts'
import { isMember } from './membership.ts'
import { type Message, noBytes } from './message.ts'
import type { Progress } from './progress.ts'
import { type Raft, hex } from './raft.ts'

// How a leader gets its log to the others.

/** Sends every peer what it lacks, or at least the commit index. */
export function broadcastAppend(raft: Raft): void {
  for (const id of raft.tracker.members) {
    if (id !== raft.id) sendAppend(raft, id, true)
  }
}

/**
 * Sends entries, or a snapshot when the entries are gone. Answers whether anything was sent.
 *
 * @param mayBeEmpty also without entries: to tell the commit index, or to probe
 */
export function sendAppend(raft: Raft, to: NodeId, mayBeEmpty: boolean): boolean {
  const progress = raft.tracker.progress(to)
  invariant(progress !== undefined, 'entries are sent to members')
  if (progress.isPaused) return false

  const index = progress.next - 1
  const logTerm = raft.log.term(index)
  if (typeof logTerm !== 'number') return sendSnapshot(raft, to, progress)

  // A full window still lets empty messages pass, or a window that was lost whole would stay full.
  let entries: readonly Entry[] = []
  if (progress.state !== 'StateReplicate' || !progress.inflights.isFull) {
    const answer = raft.log.entriesFrom(progress.next, raft.config.maxSizePerMsg)
    if (!isEntries(answer)) return sendSnapshot(raft, to, progress)
    entries = answer
  }
  if (entries.length === 0 && !mayBeEmpty) return false

  const commit = raft.log.committed
  raft.send({ type: 'MsgApp', to, index, logTerm, entries, commit })
  progress.sentEntries(entries.length, dataSizeBytes(entries))
  progress.sentCommit(commit)
  return true
}

function sendSnapshot(raft: Raft, to: NodeId, progress: Progress): boolean {
  const self = hex(raft.id)
  if (!progress.isRecentlyActive) {
    raft.debug(`ignore sending snapshot to ${hex(to)} since it is not recently active`)
    return false
  }
  const snapshot = raft.log.snapshot()
  if (snapshot instanceof RaftError) {
    invariant(snapshot === snapshotUnavailable, 'the storage has a snapshot, now or later')
    raft.isSnapshotWanted = true
    raft.debug(
      `${self} failed to send snapshot to ${hex(to)} because snapshot is temporarily unavailable`,
    )
    return false
  }
  const { index, term, confState } = snapshot.meta
  invariant(index > 0, 'the snapshot that is sent is not empty')
  if (!isMember(confState, to)) {
    // It would be refused. A newcomer needs one that was taken after it was added.
    raft.isSnapshotWanted = true
    raft.debug(`${self} has no snapshot that ${hex(to)} is a member of, and wants one`)
    return false
  }
  raft.isSnapshotWanted = false
  raft.debug(
    `${self} [firstindex: ${raft.log.firstIndex()}, commit: ${raft.log.committed}] ` +
      `sent snapshot[index: ${index}, term: ${term}] to ${hex(to)} [${describeProgress(progress)}]`,
  )
  progress.becomeSnapshot(index)
  raft.debug(
    `${self} paused sending replication messages to ${hex(to)} [${describeProgress(progress)}]`,
  )
  raft.send({ type: 'MsgSnap', to, snapshot })
  return true
}

/** Heartbeats carry the round that reads wait for, when some do. */
export function broadcastHeartbeat(raft: Raft): void {
  const ticks = leaseTicks(raft)
  const context = raft.readOnly.isAwaited(ticks)
    ? raft.readOnly.beginRound(raft.id, raft.tickCount, ticks)
    : noBytes
  for (const to of raft.tracker.members) {
    if (to === raft.id) continue
    const progress = raft.tracker.progress(to)
    invariant(progress !== undefined, 'heartbeats are sent to members')
    // A follower may lack entries that are committed, and must not commit others in their place.
    const commit = Math.min(progress.match, raft.log.committed)
    raft.send({ type: 'MsgHeartbeat', to, commit, context })
    progress.sentCommit(commit)
  }
}

/** How long a confirmed round of heartbeats is worth, 0 without lease reads. */
export function leaseTicks(raft: Raft): number {
  if (raft.config.readOnlyOption !== 'lease-based') return 0
  // Voters keep faith for electionTick of their own ticks; a tenth less allows for drifting clocks.
  const { electionTick } = raft.config
  return electionTick - Math.max(1, Math.ceil(electionTick / 10))
}

// Reads

/** Reads wait until something of this term is committed: before, the commit index may be too low. */
export function readIndex(raft: Raft, request: Message): void {
  if (!raft.hasCommittedOwnEntry()) {
    raft.earlyReads.push(request)
    return
  }
  const ticks = leaseTicks(raft)
  if (ticks > 0 && !raft.isLeaseVoid && raft.readOnly.holdsLease(raft.tickCount, ticks)) {
    answerRead(raft, request, raft.log.committed)
    return
  }
  raft.readOnly.add(request, raft.log.committed)
  broadcastHeartbeat(raft)
  // A group of one has just confirmed itself.
  answerConfirmedReads(raft)
}

export function answerConfirmedReads(raft: Raft): void {
  for (const { request, index } of raft.readOnly.takeConfirmed(raft.tracker.config)) {
    answerRead(raft, request, index)
  }
}

function answerRead(raft: Raft, request: Message, index: number): void {
  const { from: to, context } = request
  if (to === none || to === raft.id) raft.readStates.push({ index, context })
  else raft.send({ type: 'MsgReadIndexResp', to, index, context })
}

/** After the first commit of this term. */
export function releaseEarlyReads(raft: Raft): void {
  if (raft.earlyReads.length === 0 || !raft.hasCommittedOwnEntry()) return
  const requests = raft.earlyReads
  raft.earlyReads = []
  for (const request of requests) readIndex(raft, request)
}

function dataSizeBytes(entries: readonly Entry[]): number {
  let bytes = 0
  for (const { data } of entries) bytes += data.length
  return bytes
}
