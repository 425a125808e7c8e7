import type { Caller, MasterApi } from '@conclave/actors'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { RequestInvalid } from './errors.ts'
import { tryJson } from './json-body.ts'
import { sendLines, untilClosed } from './streaming.ts'

const ExportRequest = z.object({
  publicKey: z.base64().length(44),
  at: z.int().positive().optional(),
})

/** The whole state, for operators: `conclave store export` and `migrate`. */
export const stateRoutes =
  (master: MasterApi, caller: (request: FastifyRequest) => Caller): FastifyPluginAsync =>
  async (app) => {
    app.post('/conclave/v1/state/export', async (request, reply) => {
      const closed = untilClosed(reply)
      const { publicKey, at } = readRequest(request.body)
      const key = Buffer.from(publicKey, 'base64')
      const lines = await begun(master.state.export(caller(request), key, at))
      await sendLines(reply, lines, closed)
    })
  }

/** With its first item there already: what is refused before that is refused with a status. */
async function begun<T>(items: AsyncIterable<T>): Promise<AsyncIterable<T>> {
  const iterator = items[Symbol.asyncIterator]()
  const first = await iterator.next()
  return (async function* all() {
    try {
      for (let next = first; next.done !== true; next = await iterator.next()) yield next.value
    } finally {
      await iterator.return?.()
    }
  })()
}

function readRequest(body: unknown): z.infer<typeof ExportRequest> {
  const parsed = ExportRequest.safeParse(tryJson(body))
  if (parsed.success) return parsed.data
  throw new RequestInvalid(
    'the body must be {"publicKey": 32 bytes in base64, "at"?: a revision}, as JSON',
  )
}
