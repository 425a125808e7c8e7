import { authorityFingerprint, createJoinSecret } from '@conclave/crypto'
import { wipe, type Clock, type Random, type RedactedBytes } from '@conclave/kernel'
import type { EventDraft } from '@conclave/model'
import type { Certificates } from '../../ports.ts'
import type { Access } from '../access.ts'
import type { Caller } from '../master-api.ts'
import type { Op, Txn } from '@conclave/store'
import { MembershipRefused } from '../errors.ts'
import { memberKey } from '../master-records.ts'
import { encodeRecord, Records } from '../record.ts'
import { decideAndCommit, isStill, type Replicated } from '../replicated.ts'
import { operatorResource } from '../resources.ts'
import type { AuthorityApi, AuthorityStatus } from './authority-api.ts'
import {
  authorityKey,
  holderKey,
  joinSecretKey,
  nextRootKeyKey,
  promotionKey,
  promotionPrefix,
  PromotionRecord,
  removedKey,
  type AuthorityRecord,
  type MemberRole,
  type RemovedRecord,
} from './authority-records.ts'
import type { AuthorityState } from './authority-state.ts'
import { AuthorityMissing, AuthorityRotating, HolderUnknown, ValidityInvalid } from './errors.ts'
import type { Holders } from './holders.ts'
import type { SealedKeys } from './sealed-keys.ts'

export interface AuthorityServiceOptions {
  readonly clusterId: string
  readonly state: AuthorityState
  readonly sealed: SealedKeys
  readonly holders: Holders
  readonly replicated: Replicated
  readonly access: Access
  /** Why nobody may be made a master here, if so. */
  readonly whyMembersStay: () => string | undefined
  readonly certificates: Certificates
  readonly clock: Clock
  readonly random: Random
  readonly emit: (draft: EventDraft) => void
}

const hourMs = 3_600_000
const nothingMore = { compare: [], success: [] } as const
const validityMsMax = 10 * 365 * 24 * hourMs

/** What operators may see and do of the authority, and the join tokens that pin it. */
export class AuthorityService implements AuthorityApi {
  readonly #options: AuthorityServiceOptions
  readonly #promotions: Records<PromotionRecord>

  constructor(options: AuthorityServiceOptions) {
    this.#options = options
    this.#promotions = new Records(options.replicated.view, PromotionRecord)
  }

  async joinToken(caller: Caller, role: MemberRole): Promise<RedactedBytes> {
    await this.#demand(caller, 'read', `authority/join-token/${role}`)
    await this.#options.replicated.refresh()
    return this.#options.state.joinToken(role)
  }

  async rotateJoinToken(caller: Caller, role: MemberRole): Promise<RedactedBytes> {
    await this.#demand(caller, 'update', `authority/join-token/${role}`)
    const { sealed, random, emit, state } = this.#options
    const secret = createJoinSecret(random)
    try {
      await this.#change((record) => ({ record, more: [sealed.put(joinSecretKey(role), secret)] }))
    } finally {
      wipe(secret)
    }
    emit({ type: 'join-token.rotated', role })
    return state.joinToken(role)
  }

  async status(caller: Caller): Promise<AuthorityStatus> {
    await this.#demand(caller, 'read', 'authority')
    await this.#options.replicated.refresh()
    return this.#status()
  }

