import type { FastifyPluginAsync } from 'fastify'
import { engineHeaders } from '../answers.ts'
import { send, whenGone } from '../containers/streaming.ts'
import type { Engine } from '../engine.ts'
import { queryOf } from '../query.ts'
import { momentMs } from '../times.ts'
import { parseEventFilters } from './event-filters.ts'
import { EventSource } from './event-source.ts'
import { eventLine } from './event.ts'

/** What happens in the swarm, as it happens and for a while behind. Source: docker-swarm.md A10. */
export const eventsRoutes =
  (engine: Engine): FastifyPluginAsync =>
  async (app) => {
    const source = new EventSource(engine)
    app.addHook('onReady', async () => source.begin())
    app.addHook('preClose', async () => source.end())

    app.get('/events', async (request, reply) => {
      const query = queryOf(request)
      const filters = parseEventFilters(query.get('filters'))
      const nowMs = Date.now()
      const sinceMs = momentMs(query.get('since'), nowMs)
      const untilMs = momentMs(query.get('until'), nowMs)
      const sinceNs = sinceMs === undefined ? undefined : BigInt(Math.floor(sinceMs)) * 1_000_000n
      const gone = new AbortController()
      reply.hijack()
      const { raw } = reply
      whenGone(raw, () => gone.abort())
      raw.writeHead(200, { ...engineHeaders, 'content-type': 'application/json' })
      raw.flushHeaders()
      const past = sinceNs ?? (untilMs === undefined ? undefined : 0n)
      for await (const event of source.events.read(filters, past, untilMs, gone.signal)) {
        await send(raw, eventLine(event))
      }
      raw.end()
      return reply
    })
  }
