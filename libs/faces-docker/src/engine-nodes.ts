import {
  MachineBody,
  machineKind as kind,
  type AuthorityStatus,
  type Caller,
  type MasterApi,
} from '@conclave/actors'

/*
 * Which agent runs on the machine of which master: written down by the machine that is both, since nobody
 * else could be believed. Docker's clients see the two as one node.
 */

/**
 * The names of agents by the ids of the masters whose machine they are: as the machines have written, and as those
 * masters were given their certificates.
 */
export async function enginesOf(
  { documents }: MasterApi,
  caller: Caller,
  promotions: AuthorityStatus['promotions'],
): Promise<ReadonlyMap<string, string>> {
  const all = await documents.list(caller, kind)
  return new Map([
    ...all.flatMap(({ name, body }) => {
      const pair = MachineBody.safeParse(body).data
      return pair === undefined ? [] : [[name, pair.agent] as const]
    }),
    ...promotions.flatMap(({ masterId, agent }) =>
      masterId === undefined ? [] : [[masterId, agent] as const],
    ),
  ])
}

/** What the agent of an engine's says of itself: its machine can have a master beside it. */
export const engineAttribute = 'conclave-engine'

/** An engine says that this master and this agent are one machine. */
export async function keepEngine(
  { documents }: MasterApi,
  caller: Caller,
  masterId: string,
  agent: string,
): Promise<void> {
  const known = await documents.byName(caller, kind, masterId)
  if (known === undefined) {
    await documents.create(caller, kind, { id: masterId, name: masterId, body: { agent } })
  } else if (MachineBody.safeParse(known.body).data?.agent !== agent) {
    await documents.update(caller, kind, known.id, { agent })
  }
}
