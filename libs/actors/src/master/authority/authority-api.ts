import type { RedactedBytes } from '@conclave/kernel'
import type { Caller } from '../master-api.ts'
import type { MemberRole } from './authority-records.ts'

export interface HolderView {
  readonly id: string
  readonly role: MemberRole
  /** The root that issued the certificate it was last seen with; undefined when it never showed one. */
  readonly issuer: string | undefined
  readonly untilMs: number | undefined
  /** Whether that root is the one that issues now. */
  readonly isCurrent: boolean
}

/** A machine that had an agent alone, and shall have a master beside it. */
export interface PromotionView {
  readonly agent: string
  /** Who that is; undefined until the machine has asked for its certificate. */
  readonly masterId: string | undefined
}

export interface AuthorityStatus {
  /** The root that join tokens pin, as PEM. */
  readonly rootPem: string
  /** `sha256:` and the digest of that PEM in hex. */
  readonly root: string
  readonly untilMs: number
  /** How long certificates count that are issued from now on. */
  readonly validityMs: number
  /** While the root is being replaced. */
  readonly rotation:
    | {
        readonly rootPem: string
        readonly root: string
        readonly begunAtMs: number
        /** Members that still hold a certificate of the old root, by name. */
        readonly waitingFor: readonly string[]
      }
    | undefined
  readonly holders: readonly HolderView[]
  readonly promotions: readonly PromotionView[]
}

/**
 * For operators: every call demands `full` on the operators' resource, and is on record before it is
 * answered. @throws AccessDenied, AuthorityMissing, Unavailable
 */
export interface AuthorityApi {
  /** The text of the token that `role` joins with. The caller wipes it. */
  joinToken(caller: Caller, role: MemberRole): Promise<RedactedBytes>
  /** Draws another secret: the token before this one counts no more. The caller wipes the answer. */
  rotateJoinToken(caller: Caller, role: MemberRole): Promise<RedactedBytes>
  status(caller: Caller): Promise<AuthorityStatus>
  /** Begins to replace the root; the leader goes on by itself. @throws AuthorityRotating */
  rotate(caller: Caller): Promise<AuthorityStatus>
  /** @throws ValidityInvalid */
  setValidity(caller: Caller, validityMs: number): Promise<AuthorityStatus>
  /**
   * The machine of this agent shall have a master beside it: it may ask for that one's certificate with its
   * own from now on, instead of a join token. Harmless when that was wanted already.
   *
   * @throws HolderUnknown, MembershipRefused
   */
  promote(caller: Caller, agent: string): Promise<void>
  /**
   * A member that will not come back: its certificate is refused from now on, and no rotation waits for
   * it. @throws HolderUnknown
   */
  forget(caller: Caller, role: MemberRole, id: string): Promise<void>
}
