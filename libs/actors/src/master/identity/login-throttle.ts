import type { Clock } from '@conclave/kernel'
import { LoginThrottled } from '../errors.ts'
import { LeakyCounters } from './leaky-counters.ts'
import { sourceOf } from './source-address.ts'

/** Who tries to log in, in the one form that is counted. */
export interface Attempt {
  readonly source: string
  readonly name: string
}

/**
 * Names that people would take for one are counted as one: other letter case, spaces, full-width or
 * invisible letters win no further guesses. What is looked up is still the name as it came.
 */
export const attemptOf = (uid: string, address: string): Attempt => ({
  source: sourceOf(address),
  name: uid
    .slice(0, 256)
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll(/[\s\p{C}]/gu, ''),
})

/** Five wrong guesses, then one every twelve seconds. */
const ofName = { burst: 5, leakMs: 12_000, keysMax: 16_384 }
/** Behind one address there may be many people, and each may err. */
const ofSource = { burst: 30, leakMs: 2000, keysMax: 16_384 }

/**
 * Bounds how fast anybody may guess: each name from each source, and all names from one source. Whoever
 * guesses somebody's password elsewhere does not lock them out, and nothing here depends on whether
 * there is such a user. Only wrong guesses count, and being turned away is none.
 */
export class LoginThrottle {
  readonly #ofName: LeakyCounters
  readonly #ofSource: LeakyCounters

  constructor(clock: Clock) {
    this.#ofName = new LeakyCounters(clock, ofName)
    this.#ofSource = new LeakyCounters(clock, ofSource)
  }

  /** @throws LoginThrottled, which says for how long */
  check(attempt: Attempt): void {
    const waitMs = Math.max(
      this.#ofName.waitMs(keyOf(attempt)),
      this.#ofSource.waitMs(attempt.source),
    )
    if (waitMs > 0) throw new LoginThrottled(Math.ceil(waitMs / 1000))
  }

  failed(attempt: Attempt): void {
    this.#ofName.add(keyOf(attempt))
    this.#ofSource.add(attempt.source)
  }

  /** The source's own count stays: one good account must not pay for guesses at others. */
  succeeded(attempt: Attempt): void {
    this.#ofName.forget(keyOf(attempt))
  }
}

const keyOf = ({ source, name }: Attempt): string => `${source} ${name}`
