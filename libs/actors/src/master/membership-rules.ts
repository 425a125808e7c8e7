/*
 * When the masters may be changed: SwarmKit's rules, in its words where it has some (reference
 * docker-swarm.md B6 and its recordings, raft.md §4.6). Pure: what is known of the group goes in, and
 * the reason against a change comes out, or undefined.
 */

/** One member as the leader sees it. */
export interface MemberSeen {
  readonly masterId: string
  readonly isVoter: boolean
  /** It answers. The leader itself always does. */
  readonly isHealthy: boolean
}

export const quorumOf = (voterCount: number): number => Math.floor(voterCount / 2) + 1

/** Whether those who answer are enough for such a group to go on. */
export function hasHealthyQuorum(members: readonly MemberSeen[]): boolean {
  const voters = members.filter(({ isVoter }) => isVoter)
  return voters.filter(({ isHealthy }) => isHealthy).length >= quorumOf(voters.length)
}

export function whyNotPromote(
  members: readonly MemberSeen[],
  masterId: string,
): string | undefined {
  const one = find(members, masterId)
  if (one === undefined) return unknown(masterId)
  if (one.isVoter) return `${masterId} is a voter already`
  if (!one.isHealthy) return `${masterId} does not answer, and as a voter it would be counted on`
  return hasHealthyQuorum(withChanged(members, masterId, true))
    ? undefined
    : lossOfQuorum('promote')
}

export function whyNotDemote(members: readonly MemberSeen[], masterId: string): string | undefined {
  const one = find(members, masterId)
  if (one === undefined) return unknown(masterId)
  if (!one.isVoter) return `${masterId} is a learner already`
  if (members.filter(({ isVoter }) => isVoter).length === 1) {
    return 'attempting to demote the last master of the cluster'
  }
  return hasHealthyQuorum(withChanged(members, masterId, false))
    ? undefined
    : lossOfQuorum('remove')
}

/** @param isForced also a learner that answers, or a voter that does not */
export function whyNotRemove(
  members: readonly MemberSeen[],
  masterId: string,
  isForced: boolean,
): string | undefined {
  const one = find(members, masterId)
  if (one === undefined) return unknown(masterId)
  if (!one.isVoter) {
    return one.isHealthy && !isForced ? `${masterId} is not down and can't be removed` : undefined
  }
  if (one.isHealthy || !isForced) {
    return `${masterId} is a master that votes and is a member of the raft cluster. It must be demoted before removal`
  }
  const others = members.filter((member) => member.masterId !== masterId)
  return hasHealthyQuorum(others) ? undefined : lossOfQuorum('remove')
}

/** Of its own will, so whether it answers is not asked. */
export function whyNotLeave(members: readonly MemberSeen[], masterId: string): string | undefined {
  const one = find(members, masterId)
  if (one === undefined) return unknown(masterId)
  if (!one.isVoter) return undefined
  if (members.filter(({ isVoter }) => isVoter).length === 1) {
    return `${masterId} is attempting to leave as the last master. Removing the last master erases all current state of the cluster: stop it, and remove its directory instead`
  }
  return whyNotDemote(members, masterId)
}

const find = (members: readonly MemberSeen[], masterId: string): MemberSeen | undefined =>
  members.find((member) => member.masterId === masterId)

const withChanged = (
  members: readonly MemberSeen[],
  masterId: string,
  isVoter: boolean,
): readonly MemberSeen[] =>
  members.map((member) => (member.masterId === masterId ? { ...member, isVoter } : member))

const lossOfQuorum = (what: 'promote' | 'remove'): string =>
  what === 'remove'
    ? "can't remove member from the raft: this would result in a loss of quorum"
    : "can't add member to the raft: this would result in a loss of quorum"

const unknown = (masterId: string): string => `node ${masterId} not found`
