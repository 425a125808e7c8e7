import type { FastifyPluginAsync } from 'fastify'
import { sendJson } from '../answers.ts'
import { callerOf, simulatedImagesOf, type Engine } from '../engine.ts'
import { Refusal } from '../errors.ts'
import type { ContainerEvents } from '../events/container-events.ts'
import { printable } from '../printable.ts'
import { isSet, queryOf } from '../query.ts'
import { archiveRoutes } from './archive-routes.ts'
import { containersWanted, parseContainerFilters } from './container-filters.ts'
import { containerInspect, containerSummary } from './container-object.ts'
import { containersOf, findContainer, findRunning } from './container.ts'
import { ExecRoutes } from './exec-routes.ts'
import { hijackRoutes } from './hijack.ts'
import { lifecycleRoutes } from './lifecycle-routes.ts'
import { LogsRoutes } from './logs-routes.ts'
import { refusedRoutes } from './refused-routes.ts'
import { sizesOf } from './sizes.ts'
import { statsRoutes } from './stats-routes.ts'
import { surroundings } from './surroundings.ts'
import { topOf } from './top.ts'

interface Named {
  readonly Params: { readonly id: string }
}

/** The containers of a swarm's tasks. Source: docker-swarm.md A5, A7, A8. */
export const containersRoutes =
  (engine: Engine, events: ContainerEvents): FastifyPluginAsync =>
  async (app) => {
    const mode = simulatedImagesOf(engine)
    const execs = new ExecRoutes(engine, events)
    const logs = new LogsRoutes(engine, events)
    hijackRoutes(app, [execs.hijack, logs.hijack])

    app.get('/containers/json', async (request, reply) => {
      const query = queryOf(request)
      const caller = callerOf(engine, request)
      const limit = limitIn(query.get('limit') ?? '')
      const filters = parseContainerFilters(query.get('filters'))
      const isAll = isSet(request, 'all') || limit !== undefined
      const all = await containersOf(engine, caller)
      const surroundingsOf = await surroundings(engine, caller, mode)
      const asked = { isAll, mode, surroundingsOf }
      const wanted = (await containersWanted(engine, caller, all, filters, asked)).slice(0, limit)
      const sizes = isSet(request, 'size') ? await sizesOf(engine, caller, mode, wanted) : []
      const nowMs = Date.now()
      return sendJson(
        reply,
        wanted.map((container, at) => ({
          ...containerSummary(container, mode, surroundingsOf(container), nowMs),
          ...sizes[at],
        })),
      )
    })

    app.get<Named>('/containers/:id/json', async (request, reply) => {
      const caller = callerOf(engine, request)
      const container = await findContainer(engine, caller, request.params.id)
      const around = (await surroundings(engine, caller, mode))(container)
      const [size] = isSet(request, 'size') ? await sizesOf(engine, caller, mode, [container]) : []
      const running = execs.execs.runningIn(container.id)
      return sendJson(reply, {
        ...containerInspect(container, mode, around),
        ...size,
        ...(running.length > 0 && { ExecIDs: running }),
      })
    })

    app.get<Named>('/containers/:id/top', async (request, reply) => {
      const caller = callerOf(engine, request)
      const container = await findRunning(engine, caller, request.params.id)
      const psArgs = queryOf(request).get('ps_args') || '-ef'
      const top = await topOf(engine, caller, container, psArgs)
      events.did(container, 'top')
      return sendJson(reply, top)
    })

    app.post('/containers/prune', async (_request, reply) =>
      sendJson(reply, { ContainersDeleted: [], SpaceReclaimed: 0 }),
    )

    await app.register(execs.plugin)
    await app.register(logs.plugin)
    await app.register(lifecycleRoutes(engine, events))
    await app.register(statsRoutes(engine))
    await app.register(archiveRoutes(engine, events))
    await app.register(refusedRoutes(engine))
  }

/** Undefined for all of them. @throws Refusal */
function limitIn(text: string): number | undefined {
  if (text === '') return undefined
  if (!/^[-+]?\d{1,18}$/.test(text)) {
    throw new Refusal(400, `strconv.Atoi: parsing "${printable(text)}": invalid syntax`)
  }
  return Number(text) > 0 ? Number(text) : undefined
}
