import type { MemberProgress } from '../group.ts'

const lagMax = 1000
const roundsMin = 2

/**
 * How a new member catches up with the log (Raft thesis §4.2.1). A round is all that there was when it
 * began; after two, or with fewer than a thousand entries to go, it may vote: the group will not wait
 * for it for long.
 */
export class CatchUp {
  #target: number | undefined
  #rounds = 0

  /** Told how far it is now. */
  isDone({ matchIndex, lag }: MemberProgress): boolean {
    // It has shown nothing at all yet, however short the log is.
    if (matchIndex === 0) return false
    const last = matchIndex + lag
    this.#target ??= last
    if (matchIndex >= this.#target) {
      this.#rounds++
      this.#target = last
    }
    return lag < lagMax || this.#rounds >= roundsMin
  }
}
