import type { FastifyPluginAsync } from 'fastify'
import { z } from 'zod'
import { sendEmpty, sendJson } from './answers.ts'
import { readBody } from './bodies.ts'
import { callerOf, type Engine } from './engine.ts'
import { outOfSequence, Refusal, rpc } from './errors.ts'
import { matchesAny, matchesLabels, parseFilters, type Filters } from './filters.ts'
import { findNode, nodesOf, type Node, type NodeObject } from './nodes.ts'
import { isSet, queryOf } from './query.ts'
import { demandSwarm } from './swarm-gate.ts'

const filterKeys = ['id', 'name', 'label', 'node.label', 'role', 'membership'] as const

const NodeSpec = z.object({
  Labels: z.record(z.string(), z.string()).nullish(),
  Role: z.string().nullish(),
  Availability: z.string().nullish(),
})

interface Named {
  readonly Params: { readonly id: string }
}

/** The nodes of a swarm. Source: docker-swarm.md A5. */
export const nodesRoutes =
  (engine: Engine): FastifyPluginAsync =>
  async (app) => {
    const { members, nodes } = engine.master
    app.addHook('preHandler', async (request) => {
      await demandSwarm(engine, request)
    })

    app.get('/nodes', async (request, reply) => {
      const filters = parseFilters(queryOf(request).get('filters'), filterKeys)
      const all = await nodesOf(engine, callerOf(engine, request))
      const wanted = all.map(({ object }) => object).filter((node) => isWanted(node, filters))
      return sendJson(reply, wanted)
    })

    app.get<Named>('/nodes/:id', async (request, reply) => {
      const { object } = await findNode(engine, callerOf(engine, request), request.params.id)
      return sendJson(reply, object)
    })

    app.post<Named>('/nodes/:id/update', async (request, reply) => {
      const caller = callerOf(engine, request)
      const spec = readBody(request, NodeSpec)
      const availability = spec.Availability ?? 'active'
      if (!isAvailability(availability)) {
        throw new Refusal(400, `invalid Availability: "${availability.slice(0, 64)}"`)
      }
      const role = spec.Role ?? ''
      if (role !== 'manager' && role !== 'worker') {
        throw new Refusal(400, `invalid Role: "${role.slice(0, 64)}"`)
      }
      const node = await findNode(engine, caller, request.params.id)
      const version = versionIn(queryOf(request).get('version'))
      if (version !== node.object.Version.Index) throw outOfSequence()
      if ('agent' in node.is) {
        if (role === 'manager') {
          throw rpc(
            'FailedPrecondition',
            'an agent of this cluster cannot become a manager: let a master join with conclave master join',
          )
        }
        const labels = spec.Labels ?? {}
        await nodes.update(caller, node.is.agent.agentId, { availability, labels })
        return sendEmpty(reply)
      }
      if (role === 'worker') await members.demote(caller, node.is.master.masterId)
      else if (node.is.master.role === 'learner') {
        await members.promote(caller, node.is.master.masterId)
      }
      return sendEmpty(reply)
    })

    app.delete<Named>('/nodes/:id', async (request, reply) => {
      const caller = callerOf(engine, request)
      const node = await findNode(engine, caller, request.params.id)
      const force = isSet(request, 'force')
      if ('master' in node.is && node.is.master.role !== 'learner') {
        const text = `node ${node.object.ID} is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal`
        throw rpc('FailedPrecondition', text)
      }
      if (!force && node.object.Status.State !== 'down') {
        const text = `node ${node.object.ID} is not down and can't be removed`
        throw rpc('FailedPrecondition', text)
      }
      await remove(node, force)
      return sendEmpty(reply)

      async function remove({ is }: Node, isForced: boolean): Promise<void> {
        if ('master' in is) return members.remove(caller, is.master.masterId, { force: isForced })
        return engine.master.authority.forget(caller, 'agent', is.agent.name)
      }
    })
  }

const isAvailability = (text: string): text is 'active' | 'pause' | 'drain' =>
  ['active', 'pause', 'drain'].includes(text)

function versionIn(text: string | null): number {
  if (text !== null && /^\d{1,15}$/.test(text)) return Number(text)
  throw new Refusal(400, `invalid node version '${(text ?? '').slice(0, 32)}'`)
}

function isWanted({ ID, Description, Spec }: NodeObject, filters: Filters): boolean {
  return (
    matchesAny(filters, 'id', (prefix) => ID.startsWith(prefix)) &&
    matchesAny(filters, 'name', (prefix) => Description.Hostname.startsWith(prefix)) &&
    matchesAny(filters, 'role', (role) => Spec.Role === role) &&
    matchesAny(filters, 'membership', (membership) => membership === 'accepted') &&
    matchesLabels(filters, 'label', Description.Engine.Labels ?? {}) &&
    matchesLabels(filters, 'node.label', Spec.Labels)
  )
}
