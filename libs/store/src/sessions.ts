import type { SessionRef } from './txn.ts'

/** What a command came to, in the form that is kept for its repetition. */
export interface Outcome {
  /** The store's revision once it was applied. */
  readonly revision: number
  /** Whether all claims held. False too when the command was rejected. */
  readonly succeeded: boolean
  /** The place of the first claim that did not hold. */
  readonly failedCompare?: number
  readonly rejection?: Rejection
  /**
   * One number for each change of the branch that happened. `put`: the key's version;
   * `delete…`, `lease-revoke`, `lease-expire`: how many keys went; `lease-grant`, `lease-keepalive`:
   * when it expires; `lease-extend-all`: how many leases there are; `compact`: 0.
   */
  readonly responses: readonly number[]
}

/** Why a command changed nothing. The order is part of the snapshot's layout. */
export const rejections = [
  'malformed',
  'invalid',
  'stale',
  'lease-unknown',
  'lease-exists',
  'revision-ahead',
] as const
export type Rejection = (typeof rejections)[number]

/** What a client's last command came to. */
export interface Session extends Outcome {
  readonly session: SessionRef
}

/**
 * The last command of each client and what it came to, so that a retry is answered and not applied.
 * A client has one command under way at a time; the client silent longest is forgotten first.
 */
export class Sessions {
  readonly #sessions: Map<string, Session>
  readonly #countMax: number

  /** @param sessions the one silent longest first */
  constructor(countMax: number, sessions: readonly Session[] = []) {
    this.#countMax = countMax
    this.#sessions = new Map(sessions.map((one) => [one.session.client, one]))
  }

  get(client: string): Session | undefined {
    return this.#sessions.get(client)
  }

  remember(one: Session): void {
    const { client } = one.session
    // Deleted first, because a Map keeps a key's first place.
    this.#sessions.delete(client)
    this.#sessions.set(client, one)
    if (this.#sessions.size <= this.#countMax) return
    for (const silent of this.#sessions.keys()) {
      this.#sessions.delete(silent)
      return
    }
  }

  /** The one silent longest first. */
  list(): readonly Session[] {
    return [...this.#sessions.values()]
  }
}
