import { OutcomeUnknown, Unavailable } from '@conclave/actors'
import { utf8 } from '@conclave/kernel'
import type { Op, Txn } from '@conclave/store'
import type { Dice } from './dice.ts'
import type { Member } from './member.ts'
import { ProcessGone } from './process.ts'
import type { World } from './world.ts'

export interface KeeperOptions {
  readonly world: World
  readonly dice: Dice
  readonly members: readonly [Member, ...Member[]]
  /** Begins the keys that it puts under leases. */
  readonly keyPrefix: string
  readonly everyUs: number
  /** The newest revision there is. */
  readonly revision: () => number
}

const leaseCount = 3

/**
 * Does to the store what masters do beside their clients: grants, renews and ends leases, and compacts
 * old revisions. What comes of it is compared like everything that is applied; nobody waits for it.
 */
export class Keeper {
  readonly #options: KeeperOptions
  #isDone = false

  constructor(options: KeeperOptions) {
    this.#options = options
  }

  start(): void {
    const { world, dice, everyUs } = this.#options
    world.after(dice.around(everyUs), () => {
      if (this.#isDone) return
      void this.#act()
      this.start()
    })
  }

  stop(): void {
    this.#isDone = true
  }

  async #act(): Promise<void> {
    const { world, dice, members } = this.#options
    try {
      await dice.pick(members).call((replica) => replica.propose(this.#draw()))
    } catch (error) {
      const isExpected =
        error instanceof ProcessGone ||
        error instanceof Unavailable ||
        error instanceof OutcomeUnknown
      if (!isExpected) world.violate('SI9', `the keeper is told ${String(error)}`)
    }
  }

  #draw(): Txn {
    const { dice, world, keyPrefix, revision } = this.#options
    const lease = dice.between(1, leaseCount)
    const key = `${keyPrefix}/lease/${dice.between(1, 3)}`
    const ops: readonly [readonly Op[], ...(readonly Op[])[]] = [
      [
        { do: 'lease-grant', lease, ttlMs: dice.between(100, 5_000) },
        { do: 'put', key, value: utf8(String(world.nowMs)), lease },
      ],
      [{ do: 'put', key, value: utf8(String(world.nowMs)), lease }],
      [{ do: 'lease-keepalive', lease }],
      [{ do: 'lease-expire', lease }],
      [{ do: 'lease-revoke', lease }],
      [{ do: 'lease-extend-all' }],
      [{ do: 'delete-prefix', prefix: `${keyPrefix}/lease/` }],
      [{ do: 'compact', revision: Math.max(0, revision() - dice.below(10)) }],
    ]
    return { compare: [], success: dice.pick(ops) }
  }
}
