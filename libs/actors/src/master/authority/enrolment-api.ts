import type { RedactedBytes } from '@conclave/kernel'
import type { Address } from '../master-api.ts'
import type { MemberRole } from './authority-records.ts'

/*
 * What a master offers to who is, or wants to be, a member: no person is behind these calls, and no
 * token of a face. Any master answers.
 */

/** Another master, as a member must know it. */
export interface MasterSeen {
  readonly masterId: string
  readonly nodeId: number
  readonly listeners: Readonly<Record<string, Address>>
}

/** What every certificate is asked for with. */
export interface CertificateRequest {
  /** PKCS #10 as PEM. */
  readonly requestPem: string
  /** Names and addresses that a master is reached by; an agent's are not looked at. */
  readonly hosts: readonly string[]
  readonly requestId: string
}

export interface EnrolRequest extends CertificateRequest {
  /** A join token's text. The callee wipes it. */
  readonly token: RedactedBytes
  /** What the bearer means to become. The token decides: another than its own is refused, none is as it says. */
  readonly role: MemberRole | undefined
  /** The address that the request came from: guesses are bounded by it. */
  readonly source: string
}

/** A certificate, with whatever must stand behind it, and the roots that its holder trusts. */
export interface Issued {
  readonly certificatePem: string
  readonly authorityPem: string
}

export interface Enrolled extends Issued {
  readonly id: string
  readonly role: MemberRole
  /** A master's number in the Raft group. */
  readonly nodeId: number | undefined
  readonly clusterId: string
  readonly masters: readonly MasterSeen[]
}

/** Who shows a certificate, as TLS has proven it. */
export interface Shown {
  readonly id: string
  readonly role: MemberRole
  /** The certificate alone. */
  readonly certificatePem: string
  /** The root that issued it, among those that count; undefined when none of them did. */
  readonly issuerPem: string | undefined
}

/** How a member stands with the masters. */
export interface Standing {
  readonly masters: readonly MasterSeen[]
  /** Of an agent: its machine shall have a master beside it. */
  readonly isPromoted: boolean
}

export interface EnrolmentApi {
  /** The root that join tokens pin. Whoever asks has no reason to believe it yet. @throws AuthorityMissing */
  root(): Promise<{ readonly clusterId: string; readonly rootPem: string }>
  /**
   * A first certificate. The role is the token's, the id the cluster's.
   * @throws JoinTokenInvalid, HolderRefused, LoginThrottled, CertificateRefused, AuthorityMissing, Unavailable
   */
  enrol(request: EnrolRequest): Promise<Enrolled>
  /** The next certificate, for the same id and role. @throws HolderRefused, CertificateRefused, RenewalThrottled */
  renew(shown: Shown, request: CertificateRequest): Promise<Issued>
  /**
   * The same for this master itself, whose certificate has ended: nobody can be asked with it, so it is what this
   * master's own state says. Who was removed meanwhile is refused by the others all the same.
   * @throws HolderRefused, CertificateRefused, AuthorityMissing
   */
  renewEnded(shown: Shown, request: CertificateRequest): Promise<Issued>
  /**
   * The member has this certificate on its disk and uses it. Answers with the roots that count, as PEM.
   * @throws HolderRefused
   */
  confirm(shown: Shown): Promise<string>
  /**
   * The first certificate of the master that an agent's machine shall have beside it: the agent's own stands for
   * the join token. Asked for again, it is for the same ids, until that master was let in.
   *
   * @throws HolderRefused, CertificateRefused, RenewalThrottled, Unavailable
   */
  promote(shown: Shown, request: CertificateRequest): Promise<Enrolled>
  /** Who the masters are now, for a member that was told long ago. @throws HolderRefused when it was removed */
  standing(shown: Shown): Promise<Standing>
  /**
   * The KEK, in a box to a one-time X25519 key, for a master that has joined.
   * @throws HolderRefused, RenewalThrottled, CryptographicFailure
   */
  kek(shown: Shown, publicKey: Uint8Array, requestId: string): Promise<Uint8Array>
}

/** What the box around the KEK is for: both ends say the same, or it stays shut. */
export const kekContext = (clusterId: string, masterId: string): string =>
  JSON.stringify(['conclave/kek', clusterId, masterId])
