import { none } from './entry.ts'
import type { ConfState } from './entry.ts'
import { type ConfChangeV2, entersJoint, leavesByItself, leavesJoint } from './conf-change.ts'
import {
  type Reconfiguration,
  allVoters,
  changeConfig,
  enterJointConfig,
  leaveJointConfig,
} from './membership.ts'
import type { Raft } from './raft.ts'
import { broadcastAppend, releaseEarlyReads, sendAppend } from './replication.ts'

/** What a change makes of a configuration. @throws RaftError saying why it cannot apply */
export function changed(config: ConfState, change: ConfChangeV2): Reconfiguration {
  if (leavesJoint(change)) return leaveJointConfig(config)
  if (entersJoint(change)) return enterJointConfig(config, leavesByItself(change), change.changes)
  return changeConfig(config, change.changes)
}

/** Takes over a configuration that applies now. A leader acts on what follows from it at once. */
export function switchConfiguration(raft: Raft, next: Reconfiguration): void {
  raft.tracker.reconfigure(next, raft.log.lastIndex())
  raft.logConfiguration()
  if (raft.state !== 'StateLeader') return

  const own = raft.tracker.progress(raft.id)
  if (own === undefined || own.isLearner) {
    // It may go on leading until its successor is known, but never counts itself any more.
    if (raft.config.stepDownOnRemoval) raft.becomeFollower(raft.term, none)
    return
  }
  if (raft.maybeCommit()) {
    // A smaller quorum may already have what a larger one was waiting for.
    releaseEarlyReads(raft)
    broadcastAppend(raft)
  } else {
    for (const id of raft.tracker.members) {
      if (id !== raft.id) sendAppend(raft, id, false)
    }
  }
  const isTransfereeGone =
    raft.leadTransferee !== none && !allVoters(raft.tracker.config).includes(raft.leadTransferee)
  if (isTransfereeGone) raft.leadTransferee = none
}
