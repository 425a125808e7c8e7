import { invariant, sameBytes, utf8 } from '@conclave/kernel'
import { packContext, unpackContext } from './context.ts'
import { type Entry, none } from './entry.ts'
import { allVoters } from './membership.ts'
import { type Message, noBytes } from './message.ts'
import { type Raft, hex } from './raft.ts'
import { broadcastAppend } from './replication.ts'

/** `transfer` is an election that the leader itself asked for: it needs no rehearsal. */
export type CampaignKind = 'pre-election' | 'election' | 'transfer'

/** The context of votes that a leader asked for: they pass by the protection of that leader. */
const transferContext = utf8('CampaignTransfer')

const isTransferVote = ({ context }: Message): boolean => sameBytes(context, transferContext)

/** Tries to become leader, unless something speaks against it. */
export function startElection(raft: Raft, kind: CampaignKind): void {
  const self = hex(raft.id)
  if (raft.state === 'StateLeader') {
    raft.debug(`${self} ignoring MsgHup because already leader`)
    return
  }
  if (!raft.isPromotable()) {
    raft.warn(`${self} is unpromotable and can not campaign`)
    return
  }
  if (hasUnappliedConfChange(raft)) {
    raft.warn(
      `${self} cannot campaign at term ${raft.term} since there are still pending configuration changes to apply`,
    )
    return
  }
  raft.info(`${self} is starting a new election at term ${raft.term}`)
  campaign(raft, kind)
}

/** A quorum of an old configuration must not elect a leader once a newer one is committed. */
function hasUnappliedConfChange({ log }: Raft): boolean {
  return log.some(log.applied + 1, log.committed + 1, isConfChange)
}

const isConfChange = ({ type }: Entry): boolean => type !== 'EntryNormal'

function campaign(raft: Raft, kind: CampaignKind): void {
  const isRehearsal = kind === 'pre-election'
  if (isRehearsal) raft.becomePreCandidate()
  else raft.becomeCandidate()
  const type = isRehearsal ? 'MsgPreVote' : 'MsgVote'
  // A rehearsal asks for the next term without entering it.
  const term = isRehearsal ? raft.term + 1 : raft.term
  const index = raft.log.lastIndex()
  const logTerm = raft.log.lastTerm()
  const context = kind === 'transfer' ? transferContext : noBytes
  for (const to of allVoters(raft.tracker.config)) {
    if (to === raft.id) {
      // The own vote counts once it is on disk, like everybody's.
      raft.sendInTerm({ type: responseType(type), to, term })
      continue
    }
    raft.info(
      `${hex(raft.id)} [logterm: ${logTerm}, index: ${index}] sent ${type} request to ${hex(to)} at term ${raft.term}`,
    )
    raft.sendInTerm({ type, to, term, index, logTerm, context })
  }
}

const responseType = (type: 'MsgVote' | 'MsgPreVote'): 'MsgVoteResp' | 'MsgPreVoteResp' =>
  type === 'MsgVote' ? 'MsgVoteResp' : 'MsgPreVoteResp'

/**
 * A member that hears from a leader does not help to depose it, whatever term the candidate claims.
 * Answers whether the request is to be ignored for that reason. Source: Raft thesis §4.2.3, §6.
 */
export function isLeaderProtected(raft: Raft, request: Message): boolean {
  const { electionTick, checkQuorum } = raft.config
  const isInLease = checkQuorum && raft.lead !== none && raft.electionElapsed < electionTick
  if (!isInLease || isTransferVote(request)) return false
  raft.info(
    `${describeVoter(raft)} ignored ${describeRequest(request)} at term ${raft.term}: ` +
      `lease is not expired (remaining ticks: ${electionTick - raft.electionElapsed})`,
  )
  return true
}

/** Answers a request for a vote, of this term or, for a pre-vote, of a later one. */
export function handleVoteRequest(raft: Raft, request: Message): void {
  const { type, from, term } = request
  invariant(type === 'MsgVote' || type === 'MsgPreVote', 'a vote is asked for')
  const mayVote =
    raft.vote === from ||
    (raft.vote === none && raft.lead === none) ||
    (type === 'MsgPreVote' && term > raft.term)
  if (!mayVote || !raft.log.isUpToDate(request.logTerm, request.index)) {
    rejectVote(raft, request)
    return
  }
  const candidate = `[logterm: ${request.logTerm}, index: ${request.index}]`
  raft.info(
    `${describeVoter(raft)} cast ${type} for ${hex(from)} ${candidate} at term ${raft.term}`,
  )
  // In the term of the request: a pre-vote is granted for a term that we have not entered.
  raft.sendInTerm({ type: responseType(type), to: from, term })
  if (type === 'MsgVote') {
    raft.electionElapsed = 0
    raft.vote = from
  }
}

/**
 * Says no in our own term, so that a candidate that is behind learns of it. And says what is committed:
 * a leader that was removed may have stepped down before anybody heard that its removal is committed,
 * and then none of the others could ever win in the configuration they know.
 */
export function rejectVote(raft: Raft, request: Message): void {
  const { type, from } = request
  invariant(type === 'MsgVote' || type === 'MsgPreVote', 'a vote is asked for')
  raft.info(`${describeVoter(raft)} rejected ${describeRequest(request)} at term ${raft.term}`)
  const { committed } = raft.log
  const context = packContext(committed, raft.log.termOrZero(committed))
  raft.sendInTerm({ type: responseType(type), to: from, term: raft.term, reject: true, context })
}

/** A vote came in for a candidate or pre-candidate. */
export function handleVoteResponse(raft: Raft, response: Message): void {
  const { type, from, reject } = response
  const self = hex(raft.id)
  raft.info(
    `${self} received ${type}${reject ? ' rejection' : ''} from ${hex(from)} at term ${raft.term}`,
  )
  if (reject) learnCommitted(raft, response)
  raft.tracker.recordVote(from, !reject)
  const { grantedCount, rejectedCount, result } = raft.tracker.tallyVotes()
  raft.info(
    `${self} has received ${grantedCount} ${type} votes and ${rejectedCount} vote rejections`,
  )
  switch (result) {
    case 'VoteWon':
      // What was just learned to be committed may have changed who may vote.
      if (hasUnappliedConfChange(raft)) {
        raft.becomeFollower(raft.term, none)
        return
      }
      if (raft.state === 'StatePreCandidate') {
        campaign(raft, 'election')
        return
      }
      raft.becomeLeader()
      broadcastAppend(raft)
      return
    case 'VoteLost':
      raft.becomeFollower(raft.term, none)
      return
    case 'VotePending':
  }
}

/** What a voter knows to be committed is so in this log too, if the entry there is the same. */
function learnCommitted({ log }: Raft, { context }: Message): void {
  const [index, term] = unpackContext(context, 2) ?? []
  if (index === undefined || term === undefined || term === 0) return
  if (log.matches(index, term)) log.commitTo(index)
}

const describeVoter = ({ id, log, vote }: Raft): string =>
  `${hex(id)} [logterm: ${log.lastTerm()}, index: ${log.lastIndex()}, vote: ${hex(vote)}]`

const describeRequest = ({ type, from, logTerm, index }: Message): string =>
  `${type} from ${hex(from)} [logterm: ${logTerm}, index: ${index}]`
