import type { AgentApi, ExecutorPrincipal } from '@conclave/actors'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { plain, send } from './answers.ts'

/*
 * Who calls. People and programs are looked up by a master; executors carry a token of this agent's.
 * Source: mesos.md §4, §18.
 */

export type Caller =
  | { readonly kind: 'person'; readonly uid: string; readonly isOperator: boolean }
  | { readonly kind: 'executor'; readonly principal: ExecutorPrincipal }
  /** Nobody has to say who they are. */
  | { readonly kind: 'anyone' }

const basicOnly = (realm: string): string => `Basic realm="${realm}"`

const bearer = (realm: string, why?: string): string =>
  why === undefined
    ? `Bearer realm="${realm}"`
    : `Bearer realm="${realm}", error="invalid_token", error_description="${why}"`

/** How Mesos says that two authenticators said no. */
const bothRefused =
  '"Basic" authenticator returned:\n401 Unauthorized.\n\n"Bearer" authenticator returned:\n401 Unauthorized.'

/** @returns undefined once it is answered */
export async function admitExecutor(
  api: AgentApi,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<Caller | undefined> {
  const realm = 'mesos-agent-executor'
  if (isAmbiguous(request)) return refuse(reply, 400)
  const { authorization } = request.headers
  const token = tokenIn(api, authorization)
  if ('principal' in token) return { kind: 'executor', principal: token.principal }
  if (authorization?.startsWith('Basic ') === true) {
    const who = await api.whoCalls(authorization, request.ip, 'EXECUTOR')
    if (who.outcome === 'known') return { kind: 'executor', principal: { uid: who.uid } }
    if (who.outcome !== 'unknown') return unavailable(reply, who)
  }
  api.refused({ call: 'EXECUTOR', status: 401, why: token.why ?? 'no credentials' })
  void reply.header('www-authenticate', `${basicOnly(realm)},${bearer(realm, token.why)}`)
  send(reply, plain(401, bothRefused))
  return undefined
}

/** @returns undefined once it is answered */
export async function admitOperator(
  api: AgentApi,
  call: string,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<Caller | undefined> {
  const realm = call.startsWith('GET_') ? 'mesos-agent-readonly' : 'mesos-agent-readwrite'
  if (isAmbiguous(request)) return refuse(reply, 400)
  const { authorization } = request.headers
  const token = tokenIn(api, authorization)
  if ('principal' in token) return { kind: 'executor', principal: token.principal }
  const who =
    authorization === undefined
      ? ({ outcome: 'unknown' } as const)
      : await api.whoCalls(authorization, request.ip, call)
  if (who.outcome === 'known') return { kind: 'person', uid: who.uid, isOperator: who.isOperator }
  if (who.outcome !== 'unknown') return unavailable(reply, who)
  void reply.header('www-authenticate', `${basicOnly(realm)},${bearer(realm)}`)
  return refuse(reply, 401)
}

function refuse(reply: FastifyReply, status: number): undefined {
  send(reply, plain(status))
}

function unavailable(
  reply: FastifyReply,
  who: { readonly outcome: string; readonly retryAfterSeconds?: number },
): undefined {
  if (who.outcome === 'throttled') {
    void reply.header('retry-after', who.retryAfterSeconds)
    return refuse(reply, 429)
  }
  // Nobody else knows who they are: without a master there is no answer.
  send(reply, plain(503, 'No master can be asked who is calling'))
  return undefined
}

/** What an `Authorization` header says as an executor's: words split on single spaces, as in Mesos. */
function tokenIn(
  api: AgentApi,
  authorization: string | undefined,
): { readonly principal: ExecutorPrincipal } | { readonly why: string | undefined } {
  if (authorization === undefined) return { why: undefined }
  const [scheme = '', token = '', ...more] = authorization.split(' ')
  if (token === '' || more.length > 0) return { why: "Malformed 'Authorization' header" }
  if (scheme !== 'Bearer') {
    return { why: `Scheme '${scheme.replaceAll(/[^\w-]/g, '?').slice(0, 32)}' unsupported` }
  }
  const verdict = api.executorToken(token)
  if (verdict === undefined) return { why: undefined }
  if (verdict.outcome === 'invalid') return { why: `Invalid JWT: ${verdict.why}` }
  const { claims } = verdict
  return Object.keys(claims).length === 0
    ? { why: 'JWT claims missing' }
    : { principal: { claims } }
}

/** Node keeps the first Authorization header and drops the others. */
function isAmbiguous({ raw: { rawHeaders } }: FastifyRequest): boolean {
  const names = rawHeaders.filter((_, at) => at % 2 === 0)
  return names.filter((name) => name.toLowerCase() === 'authorization').length > 1
}
