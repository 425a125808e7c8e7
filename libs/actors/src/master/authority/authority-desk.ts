import type { Kek } from '@conclave/crypto'
import type { Clock, Random } from '@conclave/kernel'
import type { EventDraft } from '@conclave/model'
import type { Compare, View } from '@conclave/store'
import type { AuditSink, Certificates } from '../../ports.ts'
import type { Access } from '../access.ts'
import type { ClusterKeys } from '../cluster-keys.ts'
import type { Replicated } from '../replicated.ts'
import { foundAuthority, type FirstAuthority } from './authority-founding.ts'
import { AuthorityService } from './authority-service.ts'
import { AuthorityState, type Trust } from './authority-state.ts'
import type { MasterSeen } from './enrolment-api.ts'
import { EnrolmentService } from './enrolment-service.ts'
import { Holders } from './holders.ts'
import type { Reservations } from './reservations.ts'
import { endRotation } from './rotation.ts'
import { SealedKeys } from './sealed-keys.ts'

export interface AuthorityDeskOptions {
  readonly clusterId: string
  readonly kek: () => Kek
  readonly keys: ClusterKeys
  readonly firstAuthority: FirstAuthority | undefined
  readonly replicated: Replicated
  readonly access: Access
  /** Why nobody may be made a master here, if so. */
  readonly whyMembersStay: () => string | undefined
  readonly certificates: Certificates
  readonly reservations: Reservations
  readonly masters: () => readonly MasterSeen[]
  /** The agents that are registered, by the names in their certificates. */
  readonly agents: () => readonly string[]
  readonly audit: AuditSink
  readonly clock: Clock
  readonly random: Random
  readonly emit: (draft: EventDraft) => void
  /** Called whenever what members must trust has changed in this master's state. */
  readonly onTrust: (trust: Trust) => void
  readonly onProblem: (what: string, error: unknown) => void
}

/** All that a master has to do with the cluster's authority, in one place. */
export class AuthorityDesk {
  readonly operators: AuthorityService
  readonly enrolment: EnrolmentService
  readonly holders: Holders
  readonly #options: AuthorityDeskOptions
  readonly #state: AuthorityState
  readonly #sealed: SealedKeys
  #toldRevision = 0
  #isEnding = false

  constructor(options: AuthorityDeskOptions) {
    const { clusterId, keys, replicated, random } = options
    const view: View = replicated.view
    this.#options = options
    this.#sealed = new SealedKeys({ clusterId, view, keys, random })
    this.#state = new AuthorityState({ clusterId, view, sealed: this.#sealed })
    const shared = { ...options, state: this.#state, sealed: this.#sealed }
    this.holders = new Holders({
      ...options,
      view,
      masters: () => options.masters().map(({ masterId }) => masterId),
    })
    this.operators = new AuthorityService({ ...shared, holders: this.holders })
    this.enrolment = new EnrolmentService(shared)
  }

  /** Undefined until the authority is in the store. */
  get trust(): Trust | undefined {
    return this.#state.trust
  }

  /** What a leader does before it serves. A key that does not open keeps nobody from their secrets. */
  async found(claim: Compare): Promise<void> {
    const { firstAuthority: first, kek, onProblem, emit } = this.#options
    try {
      const root = await foundAuthority({
        ...this.#options,
        first,
        kek: kek(),
        state: this.#state,
        sealed: this.#sealed,
        claim,
      })
      if (root !== undefined) emit({ type: 'authority.founded', root })
    } catch (error) {
      onProblem('the authority could not be taken into the store', error)
    }
  }

  tick(): void {
    this.enrolment.tick()
  }

  /** Tells of a change, once for each. */
  look(): void {
    const { stored, trust } = this.#state
    if (stored === undefined || trust === undefined) return
    if (stored.modRevision === this.#toldRevision) return
    this.#toldRevision = stored.modRevision
    this.#options.onTrust(trust)
  }

  /** For the leader, each second: lets the old root go once nobody needs it. */
  async lead(): Promise<void> {
    if (this.#isEnding) return
    this.#isEnding = true
    try {
      const { replicated, random, emit } = this.#options
      const root = await endRotation({
        state: this.#state,
        sealed: this.#sealed,
        holders: this.holders,
        replicated,
        random,
      })
      if (root !== undefined) emit({ type: 'authority.rotation-ended', root })
    } catch {
      // Nobody leads, or another has changed the same: the next turn looks again.
    } finally {
      this.#isEnding = false
    }
  }

  stop(): void {
    this.enrolment.tick(true)
  }
}
