import { Unavailable } from './errors.ts'

/** Lets work through one at a time, and turns away whoever would be too far back in the queue. */
export class Turnstile {
  readonly #waitingMax: number
  #waiting = 0
  #last: Promise<void> = Promise.resolve()

  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax
  }

  /** @throws Unavailable when too many wait already */
  async through<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= this.#waitingMax) {
      throw new Unavailable('too many logins at once; try again in a moment')
    }
    const before = this.#last
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#last = promise
    this.#waiting++
    await before
    try {
      return await work()
    } finally {
      this.#waiting--
      resolve()
    }
  }
}
