import type { World } from '../world.ts'

export type NaiveState = 'follower' | 'candidate' | 'leader'

/** What an instance writes of itself each second. */
export interface Presence {
  readonly ts: number
  readonly state: NaiveState
}

export interface NaiveEvent {
  readonly type: 'vote' | 'request' | 'check'
  readonly from: string
  readonly to?: string
  readonly granted?: boolean
  readonly currentTerm: number
}

/** Whoever listens on the one channel. */
interface Listener {
  readonly id: string
  hear(event: NaiveEvent): void
}

const delayUs = 1000

/**
 * A Redis as the naive algorithm uses it: keys without expiry, and a channel that delivers at most once.
 * `sees` says who has whom in view, such as after a fail-over that left each half its own Redis.
 */
export class NaiveRedis {
  readonly #world: World
  readonly #keys = new Map<string, { readonly writer: string; readonly presence: Presence }>()
  #listeners: readonly Listener[] = []
  sees: (reader: string, writer: string) => boolean = () => true

  constructor(world: World) {
    this.#world = world
  }

  listen(listener: Listener): void {
    this.#listeners = [...this.#listeners, listener]
  }

  leave(listener: Listener): void {
    this.#listeners = this.#listeners.filter((one) => one !== listener)
  }

  set(key: string, writer: string, presence: Presence): void {
    this.#keys.set(key, { writer, presence })
  }

  delete(key: string): void {
    this.#keys.delete(key)
  }

  /** As `KEYS prefix*` and a GET of each would find them from where `reader` is. */
  find(reader: string, prefix: string): ReadonlyMap<string, Presence> {
    const found = [...this.#keys].filter(
      ([key, { writer }]) => key.startsWith(prefix) && this.sees(reader, writer),
    )
    return new Map(found.map(([key, { presence }]) => [key, presence]))
  }

  publish(event: NaiveEvent): void {
    this.#world.after(delayUs, () => {
      for (const listener of this.#listeners) {
        if (this.sees(listener.id, event.from)) listener.hear(event)
      }
    })
  }
}
