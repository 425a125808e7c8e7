import type { FastifyPluginAsync } from 'fastify'
import { sendJson } from '../answers.ts'
import { callerOf, type Engine } from '../engine.ts'
import { queryOf } from '../query.ts'
import { demandSwarm } from '../swarm-gate.ts'
import { parseTaskFilters } from './task-filters.ts'
import { findTask, tasksOf } from './tasks.ts'

interface Named {
  readonly Params: { readonly id: string }
}

/** The tasks of services. Source: docker-swarm.md A4, A5, A8. */
export const tasksRoutes =
  (engine: Engine): FastifyPluginAsync =>
  async (app) => {
    app.addHook('preHandler', async (request) => {
      await demandSwarm(engine, request)
    })

    app.get('/tasks', async (request, reply) => {
      const caller = callerOf(engine, request)
      const filters = await parseTaskFilters(engine, caller, queryOf(request).get('filters'))
      const tasks = await tasksOf(engine, caller, filters)
      return sendJson(
        reply,
        tasks.map(({ object }) => object),
      )
    })

    app.get<Named>('/tasks/:id', async (request, reply) => {
      const { object } = await findTask(engine, callerOf(engine, request), request.params.id)
      return sendJson(reply, object)
    })
  }
