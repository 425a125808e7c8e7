import type { FrameworkInput, OfferSeen, PendingRuns, StatusSeen } from '@conclave/actors'
import { z } from 'zod'
import { MasterUrls } from './master-session.ts'

/*
 * What a scheduler hears, reduced to what decides. Source: mesos.md §5.6. Whatever else an event
 * holds, and events of other types, are passed over: a newer master may say more.
 */

const Value = z.looseObject({ value: z.string() }).transform(({ value }) => value)

const Offer = z
  .looseObject({
    id: Value,
    agent_id: Value,
    resources: z
      .array(
        z.looseObject({
          name: z.string(),
          scalar: z.looseObject({ value: z.number() }).optional(),
          reservations: z.array(z.unknown()).optional(),
        }),
      )
      .default([]),
  })
  .transform(({ id, agent_id, resources }): OfferSeen => {
    const scalars: Record<string, number> = {}
    for (const { name, scalar } of resources) {
      if (scalar !== undefined) scalars[name] = (scalars[name] ?? 0) + scalar.value
    }
    return { offerId: id, agentId: agent_id, scalars }
  })

const Status = z
  .looseObject({
    task_id: Value,
    agent_id: Value.optional(),
    state: z.string(),
    reason: z.string().optional(),
    uuid: z.string().optional(),
  })
  .transform(({ task_id, agent_id, state, reason, uuid }): StatusSeen => ({
    taskId: task_id,
    agentId: agent_id,
    state,
    reason,
    uuid,
  }))

const SchedulerEvent = z.union([
  z.looseObject({
    type: z.literal('SUBSCRIBED'),
    subscribed: z.looseObject({
      framework_id: Value,
      heartbeat_interval_seconds: z.number().positive().default(15),
    }),
  }),
  z.looseObject({ type: z.literal('OFFERS'), offers: z.looseObject({ offers: z.array(Offer) }) }),
  z.looseObject({ type: z.literal('UPDATE'), update: z.looseObject({ status: Status }) }),
  z.looseObject({ type: z.literal('ERROR'), error: z.looseObject({ message: z.string() }) }),
])

export type Heard =
  | { readonly kind: 'subscribed'; readonly frameworkId: string; readonly heartbeatSeconds: number }
  | Extract<FrameworkInput, { kind: 'offers' | 'update' }>
  | { readonly kind: 'error'; readonly message: string }
  /** A heartbeat, or what does not concern us. */
  | { readonly kind: 'other' }

export function hear(record: Uint8Array): Heard {
  const parsed = SchedulerEvent.safeParse(JSON.parse(Buffer.from(record).toString('utf8')))
  if (!parsed.success) return { kind: 'other' }
  const event = parsed.data
  switch (event.type) {
    case 'SUBSCRIBED':
      return {
        kind: 'subscribed',
        frameworkId: event.subscribed.framework_id,
        heartbeatSeconds: event.subscribed.heartbeat_interval_seconds,
      }
    case 'OFFERS':
      return { kind: 'offers', offers: event.offers.offers }
    case 'UPDATE':
      return { kind: 'update', status: event.update.status }
    default:
      return { kind: 'error', message: event.error.message }
  }
}

const Pending = z.object({
  launch: z.array(
    z.object({
      runId: z.string(),
      taskId: z.string(),
      spec: z.record(z.string(), z.unknown()),
      agentId: z.string().optional(),
    }),
  ),
  kill: z.array(z.object({ taskId: z.string() })),
  avoid: z.array(z.string()).optional(),
})

/** @throws when it is no list of what waits */
export const hearPending = (data: string): PendingRuns => Pending.parse(JSON.parse(data))

const Listener = z
  .object({ host: z.string(), port: z.int().positive() })
  .transform(({ host, port }) => `http://${host.includes(':') ? `[${host}]` : host}:${port}`)

const Masters = z.object({
  members: z.array(
    z.object({
      masterId: z.string(),
      listeners: z.looseObject({
        conclave: Listener.optional(),
        dcos: Listener.optional(),
        mesos: Listener.optional(),
      }),
    }),
  ),
})

/** The masters whose faces can be called, as one of them says. @throws when it says nothing of them */
export function hearMasters(body: Uint8Array): readonly MasterUrls[] {
  const { members } = Masters.parse(JSON.parse(Buffer.from(body).toString('utf8')))
  return members.flatMap(({ masterId, listeners }) => {
    const { conclave, dcos, mesos } = listeners
    return MasterUrls.safeParse({ masterId, conclave, dcos, mesos }).data ?? []
  })
}
