import type { ConfState, NodeId } from './entry.ts'

export type VoteResult = 'VoteWon' | 'VoteLost' | 'VotePending'

/** The two halves that must agree. The outgoing half is empty outside of a joint configuration. */
export type Halves = Pick<ConfState, 'voters' | 'votersOutgoing'>

/**
 * The largest index that a majority of `voters` has acknowledged. Nobody at all acknowledges
 * everything, which is what lets an empty half of a joint configuration agree to anything.
 *
 * @param acked what a voter acknowledged, 0 when it is unknown
 */
function majorityCommitted(voters: readonly NodeId[], acked: (id: NodeId) => number): number {
  if (voters.length === 0) return Number.POSITIVE_INFINITY
  // Ascending by insertion: groups have three to seven members.
  const ascending: number[] = []
  for (const id of voters) {
    const index = acked(id)
    let at = ascending.length
    ascending.push(index)
    for (; at > 0 && (ascending[at - 1] ?? 0) > index; at--) ascending[at] = ascending[at - 1] ?? 0
    ascending[at] = index
  }
  const majority = Math.floor(voters.length / 2) + 1
  return ascending[voters.length - majority] ?? 0
}

export const jointCommitted = (halves: Halves, acked: (id: NodeId) => number): number =>
  Math.min(majorityCommitted(halves.voters, acked), majorityCommitted(halves.votersOutgoing, acked))

/** @param voted yes, no, or undefined while the vote is not in */
function majorityVote(
  voters: readonly NodeId[],
  voted: (id: NodeId) => boolean | undefined,
): VoteResult {
  if (voters.length === 0) return 'VoteWon'
  let yesCount = 0
  let missingCount = 0
  for (const id of voters) {
    const vote = voted(id)
    if (vote === undefined) missingCount++
    else if (vote) yesCount++
  }
  const majority = Math.floor(voters.length / 2) + 1
  if (yesCount >= majority) return 'VoteWon'
  return yesCount + missingCount >= majority ? 'VotePending' : 'VoteLost'
}

export function jointVote(halves: Halves, voted: (id: NodeId) => boolean | undefined): VoteResult {
  const incoming = majorityVote(halves.voters, voted)
  const outgoing = majorityVote(halves.votersOutgoing, voted)
  if (incoming === outgoing) return incoming
  if (incoming === 'VoteLost' || outgoing === 'VoteLost') return 'VoteLost'
  return 'VotePending'
}
