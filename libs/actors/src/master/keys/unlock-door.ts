import { deriveKek, parseUnlockKey, UnlockKeyMalformed, type Kek } from '@conclave/crypto'
import { Redacted, wipe, type Clock, type RedactedBytes } from '@conclave/kernel'
import { LoginThrottled } from '../errors.ts'
import { LeakyCounters } from '../identity/leaky-counters.ts'
import { sourceOf } from '../identity/source-address.ts'
import { UnlockRefused } from './errors.ts'

/** Ten wrong keys, then one each two seconds: whoever types errs, and 256 bits are not guessed anyway. */
const ofSource = { burst: 10, leakMs: 2000, keysMax: 4096 }

/**
 * Where unlock keys are tried. Nobody can be asked who they are, since who may what is behind the
 * lock; so every key that does not open is refused with the same words after the same work, and each
 * source may only try so often.
 */
export class UnlockDoor<T> {
  readonly #open: (kek: Kek) => T | undefined
  readonly #counters: LeakyCounters

  /** @param open takes as long for any KEK */
  constructor(clock: Clock, open: (kek: Kek) => T | undefined) {
    this.#open = open
    this.#counters = new LeakyCounters(clock, ofSource)
  }

  /**
   * What is behind the door. The text is wiped.
   *
   * @param address where the text came from
   * @throws UnlockRefused, LoginThrottled
   */
  try(text: RedactedBytes, address: string): T {
    const source = sourceOf(address)
    try {
      const waitMs = this.#counters.waitMs(source)
      if (waitMs > 0) throw new LoginThrottled(Math.ceil(waitMs / 1000))
      const unlockKey = keyIn(text)
      const opened = this.#open(deriveKek(unlockKey))
      wipe(unlockKey)
      if (opened !== undefined) return opened
      this.#counters.add(source)
      throw new UnlockRefused()
    } finally {
      wipe(text)
    }
  }
}

/** What is no key at all is tried like any other that opens nothing. */
function keyIn(text: RedactedBytes): RedactedBytes {
  try {
    return parseUnlockKey(text)
  } catch (error) {
    if (error instanceof UnlockKeyMalformed) return new Redacted(new Uint8Array(32))
    throw error
  }
}
