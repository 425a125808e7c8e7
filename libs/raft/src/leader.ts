import { BytesMalformed, invariant } from '@conclave/kernel'
import { decodeConfChange } from './codec.ts'
import { type ConfChange, asV2 } from './conf-change.ts'
import { describeConfChange, describeConfiguration, describeProgress } from './describe.ts'
import { type NodeId, none } from './entry.ts'
import { RaftError, proposalDropped } from './errors.ts'
import { isJoint } from './membership.ts'
import { type Message, noBytes } from './message.ts'
import type { Progress } from './progress.ts'
import { type NewEntry, type Raft, hex } from './raft.ts'
import { changed } from './reconfigure.ts'
import {
  answerConfirmedReads,
  broadcastAppend,
  broadcastHeartbeat,
  readIndex,
  releaseEarlyReads,
  sendAppend,
} from './replication.ts'

/** What a leader does about a message of its own term, or of none. */
export function stepLeader(raft: Raft, one: Message): RaftError | undefined {
  switch (one.type) {
    case 'MsgBeat':
      broadcastHeartbeat(raft)
      return undefined
    case 'MsgCheckQuorum':
      checkQuorum(raft)
      return undefined
    case 'MsgProp':
      return propose(raft, one.entries)
    case 'MsgReadIndex':
      readIndex(raft, one)
      return undefined
    case 'MsgForgetLeader':
      return undefined
    case 'MsgApp':
    case 'MsgHeartbeat':
    case 'MsgSnap':
      invariant(false, 'there is at most one leader in a term')
      return undefined
    default:
      handleAboutPeer(raft, one)
      return undefined
  }
}

/** Without a quorum nothing can be committed, and there may be another leader already. */
function checkQuorum(raft: Raft): void {
  if (!raft.tracker.isQuorumActive()) {
    raft.warn(`${hex(raft.id)} stepped down to follower since quorum is not active`)
    raft.becomeFollower(raft.term, none)
  }
  raft.tracker.expectActivity(raft.id)
}

// Proposals

/** Appends entries and sends them out; also called by the leader for itself. */
export function propose(raft: Raft, entries: readonly NewEntry[]): RaftError | undefined {
  invariant(entries.length > 0, 'a proposal has entries')
  // Removed, but leading until a successor is known.
  if (raft.tracker.progress(raft.id) === undefined) return proposalDropped
  if (raft.leadTransferee !== none) {
    raft.debug(
      `${hex(raft.id)} [term ${raft.term}] transfer leadership to ${hex(raft.leadTransferee)} is in progress; dropping proposal`,
    )
    return proposalDropped
  }
  const pendingBefore = raft.pendingConfIndex
  const checked = entries.some(({ type }) => type !== 'EntryNormal')
    ? entries.map((entry, at) => checkConfChange(raft, entry, at))
    : entries
  if (!raft.appendEntries(checked)) {
    raft.pendingConfIndex = pendingBefore
    return proposalDropped
  }
  broadcastAppend(raft)
  return undefined
}

/**
 * Lets a configuration change through, or puts an empty entry in its place: at most one is in the log
 * and not applied, since two majorities that are two changes apart need not overlap.
 */
function checkConfChange(raft: Raft, entry: NewEntry, at: number): NewEntry {
  if (entry.type === 'EntryNormal') return entry
  const change = tryDecode(entry.data)
  const mayBeWrong = change !== undefined && raft.config.disableConfChangeValidation
  const why = mayBeWrong ? undefined : whyRefused(raft, change)
  if (why === undefined) {
    raft.pendingConfIndex = raft.log.lastIndex() + at + 1
    return entry
  }
  raft.info(
    `${hex(raft.id)} ignoring conf change ${change === undefined ? '' : describeConfChange(change)} ` +
      `at config ${describeConfiguration(raft.tracker.config)}: ${why}`,
  )
  return { type: 'EntryNormal', data: noBytes }
}

/** Bytes that a follower passed on; what cannot be read must not reach the log. */
function tryDecode(data: Uint8Array): ConfChange | undefined {
  try {
    return decodeConfChange(data)
  } catch (error) {
    if (error instanceof BytesMalformed) return undefined
    throw error
  }
}

/** Why this leader would put an empty entry in the place of a change, at this moment. */
export function whyRefused(raft: Raft, change: ConfChange | undefined): string | undefined {
  if (change === undefined) return 'its bytes do not follow the format'
  const { config } = raft.tracker
  const v2 = asV2(change)
  const wantsToLeave = v2.changes.length === 0
  if (raft.pendingConfIndex > raft.log.applied) {
    return `possible unapplied conf change at index ${raft.pendingConfIndex} (applied to ${raft.log.applied})`
  }
  if (isJoint(config) && !wantsToLeave) return 'must transition out of joint config first'
  if (!isJoint(config) && wantsToLeave) return 'not in joint state; refusing empty conf change'
  // Once committed it would have to apply, everywhere and after every restart.
  try {
    changed(config, v2)
    return undefined
  } catch (error) {
    if (error instanceof RaftError) return error.message
    throw error
  }
}

// What peers answer, and what is reported about them

function handleAboutPeer(raft: Raft, one: Message): void {
  const progress = raft.tracker.progress(one.from)
  if (progress === undefined) {
    raft.debug(`${hex(raft.id)} no progress available for ${hex(one.from)}`)
    return
  }
  switch (one.type) {
    case 'MsgAppResp':
      progress.isRecentlyActive = true
      if (one.reject) handleAppendRejected(raft, one, progress)
      else handleAppendAccepted(raft, one, progress)
      break
    case 'MsgHeartbeatResp':
      handleHeartbeatResponse(raft, one, progress)
      break
    case 'MsgSnapStatus':
      handleSnapshotStatus(raft, one, progress)
      break
    case 'MsgUnreachable':
      // What was in flight is probably lost, so stop being optimistic.
      if (progress.state === 'StateReplicate') progress.becomeProbe()
      raft.debug(
        `${hex(raft.id)} failed to send message to ${hex(one.from)} because it is unreachable [${describeProgress(progress)}]`,
      )
      break
    case 'MsgTransferLeader':
      transferLeadership(raft, one.from, progress)
      break
    default:
  }
}

