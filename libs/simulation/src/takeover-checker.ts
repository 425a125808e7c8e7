import type { NodeId } from '@conclave/raft'
import type { Member } from './member.ts'
import { leaderOf } from './operator.ts'
import type { World } from './world.ts'

/** Less than the shortest silence after which a member stands for election by itself. */
const takeoverUs = 450_000

/**
 * Rule SI14: when the process of a leader ends, and all is well otherwise, the others do not wait for its
 * silence: their links broke, and that says enough.
 */
export class TakeoverChecker {
  readonly #world: World
  readonly #members: readonly Member[]
  #all = 0
  #slow = 0

  constructor(world: World, members: readonly Member[]) {
    this.#world = world
    this.#members = members
  }

  leaderGone(nodeId: NodeId): void {
    const others = this.#members.filter((member) => member.nodeId !== nodeId)
    if (others.some(({ state }) => state !== 'up')) return
    this.#world.count('leader taken over')
    this.#world.after(takeoverUs, () => {
      this.#all++
      if (leaderOf(this.#members) === undefined) this.#slow++
    })
  }

  /** One that asked for votes before the others had heard of it has to ask again, which is no mistake. */
  judge(): void {
    if (this.#all < 3 || this.#slow <= this.#all / 2) return
    this.#world.violate(
      'SI14',
      `${this.#slow} of ${this.#all} leaders whose process ended were not replaced ${takeoverUs / 1000} ms later`,
    )
  }
}
