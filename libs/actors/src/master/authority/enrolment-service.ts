import {
  authorityFingerprint,
  box,
  isSameJoinToken,
  JoinTokenInvalid,
  parseJoinToken,
  type Kek,
} from '@conclave/crypto'
import { Redacted, uuid, wipe, type Clock, type Random, type RedactedBytes } from '@conclave/kernel'
import type { AuditRecord, EventDraft } from '@conclave/model'
import type { AuditSink, Certificates, CertificateWanted } from '../../ports.ts'
import { LoginThrottled } from '../errors.ts'
import { FailedLogins } from '../identity/failed-logins.ts'
import { LeakyCounters } from '../identity/leaky-counters.ts'
import { attemptOf, LoginThrottle } from '../identity/login-throttle.ts'
import { encodeRecord, Records } from '../record.ts'
import { decideAndCommit, isStill, type Replicated } from '../replicated.ts'
import {
  holderKey,
  HolderRecord,
  MemberRole,
  promotionKey,
  PromotionRecord,
  removedKey,
} from './authority-records.ts'
import { trustOf, type AuthorityState, type Trust } from './authority-state.ts'
import {
  kekContext,
  type Enrolled,
  type EnrolmentApi,
  type CertificateRequest,
  type EnrolRequest,
  type Issued,
  type MasterSeen,
  type Shown,
  type Standing,
} from './enrolment-api.ts'
import { memberKey } from '../master-records.ts'
import { HolderRefused, RenewalThrottled } from './errors.ts'
import type { Reservation, Reservations } from './reservations.ts'

export interface EnrolmentServiceOptions {
  readonly clusterId: string
  readonly state: AuthorityState
  readonly replicated: Replicated
  readonly certificates: Certificates
  readonly reservations: Reservations
  readonly masters: () => readonly MasterSeen[]
  readonly kek: () => Kek
  readonly audit: AuditSink
  readonly clock: Clock
  readonly random: Random
  readonly emit: (draft: EventDraft) => void
}

/** A certificate counts for an hour at least, so that nobody needs more: twenty at once, then one a minute. */
const ofMember = { burst: 20, leakMs: 60_000, keysMax: 16_384 }

type Role = MemberRole
type Why = 'enrolment' | 'renewal'

/**
 * Gives certificates to who shows a join token, or the certificate before. Every master signs by
 * itself with the key that all of them hold, so a lost leader keeps nobody from joining or renewing.
 * What is issued is on record before it is handed out.
 */
export class EnrolmentService implements EnrolmentApi {
  readonly #options: EnrolmentServiceOptions
  readonly #holders: Records<HolderRecord>
  readonly #promotions: Records<PromotionRecord>
  readonly #throttle: LoginThrottle
  readonly #failed: FailedLogins
  readonly #renewals: LeakyCounters

  constructor(options: EnrolmentServiceOptions) {
    this.#options = options
    this.#holders = new Records(options.replicated.view, HolderRecord)
    this.#promotions = new Records(options.replicated.view, PromotionRecord)
    this.#throttle = new LoginThrottle(options.clock)
    this.#failed = new FailedLogins(options.clock)
    this.#renewals = new LeakyCounters(options.clock, ofMember)
  }

  async root(): Promise<{ readonly clusterId: string; readonly rootPem: string }> {
    const { clusterId, state } = this.#options
    return { clusterId, rootPem: state.record.rootPem }
  }

  async enrol(request: EnrolRequest): Promise<Enrolled> {
    try {
      const role = await this.#roleOf(request)
      const { id, nodeId } = await this.#reserve(role)
      const { clusterId, masters } = this.#options
      const issued = await this.#issue({ id, role }, request, 'enrolment')
      await this.#keepHolder({ id, role, ...(nodeId !== undefined && { nodeId }) })
      return { ...issued, id, role, nodeId, clusterId, masters: masters() }
    } finally {
      wipe(request.token)
    }
  }

  async renew(shown: Shown, request: CertificateRequest): Promise<Issued> {
    this.#meter(shown)
    await this.#options.replicated.refresh()
    await this.#demandMember(shown, request.requestId)
    return this.#issue(shown, request, 'renewal')
  }

