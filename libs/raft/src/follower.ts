import { invariant } from '@conclave/kernel'
import { startElection } from './election.ts'
import { none } from './entry.ts'
import { type RaftError, proposalDropped } from './errors.ts'
import { isMember, restoreConfig } from './membership.ts'
import type { Message } from './message.ts'
import { type Raft, hex } from './raft.ts'
import { switchConfiguration } from './reconfigure.ts'

/** What a follower does about a message of its own term, or of none. */
export function stepFollower(raft: Raft, one: Message): RaftError | undefined {
  const self = hex(raft.id)
  switch (one.type) {
    case 'MsgProp':
      return forwardProposal(raft, one)
    case 'MsgApp':
    case 'MsgHeartbeat':
    case 'MsgSnap':
      raft.electionElapsed = 0
      invariant(
        raft.lead === none || raft.lead === one.from,
        'there is at most one leader in a term',
      )
      raft.lead = one.from
      followLeader(raft, one)
      return undefined
    case 'MsgTransferLeader':
      if (raft.lead === none) {
        raft.info(`${self} no leader at term ${raft.term}; dropping leader transfer msg`)
        return undefined
      }
      raft.send({ ...one, to: raft.lead })
      return undefined
    case 'MsgForgetLeader':
      forgetLeader(raft)
      return undefined
    case 'MsgTimeoutNow':
      raft.info(
        `${self} [term ${raft.term}] received MsgTimeoutNow from ${hex(one.from)} and starts an election to get leadership.`,
      )
      // No rehearsal: the leader has said that it steps back.
      startElection(raft, 'transfer')
      return undefined
    case 'MsgReadIndex':
      if (raft.lead === none) {
        raft.info(`${self} no leader at term ${raft.term}; dropping index reading msg`)
        return undefined
      }
      raft.send({ ...one, from: one.from === none ? raft.id : one.from, to: raft.lead })
      return undefined
    case 'MsgReadIndexResp':
      raft.readStates.push({ index: one.index, context: one.context })
      return undefined
    default:
      return undefined
  }
}

/** Entries, a heartbeat or a snapshot of the leader. */
export function followLeader(raft: Raft, one: Message): void {
  switch (one.type) {
    case 'MsgApp':
      handleAppend(raft, one)
      break
    case 'MsgHeartbeat':
      raft.log.commitTo(one.commit)
      raft.send({ type: 'MsgHeartbeatResp', to: one.from, context: one.context })
      break
    case 'MsgSnap':
      handleSnapshot(raft, one)
      break
    default:
      invariant(false, 'a leader sends entries, heartbeats and snapshots')
  }
}

function forwardProposal(raft: Raft, one: Message): RaftError | undefined {
  const self = hex(raft.id)
  if (raft.lead === none) {
    raft.info(`${self} no leader at term ${raft.term}; dropping proposal`)
    return proposalDropped
  }
  if (raft.config.disableProposalForwarding) {
    raft.info(
      `${self} not forwarding to leader ${hex(raft.lead)} at term ${raft.term}; dropping proposal`,
    )
    return proposalDropped
  }
  raft.send({ ...one, from: one.from === none ? raft.id : one.from, to: raft.lead })
  return undefined
}

/** Not with lease reads: the leader counts on being remembered until its lease has run out. */
function forgetLeader(raft: Raft): void {
  if (raft.config.readOnlyOption === 'lease-based') {
    raft.error('ignoring MsgForgetLeader due to ReadOnlyLeaseBased')
    return
  }
  if (raft.lead === none) return
  raft.info(`${hex(raft.id)} forgetting leader ${hex(raft.lead)} at term ${raft.term}`)
  raft.lead = none
}

function handleAppend(raft: Raft, one: Message): void {
  const { log } = raft
  const { from: to, index, logTerm } = one
  if (index < log.committed) {
    // An old message: what it carries is committed here, in this very form.
    raft.send({ type: 'MsgAppResp', to, index: log.committed })
    return
  }
  const lastNew = log.appendAfter(index, logTerm, one.entries, one.commit)
  if (lastNew !== undefined) {
    raft.send({ type: 'MsgAppResp', to, index: lastNew })
    return
  }
  raft.debug(
    `${hex(raft.id)} [logterm: ${log.termOrZero(index)}, index: ${index}] ` +
      `rejected MsgApp [logterm: ${logTerm}, index: ${index}] from ${hex(to)}`,
  )
  // The hint spares the leader from trying entry by entry: where the logs may agree at best.
  const hint = log.findConflictByTerm(Math.min(index, log.lastIndex()), logTerm)
  raft.send({
    type: 'MsgAppResp',
    to,
    index,
    reject: true,
    rejectHint: hint.index,
    logTerm: hint.term,
  })
}

function handleSnapshot(raft: Raft, one: Message): void {
  const snapshot = one.snapshot
  invariant(snapshot !== undefined, 'MsgSnap carries a snapshot')
  const { index, term } = snapshot.meta
  const isRestored = restore(raft, one)
  raft.info(
    `${hex(raft.id)} [commit: ${raft.log.committed}] ${isRestored ? 'restored' : 'ignored'} ` +
      `snapshot [index: ${index}, term: ${term}]`,
  )
  const upTo = isRestored ? raft.log.lastIndex() : raft.log.committed
  raft.send({ type: 'MsgAppResp', to: one.from, index: upTo })
}

/** Answers whether the snapshot replaces the log; not when the log already says the same. */
function restore(raft: Raft, { snapshot }: Message): boolean {
  if (snapshot === undefined || snapshot.meta.index <= raft.log.committed) return false
  invariant(raft.state === 'StateFollower', 'only a follower restores a snapshot')
  const { index, term, confState } = snapshot.meta
  const self = hex(raft.id)
  if (!isMember(confState, raft.id)) {
    raft.warn(
      `${self} attempted to restore snapshot but it is not in the ConfState; should never happen`,
    )
    return false
  }
  const describe = (): string =>
    `${self} [commit: ${raft.log.committed}, lastindex: ${raft.log.lastIndex()}, lastterm: ${raft.log.lastTerm()}]`
  if (raft.log.matches(index, term)) {
    raft.info(`${describe()} fast-forwarded commit to snapshot [index: ${index}, term: ${term}]`)
    raft.log.commitTo(index)
    return false
  }
  raft.log.restore(snapshot)
  switchConfiguration(raft, restoreConfig(confState))
  raft.info(`${describe()} restored snapshot [index: ${index}, term: ${term}]`)
  return true
}
