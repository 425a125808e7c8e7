import { setTimeout as wait } from 'node:timers/promises'
import type { Caller } from '@conclave/actors'
import type { FastifyPluginAsync } from 'fastify'
import { engineHeaders, jsonLine, sendJson } from '../answers.ts'
import { callerOf, type Engine } from '../engine.ts'
import { refusalOf } from '../errors.ts'
import { isSet, queryOf } from '../query.ts'
import { findContainer, type Container } from './container.ts'
import { usageOf } from './sizes.ts'
import { statsOf, type Sample } from './stats.ts'
import { send, whenGone } from './streaming.ts'

interface Named {
  readonly Params: { readonly id: string }
}

const everyMs = 1000

/** What containers use, once or again and again. Of one that does not run nothing is known. */
export const statsRoutes =
  (engine: Engine): FastifyPluginAsync =>
  async (app) => {
    app.get<Named>('/containers/:id/stats', async (request, reply) => {
      const gone = new AbortController()
      // Of the answer, not of its connection, which may ask for many; and before anything is waited for.
      whenGone(reply.raw, () => gone.abort())
      const caller = callerOf(engine, request)
      const container = await findContainer(engine, caller, request.params.id)
      const isStream = queryOf(request).get('stream') === null || isSet(request, 'stream')
      // Nobody is there to be answered, and to measure is work for an agent.
      if (gone.signal.aborted) return reply.hijack()
      const first = await sampleOf(engine, caller, container)
      if (!isStream) {
        if (first === undefined || isSet(request, 'one-shot')) {
          return sendJson(reply, statsOf(container, first, undefined))
        }
        // A share of the processor is one of the time between two looks.
        await pause(gone.signal)
        const second = await sampleOf(engine, caller, container)
        return sendJson(reply, statsOf(container, second, second && first))
      }
      reply.hijack()
      const { raw } = reply
      raw.writeHead(200, { ...engineHeaders, 'content-type': 'application/json' })
      let before: Sample | undefined
      let now = first
      try {
        while (!gone.signal.aborted) {
          await send(raw, jsonLine(statsOf(container, now, before)))
          await pause(gone.signal)
          before = now
          now = await sampleOf(engine, caller, container)
        }
      } catch (error) {
        // Nothing more can be said of it: the swarm's leader is gone, or the container itself.
        if (refusalOf(error) === undefined) throw error
      } finally {
        raw.end()
      }
      return reply
    })
  }

const pause = (signal: AbortSignal): Promise<unknown> =>
  wait(everyMs, undefined, { signal }).catch(() => undefined)

async function sampleOf(
  engine: Engine,
  caller: Caller,
  container: Container,
): Promise<Sample | undefined> {
  const usage = await usageOf(engine, caller, container)
  return usage && { usage, atMs: Date.now() }
}
