import type { Document } from '@conclave/actors'
import type { FastifyRequest } from 'fastify'
import { callerOf, type Engine } from './engine.ts'
import { Refusal } from './errors.ts'

export const swarmKind = 'docker-swarm'
export const swarmName = 'default'

/** The swarm's record, or undefined before `docker swarm init`. */
export const swarmOf = (engine: Engine, request: FastifyRequest): Promise<Document | undefined> =>
  engine.master.documents.byName(callerOf(engine, request), swarmKind, swarmName)

/** Lets nobody ask of a swarm before there is one. @throws Refusal */
export async function demandSwarm(engine: Engine, request: FastifyRequest): Promise<Document> {
  const swarm = await swarmOf(engine, request)
  if (swarm === undefined) throw notManager()
  return swarm
}

export const notManager = (): Refusal =>
  new Refusal(
    503,
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
  )
