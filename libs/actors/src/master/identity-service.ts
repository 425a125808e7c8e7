import {
  jwks,
  parseTokenPublicKey,
  signToken,
  verifyPassword,
  verifyToken,
  CryptographicFailure,
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
import type { AuditSink } from '../ports.ts'
import type { ClusterKeys } from './cluster-keys.ts'
import {
  aclKey,
  AclRecord,
  identityChangedKey,
  passwordKey,
  PasswordRecord,
  userKey,
  UserRecord,
} from './identity-records.ts'
import type { IdentityApi } from './master-api.ts'
import { PasswordMemory } from './password-memory.ts'
import { Records } from './record.ts'
import { TokenMemory } from './token-memory.ts'
import { Turnstile } from './turnstile.ts'

/** DC/OS: five days. Source: dcos.md §1. */
export const tokenLifetimeSeconds = 432_000

/** A service signs its login token when it needs one: a longer life only helps a thief. */
const serviceTokenLifetimeSecondsMax = 3600

const loginsWaitingMax = 64

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
  readonly #passwords: Records<{ readonly hash: string }>
  readonly #acls: Records<AclRecord>
  readonly #memory: PasswordMemory
  readonly #tokens: TokenMemory
  /** Stretching occupies a thread of the pool that the disk is written with, too. */
  readonly #stretching = new Turnstile(loginsWaitingMax)

  constructor(options: IdentityServiceOptions) {
    const { view, random, clock } = options
    this.#options = options
    this.#users = new Records(view, UserRecord)
    this.#passwords = new Records(view, PasswordRecord)
    this.#acls = new Records(view, AclRecord)
    this.#memory = new PasswordMemory(random, clock)
    this.#tokens = new TokenMemory(clock)
  }

  async login(uid: string, password: RedactedBytes): Promise<string | undefined> {
    try {
      await this.#refresh()
      const isRight = await this.#isPasswordOf(uid, password)
      return await this.#admit(uid, isRight)
    } finally {
      wipe(password)
    }
  }

  async loginService(uid: string, loginToken: string): Promise<string | undefined> {
    await this.#refresh()
    return this.#admit(uid, await this.#isLoginTokenOf(uid, loginToken))
  }

  async authenticate(token: string): Promise<Principal | undefined> {
    const { keys, clock } = this.#options
    const key = keys.tokenKey()
    const stampOf = (uid: string): string => `${key.kid}:${this.#revisionOf(uid)}`
    const known = this.#tokens.uidOf(token, stampOf)
    if (known !== undefined) return this.#principal(known)
    try {
      const claims = await verifyToken(token, [key], clock.nowMs())
      this.#tokens.remember(token, claims, stampOf(claims.uid))
      return this.#principal(claims.uid)
    } catch (error) {
      if (error instanceof CryptographicFailure) return undefined
      throw error
    }
  }

  async authenticatePassword(uid: string, password: RedactedBytes): Promise<Principal | undefined> {
    try {
      const stamp = this.#stampOf(uid)
      if (this.#memory.knows(uid, stamp, password)) return this.#principal(uid)
      await this.#refresh()
      const isRight = await this.#isPasswordOf(uid, password)
      if (!(await this.#record(uid, isRight))) return undefined
      this.#memory.remember(uid, this.#stampOf(uid), password)
      return this.#principal(uid)
    } finally {
      wipe(password)
    }
  }

  allowed(principal: Principal, resource: string, action: Action): boolean {
    const user = this.#users.get(userKey(principal.uid))?.record
    const rid = ResourceId.safeParse(resource)
    if (user === undefined || !rid.success) return false
    if (this.#actionsOn(superuserResource, user).length > 0) return true
    return coveringResources(rid.data).some((covering) => {
      const actions = this.#actionsOn(covering, user)
      return actions.includes(action) || actions.includes('full')
    })
  }

  isSuperuser(uid: string): boolean {
    const user = this.#users.get(userKey(uid))?.record
    return user !== undefined && this.#actionsOn(superuserResource, user).length > 0
  }

  async jwks(): Promise<{ readonly keys: readonly object[] }> {
    return jwks([this.#options.keys.tokenKey()])
  }

  /**
   * The revision of the last change of anybody's rights. A transaction that compares it is only
   * applied while what {@link allowed} said still holds.
   */
  get changedRevision(): number {
    return this.#options.view.get(identityChangedKey)?.modRevision ?? 0
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

  /** @throws Unavailable also while a new cluster has no users: nobody is refused for coming early */
  async #refresh(): Promise<void> {
    await this.#options.refresh()
    this.#options.keys.tokenKey()
  }

  #revisionOf(uid: string): number {
    return this.#users.get(userKey(uid))?.modRevision ?? 0
  }

  #stampOf(uid: string): number {
    return this.#passwords.get(passwordKey(uid))?.modRevision ?? 0
  }

  /** Takes as long for a user who does not exist, or has no password. */
  #isPasswordOf(uid: string, password: RedactedBytes): Promise<boolean> {
    return this.#stretching.through(() =>
      verifyPassword(password, this.#passwords.get(passwordKey(uid))?.record.hash),
    )
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

  async #admit(uid: string, isRight: boolean): Promise<string | undefined> {
    const { clock, keys } = this.#options
    if (!(await this.#record(uid, isRight))) return undefined
    const exp = Math.floor(clock.nowMs() / 1000) + tokenLifetimeSeconds
    return signToken(keys.tokenKey(), { uid, exp })
  }

  /** Writes down how it went, and says whether it went well. Durable before anybody is let in. */
  async #record(uid: string, isRight: boolean): Promise<boolean> {
    const { audit, clock, random, emit } = this.#options
    // Not `uid` as it came: whoever types a password into the wrong field must not find it in a log.
    const user = this.#users.get(userKey(uid))?.record
    const outcome = isRight && user !== undefined ? 'allowed' : 'denied'
    const principal = user?.uid ?? 'unknown'
    await audit.append({
      atMs: clock.nowMs(),
      principal,
      action: 'login',
      path: 'auth/login',
      outcome,
      requestId: uuid(random),
    })
    emit({
      type: 'auth.login',
      uid: principal,
      outcome: outcome === 'allowed' ? outcome : 'refused',
    })
    return outcome === 'allowed'
  }
}

const own = (
  actions: Readonly<Record<string, readonly Action[]>>,
  name: string,
): readonly Action[] => (Object.hasOwn(actions, name) ? (actions[name] ?? []) : [])
