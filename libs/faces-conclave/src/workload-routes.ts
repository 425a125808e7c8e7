import type { Caller, MasterApi, NodeChange } from '@conclave/actors'
import { parseSecretPath } from '@conclave/model'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { RequestInvalid } from './errors.ts'
import { readJson } from './json-body.ts'
import { queryOf } from './query.ts'
import { noHead, sendEvents, untilClosed } from './streaming.ts'

interface ById {
  readonly Params: { readonly id: string }
}

/** What bodies have to be. */
const spec = 'JSON; see examples/workloads'
const change = 'an object, such as {"availability": "drain"}'

/** What shall be kept running, and on which nodes. Any master answers. */
export const workloadRoutes =
  (
    { workloads, nodes }: MasterApi,
    caller: (request: FastifyRequest) => Caller,
  ): FastifyPluginAsync =>
  async (app) => {
    app.post('/conclave/v1/workloads', async (request, reply) => {
      const view = await workloads.create(caller(request), readJson(request.body, spec))
      return reply.code(201).send(view)
    })
    app.get('/conclave/v1/workloads', async (request) => ({
      workloads: await workloads.list(caller(request)),
    }))
    app.get<ById>('/conclave/v1/workloads/:id', async (request) =>
      workloads.get(caller(request), request.params.id),
    )
    app.put<ById>('/conclave/v1/workloads/:id', async (request) =>
      workloads.update(
        caller(request),
        request.params.id,
        readJson(request.body, spec),
        versionOf(request),
      ),
    )
    app.post<ById>('/conclave/v1/workloads/:id/rollback', async (request) =>
      workloads.rollback(caller(request), request.params.id, versionOf(request)),
    )
    app.post<ById>('/conclave/v1/workloads/:id/scale', async (request) => {
      const replicas = numberOf(request, 'replicas')
      if (replicas === undefined) throw new RequestInvalid('replicas: say how many, such as 3')
      return workloads.scale(caller(request), request.params.id, replicas, versionOf(request))
    })
    app.delete<ById>('/conclave/v1/workloads/:id', async (request, reply) => {
      await workloads.remove(caller(request), request.params.id)
      return reply.code(204).send()
    })
    app.get<ById>('/conclave/v1/workloads/:id/tasks', async (request) => ({
      tasks: await workloads.tasks(caller(request), request.params.id),
    }))
    app.get('/conclave/v1/workload-changes', noHead, async (request, reply) => {
      const closed = untilClosed(reply)
      const changes = workloads.watch(caller(request), closed)
      await sendEvents(reply, changes, closed, (told) => ({ data: told }))
    })
    app.get('/conclave/v1/workload-users', async (request) => {
      const path = parseSecretPath(queryOf(request, 'secret') ?? '', 'secret')
      return { workloads: await workloads.usedBy(caller(request), path) }
    })

    app.get('/conclave/v1/nodes', async (request) => ({ nodes: await nodes.list(caller(request)) }))
    app.get<ById>('/conclave/v1/nodes/:id', async (request) =>
      nodes.get(caller(request), request.params.id),
    )
    app.patch<ById>('/conclave/v1/nodes/:id', async (request) =>
      nodes.update(
        caller(request),
        request.params.id,
        readChange(request.body),
        versionOf(request),
      ),
    )
  }

/** The version that a change is made from, if it says one. */
const versionOf = (request: FastifyRequest): { readonly expectedVersion?: number } => {
  const expectedVersion = numberOf(request, 'version')
  return expectedVersion === undefined ? {} : { expectedVersion }
}

/** @throws RequestInvalid */
function numberOf(request: FastifyRequest, name: string): number | undefined {
  const text = queryOf(request, name)
  if (text === undefined) return undefined
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new RequestInvalid(`${name}: expected a whole number`)
}

/** What of a node shall be another: the master checks the values, as it does for every face. */
function readChange(body: unknown): NodeChange {
  const json = readJson(body, change)
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new RequestInvalid(`the body must be ${change}`)
  }
  const unknown = Object.keys(json).find((key) => !changeable.has(key))
  if (unknown !== undefined) {
    throw new RequestInvalid(`${unknown}: only availability, role and labels can be changed`)
  }
  return json
}

const changeable: ReadonlySet<string> = new Set(['availability', 'role', 'labels'])
