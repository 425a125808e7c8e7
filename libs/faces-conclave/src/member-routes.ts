import type { Caller, MasterApi } from '@conclave/actors'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { RequestInvalid } from './errors.ts'
import { queryOf } from './query.ts'

interface ById {
  readonly Params: { readonly id: string }
}

/** Who the masters are, and shall be. The leader answers; others send a client on to it. */
export const memberRoutes =
  ({ members }: MasterApi, caller: (request: FastifyRequest) => Caller): FastifyPluginAsync =>
  async (app) => {
    app.get('/conclave/v1/masters/members', async (request) => ({
      members: await members.list(caller(request)),
    }))
    app.post<ById>('/conclave/v1/masters/:id/promote', async (request) =>
      members.promote(caller(request), request.params.id),
    )
    app.post<ById>('/conclave/v1/masters/:id/demote', async (request) =>
      members.demote(caller(request), request.params.id),
    )
    app.post<ById>('/conclave/v1/masters/:id/leave', async (request, reply) => {
      await members.leave(caller(request), request.params.id)
      return reply.code(204).send()
    })
    app.delete<ById>('/conclave/v1/masters/:id', async (request, reply) => {
      const force = readForce(queryOf(request, 'force'))
      await members.remove(caller(request), request.params.id, { force })
      return reply.code(204).send()
    })
  }

/** @throws RequestInvalid */
function readForce(text: string | undefined): boolean {
  if (text === undefined || text === 'false') return false
  if (text === 'true') return true
  throw new RequestInvalid('force: expected true or false')
}
