import { invariant } from '@conclave/kernel'

/** A promise that ends by itself unless it is renewed; the keys put under it go with it. */
export interface Lease {
  readonly id: number
  readonly ttlMs: number
  /** By the clocks of proposers. Passing it does nothing: a command of the leader ends the lease. */
  readonly expiresAtMs: number
}

export class Leases {
  readonly #leases = new Map<number, { lease: Lease; readonly keys: Set<string> }>()

  constructor(leases: readonly Lease[] = []) {
    for (const lease of leases) this.#leases.set(lease.id, { lease, keys: new Set() })
  }

  get count(): number {
    return this.#leases.size
  }

  has(id: number): boolean {
    return this.#leases.has(id)
  }

  get(id: number): Lease | undefined {
    return this.#leases.get(id)?.lease
  }

  /** In the order of their ids. */
  list(): readonly Lease[] {
    return Array.from(this.#leases.values(), ({ lease }) => lease).sort((a, b) => a.id - b.id)
  }

  /** The keys that were put under it, in no order. */
  keys(id: number): readonly string[] {
    return [...(this.#leases.get(id)?.keys ?? [])]
  }

  grant(id: number, ttlMs: number, nowMs: number): Lease {
    const lease = { id, ttlMs, expiresAtMs: nowMs + ttlMs }
    this.#leases.set(id, { lease, keys: new Set() })
    return lease
  }

  /** Gives the lease one more TTL from `nowMs`. It never shortens: clocks of proposers may differ. */
  renew(id: number, nowMs: number): Lease {
    const held = this.#leases.get(id)
    invariant(held !== undefined, 'a lease that is renewed exists')
    const { lease } = held
    held.lease = { ...lease, expiresAtMs: Math.max(lease.expiresAtMs, nowMs + lease.ttlMs) }
    return held.lease
  }

  attach(id: number, key: string): void {
    this.#leases.get(id)?.keys.add(key)
  }

  detach(id: number, key: string): void {
    this.#leases.get(id)?.keys.delete(key)
  }

  end(id: number): void {
    this.#leases.delete(id)
  }
}
