import type { Caller, MasterApi } from '@conclave/actors'
import { parseSecretFolder, parseSecretPath, type ConclaveEvent } from '@conclave/model'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { readJson } from './json-body.ts'
import { queryOf } from './query.ts'
import { noHead, sendEvents, sharedEvents, untilClosed } from './streaming.ts'

interface ById {
  readonly Params: { readonly id: string }
}

/** What the body of a run has to be. */
const spec = 'a task spec as JSON; see examples/tasks'

/** Our own API: what the command line, the scheduler and the page need and no model has. */
export const clusterRoutes =
  (master: MasterApi, caller: (request: FastifyRequest) => Caller): FastifyPluginAsync =>
  async (app) => {
    const { runs, secrets, tasks } = master
    const sendAll = sharedEvents<ConclaveEvent>(({ id, type }) => ({ id, event: type }))

    app.get('/events', noHead, async (request, reply) => {
      const closed = untilClosed(reply)
      const header = request.headers['last-event-id']
      const lastId = (Array.isArray(header) ? header[0] : header) ?? queryOf(request, 'after')
      const events = master.events.follow(caller(request), lastId, closed)
      await sendAll(reply, events, closed)
    })

    app.get('/conclave/v1/masters', async () => master.status())
    app.get('/conclave/v1/agents', async (request) => ({
      agents: await master.agents(caller(request)),
    }))

    app.post('/conclave/v1/runs', async (request, reply) => {
      const run = await runs.submit(caller(request), readJson(request.body, spec))
      return reply.code(201).send(run)
    })
    app.get('/conclave/v1/runs', async (request) => ({ runs: await runs.list(caller(request)) }))
    app.get<ById>('/conclave/v1/runs/:id', async (request) =>
      runs.get(caller(request), request.params.id),
    )
    app.delete<ById>('/conclave/v1/runs/:id', async (request) =>
      runs.kill(caller(request), request.params.id),
    )
    app.get<ById>('/conclave/v1/runs/:id/watch', noHead, async (request, reply) => {
      const closed = untilClosed(reply)
      const { runId } = await runs.get(caller(request), request.params.id)
      const views = runs.watch(caller(request), runId, closed)
      await sendEvents(reply, views, closed, (run) => ({ data: run }))
    })
    app.get('/conclave/v1/pending', noHead, async (request, reply) => {
      const closed = untilClosed(reply)
      await sendEvents(reply, runs.pending(caller(request), closed), closed, (pending) => ({
        data: pending,
      }))
    })

    app.get('/conclave/v1/tasks', async (request) => ({ tasks: await tasks.list(caller(request)) }))
    app.get<ById>('/conclave/v1/tasks/:id', async (request) =>
      tasks.find(caller(request), request.params.id),
    )
    app.post<ById>('/conclave/v1/tasks/:id/kill', async (request) =>
      tasks.kill(caller(request), request.params.id),
    )

    app.get('/conclave/v1/secrets', async (request) => {
      const folder = parseSecretFolder(queryOf(request, 'folder') ?? '')
      return { secrets: await secrets.listMetadata(caller(request), folder) }
    })
    app.get('/conclave/v1/metadata', async (request) => {
      const path = parseSecretPath(queryOf(request, 'path') ?? '', 'path')
      return secrets.metadata(caller(request), path)
    })
    app.get('/conclave/v1/versions', async (request) => {
      const path = parseSecretPath(queryOf(request, 'path') ?? '', 'path')
      return { versions: await secrets.versions(caller(request), path) }
    })
  }
