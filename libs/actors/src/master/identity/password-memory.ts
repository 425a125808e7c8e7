import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import { equalSecrets } from '@conclave/crypto'
import { type Clock, type Random, type RedactedBytes } from '@conclave/kernel'

const rememberMs = 60_000
const countMax = 1024

interface Known {
  readonly mac: Uint8Array
  readonly untilMs: number
}

/**
 * Passwords that were right a moment ago, as MACs under a key that this process drew for itself: a
 * framework that speaks HTTP Basic sends its password with every call, and stretching it anew each
 * time would cost more than the call. A wrong password is never remembered and always costs the same.
 */
export class PasswordMemory {
  readonly #key: KeyObject
  readonly #clock: Clock
  readonly #known = new Map<string, Known>()

  constructor(random: Random, clock: Clock) {
    const bytes = random.bytes(32)
    this.#key = createSecretKey(bytes)
    bytes.fill(0)
    this.#clock = clock
  }

  /** @param stamp changes with the stored hash, so that a new password ends the old one at once */
  knows(uid: string, stamp: number, password: RedactedBytes): boolean {
    const known = this.#known.get(uid)
    if (known === undefined || known.untilMs <= this.#clock.nowMs()) return false
    return equalSecrets(known.mac, this.#mac(stamp, password))
  }

  remember(uid: string, stamp: number, password: RedactedBytes): void {
    if (this.#known.size >= countMax) this.#known.clear()
    const untilMs = this.#clock.nowMs() + rememberMs
    this.#known.set(uid, { mac: this.#mac(stamp, password), untilMs })
  }

  #mac(stamp: number, password: RedactedBytes): Uint8Array {
    const mac = createHmac('sha256', this.#key).update(`${stamp}:`).update(password.reveal())
    return new Uint8Array(mac.digest())
  }
}
