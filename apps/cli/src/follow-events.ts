import { setTimeout as sleep } from 'node:timers/promises'
import { eventsOf, type SseEvent } from '@conclave/runtime'
import type { Client } from './client.ts'
import { CommandFailed } from './failure.ts'

export interface Following {
  /** Begin after this event, at the master whose it is; everywhere else with what happens from now on. */
  readonly after?: string
  readonly signal: AbortSignal
  readonly onEvent: (event: SseEvent) => void
  /** How often in a row a master may not answer before it is given up. */
  readonly failuresMax?: number
}

const pauseMs = 100

/**
 * The events of all masters, as each of them tells its own and those of the agents with it. A master
 * that is lost is asked again from where it stopped.
 *
 * @throws CommandFailed when every master was given up
 */
export async function followEvents(client: Client, following: Following): Promise<void> {
  const { masters } = client.context
  await Promise.all(
    masters.map(({ masterId }) => followMaster(client.only(masterId), masterId, following)),
  )
  if (following.signal.aborted) return
  throw new CommandFailed(
    'unavailable',
    'no master answers any more; look with: conclave master ls',
  )
}

async function followMaster(
  client: Client,
  masterId: string,
  { after, signal, onEvent, failuresMax = Number.POSITIVE_INFINITY }: Following,
): Promise<void> {
  let lastId = after?.startsWith(`${masterId}:`) === true ? after : undefined
  for (let failures = 0; failures < failuresMax && !signal.aborted; failures++) {
    try {
      const headers = lastId === undefined ? {} : { 'last-event-id': lastId }
      const call = { face: 'conclave', method: 'GET', path: '/events', headers, signal } as const
      const stream = await client.stream(call)
      for await (const event of eventsOf(stream.body)) {
        failures = 0
        if (event.id !== '') lastId = event.id
        onEvent(event)
      }
    } catch (error) {
      const isRefusal = error instanceof CommandFailed && error.failure !== 'unavailable'
      if (isRefusal && !signal.aborted) throw error
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined)
  }
}
