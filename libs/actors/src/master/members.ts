import type { NodeId } from '@conclave/raft'
import type { Address, Member } from './master-api.ts'
import { memberKey, memberPrefix, MemberRecord } from './master-records.ts'
import { encodeRecord, Records } from './record.ts'
import { isStill, type Replicated } from './replicated.ts'
import type { MasterSettings } from './settings.ts'

/** Who the masters are and where they listen: as the settings say, or as each said itself since. */
export class Members {
  readonly #settings: MasterSettings
  readonly #replicated: Replicated
  readonly #records: Records<MemberRecord>
  #listeners: Readonly<Record<string, Address>>
  #isPublishing = false

  constructor(settings: MasterSettings, replicated: Replicated) {
    const { masterId, members } = settings
    this.#settings = settings
    this.#replicated = replicated
    this.#records = new Records(replicated.view, MemberRecord)
    this.#listeners = members.find((member) => member.masterId === masterId)?.listeners ?? {}
  }

  all(): readonly Member[] {
    return this.#known().map(({ masterId, listeners }) => ({ masterId, listeners }))
  }

  byNode(nodeId: NodeId): Member | undefined {
    const found = this.#known().find((member) => member.nodeId === nodeId)
    return found && { masterId: found.masterId, listeners: found.listeners }
  }

  /** The same, with the numbers that they have in the Raft group. */
  places(): readonly MemberRecord[] {
    return this.#known()
  }

  /** This master listens there now. */
  setListeners(listeners: Readonly<Record<string, Address>>): void {
    this.#listeners = listeners
  }

  /** Lets the others know where this master listens, unless they do. Tried again until it is agreed on. */
  async publish(): Promise<void> {
    const { masterId, nodeId } = this.#settings
    const key = memberKey(masterId)
    const known = this.#records.get(key)
    const wanted = { masterId, nodeId, listeners: this.#listeners }
    if (this.#isPublishing || isSame(known?.record, wanted)) return
    this.#isPublishing = true
    try {
      await this.#replicated.commit({
        compare: [isStill(key, known)],
        success: [{ do: 'put', key, value: encodeRecord(wanted) }],
      })
    } catch {
      // Nobody leads, or it is not known what became of it: the next call looks again.
    } finally {
      this.#isPublishing = false
    }
  }

  #known(): readonly MemberRecord[] {
    const { masterId, nodeId, members } = this.#settings
    const known = new Map<string, MemberRecord>(members.map((member) => [member.masterId, member]))
    for (const { record } of this.#records.list(memberPrefix)) known.set(record.masterId, record)
    known.set(masterId, { masterId, nodeId, listeners: { ...this.#listeners } })
    return [...known.values()].toSorted((a, b) => a.nodeId - b.nodeId)
  }
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
