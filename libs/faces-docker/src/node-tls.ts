import type { AuthorityStatus } from '@conclave/actors'
import { tlsInfo, type TlsInfo } from './tls-info.ts'

/** The root that all nodes shall come to: the new one, while one is being replaced. Source: docker-swarm.md A9. */
export const desiredTls = ({ rootPem, rotation }: AuthorityStatus): TlsInfo =>
  tlsInfo(rotation?.rootPem ?? rootPem)

/**
 * What each node trusts and shows. While the root is being replaced a node counts as there once it has shown a
 * certificate of the new one.
 */
export function tlsOfNodes(
  status: AuthorityStatus,
): (role: 'master' | 'agent', name: string) => TlsInfo {
  const desired = desiredTls(status)
  if (status.rotation === undefined) return () => desired
  const before = tlsInfo(status.rootPem)
  const there = new Set(
    status.holders.filter(({ isCurrent }) => isCurrent).map(({ role, id }) => `${role}/${id}`),
  )
  return (role, name) => (there.has(`${role}/${name}`) ? desired : before)
}
