import type { FastifyPluginAsync } from 'fastify'
import { engineHeaders } from '../answers.ts'
import { send, whenGone } from '../containers/streaming.ts'
import { callerOf, type Engine } from '../engine.ts'
import { Refusal } from '../errors.ts'
import { printable } from '../printable.ts'
import { queryOf } from '../query.ts'
import { momentIn } from '../times.ts'
import { parseEventFilters } from './event-filters.ts'
import type { ContainerEvents } from './container-events.ts'
import type { EngineEvents } from './event-log.ts'
import { EventSource } from './event-source.ts'
import { eventLine, type Told } from './event.ts'

/** What happens in the swarm, as it happens and for a while behind. Source: docker-swarm.md A10. */
export const eventsRoutes =
  (engine: Engine, events: EngineEvents, containers: ContainerEvents): FastifyPluginAsync =>
  async (app) => {
    const source = new EventSource(engine, events, containers)
    app.addHook('onReady', async () => source.begin())
    app.addHook('preClose', async () => source.end())

    app.get('/events', async (request, reply) => {
      const query = queryOf(request)
      const nowMs = Date.now()
      const sinceMs = momentIn(query.get('since'), nowMs)
      const untilMs = momentIn(query.get('until'), nowMs)
      if (untilMs !== undefined && sinceMs !== undefined && untilMs < sinceMs) {
        const [since, until] = [query.get('since') ?? '', query.get('until') ?? ''].map(printable)
        throw new Refusal(
          400,
          `\`since\` time (${since}) cannot be after \`until\` time (${until})`,
        )
      }
      const filters = parseEventFilters(query.get('filters'))
      const sinceNs = sinceMs === undefined ? undefined : BigInt(Math.floor(sinceMs)) * 1_000_000n
      const gone = new AbortController()
      reply.hijack()
      const { raw } = reply
      whenGone(raw, () => gone.abort())
      raw.writeHead(200, { ...engineHeaders, 'content-type': 'application/json' })
      raw.flushHeaders()
      const past = sinceNs ?? (untilMs === undefined ? undefined : 0n)
      const { uid } = callerOf(engine, request).principal
      const isOwner = uid === engine.principal.uid
      const mayHear = ({ by = uid }: Told): boolean => isOwner || by === uid
      for await (const event of events.read(filters, past, untilMs, gone.signal, mayHear)) {
        await send(raw, eventLine(event))
      }
      raw.end()
      return reply
    })
  }
