import { eventsOf } from '@conclave/runtime'
import type { Client } from '../client.ts'

export interface SeenEvent {
  readonly id: string
  readonly source: string
  readonly type: string
  readonly path?: string
  readonly taskId?: string
  readonly [field: string]: unknown
}

/** Listens to every master's events from the beginning, and keeps them as they came over the wire. */
export class EventTap {
  readonly #stop = new AbortController()
  readonly #texts: string[] = []
  readonly seen: SeenEvent[] = []

  constructor(client: Client) {
    for (const { masterId } of client.context.masters) void this.#listen(client.only(masterId))
  }

  /** All that was received, for the canary search. */
  get text(): string {
    return this.#texts.join('\n')
  }

  find(type: string, about: Partial<SeenEvent> = {}): SeenEvent | undefined {
    return this.seen.find(
      (event) =>
        event.type === type &&
        Object.entries(about).every(([field, value]) => event[field] === value),
    )
  }

  stop(): void {
    this.#stop.abort()
  }

  async #listen(client: Client): Promise<void> {
    const { signal } = this.#stop
    let lastId: string | undefined
    while (!signal.aborted) {
      try {
        const headers = lastId === undefined ? {} : { 'last-event-id': lastId }
        const call = { face: 'conclave', method: 'GET', path: '/events', headers, signal } as const
        const stream = await client.stream(call)
        for await (const { id, data } of eventsOf(stream.body)) {
          lastId = id === '' ? lastId : id
          this.#texts.push(data)
          this.seen.push(JSON.parse(data) as SeenEvent)
        }
      } catch {
        // The master was killed, as the tour does, or it is not up yet: try again.
      }
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}