function handleAppendRejected(raft: Raft, one: Message, progress: Progress): void {
  const self = hex(raft.id)
  const peer = hex(one.from)
  raft.debug(
    `${self} received MsgAppResp(rejected, hint: (index ${one.rejectHint}, term ${one.logTerm})) from ${peer} for index ${one.index}`,
  )
  // The peer skipped what is newer than our entry; here we skip what is newer than the peer's. So
  // there is at most one probe for each term, however long the logs are.
  const hint =
    one.logTerm > 0
      ? raft.log.findConflictByTerm(one.rejectHint, one.logTerm).index
      : one.rejectHint
  if (!progress.backOff(one.index, hint)) return
  raft.debug(`${self} decreased progress of ${peer} to [${describeProgress(progress)}]`)
  if (progress.state === 'StateReplicate') progress.becomeProbe()
  sendAppend(raft, one.from, true)
}

function handleAppendAccepted(raft: Raft, one: Message, progress: Progress): void {
  invariant(one.index <= raft.log.lastIndex(), 'nobody has more of this term than its leader')
  const isCaughtUpProbe = progress.match === one.index && progress.state === 'StateProbe'
  if (!progress.acknowledge(one.index) && !isCaughtUpProbe) return
  switch (progress.state) {
    case 'StateProbe':
      progress.becomeReplicate()
      break
    case 'StateSnapshot':
      // Whatever snapshot it got, perhaps not the one it was sent: the log reaches on from there.
      if (progress.match + 1 >= raft.log.firstIndex()) {
        raft.debug(
          `${hex(raft.id)} recovered from needing snapshot, resumed sending replication messages to ${hex(one.from)} [${describeProgress(progress)}]`,
        )
        progress.becomeProbe()
        progress.becomeReplicate()
      }
      break
    case 'StateReplicate':
      progress.inflights.freeTo(one.index)
      break
  }
  if (raft.maybeCommit()) {
    releaseEarlyReads(raft)
    broadcastAppend(raft)
  } else if (one.from !== raft.id && progress.wantsCommit(raft.log.committed)) {
    sendAppend(raft, one.from, true)
  }
  if (one.from === raft.id) return
  // The window has room again, perhaps for several messages.
  while (sendAppend(raft, one.from, false));
  if (one.from === raft.leadTransferee && progress.match === raft.log.lastIndex()) {
    raft.info(`${hex(raft.id)} sent MsgTimeoutNow to ${hex(one.from)} after received MsgAppResp`)
    sendTimeoutNow(raft, one.from)
  }
}

function handleHeartbeatResponse(raft: Raft, one: Message, progress: Progress): void {
  progress.isRecentlyActive = true
  progress.isPausedByFlow = false
  // A peer that lacks entries, or whose position is unknown, gets a chance to say so.
  if (progress.match < raft.log.lastIndex() || progress.state === 'StateProbe') {
    sendAppend(raft, one.from, true)
  }
  if (one.context.length === 0) return
  raft.readOnly.confirm(one.from, one.context)
  answerConfirmedReads(raft)
}

function handleSnapshotStatus(raft: Raft, one: Message, progress: Progress): void {
  if (progress.state !== 'StateSnapshot') return
  if (one.reject) progress.pendingSnapshot = 0
  progress.becomeProbe()
  const outcome = one.reject ? 'failed' : 'succeeded'
  raft.debug(
    `${hex(raft.id)} snapshot ${outcome}, resumed sending replication messages to ${hex(one.from)} [${describeProgress(progress)}]`,
  )
  // If it succeeded, its answer says where to go on; if it failed, wait a little before trying again.
  progress.isPausedByFlow = true
}

// Transfer of leadership

function transferLeadership(raft: Raft, to: NodeId, progress: Progress): void {
  const self = hex(raft.id)
  if (progress.isLearner) {
    raft.debug(`${self} is learner. Ignored transferring leadership`)
    return
  }
  if (raft.leadTransferee === to) {
    raft.info(
      `${self} [term ${raft.term}] transfer leadership to ${hex(to)} is in progress, ignores request to same node ${hex(to)}`,
    )
    return
  }
  if (raft.leadTransferee !== none) {
    raft.info(
      `${self} [term ${raft.term}] abort previous transferring leadership to ${hex(raft.leadTransferee)}`,
    )
    raft.leadTransferee = none
  }
  if (to === raft.id) {
    raft.debug(`${self} is already leader. Ignored transferring leadership to self`)
    return
  }
  raft.info(`${self} [term ${raft.term}] starts to transfer leadership to ${hex(to)}`)
  // It must be done within one election timeout, or it is given up.
  raft.electionElapsed = 0
  raft.leadTransferee = to
  if (progress.match === raft.log.lastIndex()) {
    sendTimeoutNow(raft, to)
    raft.info(
      `${self} sends MsgTimeoutNow to ${hex(to)} immediately as ${hex(to)} already has up-to-date log`,
    )
  } else {
    sendAppend(raft, to, true)
  }
}

function sendTimeoutNow(raft: Raft, to: NodeId): void {
  raft.isLeaseVoid = true
  raft.send({ type: 'MsgTimeoutNow', to })
}

/** Without data, so that no limit ever keeps it out. */
export const leaveJointEntry: NewEntry = { type: 'EntryConfChangeV2', data: noBytes }
