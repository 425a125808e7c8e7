import {
  jwks,
  parseTokenPublicKey,
  signToken,
  verifyPassword,
  verifyToken,
  CryptographicFailure,
  type TokenClaims,
} from '@conclave/crypto'
import { utf8, uuid, wipe, type Clock, type Random, type RedactedBytes } from '@conclave/kernel'
import {
  coveringResources,
  ResourceId,
  superuserResource,
  type Action,
  type EventDraft,
  type Principal,
} from '@conclave/model'
import type { View } from '@conclave/store'
import type { AuditSink } from '../../ports.ts'
import type { ClusterKeys } from '../cluster-keys.ts'
import {
  aclKey,
  AclRecord,
  identityChangedKey,
  passwordKey,
  userKey,
  UserRecord,
} from './identity-records.ts'
import { LoginThrottled } from '../errors.ts'
import { FailedLogins, type Summary } from './failed-logins.ts'
import { attemptOf, LoginThrottle, type Attempt } from './login-throttle.ts'
import type { Authenticated, IdentityApi } from '../master-api.ts'
import { PasswordMemory } from './password-memory.ts'
import { passwordHashOf } from './password-records.ts'
import { Records } from '../record.ts'
import { RightsMemory } from './rights-memory.ts'
import { TokenMemory } from './token-memory.ts'
import { Turnstile } from './turnstile.ts'

/** DC/OS: five days. Source: dcos.md §1. */
export const tokenLifetimeSeconds = 432_000

/**
 * A service signs its login token when it needs one, for five minutes (dcos.md §1). Whoever captures one
 * can use it for no longer; a minute is for clocks that differ.
 */
const serviceTokenLifetimeSecondsMax = 360

const loginsWaitingMax = { all: 64, perSource: 32 }

export interface IdentityServiceOptions {
  readonly view: View
  readonly keys: ClusterKeys
  readonly audit: AuditSink
  readonly clock: Clock
  readonly random: Random
  readonly emit: (draft: EventDraft) => void
  /** Resolves once this master's state is fresh. */
  readonly refresh: () => Promise<void>
}

/**
 * Who is asking, and what they may do: users, service accounts and permissions as they are in this
 * master's state. What is not granted is denied.
 */
export class IdentityService implements IdentityApi {
  readonly #options: IdentityServiceOptions
  readonly #users: Records<UserRecord>
  readonly #acls: Records<AclRecord>
  readonly #memory: PasswordMemory
  readonly #tokens: TokenMemory
  readonly #rights = new RightsMemory<boolean>(() => this.changedRevision)
  /** Stretching occupies a thread of the pool that the disk is written with, too. */
  readonly #guesses = new Turnstile(loginsWaitingMax)
  readonly #throttle: LoginThrottle
  readonly #failed: FailedLogins
  readonly #revisionOf = (uid: string): number => this.#options.view.modRevision(userKey(uid))

  constructor(options: IdentityServiceOptions) {
    const { view, random, clock } = options
    this.#options = options
    this.#users = new Records(view, UserRecord)
    this.#acls = new Records(view, AclRecord)
    this.#memory = new PasswordMemory(random, clock)
    this.#tokens = new TokenMemory(clock)
    this.#throttle = new LoginThrottle(clock)
    this.#failed = new FailedLogins(clock)
  }

