import type { Clock } from '@conclave/kernel'
import type { View } from '@conclave/store'
import { Records } from '../record.ts'
import type { HolderView } from './authority-api.ts'
import { holderPrefix, HolderRecord, removedPrefix, type MemberRole } from './authority-records.ts'

export interface HoldersOptions {
  readonly view: View
  readonly clock: Clock
  /** The masters of the group, by id. */
  readonly masters: () => readonly string[]
  /** The agents that are registered, by the names in their certificates. */
  readonly agents: () => readonly string[]
}

/**
 * Who holds a certificate: whoever showed one or was given one, every master of the group, and every
 * agent that is registered. What somebody was only given does not count as held: it may never have
 * reached a disk.
 */
export class Holders {
  readonly #options: HoldersOptions
  readonly #holders: Records<HolderRecord>

  constructor(options: HoldersOptions) {
    this.#options = options
    this.#holders = new Records(options.view, HolderRecord)
  }

  isKnown(role: MemberRole, id: string): boolean {
    return this.all('').some((holder) => holder.role === role && holder.id === id)
  }

  isRemoved(role: MemberRole, id: string): boolean {
    return this.#options.view.get(`${removedPrefix}${role}/${id}`) !== undefined
  }

  /** By role and name. `issuer` is the root that issues now. */
  all(issuer: string): readonly HolderView[] {
    const found = new Map<string, HolderView>()
    const add = (role: MemberRole, id: string, shown: HolderRecord['shown']): void => {
      if (this.isRemoved(role, id)) return
      found.set(`${role}/${id}`, {
        id,
        role,
        issuer: shown?.issuer,
        untilMs: shown?.untilMs,
        isCurrent: shown?.issuer === issuer,
      })
    }
    for (const [role, id] of this.#expected()) add(role, id, undefined)
    for (const { record } of this.#holders.list(holderPrefix)) {
      add(record.role, record.id, record.shown)
    }
    return [...found.values()].toSorted((a, b) =>
      a.role === b.role ? a.id.localeCompare(b.id) : b.role.localeCompare(a.role),
    )
  }

  /** Members that would be shut out if only `issuer` counted, and whose certificates still count. */
  waitingFor(issuer: string): readonly HolderView[] {
    const nowMs = this.#options.clock.nowMs()
    const expected = new Set(this.#expected().map(([role, id]) => `${role}/${id}`))
    return this.all(issuer).filter(({ id, role, isCurrent, untilMs }) => {
      if (isCurrent || (untilMs !== undefined && untilMs <= nowMs)) return false
      // Who was given a certificate and never came back with it begins anew.
      return untilMs !== undefined || expected.has(`${role}/${id}`)
    })
  }

  #expected(): readonly (readonly [MemberRole, string])[] {
    const { masters, agents } = this.#options
    return [
      ...masters().map((id) => ['master', id] as const),
      ...agents().map((id) => ['agent', id] as const),
    ]
  }
}
