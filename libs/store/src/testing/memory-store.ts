import type { Clock, Random } from '@conclave/kernel'
import { encodeCommand } from '../command.ts'
import { MachineStore, type Proposer } from '../machine-store.ts'
import type { SecretStore } from '../secret-store.ts'
import { StoreMachine } from '../store.ts'

/** The `memory` engine: the machine itself, with nobody to agree with. Its leases end when it is told the time. */
export class MemoryStore {
  readonly machine = new StoreMachine()
  readonly #clock: Clock
  readonly #random: Random
  readonly #proposer: Proposer

  constructor(options: { readonly clock: Clock; readonly random: Random }) {
    const { clock, random } = options
    this.#clock = clock
    this.#random = random
    this.#proposer = {
      propose: async (txn, session) => {
        const command = { ...txn, ...(session && { session }), nowMs: clock.nowMs() }
        return this.machine.apply(encodeCommand(command, this.machine.limits))
      },
      linearize: () => Promise.resolve(),
    }
  }

  /** One more client of the same store. */
  client(): SecretStore {
    return new MachineStore({
      engine: 'memory',
      machine: this.machine,
      proposer: this.#proposer,
      random: this.#random,
      leaseTtlMsMin: 1,
    })
  }

  /** Ends the leases whose time is over. */
  tick(): void {
    const nowMs = this.#clock.nowMs()
    const over = this.machine.leases().filter(({ expiresAtMs }) => expiresAtMs <= nowMs)
    for (const { id } of over) {
      const expire = { do: 'lease-expire', lease: id } as const
      this.machine.apply(encodeCommand({ nowMs, compare: [], success: [expire] }))
    }
  }
}
