import { hash } from 'node:crypto'
import { equalSecrets, type TokenClaims } from '@conclave/crypto'
import type { Clock } from '@conclave/kernel'

const rememberMs = 60_000
const countMax = 4096

interface Known {
  readonly digest: Uint8Array
  readonly claims: TokenClaims
  /** What else must still be so, see {@link TokenMemory.remember}. */
  readonly stamp: string
  readonly untilMs: number
}

/**
 * Tokens whose signature was right a moment ago, as SHA-256 of the whole token: a client sends the
 * same one with every request, and RSA costs more than the rest of the request. What a token entitles
 * to is looked up each time; only the signature is not checked again. A wrong token is never remembered.
 */
export class TokenMemory {
  readonly #clock: Clock
  readonly #countMax: number
  /** By the first bytes of the digest; the rest is compared in constant time. The oldest is the first. */
  readonly #known = new Map<number, Known>()

  constructor(clock: Clock, max = countMax) {
    this.#clock = clock
    this.#countMax = max
  }

  /** What this token says, if it is remembered and `stampOf` its user is what it was. */
  claimsOf(token: string, stampOf: (uid: string) => string): TokenClaims | undefined {
    const digest = digestOf(token)
    const known = this.#known.get(selectorOf(digest))
    if (known === undefined || !equalSecrets(known.digest, digest)) return undefined
    if (known.untilMs > this.#clock.nowMs() && known.stamp === stampOf(known.claims.uid))
      return known.claims
    this.#known.delete(selectorOf(digest))
    return undefined
  }

  /**
   * For a minute, and not beyond the token's own end.
   *
   * @param stamp changes with the key that signs, and with the user's record
   */
  remember(token: string, claims: TokenClaims, stamp: string): void {
    const digest = digestOf(token)
    const selector = selectorOf(digest)
    // Set anew, so that it stands behind all others.
    this.#known.delete(selector)
    const [oldest] = this.#known.keys()
    if (oldest !== undefined && this.#known.size >= this.#countMax) this.#known.delete(oldest)
    const untilMs = Math.min(this.#clock.nowMs() + rememberMs, claims.exp * 1000)
    this.#known.set(selector, { digest, claims, stamp, untilMs })
  }
}

const digestOf = (token: string): Buffer => hash('sha256', token, 'buffer')

const selectorOf = (digest: Buffer): number => digest.readUIntBE(0, 6)
