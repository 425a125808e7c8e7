import { machine } from 'node:os'
import type { Clock } from '@conclave/kernel'
import type { Log } from '@conclave/runtime'
import {
  startAgent,
  type ImagesChoice,
  type AgentListenerOptions,
  type RunningAgent,
  type SecretResolverChoice,
} from '../agent/index.ts'
import type { MasterAddress } from './addresses.ts'
import { loadMember } from './member-files.ts'

/** What an agent of a laptop offers unless it is told otherwise: CPUs, and MiB of memory and disk. */
export const usualResources = { cpus: 4, mem: 4096, disk: 8192 } as const

export interface MemberAgentOptions {
  /** What was prepared for this agent. Its certificate says which one it is. */
  readonly directory: string
  readonly masters: readonly MasterAddress[]
  /** Default: the agent's own name. */
  readonly hostname?: string
  readonly resources?: Readonly<Record<string, number>>
  /** What else is said of it, as text. */
  readonly attributes?: Readonly<Record<string, string>>
  /** Who answers references. Default: the masters. */
  readonly resolver?: SecretResolverChoice
  /** Where images come from. Default: nowhere. */
  readonly images?: ImagesChoice
  /** Where it answers HTTP itself. Default: nowhere. */
  readonly listener?: AgentListenerOptions
  /** Directories whose files tasks may have fetched by `file:` URIs. */
  readonly fetcherRoots?: readonly string[]
  /** Whether DOCKER containers lose their secrets without a word, as in Mesos. */
  readonly isDockerFaithful?: boolean
  readonly log?: Log
  readonly clock?: Clock
}

/**
 * Starts an agent from what lies in its directory.
 *
 * @throws TlsIdentityUnusable, AgentDirectoryUnusable, ModulesInvalid, ResolverNotInitialized
 */
export async function startMemberAgent(
  options: MemberAgentOptions,
): Promise<{ readonly name: string; readonly agent: RunningAgent }> {
  const { directory, masters, resources = usualResources, log, clock } = options
  const { resolver, images, listener, fetcherRoots, isDockerFaithful } = options
  const { id, clusterId, identity } = await loadMember(directory, 'conclave-agent')
  const agent = await startAgent({
    clusterId,
    identity,
    masters,
    directory,
    hostname: options.hostname ?? id,
    resources,
    // As uname has it, and Docker: constraints are about it.
    attributes: { arch: machine(), ...options.attributes },
    ...(resolver && { resolver }),
    ...(images && { images }),
    ...(listener && { listener }),
    ...(fetcherRoots && { fetcherRoots }),
    ...(isDockerFaithful !== undefined && { isDockerFaithful }),
    ...(log && { log }),
    ...(clock && { clock }),
  })
  return { name: id, agent }
}
