/** What can be put to sleep on a {@link WaitSet}. */
export interface Wakeable {
  wake(): void
}

/** The processes that sleep until something happens: bytes in a pipe, room in it, the end of a child. */
export class WaitSet {
  // Most sets are empty most of the time, and 10 000 machines have many of them.
  #waiting: Set<Wakeable> | undefined

  add(sleeper: Wakeable): void {
    this.#waiting ??= new Set()
    this.#waiting.add(sleeper)
  }

  delete(sleeper: Wakeable): void {
    this.#waiting?.delete(sleeper)
  }

  /** Wakes all of them. Each looks for itself whether it may go on, and comes back otherwise. */
  wake(): void {
    const waiting = this.#waiting
    if (waiting === undefined || waiting.size === 0) return
    this.#waiting = undefined
    for (const sleeper of waiting) sleeper.wake()
  }
}

/** Sleep until `untilMs` of the machine's clock, or until `on` wakes the sleeper, whatever is first. */
export interface Sleep {
  readonly untilMs: number
  readonly on?: WaitSet
}

/**
 * What a process says between two pieces of work: nothing (a tick went by, run me again), or what it
 * waits for. Whoever is woken checks its condition again, since a wake-up promises nothing.
 */
export type Pause = undefined | WaitSet | Sleep

/** Something a process does over time. Its value is given when it is done. */
export type Task<Result> = Generator<Pause, Result, void>
