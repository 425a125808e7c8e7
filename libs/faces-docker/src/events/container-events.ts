import type { Container } from '../containers/container.ts'
import type { EngineEvents } from './event-log.ts'
import type { Told } from './event.ts'

/** Of an action that says what is run: whoever reads events is sent no megabytes. */
const commandLengthMax = 4096
/** Containers that are known to have died, and those whose end is waited for. */
const rememberedMax = 1024

export const containerEvent = (
  { id, image, name, labels }: Container,
  action: string,
  more: Readonly<Record<string, string>> = {},
): Told => ({
  type: 'container',
  action,
  id,
  attributes: { ...labels, ...more, image, name },
  scope: 'local',
})

/** Such as `exec_create: sh -c ls`. With one word a blank is at its end, as in the Engine. */
export function commandAction(
  action: 'exec_create' | 'exec_start',
  argv: readonly string[],
): string {
  const [program = '', ...rest] = argv
  const text = `${action}: ${program} ${rest.join(' ')}`
  // Copied: a part of a text keeps all of it in memory.
  return text.length > commandLengthMax
    ? Buffer.from(text.slice(0, commandLengthMax)).toString()
    : text
}

/** What is kept back while something is done to a container. */
interface Held {
  doing: number
  readonly told: Told[]
}

/**
 * Tells of containers what the swarm does to them and what clients do, in the order of the Engine: `kill` is before
 * the `die` that it causes, `stop` is behind it. What clients do is told at the socket where they do it.
 */
export class ContainerEvents {
  readonly #log: EngineEvents
  readonly #held = new Map<string, Held>()
  readonly #dead = new Set<string>()
  readonly #stopped = new Map<string, Told>()

  constructor(log: EngineEvents) {
    this.#log = log
  }

  /** The swarm says so. */
  happened(told: Told): void {
    const held = this.#held.get(told.id)
    if (held === undefined) this.#add(told)
    else held.told.push(told)
  }

  /** A client did so. @param by whose words are in it, where that is so */
  did(
    container: Container,
    action: string,
    more: Readonly<Record<string, string>> = {},
    by?: string,
  ): void {
    this.#add({ ...containerEvent(container, action, more), ...(by !== undefined && { by }) })
  }

  /** Sends a signal, and tells of it before anything that comes of it. */
  async killing(container: Container, signal: number, send: () => Promise<void>): Promise<void> {
    const { id } = container
    const held = this.#held.get(id) ?? { doing: 0, told: [] }
    held.doing++
    this.#held.set(id, held)
    try {
      await send()
      this.did(container, 'kill', { signal: String(signal) })
    } finally {
      if (--held.doing === 0) {
        this.#held.delete(id)
        for (const told of held.told) this.#add(told)
      }
    }
  }

  /** A client has stopped it, and it has ended: told once its `die` has been. */
  stopped(container: Container): void {
    const told = containerEvent(container, 'stop')
    if (this.#dead.has(container.id)) this.#add(told)
    else {
      this.#stopped.set(container.id, told)
      if (this.#stopped.size > rememberedMax) this.#endWaiting()
    }
  }

  /** Who tells of ends has begun anew: those that are waited for may have been missed. */
  beginAnew(): void {
    this.#endWaiting()
  }

  #endWaiting(): void {
    for (const told of this.#stopped.values()) this.#add(told)
    this.#stopped.clear()
  }

  #add(told: Told): void {
    this.#log.add(told, Date.now())
    if (told.type !== 'container' || told.action !== 'die') return
    this.#dead.add(told.id)
    for (const id of this.#dead) {
      if (this.#dead.size <= rememberedMax) break
      this.#dead.delete(id)
    }
    const stopped = this.#stopped.get(told.id)
    if (stopped === undefined) return
    this.#stopped.delete(told.id)
    this.#add(stopped)
  }
}
