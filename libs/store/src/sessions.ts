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

interface Kept {
  readonly client: string
  last: Session
  /** Who was heard of before and after: the one silent longest comes first. */
  before: Kept | undefined
  after: Kept | undefined
}

/**
 * The last command of each client and what it came to, so that a retry is answered and not applied.
 * A client has one command under way at a time; the client silent longest is forgotten first.
 *
 * Their order is a list through them and not that of the map. Clients come again all the time, and a map
 * whose keys come and go is made anew all the time; each of its former selves then keeps what it held
 * alive, until the whole heap is looked through.
 */
export class Sessions {
  readonly #kept = new Map<string, Kept>()
  readonly #countMax: number
  #first: Kept | undefined
  #last: Kept | undefined

  /** @param sessions the one silent longest first */
  constructor(countMax: number, sessions: readonly Session[] = []) {
    this.#countMax = countMax
    for (const session of sessions) this.remember(session)
  }

  get(client: string): Session | undefined {
    return this.#kept.get(client)?.last
  }

  remember(session: Session): void {
    const { client } = session.session
    const known = this.#kept.get(client)
    if (known !== undefined) {
      known.last = session
      this.#unlink(known)
      this.#append(known)
      return
    }
    const kept = { client, last: session, before: undefined, after: undefined }
    this.#kept.set(client, kept)
    this.#append(kept)
    const silent = this.#first
    if (this.#kept.size <= this.#countMax || silent === undefined) return
    this.#unlink(silent)
    this.#kept.delete(silent.client)
  }

  /** The one silent longest first. */
  list(): readonly Session[] {
    const sessions: Session[] = []
    for (let kept = this.#first; kept !== undefined; kept = kept.after) sessions.push(kept.last)
    return sessions
  }

  #append(kept: Kept): void {
    kept.before = this.#last
    if (this.#last === undefined) this.#first = kept
    else this.#last.after = kept
    this.#last = kept
  }

  #unlink(kept: Kept): void {
    const { before, after } = kept
    if (before === undefined) this.#first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
    kept.before = undefined
    kept.after = undefined
  }
}
