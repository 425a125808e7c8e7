import type { Caller } from '@conclave/actors'
import { hasMaster, type Engine } from '../engine.ts'
import { lookup } from '../lookup.ts'
import { swarmKind, swarmName } from '../swarm-gate.ts'
import { networkKind, networkObject, type NetworkObject } from './network-object.ts'
import { predefinedNetworks } from './predefined.ts'

/** Every network of this Engine, by name. */
export async function networksOf(
  engine: Engine,
  caller: Caller,
): Promise<readonly NetworkObject[]> {
  return (await allNetworks(engine, caller)).toSorted((one, other) =>
    one.Name < other.Name ? -1 : 1,
  )
}

async function allNetworks(engine: Engine, caller: Caller): Promise<readonly NetworkObject[]> {
  if (!hasMaster(engine)) return predefinedNetworks(engine.hostname, isMember(engine))
  const { clusterId } = engine.master.status()
  const { documents } = engine.master
  const swarm = await documents.byName(caller, swarmKind, swarmName)
  const made = (await documents.list(caller, networkKind)).map(networkObject)
  return [...predefinedNetworks(clusterId, swarm !== undefined), ...made]
}

/** A worker has the networks that come with a swarm, and does not know the others. */
const isMember = ({ node }: Engine): boolean => node?.state.is === 'worker'

/** By id, by name, or by how its id begins. @throws Refusal */
export async function findNetwork(
  engine: Engine,
  caller: Caller,
  asked: string,
): Promise<NetworkObject> {
  const all = await networksOf(engine, caller)
  const those = async (
    fits: (network: NetworkObject) => boolean,
  ): Promise<readonly NetworkObject[]> => all.filter(fits)
  return lookup('network', asked, {
    id: (id) => those(({ Id }) => Id === id),
    name: (name) => those(({ Name }) => Name === name),
    // What an empty text begins is everything.
    idPrefix: (prefix) => those(({ Id }) => prefix !== '' && Id.startsWith(prefix)),
  })
}
