import { Redacted, utf8, type RedactedBytes } from '@conclave/kernel'
import { AutolockOff, AutolockUnchanged } from '../master/keys/errors.ts'
import type { LockApi, LockStatus } from '../master/keys/lock-api.ts'
import type { Caller } from '../master/master-api.ts'

/** The lock of a master in memory: it gives out the keys that a test can look for. */
export class FakeLock implements LockApi {
  readonly #enter: (caller: Caller) => void
  isOn = false
  version = 1
  dekId = 1

  /** @param enter throws when somebody may not, or when a test wants the call to fail */
  constructor(enter: (caller: Caller) => void) {
    this.#enter = enter
  }

  async status(caller: Caller): Promise<LockStatus> {
    this.#enter(caller)
    return {
      isOn: this.isOn,
      kekVersion: this.version,
      waitingFor: [],
      keys: { newest: this.dekId, kept: [this.dekId], rewrapped: 3, left: 0 },
    }
  }

  async lock(caller: Caller): Promise<RedactedBytes> {
    this.#enter(caller)
    if (this.isOn) throw new AutolockUnchanged(true)
    this.isOn = true
    this.version++
    return this.#key()
  }

  async unlock(caller: Caller): Promise<void> {
    this.#enter(caller)
    if (!this.isOn) throw new AutolockUnchanged(false)
    this.isOn = false
    this.version++
  }

  async unlockKey(caller: Caller): Promise<RedactedBytes> {
    this.#enter(caller)
    if (!this.isOn) throw new AutolockOff()
    return this.#key()
  }

  async rotateUnlockKey(caller: Caller): Promise<RedactedBytes> {
    this.#enter(caller)
    if (!this.isOn) throw new AutolockOff()
    this.version++
    return this.#key()
  }

  async rotateKeyring(caller: Caller): Promise<LockStatus> {
    this.dekId++
    return this.status(caller)
  }

  #key(): RedactedBytes {
    return new Redacted(utf8(`SWMKEY-1-${String(this.version).padStart(43, 'A')}`))
  }
}
