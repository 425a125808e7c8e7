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

export interface Session {
  readonly client: string
  readonly seq: number
  readonly outcome: Outcome
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
    this.#sessions = new Map(sessions.map((session) => [session.client, session]))
  }

  get(client: string): Session | undefined {
    return this.#sessions.get(client)
  }

  remember({ client, seq }: SessionRef, outcome: Outcome): void {
    // Deleted first, because a Map keeps a key's first place.
    this.#sessions.delete(client)
    this.#sessions.set(client, { client, seq, outcome })
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