  async rotate(caller: Caller): Promise<AuthorityStatus> {
    await this.#demand(caller, 'update', 'authority/root')
    const { clusterId, certificates, state, sealed, clock, replicated, emit } = this.#options
    await replicated.refresh()
    if (state.record.next !== undefined) throw new AuthorityRotating()
    const old = state.openRoot()
    const fresh = await certificates.createRoot(clusterId)
    const rootPem = fresh.certificatePem
    try {
      const crossPem = await certificates.crossSign(old, rootPem)
      await this.#change((record) => {
        if (record.next !== undefined) throw new AuthorityRotating()
        const next = { rootPem, crossPem, begunAtMs: clock.nowMs() }
        return {
          record: { ...record, next },
          more: [sealed.put(nextRootKeyKey, fresh.privateKey)],
        }
      })
    } finally {
      wipe(old.privateKey)
      wipe(fresh.privateKey)
    }
    emit({
      type: 'authority.rotation-begun',
      from: authorityFingerprint(old.certificatePem),
      to: authorityFingerprint(rootPem),
    })
    return this.#status()
  }

  async setValidity(caller: Caller, validityMs: number): Promise<AuthorityStatus> {
    const isPossible =
      Number.isSafeInteger(validityMs) && validityMs >= hourMs && validityMs <= validityMsMax
    if (!isPossible) throw new ValidityInvalid()
    await this.#demand(caller, 'update', 'authority/validity')
    await this.#change((record) => ({ record: { ...record, validityMs }, more: [] }))
    return this.#status()
  }

  async promote(caller: Caller, agent: string): Promise<void> {
    await this.#demand(caller, 'create', promotionKey(agent))
    const { holders, replicated, clock, emit, whyMembersStay } = this.#options
    const why = whyMembersStay()
    if (why !== undefined) throw new MembershipRefused(why)
    const isNew = await decideAndCommit<boolean>(replicated, () => {
      if (!holders.isKnown('agent', agent)) return { refuse: async () => new HolderUnknown(agent) }
      const key = promotionKey(agent)
      const known = this.#promotions.get(key)
      const record: PromotionRecord = known?.record ?? { agent, atMs: clock.nowMs() }
      return {
        commit: {
          compare: [
            isStill(key, known),
            { key: removedKey('agent', agent), target: 'version', is: '=', operand: 0 },
          ],
          success: [{ do: 'put', key, value: encodeRecord(record) }],
        },
        committed: () => known === undefined,
      }
    })
    if (isNew) emit({ type: 'member.promotion-wanted', memberId: agent })
  }

  async forget(caller: Caller, role: MemberRole, id: string): Promise<void> {
    await this.#demand(caller, 'delete', `authority/certificate/${role}/${id}`)
    const { holders, replicated, clock, emit } = this.#options
    await decideAndCommit<void>(replicated, () => {
      if (!holders.isKnown(role, id)) return { refuse: async () => new HolderUnknown(id) }
      const record: RemovedRecord = { id, role, atMs: clock.nowMs() }
      const more = role === 'agent' ? this.#withoutPromotion(id, record.atMs) : nothingMore
      return {
        commit: {
          compare: more.compare,
          success: [
            { do: 'put', key: removedKey(role, id), value: encodeRecord(record) },
            { do: 'delete', key: holderKey(role, id) },
            ...more.success,
          ],
        },
        committed: () => undefined,
      }
    })
    emit({ type: 'member.forgotten', memberId: id, role })
  }

  /**
   * The master that it was to have beside it is nobody either, unless it was let in meanwhile. Claimed, since its
   * machine may be asking for that one's certificate, or coming in, at this moment.
   */
  #withoutPromotion(agent: string, atMs: number): Required<Pick<Txn, 'compare' | 'success'>> {
    const key = promotionKey(agent)
    const known = this.#promotions.get(key)
    const compare = [isStill(key, known)]
    const remove: Op = { do: 'delete', key }
    const master = known?.record.master
    if (master === undefined) return { compare, success: [remove] }
    const { masterId: id } = master
    const member = this.#options.replicated.view.get(memberKey(id))
    if (member !== undefined) return { compare, success: [] }
    const record: RemovedRecord = { id, role: 'master', atMs }
    return {
      compare: [...compare, isStill(memberKey(id), member)],
      success: [
        remove,
        { do: 'put', key: removedKey('master', id), value: encodeRecord(record) },
        { do: 'delete', key: holderKey('master', id) },
      ],
    }
  }

  #status(): AuthorityStatus {
    const { state, holders, certificates } = this.#options
    const { rootPem, validityMs, next } = state.record
    const issuer = authorityFingerprint(next?.rootPem ?? rootPem)
    const all = holders.all(issuer)
    return {
      rootPem,
      root: authorityFingerprint(rootPem),
      untilMs: certificates.untilMs(rootPem),
      validityMs,
      rotation: next && {
        rootPem: next.rootPem,
        root: issuer,
        begunAtMs: next.begunAtMs,
        waitingFor: holders.waitingFor(issuer).map(({ id }) => id),
      },
      holders: all,
      promotions: this.#promotions
        .list(promotionPrefix)
        .map(({ record: { agent, master } }) => ({ agent, masterId: master?.masterId })),
    }
  }

  /** @throws AuthorityMissing */
  async #change(
    change: (record: AuthorityRecord) => {
      readonly record: AuthorityRecord
      readonly more: readonly ReturnType<SealedKeys['put']>[]
    },
  ): Promise<void> {
    const { state, replicated } = this.#options
    await decideAndCommit<void>(replicated, () => {
      const { stored } = state
      if (stored === undefined) return { refuse: async () => new AuthorityMissing() }
      const { record, more } = change(stored.record)
      return {
        commit: {
          compare: [isStill(authorityKey, stored)],
          success: [{ do: 'put', key: authorityKey, value: encodeRecord(record) }, ...more],
        },
        committed: () => undefined,
      }
    })
  }

  /** On record before anything is done or shown (MA4). @throws AccessDenied */
  async #demand(
    caller: Caller,
    action: 'create' | 'read' | 'update' | 'delete',
    path: string,
  ): Promise<void> {
    const { access } = this.#options
    if (!access.may(caller, operatorResource, 'full')) {
      throw await access.denied(caller, action, operatorResource, 'full', path)
    }
    await access.audit(caller, action, path, 'allowed')
  }
}
