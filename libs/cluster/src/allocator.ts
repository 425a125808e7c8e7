import { contains, dominantShare, plus, scalarOf, type Bag } from './resources.ts'

/*
 * Who is offered what: dominant resource fairness (Ghodsi et al., NSDI 2011) over roles, and among the
 * frameworks of a role, as Mesos' hierarchical allocator does it. An agent's free resources go to one
 * framework, whole; what it declines goes to the next.
 */

/** A framework that takes offers in a role, and what it holds there already, offers included. */
export interface Contender {
  readonly frameworkId: string
  readonly role: string
  readonly held: Bag
  /** Of its role: how much more than others that one is to have. */
  readonly weight: number
  /** False for one that is away or suppressed: it counts for its role's share, and gets nothing. */
  readonly isEager: boolean
}

export interface Supply {
  readonly agentId: string
  readonly free: Bag
}

export interface Allotment extends Supply {
  readonly frameworkId: string
  readonly role: string
}

interface Filter {
  readonly role: string
  readonly agentId: string
  readonly refused: Bag
  readonly untilTick: number
}

/** Less than this is not worth an offer. Source: Mesos' `MIN_CPUS`, `MIN_MEM`. */
const isWorthwhile = (free: Bag): boolean =>
  scalarOf(free, 'cpus') >= 0.01 || scalarOf(free, 'mem') >= 32

export class Allocator {
  readonly #filters = new Map<string, Filter[]>()

  /** `frameworkId` wants no part of `refused` of this agent before `untilTick`. */
  refuse(frameworkId: string, filter: Filter): void {
    const filters = this.#filters.get(frameworkId)
    if (filters === undefined) this.#filters.set(frameworkId, [filter])
    else filters.push(filter)
  }

  /** Forgets what a framework refused, in all roles unless some are named. */
  revive(frameworkId: string, roles: readonly string[] = []): void {
    if (roles.length === 0) this.#filters.delete(frameworkId)
    else this.#keep(frameworkId, ({ role }) => !roles.includes(role))
  }

  forgetAgent(agentId: string): void {
    for (const frameworkId of this.#filters.keys()) {
      this.#keep(frameworkId, (filter) => filter.agentId !== agentId)
    }
  }

  /** Drops filters that are over. True when there were any, so that there may be more to offer. */
  expire(tick: number): boolean {
    let any = false
    for (const frameworkId of this.#filters.keys()) {
      any = this.#keep(frameworkId, ({ untilTick }) => untilTick > tick) || any
    }
    return any
  }

  /**
   * Deals out all free resources. `total` is the whole cluster's. What is free on an agent in `promised`
   * goes to the contender there, if it still wants it.
   */
  allocate(
    supplies: readonly Supply[],
    contenders: readonly Contender[],
    total: Bag,
    promised: ReadonlyMap<string, Contender> = new Map(),
  ): readonly Allotment[] {
    const held = new Map(contenders.map((contender) => [contender, contender.held]))
    const allotments: Allotment[] = []
    for (const supply of supplies) {
      if (!isWorthwhile(supply.free)) continue
      const next =
        this.#promisee(supply, contenders, promised) ?? this.#neediest(supply, held, total)
      if (next === undefined) continue
      held.set(next, plus(held.get(next) ?? next.held, supply.free))
      allotments.push({ ...supply, frameworkId: next.frameworkId, role: next.role })
    }
    return allotments
  }

  #promisee(
    supply: Supply,
    contenders: readonly Contender[],
    promised: ReadonlyMap<string, Contender>,
  ): Contender | undefined {
    const wanted = promised.get(supply.agentId)
    if (wanted === undefined) return undefined
    const { frameworkId, role } = wanted
    return contenders.find(
      (one) => one.frameworkId === frameworkId && one.role === role && this.wouldTake(one, supply),
    )
  }

  /** Whether it may be offered this. */
  wouldTake(contender: Contender, supply: Supply): boolean {
    return contender.isEager && !this.#isRefused(contender, supply)
  }

  #neediest(supply: Supply, held: ReadonlyMap<Contender, Bag>, total: Bag): Contender | undefined {
    const roles = new Map<string, Bag>()
    for (const [{ role }, bag] of held) {
      const sum = roles.get(role)
      roles.set(role, sum === undefined ? bag : plus(sum, bag))
    }
    const shareOfRole = new Map(
      Array.from(roles, ([role, bag]) => [role, dominantShare(bag, total)]),
    )
    return [...held.keys()]
      .filter((contender) => this.wouldTake(contender, supply))
      .map((contender) => ({
        contender,
        roleShare: (shareOfRole.get(contender.role) ?? 0) / contender.weight,
        share: dominantShare(held.get(contender) ?? contender.held, total),
      }))
      .toSorted(
        (a, b) =>
          a.roleShare - b.roleShare ||
          inOrder(a.contender.role, b.contender.role) ||
          a.share - b.share ||
          inOrder(a.contender.frameworkId, b.contender.frameworkId),
      )[0]?.contender
  }

  #isRefused({ frameworkId, role }: Contender, { agentId, free }: Supply): boolean {
    const filters = this.#filters.get(frameworkId) ?? []
    // More than was refused is a new chance; as much or less is not.
    return filters.some(
      (filter) =>
        filter.role === role && filter.agentId === agentId && contains(filter.refused, free),
    )
  }

  /** Keeps the filters that `isKept`; true when some went. */
  #keep(frameworkId: string, isKept: (filter: Filter) => boolean): boolean {
    const filters = this.#filters.get(frameworkId) ?? []
    const kept = filters.filter(isKept)
    if (kept.length === filters.length) return false
    if (kept.length === 0) this.#filters.delete(frameworkId)
    else this.#filters.set(frameworkId, kept)
    return true
  }
}

const inOrder = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1)
