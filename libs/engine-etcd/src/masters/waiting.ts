interface Waiter {
  readonly revision: number
  readonly deadlineMs: number
  readonly late: Error
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** Who waits for the mirror to come as far as a revision. */
export class Waiting {
  readonly #nowMs: () => number
  readonly #patienceMs: number
  #waiters: Waiter[] = []
  #reached = 0

  constructor(nowMs: () => number, patienceMs: number) {
    this.#nowMs = nowMs
    this.#patienceMs = patienceMs
  }

  /** @param late what is thrown when that takes too long */
  until(revision: number, late: Error): Promise<void> {
    if (revision <= this.#reached) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const deadlineMs = this.#nowMs() + this.#patienceMs
      this.#waiters.push({ revision, deadlineMs, late, resolve, reject })
    })
  }

  reached(revision: number): void {
    this.#reached = revision
    if (this.#waiters.length === 0) return
    const waiters = this.#waiters
    this.#waiters = waiters.filter((one) => one.revision > revision)
    for (const one of waiters) if (one.revision <= revision) one.resolve()
  }

  tick(): void {
    const nowMs = this.#nowMs()
    const late = this.#waiters.filter(({ deadlineMs }) => deadlineMs <= nowMs)
    if (late.length === 0) return
    this.#waiters = this.#waiters.filter((one) => !late.includes(one))
    for (const one of late) one.reject(one.late)
  }

  close(error: Error): void {
    for (const { reject } of this.#waiters.splice(0)) reject(error)
  }
}
