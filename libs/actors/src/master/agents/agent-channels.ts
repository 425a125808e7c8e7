import { AgentEvent, type EventDraft, type EventType } from '@conclave/model'
import type { AgentChannel } from './agent-channel.ts'
import { ConnectionLoad } from './connection-load.ts'

/** What happens to executors is no task's, and known to their agent alone. */
const executorEventTypes = [
  'executor.started',
  'executor.subscribed',
  'executor.ended',
  'executor.refused',
] as const satisfies readonly EventType[]

/** What an agent may tell of: its own containers, and what became of secrets in them. */
const agentEventTypes: ReadonlySet<EventType> = new Set<EventType>([
  'secret.resolved',
  'secret.placed',
  'secret.forgotten',
  'secret.leaked',
  'container.started',
  'container.ended',
  ...executorEventTypes,
])

/** The agents that are connected to this master, by connection. */
export class AgentChannels {
  readonly #channels = new Map<number, AgentChannel>()
  readonly #loads = new Map<number, ConnectionLoad>()

  add(channel: AgentChannel): void {
    this.#channels.set(channel.id, channel)
    this.#loads.set(channel.id, new ConnectionLoad(channel))
  }

  loadOf(connection: number): ConnectionLoad | undefined {
    return this.#loads.get(connection)
  }

  get(connection: number): AgentChannel | undefined {
    return this.#channels.get(connection)
  }

  remove(connection: number): AgentChannel | undefined {
    const channel = this.#channels.get(connection)
    this.#channels.delete(connection)
    this.#loads.delete(connection)
    return channel
  }

  all(): readonly AgentChannel[] {
    return [...this.#channels.values()]
  }
}

/**
 * An event that an agent reports, if it is one that this agent can know of: of a task that is known to
 * run elsewhere it can not. A task that nobody knows is one that ended long ago. Of itself it may say
 * that its certificate, which bears `agentName`, could not be renewed.
 */
export function reportedEvent(
  told: unknown,
  agentId: string,
  agentName: string,
  taskOf: (frameworkId: string, taskId: string) => { readonly agentId: string } | undefined,
): (EventDraft & { atMs: number }) | undefined {
  const event = AgentEvent.safeParse(told)
  if (!event.success) return undefined
  if (event.data.type === 'certificate.renewal-failed') {
    return event.data.memberId === agentName ? event.data : undefined
  }
  if (!agentEventTypes.has(event.data.type)) return undefined
  if (!('agentId' in event.data)) return undefined
  if (!('taskId' in event.data)) return event.data.agentId === agentId ? event.data : undefined
  const { frameworkId, taskId } = event.data
  const runsAt = taskOf(frameworkId, taskId)?.agentId ?? agentId
  return event.data.agentId === agentId && runsAt === agentId ? event.data : undefined
}
