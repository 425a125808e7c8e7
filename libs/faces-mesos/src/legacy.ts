import type { LegacyEndpoint, LegacyQuery, MasterApi } from '@conclave/actors'
import { utf8 } from '@conclave/kernel'
import { asciiJson, type MasterCall } from '@conclave/model'
import type { Callers } from '@conclave/runtime'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { plain, send } from './answers.ts'

/*
 * The endpoints that Mesos had before its operator API. Source: mesos.md §9.
 */

/** Of these any master answers for itself in Mesos; here they, too, are the leader's. */
export const answerLegacy =
  (master: MasterApi, callers: Callers, endpoint: LegacyEndpoint) =>
  async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const answer = master.operators.legacy(callers.of(request), endpoint, queryOf(request))
    if ('body' in answer) return send(reply, answer)
    return reply
      .code(200)
      .header('content-type', 'application/json')
      .send(Buffer.from(utf8(asciiJson(answer.json))))
  }

/** The first of each parameter; what a client adds to get around caches is ignored. */
function queryOf({ raw }: FastifyRequest): LegacyQuery {
  const at = (raw.url ?? '').indexOf('?')
  const query = at === -1 ? '' : (raw.url ?? '').slice(at + 1)
  const params = new URLSearchParams(query)
  const names = ['framework_id', 'task_id', 'slave_id', 'limit', 'offset', 'order']
  return Object.fromEntries(names.map((name) => [name, params.get(name) ?? undefined]))
}

/** POST /teardown, whose body is a form. */
export const answerTeardown =
  (master: MasterApi, callers: Callers) =>
  async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { body } = request
    const form = new URLSearchParams(Buffer.isBuffer(body) ? body.toString('utf8') : '')
    const frameworkId = form.get('frameworkId')
    if (frameworkId === null) {
      return send(reply, plain(400, "Missing 'frameworkId' query parameter in the request body"))
    }
    const call: MasterCall = {
      type: 'TEARDOWN',
      teardown: { framework_id: { value: frameworkId } },
    }
    const answer = await master.operators.call(callers.of(request), call)
    return send(reply, 'body' in answer ? answer : plain(200, ''))
  }