  async renewEnded(shown: Shown, request: CertificateRequest): Promise<Issued> {
    this.#meter(shown)
    await this.#demandMember(shown, request.requestId)
    return this.#issue(shown, request, 'renewal')
  }

  async confirm({ id, role, certificatePem, issuerPem }: Shown): Promise<string> {
    const { replicated, certificates } = this.#options
    await replicated.refresh()
    const { authorityPem } = this.#trust()
    if (!counts(issuerPem, authorityPem)) throw new HolderRefused(ofNoRoot)
    const issuer = authorityFingerprint(issuerPem)
    const shown = { issuer, untilMs: certificates.untilMs(certificatePem) }
    const key = holderKey(role, id)
    const last = this.#holders.get(key)?.record.shown
    if (last?.issuer === issuer && last.untilMs >= shown.untilMs) return authorityPem
    return decideAndCommit<string>(replicated, () => {
      const before = this.#holders.get(key)
      if (this.#isRemoved(role, id)) return { refuse: async () => new HolderRefused(removed(id)) }
      const record: HolderRecord = { ...before?.record, id, role, shown }
      return {
        commit: {
          compare: [isStill(key, before), notThere(removedKey(role, id))],
          success: [{ do: 'put', key, value: encodeRecord(record) }],
        },
        committed: () => this.#trust().authorityPem,
      }
    })
  }

  async promote(shown: Shown, request: CertificateRequest): Promise<Enrolled> {
    this.#meter(shown, 'promotion')
    await this.#options.replicated.refresh()
    await this.#demandMember(shown, request.requestId)
    const { masterId: id, nodeId } = await this.#promoted(shown, request.requestId)
    const { clusterId, masters } = this.#options
    const issued = await this.#issue({ id, role: 'master' }, request, 'enrolment')
    return { ...issued, id, role: 'master', nodeId, clusterId, masters: masters() }
  }

  async standing({ id, role, issuerPem }: Shown): Promise<Standing> {
    await this.#options.replicated.refresh()
    if (this.#isRemoved(role, id)) throw new HolderRefused(removed(id))
    if (!counts(issuerPem, this.#trust().authorityPem)) throw new HolderRefused(ofNoRoot)
    const isPromoted =
      role === 'agent' && this.#options.replicated.view.get(promotionKey(id)) !== undefined
    return { masters: this.#options.masters(), isPromoted }
  }

  async kek(shown: Shown, publicKey: Uint8Array, requestId: string): Promise<Uint8Array> {
    const { clusterId, replicated, random, emit } = this.#options
    this.#meter(shown)
    await replicated.refresh()
    await this.#demandMember(shown, requestId)
    if (shown.role !== 'master') {
      await this.#audit(shown, 'read', 'keys/kek', 'denied', requestId)
      throw new HolderRefused('the key that wraps all others is for masters alone')
    }
    // One that has been at work has its own way to it. Whoever took its disk must not find another.
    if (replicated.view.get(memberKey(shown.id)) !== undefined) {
      await this.#audit(shown, 'read', 'keys/kek', 'denied', requestId)
      throw new HolderRefused('the key that wraps all others is for masters that never started')
    }
    const key = new Redacted(this.#options.kek().key.bytes())
    try {
      await this.#audit(shown, 'read', 'keys/kek', 'allowed', requestId)
      emit({ type: 'kek.handed-out', masterId: shown.id })
      return box(publicKey, key, kekContext(clusterId, shown.id), random)
    } finally {
      wipe(key)
    }
  }

  /** Puts on record, when their minute is over, how many more were refused than have a record. */
  tick(isLast = false): void {
    const { audit, clock, random } = this.#options
    const summaries = this.#failed.takeSummaries(isLast)
    for (const { source, count } of summaries) {
      const record = {
        ...refusal(clock.nowMs(), source, uuid(random)),
        count,
      } satisfies AuditRecord
      audit.append(record).catch(() => this.#failed.putBack([{ source, count }]))
    }
  }

  /** What the token allows to become. @throws JoinTokenInvalid, HolderRefused, LoginThrottled */
  async #roleOf({ token, source, requestId, role: wanted }: EnrolRequest): Promise<Role> {
    const { state, replicated } = this.#options
    const attempt = attemptOf('join', source)
    this.#checkThrottle(attempt)
    // Before the log is asked: what has not even the form costs nobody a round.
    const isFormed = hasForm(token)
    if (isFormed) await replicated.refresh()
    const role = isFormed ? matching(token, (one) => state.joinToken(one)) : undefined
    if (role !== undefined) {
      this.#throttle.succeeded(attempt)
      if (wanted === undefined || role === wanted) return role
      const why = `this is the join token of ${role}s; a ${wanted} needs its own`
      await this.#recordRefusal(attempt.source, requestId, why)
      throw new HolderRefused(why)
    }
    this.#throttle.failed(attempt)
    await this.#recordRefusal(attempt.source, requestId, 'invalid join token')
    throw new JoinTokenInvalid()
  }

  #checkThrottle(attempt: ReturnType<typeof attemptOf>): void {
    try {
      this.#throttle.check(attempt)
    } catch (error) {
      if (error instanceof LoginThrottled) this.#failed.count(attempt.source)
      throw error
    }
  }

  async #recordRefusal(source: string, requestId: string, why: string): Promise<void> {
    const { audit, clock, emit } = this.#options
    if (!this.#failed.isRecorded(source)) return
    await audit.append(refusal(clock.nowMs(), source, requestId))
    emit({ type: 'certificate.refused', why })
  }

  async #reserve(role: Role): Promise<{ id: string; nodeId?: number }> {
    const { reservations, random } = this.#options
    if (role === 'agent') return { id: `agent-${uuid(random).slice(0, 13)}` }
    const { masterId, nodeId } = await reservations.reserve()
    return { id: masterId, nodeId }
  }

  async #issue(
    { id, role }: { readonly id: string; readonly role: Role },
    { requestPem, hosts, requestId }: CertificateRequest,
    why: Why,
  ): Promise<Issued> {
    const { state, certificates, emit } = this.#options
    const { record } = state
    const { authorityPem, chainPem, issuer } = trustOf(record)
    const wanted: CertificateWanted = {
      id,
      role,
      // Nobody has a reason to call an agent by a name, and it could choose that of a master.
      hosts: role === 'master' ? hosts : [],
      validityMs: record.validityMs,
    }
    const root = state.openIssuer()
    try {
      const certificatePem = await certificates.sign(root, requestPem, wanted)
      await this.#audit({ id, role }, 'create', placeOf(role, id), 'allowed', requestId)
      const untilMs = certificates.untilMs(certificatePem)
      emit({ type: 'certificate.issued', memberId: id, role, why, issuer, untilMs })
      return { certificatePem: `${certificatePem}${chainPem}`, authorityPem }
    } finally {
      wipe(root.privateKey)
    }
  }

  /** Who the master beside this agent is. Taken, and put on record, when it is asked for first. @throws HolderRefused */
  async #promoted(shown: Shown, requestId: string): Promise<Reservation> {
    const { replicated, reservations, clock } = this.#options
    const key = promotionKey(shown.id)
    const wanted = shown.role === 'agent' ? this.#promotions.get(key)?.record : undefined
    const known = wanted?.master
    const isIn = known !== undefined && replicated.view.get(memberKey(known.masterId)) !== undefined
    if (wanted === undefined || isIn) {
      await this.#audit(shown, 'create', 'authority/promotion', 'denied', requestId)
      throw new HolderRefused(
        isIn
          ? `${shown.id} has a master beside it already: ${known.masterId}`
          : `nobody wants a master beside ${shown.id}`,
      )
    }
    if (known !== undefined) return known
    const master = await reservations.reserve()
    const holder: HolderRecord = {
      id: master.masterId,
      role: 'master',
      nodeId: master.nodeId,
      enrolledAtMs: clock.nowMs(),
    }
    return decideAndCommit<Reservation>(replicated, () => {
      const before = this.#promotions.get(key)
      if (before === undefined) {
        return { refuse: async () => new HolderRefused(`nobody wants a master beside ${shown.id}`) }
      }
      const taken = before.record.master
      if (taken !== undefined) {
        // The same machine has asked twice at once: what was reserved for this one is nobody's.
        return { commit: { compare: [isStill(key, before)], success: [] }, committed: () => taken }
      }
      const record: PromotionRecord = { ...before.record, master }
      return {
        commit: {
          compare: [isStill(key, before), notThere(removedKey('agent', shown.id))],
          success: [
            { do: 'put', key, value: encodeRecord(record) },
            { do: 'put', key: holderKey('master', master.masterId), value: encodeRecord(holder) },
          ],
        },
        committed: () => master,
      }
    })
  }

  /** The id is taken from now on. The certificate leaves only after that. */
  async #keepHolder(holder: Pick<HolderRecord, 'id' | 'role' | 'nodeId'>): Promise<void> {
    const { replicated, clock } = this.#options
    const key = holderKey(holder.role, holder.id)
    const record: HolderRecord = { ...holder, enrolledAtMs: clock.nowMs() }
    await decideAndCommit<void>(replicated, () => ({
      commit: {
        compare: [notThere(key), notThere(removedKey(holder.role, holder.id))],
        success: [{ do: 'put', key, value: encodeRecord(record) }],
      },
      committed: () => undefined,
    }))
  }

  /** Whoever has a certificate must not fill the disk with records of its renewals. @throws RenewalThrottled */
  #meter({ role, id }: Shown, what: 'promotion' | 'own' = 'own'): void {
    // Its own certificate must not wait for what its machine tries in vain.
    const member = what === 'own' ? `${role}/${id}` : `${what} of ${role}/${id}`
    const waitMs = this.#renewals.waitMs(member)
    if (waitMs > 0) throw new RenewalThrottled(Math.ceil(waitMs / 1000))
    this.#renewals.add(member)
  }

