import type { MasterStatus, MemberView } from '@conclave/actors'
import { HttpClient } from '@conclave/runtime'
import type { Client } from './client.ts'
import { healthOf, type Health } from './health.ts'

/** What a master says of itself, and what its leader says of it. */
export type MasterListed = Partial<Omit<MasterStatus, 'role' | 'leader'>> & {
  readonly masterId: string
  readonly role: MasterStatus['role'] | 'learner' | 'locked' | 'unreachable'
  readonly isReachable?: boolean
  readonly lag?: number | undefined
}

/** Those on record, when somebody leads and says so, and those of the context in any case. */
export async function everyMaster(client: Client): Promise<readonly MasterListed[]> {
  const http = new HttpClient({ timeoutMs: 2000 })
  try {
    const known = client.context.masters
    const healths = await Promise.all(known.map((master) => healthOf(http, master)))
    // Nobody could log in, and would wait long to hear it: what masters tell everybody has to do.
    if (!healths.some((health) => typeof health?.leader === 'string')) {
      return known.map(({ masterId }, at) => ({ masterId, ...shownOf(healths[at]) }))
    }
    return await led(client, http)
  } finally {
    http.close()
  }
}

export const membersOf = async (client: Client): Promise<readonly MemberView[]> => {
  const path = '/conclave/v1/masters/members'
  return (await client.json<{ members: readonly MemberView[] }>('conclave', 'GET', path)).members
}

/** Keeps in the context who the masters are now, without those that went; what is known stays if nobody says. */
export async function learnMasters(client: Client): Promise<void> {
  const members = await membersOf(client).catch(() => [])
  client.learn(members.filter(({ wanted }) => wanted !== 'gone'))
}

async function led(client: Client, http: HttpClient): Promise<readonly MasterListed[]> {
  const members = await membersOf(client).catch(() => [])
  client.learn(members)
  const all = members.length > 0 ? members : client.context.masters
  return Promise.all(
    all.map(async ({ masterId }) => {
      const member = members.find((one) => one.masterId === masterId)
      const seen = member && { isReachable: member.isReachable, lag: member.lag }
      const status = await client
        .only(masterId)
        .status()
        .catch(() => undefined)
      if (status?.state !== 'running') {
        return { masterId, ...(await ofSilent(client, http, masterId)), ...seen }
      }
      const isLearner = member?.role === 'learner'
      return { ...status, ...seen, ...(isLearner && { role: 'learner' as const }) }
    }),
  )
}

async function ofSilent(client: Client, http: HttpClient, masterId: string) {
  const master = client.context.masters.find((one) => one.masterId === masterId)
  return shownOf(master && (await healthOf(http, master)))
}

function shownOf(health: Health | undefined): Pick<MasterListed, 'role' | 'term'> {
  if (health === undefined) return { role: 'unreachable' }
  if (health.state === 'booting-locked') return { role: 'locked' }
  return { role: health.role, term: health.term }
}
