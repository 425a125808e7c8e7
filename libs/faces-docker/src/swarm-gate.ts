import type { Document } from '@conclave/actors'
import type { FastifyRequest } from 'fastify'
import { callerOf, type Engine } from './engine.ts'
import { noSwarm, refusalIn, type SwarmState } from './swarm-node.ts'

export const swarmKind = 'docker-swarm'
export const swarmName = 'default'

/** The swarm's record, or undefined before `docker swarm init`. */
export const swarmOf = (engine: Engine, request: FastifyRequest): Promise<Document | undefined> =>
  engine.master.documents.byName(callerOf(engine, request), swarmKind, swarmName)

/** What this node is: a master that was not started by an engine is a manager once there is a swarm. */
export async function stateOf(engine: Engine, request: FastifyRequest): Promise<SwarmState> {
  const { node } = engine
  if (node !== undefined && node.state.is !== 'manager') return node.state
  return (await swarmOf(engine, request)) === undefined ? { is: 'inactive' } : { is: 'manager' }
}

/** Lets nobody ask of a swarm where there is none to ask. @throws Refusal */
export async function demandSwarm(engine: Engine, request: FastifyRequest): Promise<Document> {
  const refusal = engine.node && refusalIn(engine.node.state)
  if (refusal !== undefined) throw refusal
  const swarm = await swarmOf(engine, request)
  if (swarm === undefined) throw noSwarm()
  return swarm
}