  async #demandMember({ id, role, issuerPem }: Shown, requestId: string): Promise<void> {
    const isRemoved = this.#isRemoved(role, id)
    if (!isRemoved && counts(issuerPem, this.#trust().authorityPem)) return
    const why = isRemoved ? removed(id) : ofNoRoot
    await this.#audit({ id, role }, 'create', placeOf(role, id), 'denied', requestId)
    this.#options.emit({ type: 'certificate.refused', memberId: id, role, why })
    throw new HolderRefused(why)
  }

  #isRemoved(role: Role, id: string): boolean {
    return this.#options.replicated.view.get(removedKey(role, id)) !== undefined
  }

  /** @throws AuthorityMissing */
  #trust(): Trust {
    return trustOf(this.#options.state.record)
  }

  #audit(
    { id, role }: { readonly id: string; readonly role: Role },
    action: AuditRecord['action'],
    path: string,
    outcome: AuditRecord['outcome'],
    requestId: string,
  ): Promise<void> {
    const { audit, clock } = this.#options
    const atMs = clock.nowMs()
    return audit.append({ atMs, principal: `${role}/${id}`, action, path, outcome, requestId })
  }
}

const removed = (id: string): string => `${id} was removed from this cluster`
const ofNoRoot = 'this certificate is of no root that counts'

const counts = (issuerPem: string | undefined, authorityPem: string): issuerPem is string =>
  issuerPem !== undefined && authorityPem.includes(issuerPem)

const placeOf = (role: Role, id: string): string => `authority/certificate/${role}/${id}`

const notThere = (key: string) => ({ key, target: 'version', is: '=', operand: 0 }) as const

const refusal = (atMs: number, source: string, requestId: string): AuditRecord => ({
  atMs,
  principal: 'stranger',
  action: 'create',
  path: 'authority/certificate',
  outcome: 'denied',
  requestId,
  source,
})

function hasForm(token: RedactedBytes): boolean {
  try {
    wipe(parseJoinToken(token).secret)
    return true
  } catch (error) {
    if (error instanceof JoinTokenInvalid) return false
    throw error
  }
}

/** Which role's token this is. Always compared with each, so that nobody learns by the time which it is near. */
function matching(token: RedactedBytes, expected: (role: Role) => RedactedBytes): Role | undefined {
  const found = MemberRole.options.filter((role) => {
    const wanted = expected(role)
    try {
      return isSameJoinToken(token, wanted)
    } finally {
      wipe(wanted)
    }
  })
  return found[0]
}
