const participating =
  'You are attempting to leave the swarm on a node that is participating as a manager. '

/**
 * Why a manager should not leave without `--force`. The blank at the end of one of them is the original's.
 * Source: docker-swarm.md A6, moby's daemon/cluster.
 *
 * @param managers the voters as the leader sees them, or undefined where that is not known
 */
export function leaveWarning(
  managers: { readonly reachable: number; readonly unreachable: number } | undefined,
): string {
  if (managers === undefined) {
    return `${participating}Doing so may lose the consensus of your cluster. ${forceNew}`
  }
  const { reachable, unreachable } = managers
  const all = reachable + unreachable
  if (all === 1) {
    return `${participating}Removing the last manager erases all current state of the swarm. Use \`--force\` to ignore this message. `
  }
  const isQuorumLost = reachable - 1 < Math.floor(all / 2) + 1
  const loss = isQuorumLost
    ? `Removing this node leaves ${reachable - 1} managers out of ${all}. Without a Raft quorum your swarm will be inaccessible. `
    : ''
  return `${participating}${loss}${forceNew}`
}

const forceNew =
  'The only way to restore a swarm that has lost consensus is to reinitialize it with `--force-new-cluster`. Use `--force` to suppress this message.'
