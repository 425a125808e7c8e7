import { setTimeout as sleep } from 'node:timers/promises'
import { HttpClient } from '@conclave/runtime'
import type { Client } from '../client.ts'
import { CommandFailed } from '../failure.ts'
import { isAnyLocked } from '../lock-state.ts'
import type { LocalCluster } from './local-cluster.ts'

const patienceMs = 30_000
const pauseMs = 25

/**
 * Resolves once a leader is ready and every agent is with it: whatever is asked then will be done.
 *
 * @param standsOn what of others the masters cannot do without, as it is told to who waited in vain
 * @throws CommandFailed when that takes too long, or no master is left
 */
export async function untilReady(
  cluster: LocalCluster,
  client: Client,
  signal: AbortSignal,
  standsOn?: string,
): Promise<void> {
  const http = new HttpClient({ timeoutMs: 2000 })
  try {
    await untilReadyBy(cluster, client, http, signal, standsOn)
  } finally {
    http.close()
  }
}

async function untilReadyBy(
  cluster: LocalCluster,
  client: Client,
  http: HttpClient,
  signal: AbortSignal,
  standsOn: string | undefined,
): Promise<void> {
  const wanted = cluster.members.filter(({ kind }) => kind === 'agent').length
  let until = performance.now() + patienceMs
  let last: unknown
  let missing = 'no master leads'
  while (performance.now() < until) {
    signal.throwIfAborted()
    if (!cluster.hasMaster) {
      throw new CommandFailed(
        'unavailable',
        `every master has ended; their logs are in ${cluster.directory}/logs`,
      )
    }
    try {
      if (await hasLeader(client)) {
        const there = await agentsOf(client)
        if (there >= wanted) return
        missing = `${there} of ${wanted} agents are there`
      }
    } catch (error) {
      last = error
    }
    // Somebody will unlock it, however long that takes.
    if (await isAnyLocked(http, client.context)) until = performance.now() + patienceMs
    await sleep(pauseMs)
  }
  throw new CommandFailed(
    'unavailable',
    `the cluster is not ready after ${patienceMs / 1000} s: ${missing}` +
      `${standsOn === undefined ? '' : ` (masters need ${standsOn}: does it answer?)`}; ` +
      `its logs are in ${cluster.directory}/logs`,
    { cause: last },
  )
}

async function hasLeader(client: Client): Promise<boolean> {
  const statuses = await Promise.all(
    client.context.masters.map(({ masterId }) => client.only(masterId).status()),
  )
  return statuses.some(({ role, isReady }) => role === 'leader' && isReady)
}

async function agentsOf(client: Client): Promise<number> {
  const { agents } = await client.json<{ agents: { isActive: boolean }[] }>(
    'conclave',
    'GET',
    '/conclave/v1/agents',
  )
  return agents.filter(({ isActive }) => isActive).length
}