  async login(uid: string, password: RedactedBytes, source: string): Promise<string | undefined> {
    try {
      const isRight = (): Promise<boolean> => this.#isPasswordOf(uid, password)
      return (await this.#guess(uid, source, isRight)) ? await this.#tokenFor(uid) : undefined
    } finally {
      wipe(password)
    }
  }

  async loginService(uid: string, loginToken: string, source: string): Promise<string | undefined> {
    const isRight = (): Promise<boolean> => this.#isLoginTokenOf(uid, loginToken)
    return (await this.#guess(uid, source, isRight)) ? this.#tokenFor(uid) : undefined
  }

  async authenticate(token: string): Promise<Authenticated | undefined> {
    const known = this.remembered(token)
    if (known !== undefined) return known
    const { keys, clock } = this.#options
    const key = keys.tokenKey()
    try {
      const claims = await verifyToken(token, [key], clock.nowMs())
      const userRevision = this.#revisionOf(claims.uid)
      this.#tokens.remember(token, claims, { kid: key.kid, userRevision })
      return this.#authenticated(claims)
    } catch (error) {
      if (error instanceof CryptographicFailure) return undefined
      throw error
    }
  }

  remembered(token: string): Authenticated | undefined {
    const { kid } = this.#options.keys.tokenKey()
    const claims = this.#tokens.claimsOf(token, kid, this.#revisionOf)
    return claims && this.#authenticated(claims)
  }

  async authenticatePassword(
    uid: string,
    password: RedactedBytes,
    source: string,
  ): Promise<Principal | undefined> {
    try {
      // Before the memory is asked, which would answer guesses as fast as they come.
      this.#checkThrottle(attemptOf(uid, source))
      const stamp = this.#stampOf(uid)
      if (this.#memory.knows(uid, stamp, password)) return this.#principal(uid)
      const isRight = (): Promise<boolean> => this.#isPasswordOf(uid, password)
      if (!(await this.#guess(uid, source, isRight))) return undefined
      this.#memory.remember(uid, this.#stampOf(uid), password)
      return this.#principal(uid)
    } finally {
      wipe(password)
    }
  }

  allowed({ uid }: Principal, resource: string, action: Action): boolean {
    // No name has a space in it.
    return this.#rights.get(`${uid} ${action} ${resource}`, () =>
      this.#isAllowed(uid, resource, action),
    )
  }

  #isAllowed(uid: string, resource: string, action: Action): boolean {
    const user = this.#users.get(userKey(uid))?.record
    const rid = ResourceId.safeParse(resource)
    if (user === undefined || !rid.success) return false
    if (this.#actionsOn(superuserResource, user).length > 0) return true
    return coveringResources(rid.data).some((covering) => {
      const actions = this.#actionsOn(covering, user)
      return actions.includes(action) || actions.includes('full')
    })
  }

  isSuperuser(uid: string): boolean {
    return this.#rights.get(uid, () => this.#isSuperuser(uid))
  }

  #isSuperuser(uid: string): boolean {
    const user = this.#users.get(userKey(uid))?.record
    return user !== undefined && this.#actionsOn(superuserResource, user).length > 0
  }

  /** Puts on record, when their minute is over, how many more logins were refused than have a record. */
  tick(): void {
    void this.#tellSummaries(this.#failed.takeSummaries())
  }

  /** The last records before the end. */
  stop(): void {
    void this.#tellSummaries(this.#failed.takeSummaries(true))
  }

  async jwks(): Promise<{ readonly keys: readonly object[] }> {
    return jwks([this.#options.keys.tokenKey()])
  }

  /**
   * The revision of the last change of anybody's rights. A transaction that compares it is only
   * applied while what {@link allowed} said still holds.
   */
  get changedRevision(): number {
    return this.#options.view.modRevision(identityChangedKey)
  }

  #actionsOn(rid: ResourceId, { uid, groups }: UserRecord): readonly Action[] {
    const acl = this.#acls.get(aclKey(rid))?.record
    if (acl === undefined) return []
    const ofGroups = groups.flatMap((gid) => own(acl.groups, gid))
    return ofGroups.length === 0 ? own(acl.users, uid) : [...own(acl.users, uid), ...ofGroups]
  }

  #principal(uid: string): Principal | undefined {
    const user = this.#users.get(userKey(uid))?.record
    return user && { uid: user.uid, isSuperuser: this.isSuperuser(uid) }
  }

  #authenticated({ uid, exp }: TokenClaims): Authenticated | undefined {
    const principal = this.#principal(uid)
    return principal && { ...principal, expiresAtMs: exp * 1000 }
  }

  /** @throws Unavailable also while a new cluster has no users: nobody is refused for coming early */
  async #refresh(): Promise<void> {
    await this.#options.refresh()
    this.#options.keys.tokenKey()
  }

  #stampOf(uid: string): number {
    return this.#options.view.modRevision(passwordKey(uid))
  }

