import { X509Certificate } from 'node:crypto'
import type { Issued } from '@conclave/actors'
import { authorityFingerprint } from '@conclave/crypto'
import { wipe, type Clock, type Random } from '@conclave/kernel'
import {
  Backoff,
  createCertificateRequest,
  renewalDueMs,
  rootOf,
  validityOf,
  writeTlsIdentity,
  type Log,
  type TlsIdentity,
} from '@conclave/runtime'

/** What a master says about the authority: enough to see whether one is behind. */
export interface AuthorityTold {
  /** The root that issues now, by its fingerprint. */
  readonly issuer: string
  /** All roots that count, by the fingerprint of their PEM texts together. */
  readonly trust: string
}

export interface IdentityKeeperOptions {
  readonly id: string
  readonly directory: string
  readonly identity: TlsIdentity
  /** The next certificate for the key of a request, asked for with the present one. */
  readonly renew: (present: TlsIdentity, requestPem: string) => Promise<Issued>
  /** Lets the masters know that this identity is held. Answers with the roots that count. */
  readonly confirm: (present: TlsIdentity) => Promise<string>
  /** Links meet others with it from now on. */
  readonly onIdentity: (identity: TlsIdentity) => void
  readonly onRenewed?: (untilMs: number) => void
  readonly onFailed?: (why: string, attempts: number, untilMs: number) => void
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** Between attempts: the lifetime has at least a fifth left when the first is due. */
const retry = { firstMs: 1000, maxMs: 600_000 }

/**
 * Keeps one member's certificate from ending. It asks for the next one when that is due, or when the
 * root has changed, writes it whole, and only then lets links use it; it tries again for as long as
 * it takes. Connections that stand go on.
 */
export class IdentityKeeper {
  readonly #options: IdentityKeeperOptions
  readonly #backoff: Backoff
  #identity: TlsIdentity
  #dueMs: number
  #last: Promise<void> = Promise.resolve()
  #isConfirmed = false
  #isBehind = false
  #isBusy = false
  #isStopped = false
  #nextTryMs = 0
  #attempts = 0

  constructor(options: IdentityKeeperOptions) {
    this.#options = options
    this.#identity = options.identity
    this.#dueMs = renewalDueMs(options.identity.certificatePem, options.random)
    this.#backoff = new Backoff(options.random, retry.firstMs, retry.maxMs)
  }

  get identity(): TlsIdentity {
    return this.#identity
  }

  /** When the present certificate ends. */
  get untilMs(): number {
    return validityOf(this.#identity.certificatePem).untilMs
  }

  /** When the next one is asked for. */
  get dueMs(): number {
    return this.#dueMs
  }

  /** How often in a row the next certificate could not be had. */
  get failures(): number {
    return this.#attempts
  }

  tick(): void {
    const nowMs = this.#options.clock.nowMs()
    const hasWork = !this.#isConfirmed || this.#isBehind || nowMs >= this.#dueMs
    if (!hasWork || this.#isBusy || this.#isStopped || nowMs < this.#nextTryMs) return
    void this.#turn(nowMs)
  }

  /** A master has said how the authority is now. */
  told({ issuer, trust }: AuthorityTold): void {
    const { authorityPem, certificatePem } = this.#identity
    if (authorityFingerprint(authorityPem) !== trust) this.#hurry(() => (this.#isConfirmed = false))
    if (issuerOf(certificatePem, authorityPem) !== issuer)
      this.#hurry(() => (this.#isBehind = true))
  }

  /** For who knows the roots already. */
  adopt(authorityPem: string): Promise<void> {
    return this.#put((present) => {
      if (authorityPem === present.authorityPem) return undefined
      if (rootOf(present.certificatePem, authorityPem) !== undefined) {
        return { ...present, authorityPem }
      }
      const { id, log } = this.#options
      log.error({ member: id }, 'the certificate of this member counts no more: it must join anew')
      return undefined
    })
  }

  /** Resolves once nothing is being written any more. */
  stop(): Promise<void> {
    this.#isStopped = true
    return this.#last
  }

  /** One after the other: each is made of the one before, on the disk first and then in the links. */
  #put(change: (present: TlsIdentity) => TlsIdentity | undefined): Promise<void> {
    const done = this.#write(change, this.#last)
    this.#last = done.catch(() => undefined)
    return done
  }

  async #write(
    change: (present: TlsIdentity) => TlsIdentity | undefined,
    before: Promise<void>,
  ): Promise<void> {
    await before
    const { directory, onIdentity } = this.#options
    const identity = this.#isStopped ? undefined : change(this.#identity)
    if (identity === undefined) return
    await writeTlsIdentity(directory, identity)
    this.#identity = identity
    onIdentity(identity)
  }

  #hurry(mark: () => void): void {
    mark()
    this.#nextTryMs = 0
  }

  async #turn(nowMs: number): Promise<void> {
    this.#isBusy = true
    try {
      if (this.#isBehind || nowMs >= this.#dueMs) await this.#renew()
      if (!this.#isConfirmed) await this.#confirm()
      this.#backoff.reset()
      this.#nextTryMs = 0
    } catch (error) {
      this.#options.log.debug({ err: error }, 'a certificate could not be looked after')
      this.#nextTryMs = nowMs + this.#backoff.nextMs()
    } finally {
      this.#isBusy = false
    }
  }

  async #renew(): Promise<void> {
    const { id, renew, onRenewed, random, log } = this.#options
    const { requestPem, privateKey } = await createCertificateRequest(id)
    try {
      const { certificatePem, authorityPem } = await renew(this.#identity, requestPem)
      // The key before it is not wiped: links may be shaking hands with it at this moment.
      await this.#put(() => ({ certificatePem, authorityPem, privateKey }))
    } catch (error) {
      wipe(privateKey)
      this.#failed(error)
      throw error
    }
    this.#dueMs = renewalDueMs(this.#identity.certificatePem, random)
    this.#isBehind = false
    this.#isConfirmed = false
    this.#attempts = 0
    onRenewed?.(this.untilMs)
    log.info({ member: id, untilMs: this.untilMs }, 'the certificate was renewed')
  }

  #failed(error: unknown): void {
    const { id, log, onFailed, clock } = this.#options
    const { untilMs } = this
    this.#attempts++
    const why = error instanceof Error ? error.message : 'unknown'
    const hasEnded = clock.nowMs() >= untilMs
    log.warn(
      { err: error, member: id, attempts: this.#attempts, untilMs },
      hasEnded
        ? 'the certificate has ended and cannot be renewed: this member must join anew'
        : 'the certificate could not be renewed; it will be tried again',
    )
    onFailed?.(why, this.#attempts, untilMs)
  }

  async #confirm(): Promise<void> {
    const authorityPem = await this.#options.confirm(this.#identity)
    await this.adopt(authorityPem)
    this.#isConfirmed = true
  }
}

const issuerOf = (certificatePem: string, authorityPem: string): string | undefined => {
  const root = rootOf(certificatePem, authorityPem)
  return root === undefined ? undefined : authorityFingerprint(root)
}

/** Who a certificate is of: its CN. */
export const idIn = (certificatePem: string): string =>
  String((new X509Certificate(certificatePem).toLegacyObject().subject as { CN?: unknown }).CN)

/** The names and addresses in a certificate, which its next one should have, too. */
export const hostsIn = (certificatePem: string): readonly string[] =>
  (new X509Certificate(certificatePem).subjectAltName ?? '')
    .split(', ')
    .map((name) => name.slice(name.indexOf(':') + 1))
    .filter((host) => host !== '')
