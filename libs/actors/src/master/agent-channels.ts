import { AgentEvent, type EventDraft, type EventType } from '@conclave/model'
import type { AgentChannel } from './agent-channel.ts'

/** What an agent may tell of: its own containers, and what became of secrets in them. */
const agentEventTypes: ReadonlySet<EventType> = new Set<EventType>([
  'secret.resolved',
  'secret.placed',
  'secret.forgotten',
  'container.started',
  'container.ended',
])

/** The agents that are connected to this master, by connection. */
export class AgentChannels {
  readonly #channels = new Map<number, AgentChannel>()

  add(channel: AgentChannel): void {
    this.#channels.set(channel.id, channel)
  }

  get(connection: number): AgentChannel | undefined {
    return this.#channels.get(connection)
  }

  remove(connection: number): AgentChannel | undefined {
    const channel = this.#channels.get(connection)
    this.#channels.delete(connection)
    return channel
  }

  all(): readonly AgentChannel[] {
    return [...this.#channels.values()]
  }
}

/** An event that an agent reports, if it is one that this agent can know of. */
export function reportedEvent(
  told: unknown,
  agentId: string,
): (EventDraft & { atMs: number }) | undefined {
  const event = AgentEvent.safeParse(told)
  if (!event.success || !agentEventTypes.has(event.data.type)) return undefined
  return 'agentId' in event.data && event.data.agentId === agentId ? event.data : undefined
}
