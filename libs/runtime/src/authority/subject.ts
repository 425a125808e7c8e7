import type { PeerCertificate } from 'node:tls'

/** What a certificate of the cluster allows its holder to be: the OU of its subject. */
export type Role = 'conclave-master' | 'conclave-agent' | 'conclave-scheduler' | 'conclave-client'

/** Who a certificate of the cluster speaks for: CN = id, OU = role, O = cluster id. */
export interface Subject {
  readonly id: string
  readonly role: Role
  readonly clusterId: string
}

const roles: readonly string[] = [
  'conclave-master',
  'conclave-agent',
  'conclave-scheduler',
  'conclave-client',
] satisfies readonly Role[]

const isRole = (text: string): text is Role => roles.includes(text)

/**
 * The subject of a certificate whose chain TLS has already checked. `undefined` when it is none of
 * ours: a field is missing, stands there twice, or names no role.
 */
export function subjectOf(certificate: PeerCertificate | undefined): Subject | undefined {
  // Node answers an empty object when there is no certificate, and an array for a repeated field.
  const subject = certificate?.subject as Partial<Record<string, unknown>> | undefined
  const { CN: id, OU: role, O: clusterId } = subject ?? {}
  if (typeof id !== 'string' || typeof role !== 'string' || typeof clusterId !== 'string') {
    return undefined
  }
  return isRole(role) ? { id, role, clusterId } : undefined
}

/** Why `certificate` is not that of `expected`, in words for a log; `undefined` when it is. */
export function whyNot(
  certificate: PeerCertificate | undefined,
  expected: { readonly role: Role; readonly clusterId: string; readonly id?: string },
): string | undefined {
  const subject = subjectOf(certificate)
  if (subject === undefined) return 'its certificate names no id, role and cluster'
  if (subject.clusterId !== expected.clusterId) return 'its certificate is of another cluster'
  if (subject.role !== expected.role) {
    return `its certificate is of a ${subject.role}, not of a ${expected.role}`
  }
  if (expected.id !== undefined && subject.id !== expected.id) {
    return `its certificate is of ${subject.id}, not of ${expected.id}`
  }
  return undefined
}
