import type { Clock } from '@conclave/kernel'
import type { ConfState, NodeId } from '@conclave/raft'
import { allMembers } from '@conclave/raft'
import type { WatchBatch } from '@conclave/store'
import type { Reservation, Reservations } from './authority/reservations.ts'
import type { Beside } from './machines.ts'
import type { Address, Member } from './master-api.ts'
import {
  memberKey,
  memberPrefix,
  MemberRecord,
  reservedKey,
  ReservedRecord,
} from './master-records.ts'
import { encodeRecord, Records } from './record.ts'
import { decideAndCommit, isStill, type Replicated } from './replicated.ts'
import type { MasterSettings } from './settings.ts'

/** The name among a member's listeners where the other masters call. */
export const peersListener = 'peers'

/** A master as the link to it must know it: all places where it may be found, the likeliest first. */
export interface PeerPlace {
  readonly masterId: string
  readonly nodeId: NodeId
  readonly addresses: readonly Address[]
}

/** Who the masters are and where they listen: as the settings say, or as each said itself since. */
export class Members implements Reservations {
  readonly #settings: MasterSettings
  readonly #replicated: Replicated
  readonly #config: () => ConfState
  readonly #clock: Clock
  readonly #records: Records<MemberRecord>
  readonly #reserved: Records<ReservedRecord>
  readonly #listeners = new Set<() => void>()
  /** By master: where it said itself that it is, since this one has started. */
  readonly #seenAt = new Map<string, Address>()
  /** First contacts: how to reach anybody at all before the records can say it. */
  #told: MasterSettings['members']
  #own: Readonly<Record<string, Address>>
  #isPublishing = false

  constructor(
    settings: MasterSettings,
    replicated: Replicated,
    config: () => ConfState,
    clock: Clock,
  ) {
    const { masterId, members } = settings
    this.#settings = settings
    this.#replicated = replicated
    this.#config = config
    this.#clock = clock
    this.#records = new Records(replicated.view, MemberRecord)
    this.#reserved = new Records(replicated.view, ReservedRecord)
    this.#told = members
    this.#own = members.find((member) => member.masterId === masterId)?.listeners ?? {}
  }

  all(): readonly Member[] {
    return this.#known().map(({ masterId, listeners }) => ({ masterId, listeners }))
  }

  byNode(nodeId: NodeId): Member | undefined {
    const found = this.#known().find((member) => member.nodeId === nodeId)
    return found && { masterId: found.masterId, listeners: found.listeners }
  }

  /** The same, with the numbers that they have in the Raft group. */
  places(): readonly (Member & { readonly nodeId: NodeId })[] {
    return this.#known()
  }

  /** What is on record of a master, removed ones included. */
  get(masterId: string): MemberRecord | undefined {
    return this.#records.get(memberKey(masterId))?.record
  }

  /** All that is on record, removed ones included, by ascending node id. */
  records(): readonly MemberRecord[] {
    const records = this.#records.list(memberPrefix).map(({ record }) => record)
    return records.toSorted((a, b) => a.nodeId - b.nodeId)
  }

