import { uuid, type Random } from '@conclave/kernel'
import type { CallerKnown, FromAgent } from '@conclave/model'

type Answer = CallerKnown extends infer Known
  ? Known extends { readonly outcome: string }
    ? Omit<Known, 'type' | 'requestId'>
    : never
  : never

export interface CallersOptions {
  readonly random: Random
  readonly ask: (question: Extract<FromAgent, { type: 'ask-caller' }>) => void
  readonly isRegistered: () => boolean
  readonly timeoutTicks: number
}

/** Strangers must not fill the link to the masters. */
const waitingMax = 256

/** Who calls at this agent: its masters know, it does not. */
export class Callers {
  readonly #options: CallersOptions
  readonly #waiting = new Map<
    string,
    { readonly untilTick: number; readonly answer: (answer: Answer) => void }
  >()
  #ticks = 0

  constructor(options: CallersOptions) {
    this.#options = options
  }

  ask(authorization: string, source: string, call: string): Promise<Answer> {
    const { random, ask, isRegistered, timeoutTicks } = this.#options
    if (!isRegistered() || this.#waiting.size >= waitingMax) {
      return Promise.resolve({ outcome: 'unavailable' })
    }
    if (authorization.length > 8192) return Promise.resolve({ outcome: 'unknown' })
    const requestId = uuid(random)
    return new Promise((answer) => {
      this.#waiting.set(requestId, { untilTick: this.#ticks + timeoutTicks, answer })
      ask({ type: 'ask-caller', requestId, authorization, source, call })
    })
  }

  answered({ type: _type, requestId, ...answer }: CallerKnown): void {
    const waiting = this.#waiting.get(requestId)
    this.#waiting.delete(requestId)
    waiting?.answer(answer)
  }

  disconnected(): void {
    for (const { answer } of this.#waiting.values()) answer({ outcome: 'unavailable' })
    this.#waiting.clear()
  }

  tick(): void {
    this.#ticks++
    for (const [requestId, { untilTick, answer }] of this.#waiting) {
      if (this.#ticks < untilTick) continue
      this.#waiting.delete(requestId)
      answer({ outcome: 'unavailable' })
    }
  }
}
