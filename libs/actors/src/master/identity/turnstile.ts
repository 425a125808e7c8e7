import { Unavailable } from '../errors.ts'

/** How many may wait. */
export interface TurnstileLimits {
  readonly all: number
  /** From one source: whoever has only one must not keep everybody else out. */
  readonly perSource: number
}

/** Lets work through one at a time, and turns away whoever would be too far back in the queue. */
export class Turnstile {
  readonly #limits: TurnstileLimits
  readonly #waitingFrom = new Map<string, number>()
  #waiting = 0
  #last: Promise<void> = Promise.resolve()

  constructor(limits: TurnstileLimits) {
    this.#limits = limits
  }

  /** @throws Unavailable when too many wait already */
  async through<T>(source: string, work: () => Promise<T>): Promise<T> {
    const isFull = this.#waiting >= this.#limits.all
    if (isFull || (this.#waitingFrom.get(source) ?? 0) >= this.#limits.perSource) {
      throw new Unavailable('too many logins at once; try again in a moment')
    }
    const before = this.#last
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#last = promise
    this.#add(source, 1)
    await before
    try {
      return await work()
    } finally {
      this.#add(source, -1)
      resolve()
    }
  }

  #add(source: string, count: 1 | -1): void {
    this.#waiting += count
    const waiting = (this.#waitingFrom.get(source) ?? 0) + count
    if (waiting === 0) this.#waitingFrom.delete(source)
    else this.#waitingFrom.set(source, waiting)
  }
}
