import type { FastifyPluginAsync } from 'fastify'
import { sendJson } from '../answers.ts'
import { callerOf, simulatedImagesOf, type Engine } from '../engine.ts'
import { isSet, queryOf } from '../query.ts'
import { asksForEnded, isContainerWanted, parseContainerFilters } from './container-filters.ts'
import { containerInspect, containerSummary } from './container-object.ts'
import { containersOf, findContainer, findRunning } from './container.ts'
import { ExecRoutes } from './exec-routes.ts'
import { hijackRoutes } from './hijack.ts'
import { lifecycleRoutes } from './lifecycle-routes.ts'
import { LogsRoutes } from './logs-routes.ts'
import { refusedRoutes } from './refused-routes.ts'
import { statsRoutes } from './stats-routes.ts'
import { topOf } from './top.ts'

interface Named {
  readonly Params: { readonly id: string }
}

/** The containers of a swarm's tasks. Source: docker-swarm.md A5, A7, A8. */
export const containersRoutes =
  (engine: Engine): FastifyPluginAsync =>
  async (app) => {
    const mode = simulatedImagesOf(engine)
    const execs = new ExecRoutes(engine)
    const logs = new LogsRoutes(engine)
    hijackRoutes(app, [execs.hijack, logs.hijack])

    app.get('/containers/json', async (request, reply) => {
      const query = queryOf(request)
      const filters = parseContainerFilters(query.get('filters'))
      const count = Number(query.get('limit') ?? 0)
      const hasLimit = Number.isInteger(count) && count > 0
      const all = await containersOf(engine, callerOf(engine, request))
      const isAll = isSet(request, 'all') || hasLimit || asksForEnded(filters)
      const wanted = all
        .filter(({ state }) => isAll || state === 'running')
        .filter((container) => isContainerWanted(container, filters, all, mode))
        .slice(0, hasLimit ? count : undefined)
      const nowMs = Date.now()
      const hasSize = isSet(request, 'size')
      return sendJson(
        reply,
        wanted.map((container) => containerSummary(container, mode, nowMs, hasSize)),
      )
    })

    app.get<Named>('/containers/:id/json', async (request, reply) => {
      const container = await findContainer(engine, callerOf(engine, request), request.params.id)
      const shown = containerInspect(container, mode, isSet(request, 'size'))
      const running = execs.execs.runningIn(container.id)
      return sendJson(reply, { ...shown, ...(running.length > 0 && { ExecIDs: running }) })
    })

    app.get<Named>('/containers/:id/top', async (request, reply) => {
      const caller = callerOf(engine, request)
      const container = await findRunning(engine, caller, request.params.id)
      const psArgs = queryOf(request).get('ps_args') || '-ef'
      return sendJson(reply, await topOf(engine, caller, container, psArgs))
    })

    app.post('/containers/prune', async (_request, reply) =>
      sendJson(reply, { ContainersDeleted: [], SpaceReclaimed: 0 }),
    )

    await app.register(execs.plugin)
    await app.register(logs.plugin)
    await app.register(lifecycleRoutes(engine))
    await app.register(statsRoutes(engine))
    await app.register(refusedRoutes(engine))
  }
