import {
  handleVoteRequest,
  handleVoteResponse,
  isLeaderProtected,
  rejectVote,
  startElection,
} from './election.ts'
import { describeConfiguration } from './describe.ts'
import { none } from './entry.ts'
import type { Snapshot } from './entry.ts'
import { type RaftError, proposalDropped } from './errors.ts'
import { followLeader, stepFollower } from './follower.ts'
import { leaveJointEntry, propose, stepLeader } from './leader.ts'
import { type Message, message } from './message.ts'
import { type Raft, hex } from './raft.ts'
import { entriesSizeBytes } from './storage.ts'

/** Everything that happens comes in here: messages of peers, and of this machine. */
export function step(raft: Raft, one: Message): RaftError | undefined {
  if (one.term > raft.term) {
    if (!enterTermOf(raft, one)) return undefined
  } else if (one.term !== 0 && one.term < raft.term) {
    answerOldTerm(raft, one)
    return undefined
  }

  switch (one.type) {
    case 'MsgHup':
      startElection(raft, raft.config.preVote ? 'pre-election' : 'election')
      return undefined
    case 'MsgVote':
    case 'MsgPreVote':
      handleVoteRequest(raft, one)
      return undefined
    case 'MsgStorageAppendResp':
      if (one.index !== 0) raft.log.unstable.stableTo(one.index, one.logTerm)
      if (one.snapshot !== undefined) appliedSnapshot(raft, one.snapshot)
      return undefined
    case 'MsgStorageApplyResp': {
      const last = one.entries.at(-1)
      if (last === undefined) return undefined
      appliedTo(raft, last.index, entriesSizeBytes(one.entries))
      raft.releaseUncommitted(one.entries)
      return undefined
    }
    default:
      return stepRole(raft, one)
  }
}

function stepRole(raft: Raft, one: Message): RaftError | undefined {
  switch (raft.state) {
    case 'StateFollower':
      return stepFollower(raft, one)
    case 'StateLeader':
      return stepLeader(raft, one)
    default:
      return stepCandidate(raft, one)
  }
}

/** A message of a later term. Answers false when it is to be ignored. */
function enterTermOf(raft: Raft, one: Message): boolean {
  switch (one.type) {
    case 'MsgVote':
      if (isLeaderProtected(raft, one)) return false
      break
    case 'MsgPreVote':
      // Only a question about a later term: nobody enters it for that.
      return !isLeaderProtected(raft, one)
    case 'MsgPreVoteResp':
      // Granted in the term we asked about. A rejection comes in the voter's own term, which is news.
      if (!one.reject) return true
      break
    default:
  }
  raft.info(
    `${hex(raft.id)} [term: ${raft.term}] received a ${one.type} message with higher term from ${hex(one.from)} [term: ${one.term}]`,
  )
  const isFromLeader =
    one.type === 'MsgApp' || one.type === 'MsgHeartbeat' || one.type === 'MsgSnap'
  raft.becomeFollower(one.term, isFromLeader ? one.from : none)
  return true
}

function answerOldTerm(raft: Raft, one: Message): void {
  const { checkQuorum, preVote } = raft.config
  if ((checkQuorum || preVote) && (one.type === 'MsgHeartbeat' || one.type === 'MsgApp')) {
    // Our term may have run ahead while we were cut off, and nobody who is protected by a lease
    // would listen to our campaign. So the leader hears of our term, and a new election unites us.
    raft.send({ type: 'MsgAppResp', to: one.from })
    return
  }
  if (one.type === 'MsgPreVote') {
    // Else a pre-candidate that is behind could wait for ever for voters that are ahead of it.
    rejectVote(raft, one)
    return
  }
  if (one.type === 'MsgStorageAppendResp') {
    // Entries of an older term may be overwritten by a write that is still on its way, so they do
    // not count as stable. A snapshot does: what it holds was committed.
    if (one.index !== 0) {
      raft.info(
        `${hex(raft.id)} [term: ${raft.term}] ignored entry appends from a ${one.type} message with lower term [term: ${one.term}]`,
      )
    }
    if (one.snapshot !== undefined) appliedSnapshot(raft, one.snapshot)
    return
  }
  raft.info(
    `${hex(raft.id)} [term: ${raft.term}] ignored a ${one.type} message with lower term from ${hex(one.from)} [term: ${one.term}]`,
  )
}

/** What candidates and pre-candidates do about a message of their own term, or of none. */
function stepCandidate(raft: Raft, one: Message): RaftError | undefined {
  const self = hex(raft.id)
  switch (one.type) {
    case 'MsgProp':
      raft.info(`${self} no leader at term ${raft.term}; dropping proposal`)
      return proposalDropped
    case 'MsgApp':
    case 'MsgHeartbeat':
    case 'MsgSnap':
      // Somebody else has won this term.
      raft.becomeFollower(one.term, one.from)
      followLeader(raft, one)
      return undefined
    case 'MsgVoteResp':
      if (raft.state === 'StateCandidate') handleVoteResponse(raft, one)
      return undefined
    case 'MsgPreVoteResp':
      if (raft.state === 'StatePreCandidate') handleVoteResponse(raft, one)
      return undefined
    case 'MsgTimeoutNow':
      raft.debug(
        `${self} [term ${raft.term} state ${raft.state}] ignored MsgTimeoutNow from ${hex(one.from)}`,
      )
      return undefined
    default:
      return undefined
  }
}

// Time

/** One tick passes: the only clock there is. */
export function tick(raft: Raft): void {
  raft.tickCount++
  if (raft.state === 'StateLeader') tickLeader(raft)
  else tickElection(raft)
}

function tickElection(raft: Raft): void {
  raft.electionElapsed++
  if (!raft.isPromotable() || raft.electionElapsed < raft.randomizedElectionTimeout) return
  raft.electionElapsed = 0
  step(raft, message({ type: 'MsgHup', to: raft.id, from: raft.id }))
}

function tickLeader(raft: Raft): void {
  const { checkQuorum, electionTick, heartbeatTick } = raft.config
  raft.heartbeatElapsed++
  raft.electionElapsed++
  if (raft.electionElapsed >= electionTick) {
    raft.electionElapsed = 0
    if (checkQuorum) step(raft, message({ type: 'MsgCheckQuorum', to: raft.id, from: raft.id }))
    // The transferee had its time; proposals are welcome again.
    if (raft.state === 'StateLeader') raft.leadTransferee = none
  }
  // The check may have ended this leadership.
  if (raft.state !== 'StateLeader' || raft.heartbeatElapsed < heartbeatTick) return
  raft.heartbeatElapsed = 0
  step(raft, message({ type: 'MsgBeat', to: raft.id, from: raft.id }))
}

// What was applied

function appliedSnapshot(raft: Raft, { meta }: Snapshot): void {
  raft.log.unstable.stableSnapshotTo(meta.index)
  appliedTo(raft, meta.index, 0)
}

function appliedTo(raft: Raft, index: number, bytes: number): void {
  raft.log.appliedTo(Math.max(index, raft.log.applied), bytes)
  const { config } = raft.tracker
  const mayLeave =
    config.autoLeave && raft.state === 'StateLeader' && raft.log.applied >= raft.pendingConfIndex
  if (!mayLeave) return
  // If this proposal is dropped, the next entry that applies brings another.
  const joint = describeConfiguration(config)
  const error = propose(raft, [leaveJointEntry])
  if (error === undefined) {
    raft.info(`initiating automatic transition out of joint configuration ${joint}`)
  } else {
    raft.debug(
      `not initiating automatic transition out of joint configuration ${joint}: ${error.message}`,
    )
  }
}