  /**
   * Whether who comes as `uid` has shown that they are. Durably on record before anybody is let in.
   *
   * @throws LoginThrottled, Unavailable
   */
  async #guess(uid: string, source: string, isRight: () => Promise<boolean>): Promise<boolean> {
    const attempt = attemptOf(uid, source)
    this.#checkThrottle(attempt)
    await this.#refresh()
    const isGood = await this.#guesses.through(attempt.source, async () => {
      // Those before it in the queue may have been wrong.
      this.#checkThrottle(attempt)
      const isKnown = (await isRight()) && this.#users.get(userKey(uid)) !== undefined
      if (isKnown) this.#throttle.succeeded(attempt)
      else this.#throttle.failed(attempt)
      return isKnown
    })
    await this.#record(uid, attempt, isGood)
    return isGood
  }

  #checkThrottle(attempt: Attempt): void {
    try {
      this.#throttle.check(attempt)
    } catch (error) {
      if (error instanceof LoginThrottled) this.#failed.count(attempt.source)
      throw error
    }
  }

  /** Takes as long for a user who does not exist, or has no password. */
  #isPasswordOf(uid: string, password: RedactedBytes): Promise<boolean> {
    const { view, keys } = this.#options
    return verifyPassword(password, passwordHashOf(view, keys, uid))
  }

  async #isLoginTokenOf(uid: string, token: string): Promise<boolean> {
    const nowMs = this.#options.clock.nowMs()
    const user = this.#users.get(userKey(uid))?.record
    const publicKey = user?.isService === true ? user.publicKey : undefined
    try {
      const key = parseTokenPublicKey(utf8(publicKey ?? this.#nobodysKey()))
      const claims = await verifyToken(token, [key], nowMs)
      return (
        publicKey !== undefined &&
        claims.uid === uid &&
        claims.exp <= nowMs / 1000 + serviceTokenLifetimeSecondsMax
      )
    } catch (error) {
      if (error instanceof CryptographicFailure) return false
      throw error
    }
  }

  /** For a name that is no service's: the same work, so that time does not tell which names are. */
  #nobodysKey(): string {
    const { publicKey } = this.#options.keys.tokenKey()
    return publicKey.export({ type: 'spki', format: 'pem' }).toString()
  }

  #tokenFor(uid: string): Promise<string> {
    const { clock, keys } = this.#options
    const exp = Math.floor(clock.nowMs() / 1000) + tokenLifetimeSeconds
    return signToken(keys.tokenKey(), { uid, exp })
  }

  async #record(uid: string, { source }: Attempt, isGood: boolean): Promise<void> {
    const { emit } = this.#options
    // Not `uid` as it came: whoever types a password into the wrong field must not find it in a log.
    const principal = this.#users.get(userKey(uid))?.record.uid ?? 'unknown'
    if (isGood || this.#failed.isRecorded(source)) await this.#append({ principal, source, isGood })
    emit({ type: 'auth.login', uid: principal, outcome: isGood ? 'allowed' : 'refused' })
  }

  async #tellSummaries(summaries: readonly Summary[]): Promise<void> {
    for (const summary of summaries) {
      try {
        await this.#append({ principal: 'unknown', isGood: false, ...summary })
      } catch {
        // Whoever asks anything while the disk fails hears of it; this is told once it works.
        this.#failed.putBack([summary])
      }
    }
  }

  #append(login: {
    readonly principal: string
    readonly source: string
    readonly isGood: boolean
    readonly count?: number
  }): Promise<void> {
    const { audit, clock, random } = this.#options
    const { isGood, ...rest } = login
    return audit.append({
      atMs: clock.nowMs(),
      action: 'login',
      path: 'auth/login',
      outcome: isGood ? 'allowed' : 'denied',
      requestId: uuid(random),
      ...rest,
    })
  }
}

const own = (
  actions: Readonly<Record<string, readonly Action[]>>,
  name: string,
): readonly Action[] => (Object.hasOwn(actions, name) ? (actions[name] ?? []) : [])
