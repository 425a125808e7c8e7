import type { Clock, Random } from '@conclave/kernel'
import { MachineStore, type SecretStore, type StoreMachine } from '@conclave/store'
import { LeaseKeeper } from './lease-keeper.ts'
import type { Replica } from './replica.ts'

/** The `embedded` engine: the state that this member and its peers agree on. */
export class EmbeddedStore {
  readonly #replica: Replica
  readonly #machine: StoreMachine
  readonly #random: Random
  readonly #leases: LeaseKeeper

  constructor(options: {
    readonly replica: Replica
    readonly store: StoreMachine
    readonly clock: Clock
    readonly random: Random
  }) {
    const { replica, store, clock, random } = options
    this.#replica = replica
    this.#machine = store
    this.#random = random
    this.#leases = new LeaseKeeper(replica, store, clock)
  }

  /** One more client, through this member. */
  client(): SecretStore {
    return new MachineStore({
      engine: 'embedded',
      machine: this.#machine,
      proposer: this.#replica,
      random: this.#random,
      leaseTtlMsMin: 1000,
    })
  }

  tick(): void {
    this.#leases.tick()
  }
}
