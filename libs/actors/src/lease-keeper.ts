import type { Clock } from '@conclave/kernel'
import type { StoreMachine } from '@conclave/store'
import type { Replica } from './replica.ts'

/**
 * Ends leases, for as long as its member leads: by a command, never by a clock of those who apply it. A
 * new leader's clock may be another, and renewals may have been lost on their way to the old one, so
 * each lease first lives for one TTL more.
 */
export class LeaseKeeper {
  readonly #replica: Replica
  readonly #store: StoreMachine
  readonly #clock: Clock
  readonly #ending = new Set<number>()
  /** The term in which all leases were extended. */
  #extendedIn = 0
  #isExtending = false

  constructor(replica: Replica, store: StoreMachine, clock: Clock) {
    this.#replica = replica
    this.#store = store
    this.#clock = clock
  }

  tick(): void {
    if (this.#replica.role !== 'leader') return
    const { term } = this.#replica
    if (this.#extendedIn !== term) return void this.#extend(term)
    const nowMs = this.#clock.nowMs()
    for (const { id, expiresAtMs } of this.#store.leases()) {
      if (expiresAtMs <= nowMs && !this.#ending.has(id)) void this.#end(id)
    }
  }

  async #extend(term: number): Promise<void> {
    if (this.#isExtending) return
    this.#isExtending = true
    try {
      await this.#replica.propose({ compare: [], success: [{ do: 'lease-extend-all' }] })
      this.#extendedIn = term
    } catch {
      // The next tick tries again, if this member still leads.
    } finally {
      this.#isExtending = false
    }
  }

  async #end(lease: number): Promise<void> {
    this.#ending.add(lease)
    try {
      await this.#replica.propose({ compare: [], success: [{ do: 'lease-expire', lease }] })
    } catch {
      // The next tick tries again.
    } finally {
      this.#ending.delete(lease)
    }
  }
}
