import { isDeepStrictEqual } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Caller, MemberView, NodeView } from '@conclave/actors'
import type { FastifyPluginAsync } from 'fastify'
import { z } from 'zod'
import { sendEmpty, sendJson } from './answers.ts'
import { readBody } from './bodies.ts'
import { callerOf, type Engine } from './engine.ts'
import { outOfSequence, Refusal, rpc } from './errors.ts'
import { matchesAny, matchesLabels, parseFilters, type Filters } from './filters.ts'
import { engineAttribute } from './engine-nodes.ts'
import { labelManager } from './manager-labels.ts'
import { changeRole } from './node-role.ts'
import { findNode, nodesOf, type Node, type NodeObject } from './nodes.ts'
import { printable } from './printable.ts'
import { isSet, queryOf, versionIn } from './query.ts'
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
    const { members, nodes, authority } = engine.master
    app.addHook('preHandler', async (request) => {
      await demandSwarm(engine, request)
    })

    app.get('/nodes', async (request, reply) => {
      const filters = parseFilters(queryOf(request).get('filters'), filterKeys)
      demandKnown(filters, 'role', ['manager', 'worker'])
      demandKnown(filters, 'membership', ['accepted', 'pending'])
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
      const version = versionIn('node', queryOf(request))
      const role = spec.Role ?? ''
      if (role !== 'manager' && role !== 'worker') {
        throw new Refusal(400, `invalid Role: "${printable(role)}"`)
      }
      const availability = spec.Availability ?? 'active'
      if (!isAvailability(availability)) {
        throw new Refusal(400, `invalid Availability: "${printable(availability)}"`)
      }
      const node = await findNode(engine, caller, request.params.id)
      await demandQuorumWithout(caller, node, role)
      if (version !== node.object.Version.Index) throw outOfSequence()
      const labels = spec.Labels ?? {}
      await place(caller, node, { availability, labels })
      await give(caller, node, role)
      return sendEmpty(reply)
    })

    app.delete<Named>('/nodes/:id', async (request, reply) => {
      const caller = callerOf(engine, request)
      const node = await findNode(engine, caller, request.params.id)
      const force = isSet(request, 'force')
      if (node.object.ManagerStatus !== undefined) {
        const text = `node ${node.object.ID} is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal`
        throw rpc('FailedPrecondition', text)
      }
      if (!force && node.object.Status.State !== 'down') {
        const text = `node ${node.object.ID} is not down and can't be removed`
        throw rpc('FailedPrecondition', text)
      }
      await remove(caller, node, force)
      return sendEmpty(reply)
    })

    /** What tasks may be there, and what is said of it. */
    async function place(
      caller: Caller,
      { is: { agent, master }, object }: Node,
      wanted: Placed,
    ): Promise<void> {
      if (agent !== undefined) {
        const isSame =
          wanted.availability === agent.availability && isSameLabels(wanted.labels, agent.labels)
        if (!isSame) await nodes.update(caller, agent.name, wanted)
        return
      }
      if (wanted.availability !== 'drain') {
        const text = `node ${object.ID} runs no tasks: it is a master by itself, and stays drained`
        throw rpc('FailedPrecondition', text)
      }
      if (master === undefined || isSameLabels(wanted.labels, object.Spec.Labels)) return
      await labelManager(engine.master, caller, master.masterId, wanted.labels)
    }

    /** SwarmKit looks at this before it looks at the version. @throws Refusal */
    async function demandQuorumWithout(
      caller: Caller,
      { is: { master }, object }: Node,
      role: 'manager' | 'worker',
    ): Promise<void> {
      if (role === object.Spec.Role || role === 'manager' || master === undefined) return
      if (!isLeaving(master) && master.role !== 'learner') await demandAnother(caller)
    }

    async function give(
      caller: Caller,
      { is: { agent, master }, object }: Node,
      role: 'manager' | 'worker',
    ): Promise<void> {
      if (role === object.Spec.Role) return
      if (agent !== undefined && (master === undefined || isLeaving(master))) {
        return promoteAgent(caller, agent, role)
      }
      // SwarmKit's words for one that shall be a manager, and is none yet.
      if (master === undefined) throw rpc('NotFound', "can't find manager in raft memberlist")
      if (role === 'worker' && master.role !== 'learner') await demandAnother(caller)
      // The machine of an engine goes on with its agent alone. A master by itself goes on as a learner.
      const change = role === 'manager' ? 'promote' : agent === undefined ? 'demote' : 'leave'
      await changeRole(members, caller, master.masterId, change, isNoManager)
    }

    /** Its machine asks for a master's certificate as soon as it hears of it, and becomes one by itself. */
    async function promoteAgent(
      caller: Caller,
      { name, attributes }: NodeView,
      role: 'manager' | 'worker',
    ): Promise<void> {
      if (role === 'worker') throw rpc('NotFound', "can't find manager in raft memberlist")
      if (attributes[engineAttribute] === undefined) {
        throw rpc(
          'FailedPrecondition',
          'an agent by itself cannot become a manager: what conclave engine runs can, and what joins with a manager token',
        )
      }
      await untilGone(caller, name)
      await authority.promote(caller, name)
      await nodes.update(caller, name, { role })
    }

    /** The master that its machine had beside it before: on its way out, but not quite gone. */
    async function untilGone(caller: Caller, agent: string): Promise<void> {
      for (let tries = 0; tries < 40; tries++) {
        const all = await nodesOf(engine, caller)
        const own = all.find(({ is }) => is.agent?.name === agent)
        if (own?.is.master === undefined) return
        await sleep(250)
      }
    }

    /** @throws Refusal in SwarmKit's words for the last one */
    async function demandAnother(caller: Caller): Promise<void> {
      const voters = (await members.list(caller)).filter((one) => one.role !== 'learner')
      if (voters.length > 1) return
      throw rpc('FailedPrecondition', 'attempting to demote the last manager of the swarm')
    }

    /** One that has demoted itself has nobody to ask any more. */
    function isNoManager(): boolean {
      return engine.node !== undefined && engine.node.state.is !== 'manager'
    }

    /** Its master first: a node whose removal broke off is still there to be removed. */
    async function remove(caller: Caller, { is }: Node, isForced: boolean): Promise<void> {
      const { master, agent } = is
      if (master !== undefined) await members.remove(caller, master.masterId, { force: isForced })
      if (agent !== undefined) await authority.forget(caller, 'agent', agent.name)
    }
  }

interface Placed {
  readonly availability: 'active' | 'pause' | 'drain'
  readonly labels: Readonly<Record<string, string>>
}

const isLeaving = ({ wanted }: MemberView): boolean => wanted === 'gone'

const isSameLabels = (a: Placed['labels'], b: Placed['labels']): boolean =>
  isDeepStrictEqual({ ...a }, { ...b })

const isAvailability = (text: string): text is 'active' | 'pause' | 'drain' =>
  ['active', 'pause', 'drain'].includes(text)

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

function demandKnown(filters: Filters, key: string, known: readonly string[]): void {
  const other = filters.get(key)?.find((value) => !known.includes(value))
  if (other === undefined) return
  throw new Refusal(400, `Invalid ${key} filter: '${printable(other)}'`)
}
