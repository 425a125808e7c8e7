import type { Random } from '@conclave/kernel'
import type { NodeId } from './entry.ts'
import { none } from './entry.ts'
import { RaftError } from './errors.ts'
import { type RaftLogger, silentLogger } from './logger.ts'
import { APPLY_THREAD } from './message.ts'
import type { RaftStorage } from './storage.ts'

/**
 * `safe` asks a quorum before each batch of reads. `lease-based` spares that round while a quorum has
 * answered recently, and is right only as long as no member's clock runs much faster than another's.
 */
export type ReadOnlyOption = 'safe' | 'lease-based'

/** How one member behaves. What is optional has the project's default. */
export interface RaftConfig {
  readonly id: NodeId
  readonly storage: RaftStorage
  /** Spreads election timeouts: asked once whenever a term or a role begins. */
  readonly random: Random
  /** Ticks without a leader before a follower campaigns; the real timeout is up to twice that. 10 */
  readonly electionTick?: number
  /** Ticks between heartbeats. 1 */
  readonly heartbeatTick?: number
  /** What the state machine has applied already; needed after a restart. 0: as far as the snapshot */
  readonly applied?: number
  /** Storage work travels as messages to two local threads, and nobody calls `advance`. false */
  readonly asyncStorageWrites?: boolean
  /** Bytes of entries in one append message; one entry is always let through. 1 MiB */
  readonly maxSizePerMsg?: number
  /** Bytes of committed entries in one Ready, and handed out but not applied. 16 MiB */
  readonly maxCommittedSizePerReady?: number
  /** Bytes of data a leader accepts beyond what is committed, before it drops proposals. 64 MiB */
  readonly maxUncommittedEntriesSize?: number
  /** Append messages on their way to one peer. 256 */
  readonly maxInflightMsgs?: number
  /** Their bytes, at least `maxSizePerMsg`; 0 for no limit. 0 */
  readonly maxInflightBytes?: number
  /** A leader that does not hear from a quorum steps down, and voters protect a leader they hear. true */
  readonly checkQuorum?: boolean
  /** Asks whether it could win before it raises its term, so that it disturbs nobody. true */
  readonly preVote?: boolean
  /** safe */
  readonly readOnlyOption?: ReadOnlyOption
  /** A follower drops proposals instead of passing them on. false */
  readonly disableProposalForwarding?: boolean
  /** A leader accepts configuration changes that cannot apply. Only for tests. false */
  readonly disableConfChangeValidation?: boolean
  /** A leader that is removed or demoted becomes a follower when that applies. true */
  readonly stepDownOnRemoval?: boolean
  /** silent */
  readonly logger?: RaftLogger
}

const mebibyte = 1024 * 1024

const defaults = {
  electionTick: 10,
  heartbeatTick: 1,
  applied: 0,
  asyncStorageWrites: false,
  maxSizePerMsg: mebibyte,
  maxCommittedSizePerReady: 16 * mebibyte,
  maxUncommittedEntriesSize: 64 * mebibyte,
  maxInflightMsgs: 256,
  maxInflightBytes: 0,
  checkQuorum: true,
  preVote: true,
  readOnlyOption: 'safe',
  disableProposalForwarding: false,
  disableConfChangeValidation: false,
  stepDownOnRemoval: true,
  logger: silentLogger,
} satisfies Partial<RaftConfig>

/** @throws RaftError `raft.config-invalid` when the parts do not fit together */
export function completeConfig(config: RaftConfig): Required<RaftConfig> {
  const complete: Required<RaftConfig> = { ...defaults, ...config }
  const { id, heartbeatTick, electionTick, maxInflightBytes } = complete
  demand(Number.isSafeInteger(id) && id > none && id < APPLY_THREAD, 'id is no usable node id')
  demand(heartbeatTick > 0, 'heartbeatTick must be greater than 0')
  demand(electionTick > heartbeatTick, 'electionTick must be greater than heartbeatTick')
  demand(complete.maxInflightMsgs > 0, 'maxInflightMsgs must be greater than 0')
  demand(complete.maxCommittedSizePerReady > 0, 'maxCommittedSizePerReady must be greater than 0')
  demand(complete.maxUncommittedEntriesSize > 0, 'maxUncommittedEntriesSize must be greater than 0')
  demand(
    maxInflightBytes === 0 || maxInflightBytes >= complete.maxSizePerMsg,
    'maxInflightBytes must be at least maxSizePerMsg',
  )
  demand(
    complete.readOnlyOption === 'safe' || complete.checkQuorum,
    'checkQuorum must be on for lease-based reads',
  )
  return complete
}

function demand(claim: boolean, why: string): void {
  if (!claim) throw new RaftError('raft.config-invalid', why)
}
