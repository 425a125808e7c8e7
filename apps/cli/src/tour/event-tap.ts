import type { Client } from '../client.ts'
import { followEvents } from '../follow-events.ts'

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
    void followEvents(client, {
      signal: this.#stop.signal,
      onEvent: ({ data }) => {
        this.#texts.push(data)
        this.seen.push(JSON.parse(data) as SeenEvent)
      },
    })
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
}
