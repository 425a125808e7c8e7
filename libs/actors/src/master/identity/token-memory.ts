import { hash } from 'node:crypto'
import { equalSecrets, type TokenClaims } from '@conclave/crypto'
import type { Clock } from '@conclave/kernel'

const rememberMs = 60_000
const countMax = 4096

/** Changes with the key that signs, and with the user's record. */
export interface TokenStamp {
  readonly kid: string
  readonly userRevision: number
}

interface Known {
  readonly digest: Uint8Array
  readonly claims: TokenClaims
  /** What else must still be so, see {@link TokenMemory.remember}. */
  readonly stamp: TokenStamp
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

  /** What this token says, if it is remembered, `kid` still signs, and its user is what it was. */
  claimsOf(
    token: string,
    kid: string,
    revisionOf: (uid: string) => number,
  ): TokenClaims | undefined {
    const digest = digestOf(token)
    const known = this.#known.get(selectorOf(digest))
    if (known === undefined || !equalSecrets(known.digest, digest)) return undefined
    const { stamp, claims } = known
    const isStill = stamp.kid === kid && stamp.userRevision === revisionOf(claims.uid)
    if (isStill && known.untilMs > this.#clock.nowMs()) return claims
    this.#known.delete(selectorOf(digest))
    return undefined
  }

  /** For a minute, and not beyond the token's own end. */
  remember(token: string, claims: TokenClaims, stamp: TokenStamp): void {
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
