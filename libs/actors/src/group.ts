import type { ConfState, NodeId } from '@conclave/raft'
import type { ApplyResult, Txn } from '@conclave/store'
import type { MemberChange } from './config-changes.ts'

export type Role = 'leader' | 'follower' | 'candidate'

/** What a leader knows of another member. */
export interface MemberProgress {
  readonly nodeId: NodeId
  readonly isVoter: boolean
  /** Heard from within an election timeout. */
  readonly isReachable: boolean
  /** Everything up to here is known to be on its disk. */
  readonly matchIndex: number
  /** Entries of this leader's log that it is not known to have. */
  readonly lag: number
}

/**
 * The port: what a master needs of those it agrees with, whoever keeps the state. A `Replica` is one, over
 * Raft and a disk of its own; an etcd cluster can stand in its place. Indexes only ever rise.
 */
export interface Group {
  readonly role: Role
  /** Rises with each leader: no two lead in one term. */
  readonly term: number
  /** `none` while nobody is known to lead. */
  readonly leader: NodeId
  /** Up to here, what was agreed on is in the state here. */
  readonly appliedIndex: number
  readonly commitIndex: number
  /** On this member's disk nothing older is left. */
  readonly snapshotIndex: number
  /** Who votes and who learns, as far as is known here. */
  readonly config: ConfState
  /** Why members cannot be promoted, demoted or removed here, if they cannot. */
  readonly whyMembersStay: string | undefined
  /** Calls `listener` after each change of role, term or leader. */
  onRole(listener: () => void): void
  /** Calls `listener` after each change of {@link config}. */
  onConfig(listener: () => void): void
  /** How far every other member is, by ascending id, as the leader knows it. Elsewhere empty. */
  memberProgress(): readonly MemberProgress[]
  /** What lies on this member's disk and was overwritten since has to go, soon. */
  demandSnapshot(): void
  tick(): void
  /**
   * Answers once the transaction was agreed on, with what it did, and its effect is in the state here.
   *
   * @throws TxnInvalid, Unavailable (nothing happened), OutcomeUnknown
   */
  propose(txn: Txn): Promise<ApplyResult>
  /** Resolves once everything acknowledged before the call is in the state here. @throws Unavailable */
  linearize(): Promise<void>
  /** For the leader. @throws MembershipRefused, MembershipBusy, NotLeader, Unavailable, OutcomeUnknown */
  changeMembers(change: MemberChange): Promise<void>
  /** Tells every caller that still waits, when the process stops. */
  close(): void
}