  /** The other masters, and where each may be found: where it says it is, then where we were told. */
  peers(): readonly PeerPlace[] {
    const { masterId: self } = this.#settings
    const told = new Map(this.#told.map((member) => [member.masterId, member]))
    return this.#known()
      .filter(({ masterId }) => masterId !== self)
      .map(({ masterId, nodeId, listeners }) => ({
        masterId,
        nodeId,
        addresses: distinct([
          listeners[peersListener],
          told.get(masterId)?.listeners[peersListener],
          this.#seenAt.get(masterId),
        ]),
      }))
  }

  /** Masters that were removed, which may not have heard of it. */
  former(): readonly Pick<PeerPlace, 'masterId' | 'nodeId'>[] {
    return this.records().filter(({ state }) => state === 'removed')
  }

  /** Calls `listener` when a record may have changed. */
  onChanged(listener: () => void): void {
    this.#listeners.add(listener)
  }

  told({ events }: WatchBatch): void {
    if (events.some(({ key }) => key.startsWith(memberPrefix))) this.toldOfEverything()
  }

  toldOfEverything(): void {
    for (const listener of this.#listeners) listener()
  }

  /** Where the other masters are, as it was found out by other means. */
  setContacts(members: MasterSettings['members']): void {
    this.#told = members
    this.toldOfEverything()
  }

  /**
   * A member says that it listens there. It is on record only once it has found a leader, which may be
   * looking for it elsewhere until then.
   */
  seenAt(masterId: string, at: Address): void {
    const known = this.#seenAt.get(masterId)
    if (known?.host === at.host && known.port === at.port) return
    this.#seenAt.set(masterId, at)
    this.toldOfEverything()
  }

  /** This master listens there now. */
  setListeners(listeners: Readonly<Record<string, Address>>): void {
    this.#own = listeners
  }

  /** Lets the others know where this master listens, unless they do. Tried again until it is agreed on. */
  async publish(): Promise<void> {
    const { masterId, nodeId } = this.#settings
    const key = memberKey(masterId)
    const known = this.#records.get(key)
    // One that joins knows only after it was let in what is on record of it.
    if (!allMembers(this.#config()).includes(nodeId)) return
    const { role = 'voter', state = 'member' } = known?.record ?? {}
    const sinceMs = known === undefined ? this.#clock.nowMs() : known.record.sinceMs
    const wanted: MemberRecord = {
      ...known?.record,
      masterId,
      nodeId,
      listeners: this.#own,
      role,
      state,
      ...(sinceMs !== undefined && { sinceMs }),
    }
    if (this.#isPublishing || state === 'removed' || isSame(known?.record, wanted)) return
    this.#isPublishing = true
    try {
      await this.#put(wanted, known)
    } catch {
      // Nobody leads, or it is not known what became of it: the next call looks again.
    } finally {
      this.#isPublishing = false
    }
  }

  /**
   * Ids for a master that is about to join. Whatever was reserved is never given again, used or not.
   *
   * @throws Unavailable, OutcomeUnknown
   */
  reserve(): Promise<Reservation> {
    return decideAndCommit<Reservation>(this.#replicated, () => {
      const known = this.#reserved.get(reservedKey)
      const names = new Set(this.#known().map(({ masterId }) => masterId))
      let nodeId = Math.max(known?.record.nodeId ?? 0, ...this.#usedNodeIds()) + 1
      while (names.has(nameOf(nodeId))) nodeId++
      return {
        commit: {
          compare: [isStill(reservedKey, known)],
          success: [{ do: 'put', key: reservedKey, value: encodeRecord({ nodeId }) }],
        },
        committed: () => ({ masterId: nameOf(nodeId), nodeId }),
      }
    })
  }

  /**
   * Changes what is on record of a master, by what is: `change` answers with the record that shall be,
   * or throws. What is `beside` happens with it or not at all, and only while its claims hold: if not, both are asked again.
   *
   * @throws Unavailable, OutcomeUnknown
   */
  change(
    masterId: string,
    change: (known: MemberRecord | undefined) => MemberRecord,
    beside: () => Partial<Beside> = () => ({}),
  ): Promise<MemberRecord> {
    return decideAndCommit<MemberRecord>(this.#replicated, () => {
      const key = memberKey(masterId)
      const known = this.#records.get(key)
      const record = change(known?.record)
      const { compare = [], success = [] } = beside()
      return {
        commit: {
          compare: [isStill(key, known), ...compare],
          success: [{ do: 'put', key, value: encodeRecord(record) }, ...success],
        },
        committed: () => record,
      }
    })
  }

  /** Whom a node id belongs to or ever belonged to, as far as is known here. */
  ownerOf(nodeId: NodeId): string | undefined {
    const everybody = [...this.records(), ...this.#told]
    return everybody.find((one) => one.nodeId === nodeId)?.masterId
  }

  #usedNodeIds(): readonly NodeId[] {
    const known = [...this.records(), ...this.#told].map(({ nodeId }) => nodeId)
    return [...known, ...allMembers(this.#config())]
  }

  async #put(
    wanted: MemberRecord,
    known: { readonly modRevision: number } | undefined,
  ): Promise<void> {
    const key = memberKey(wanted.masterId)
    await this.#replicated.commit({
      compare: [isStill(key, known)],
      success: [{ do: 'put', key, value: encodeRecord(wanted) }],
    })
  }

  /** Everybody but those who were removed: first contacts, then what is on record, then this master. */
  #known(): readonly (Member & { readonly nodeId: NodeId })[] {
    const { masterId, nodeId } = this.#settings
    const known = new Map<string, Member & { readonly nodeId: NodeId }>(
      this.#told.map((member) => [member.masterId, member]),
    )
    for (const record of this.records()) {
      if (record.state === 'removed') known.delete(record.masterId)
      else known.set(record.masterId, record)
    }
    known.set(masterId, { masterId, nodeId, listeners: { ...this.#own } })
    return [...known.values()].toSorted((a, b) => a.nodeId - b.nodeId)
  }
}

const nameOf = (nodeId: NodeId): string => `master-${nodeId}`

function distinct(addresses: readonly (Address | undefined)[]): readonly Address[] {
  const found = new Map<string, Address>()
  for (const address of addresses) {
    if (address === undefined || address.port === 0) continue
    found.set(`${address.host} ${address.port}`, address)
  }
  return [...found.values()]
}

function isSame(a: MemberRecord | undefined, b: MemberRecord): boolean {
  if (a === undefined || a.nodeId !== b.nodeId) return false
  const names = Object.keys(b.listeners)
  return (
    names.length === Object.keys(a.listeners).length &&
    names.every((name) => {
      const [left, right] = [a.listeners[name], b.listeners[name]]
      return left?.host === right?.host && left?.port === right?.port
    })
  )
}
