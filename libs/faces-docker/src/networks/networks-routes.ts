import { randomBytes } from 'node:crypto'
import type { Caller } from '@conclave/actors'
import { objectIdOf } from '@conclave/crypto'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { sendEmpty, sendJson } from '../answers.ts'
import { readBody } from '../bodies.ts'
import { callerOf, hasMaster, type Engine } from '../engine.ts'
import { Refusal, rpc } from '../errors.ts'
import { parseFilters } from '../filters.ts'
import { nobodyRemembers } from '../nobody-remembers.ts'
import { queryOf } from '../query.ts'
import { demandSwarm } from '../swarm-gate.ts'
import { findNetwork, networksOf } from './find-network.ts'
import { isNetworkWanted, parseNetworkFilters } from './network-filters.ts'
import { networkKind, type NetworkObject } from './network-object.ts'
import { usersOfNetwork } from './network-use.ts'
import { checkNetwork, driverOf, keptNetwork, NetworkCreate } from './new-network.ts'
import { predefinedNames } from './predefined.ts'

interface Named {
  readonly Params: { readonly id: string }
}

/**
 * Networks, as records: services name them, stacks make and remove them. Nothing is sent over one, since
 * simulated containers have no sockets. Source: API 1.47, Network; docker-swarm.md A5.
 */
export const networksRoutes =
  (engine: Engine): FastifyPluginAsync =>
  async (app) => {
    const { documents } = engine.master

    app.get('/networks', async (request, reply) => {
      const filters = parseNetworkFilters(queryOf(request).get('filters'))
      const caller = callerOf(engine, request)
      const wanted: NetworkObject[] = []
      for (const network of await networksOf(engine, caller)) {
        const isUsed = async (): Promise<boolean> =>
          (await usersOfNetwork(engine, caller, network)).length > 0
        if (await isNetworkWanted(network, filters, isUsed)) wanted.push(network)
      }
      return sendJson(reply, wanted)
    })

    app.get<Named>('/networks/:id', async (request, reply) => sendJson(reply, await find(request)))

    app.post('/networks/create', async (request, reply) => {
      const caller = callerOf(engine, request)
      const asked = readBody(request, NetworkCreate)
      if (driverOf(asked) === 'overlay') await demandSwarm(engine, request)
      if (!hasMaster(engine)) throw nobodyRemembers('networks')
      const existing = await networksOf(engine, caller)
      checkNetwork(asked, existing)
      const name = asked.Name ?? ''
      const body = keptNetwork(asked, existing)
      const id =
        body.Driver === 'overlay' ? objectIdOf(randomBytes(17)) : randomBytes(32).toString('hex')
      await creating(name, documents.create(caller, networkKind, { id, name, body }))
      return sendJson(reply, { Id: id, Warning: '' }, 201)
    })

    app.delete<Named>('/networks/:id', async (request, reply) => {
      const caller = callerOf(engine, request)
      const network = await find(request)
      if (predefinedNames.includes(network.Name)) {
        throw new Refusal(403, `${network.Name} is a pre-defined network and cannot be removed`)
      }
      const [user] = await usersOfNetwork(engine, caller, network)
      if (user !== undefined) {
        throw rpc('FailedPrecondition', `network ${network.Id} is in use by service ${user}`)
      }
      await documents.remove(caller, networkKind, network.Id)
      return sendEmpty(reply, 204)
    })

    app.post('/networks/prune', async (request, reply) => {
      const filters = parseFilters(queryOf(request).get('filters'), ['label', 'until'])
      return sendJson(reply, { NetworksDeleted: await prune(callerOf(engine, request), filters) })
    })

    for (const what of ['connect', 'disconnect']) {
      app.post<Named>(`/networks/:id/${what}`, async (request) => {
        await find(request)
        throw new Refusal(
          501,
          'simulated containers have no network of their own to be in or out of',
        )
      })
    }

    const find = (request: FastifyRequest<Named>): Promise<NetworkObject> =>
      findNetwork(engine, callerOf(engine, request), request.params.id)

    /** Removes what no service names, by the name of each. */
    async function prune(
      caller: Caller,
      filters: ReturnType<typeof parseFilters>,
    ): Promise<readonly string[]> {
      const removed: string[] = []
      for (const network of await networksOf(engine, caller)) {
        if (predefinedNames.includes(network.Name)) continue
        if (!(await isNetworkWanted(network, filters, async () => false))) continue
        if ((await usersOfNetwork(engine, caller, network)).length > 0) continue
        await documents.remove(caller, networkKind, network.Id)
        removed.push(network.Name)
      }
      return removed
    }
  }

/** Two that create one name at the same time: the master takes the first. */
async function creating<T>(name: string, created: Promise<T>): Promise<T> {
  try {
    return await created
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'document.exists') throw error
    throw new Refusal(409, `network with name ${name} already exists`)
  }
}
