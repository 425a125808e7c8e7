import { createAuthority, issueCertificate, type Authority } from '../authority/authority.ts'
import type { TlsIdentity } from '../authority/identity.ts'
import type { Role } from '../authority/subject.ts'

export const clusterId = '5c6a1c1e-0000-4000-8000-000000000001'

export const authorityOf = (cluster = clusterId): Promise<Authority> =>
  createAuthority({ clusterId: cluster })

export const identityOf = (
  authority: Authority,
  id: string,
  role: Role = 'conclave-master',
): Promise<TlsIdentity> => issueCertificate(authority, { id, role })

/** An identity that was issued, and ended, a year ago. */
export const expiredIdentityOf = (
  authority: Authority,
  id: string,
  role: Role = 'conclave-master',
): Promise<TlsIdentity> => {
  const clock = { nowMs: () => Date.now() - 365 * 86_400_000 }
  return issueCertificate(authority, { id, role }, { clock })
}
