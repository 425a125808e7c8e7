import { MemberRole, type Caller, type MasterApi } from '@conclave/actors'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { RequestInvalid } from './errors.ts'
import { tryJson } from './json-body.ts'
import { sendSecretText } from './secret-text.ts'

const ValidityRequest = z.strictObject({ validityMs: z.number() })

interface ByRole {
  readonly Params: { readonly role: string }
}

interface ByHolder {
  readonly Params: { readonly role: string; readonly id: string }
}

/** The authority and the join tokens, for operators. A token is the whole body of its answer, as text. */
export const authorityRoutes =
  ({ authority }: MasterApi, caller: (request: FastifyRequest) => Caller): FastifyPluginAsync =>
  async (app) => {
    app.get('/conclave/v1/authority', async (request) => authority.status(caller(request)))
    app.post('/conclave/v1/authority/rotate', async (request) => authority.rotate(caller(request)))
    app.put('/conclave/v1/authority/validity', async (request) =>
      authority.setValidity(caller(request), readValidity(request.body)),
    )
    app.delete<ByHolder>('/conclave/v1/authority/holders/:role/:id', async (request, reply) => {
      const { role, id } = request.params
      await authority.forget(caller(request), roleOf(role), id)
      return reply.code(204).send()
    })
    app.get<ByRole>('/conclave/v1/authority/tokens/:role', async (request, reply) =>
      sendSecretText(
        reply,
        await authority.joinToken(caller(request), roleOf(request.params.role)),
      ),
    )
    app.post<ByRole>('/conclave/v1/authority/tokens/:role/rotate', async (request, reply) =>
      sendSecretText(
        reply,
        await authority.rotateJoinToken(caller(request), roleOf(request.params.role)),
      ),
    )
  }

/** @throws RequestInvalid */
function roleOf(text: string): MemberRole {
  const role = MemberRole.safeParse(text).data
  if (role !== undefined) return role
  throw new RequestInvalid('the role is master or agent')
}

/** @throws RequestInvalid */
function readValidity(body: unknown): number {
  const asked = ValidityRequest.safeParse(tryJson(body))
  if (asked.success) return asked.data.validityMs
  throw new RequestInvalid('the body must be {"validityMs": a number of milliseconds}')
}
