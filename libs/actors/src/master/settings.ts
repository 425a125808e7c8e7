import type { Kek } from '@conclave/crypto'
import type { NodeId } from '@conclave/raft'
import type { FirstAuthority } from './authority/authority-founding.ts'
import type { FirstIdentities } from './founding.ts'
import type { Member } from './master-api.ts'

/** What a master is told before it starts. All of it is plain data but the key. */
export interface MasterSettings {
  readonly clusterId: string
  readonly masterId: string
  readonly nodeId: NodeId
  /**
   * The members as they were when this one was started. Where they listen now is in the replicated
   * state: each says so itself.
   */
  readonly members: readonly (Member & { readonly nodeId: NodeId })[]
  readonly kek: Kek
  /** Which of the cluster's KEKs that is; 0, or left out, when nobody said. */
  readonly kekVersion?: number
  /**
   * Committed by the first leader of a new cluster, and never looked at again. A master that joins
   * has none.
   */
  readonly firstIdentities: FirstIdentities | undefined
  /** Taken into the store by the first leader that has it, and never looked at again. */
  readonly firstAuthority?: FirstAuthority | undefined
  readonly ticksPerSecond: number
  /**
   * The operator API and `/state` show values of inline secrets and of variables, as Mesos' do: for
   * lessons on what that leads to (reference mesos.md §21).
   */
  readonly faithfulLeaks?: boolean
  /** Of one secret's value. */
  readonly secretSizeBytesMax?: number
  /** How many revisions of the store can be read again; older ones are forgotten. */
  readonly revisionsKept?: number
  /** However few revisions they are: what was overwritten or deleted must not fill the memory. */
  readonly historyBytesMax?: number
}

/** The name among a member's listeners where its agents call. */
export const agentsListener = 'agents'
