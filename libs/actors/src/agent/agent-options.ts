import type { SecretLimits } from '@conclave/isolators'
import type { Clock, Random, RedactedBytes } from '@conclave/kernel'
import type { AgentInfo } from '@conclave/model'
import { usualExecutorLimits, type ExecutorLimits } from './executors/executors.ts'

export interface AgentLimits extends ExecutorLimits {
  readonly tickMs: number
  /** How long masters have to release a container's secrets. */
  readonly resolveTimeoutMs: number
  /** Between being told that its id is over, and beginning anew. */
  readonly registerAgainMs: number
  readonly statusRetryFirstMs: number
  readonly statusRetryMaxMs: number
  /** Between SIGTERM and SIGKILL for a task that ran too long and says nothing of its own. */
  readonly killGraceMs: number
  /** Containers that have ended and whose output can still be read. */
  readonly endedOutputsMax: number
  readonly secrets: Partial<SecretLimits>
}

export const usualAgentLimits: AgentLimits = {
  tickMs: 100,
  resolveTimeoutMs: 30_000,
  registerAgainMs: 1000,
  statusRetryFirstMs: 10_000,
  statusRetryMaxMs: 600_000,
  killGraceMs: 3000,
  endedOutputsMax: 64,
  secrets: {},
  ...usualExecutorLimits,
}

export interface AgentActorOptions {
  /** From an earlier registration. */
  readonly agentId: string | undefined
  /** Without an id: the master gives it. */
  readonly info: AgentInfo
  readonly runtime: string
  /** What tasks are told of where they are. */
  readonly ipAddress: string
  readonly clock: Clock
  readonly random: Random
  readonly limits?: Partial<AgentLimits>
  /**
   * Who answers references: the masters (`store`), nobody (`default`, as in Mesos without a module), or
   * a module that the machine loaded (`outside`).
   */
  readonly references?: 'store' | 'default' | 'outside'
  /** Whether the machine gets images. Where it does not, `container.mesos.image` is ignored. */
  readonly hasImages?: boolean
  /** Whether the machine has an image without asking a registry, with a config for one or without. */
  readonly simulatesImage?: ((name: string, hasConfig: boolean) => boolean) | undefined
  /** Signs what executors show at the agent's listener. Without it they are given nothing to show. */
  readonly executorTokenKey?: RedactedBytes
  /** Gives values away where Mesos does, on its disk too: for teaching, and never by default (ADR 38). */
  readonly faithfulLeaks?: boolean
  /** A call of the listener has left effects that should not wait for the next input. */
  readonly onWork?: () => void
  /** Whether it fetches `command.uris`. Where it does not, they are passed over. */
  readonly hasUris?: boolean
  /** Whether DOCKER containers lose their secrets without a word, as in Mesos. Else they are refused. */
  readonly isDockerFaithful?: boolean
}
