import type { RecordChange } from './effect.ts'
import { putCounters, type Counters } from './records.ts'

/** Offers live in memory, but a number must not come back in a later term: blocks are written ahead. */
const offersPerBlock = 1000

/** Gives out the numbers that ids are made of, each once in the life of the cluster. */
export class Numbers {
  readonly #clusterId: string
  #counters: Counters
  #nextOffer: number

  constructor(clusterId: string, counters: Counters = { agents: 0, frameworks: 0, offers: 0 }) {
    this.#clusterId = clusterId
    this.#counters = counters
    this.#nextOffer = counters.offers
  }

  agent(): { readonly id: string; readonly change: RecordChange } {
    const number = this.#counters.agents
    this.#counters = { ...this.#counters, agents: number + 1 }
    return { id: `${this.#clusterId}-S${number}`, change: putCounters(this.#counters) }
  }

  framework(): { readonly id: string; readonly change: RecordChange } {
    const number = this.#counters.frameworks
    this.#counters = { ...this.#counters, frameworks: number + 1 }
    const digits = String(number).padStart(4, '0')
    return { id: `${this.#clusterId}-${digits}`, change: putCounters(this.#counters) }
  }

  /** `change` is there for the first offer of each block, and has to be committed before it is made. */
  offer(): { readonly id: string; readonly change: RecordChange | undefined } {
    const number = this.#nextOffer++
    const isReserved = number < this.#counters.offers
    if (!isReserved) {
      this.#counters = { ...this.#counters, offers: this.#counters.offers + offersPerBlock }
    }
    return {
      id: `${this.#clusterId}-O${number}`,
      change: isReserved ? undefined : putCounters(this.#counters),
    }
  }
}
