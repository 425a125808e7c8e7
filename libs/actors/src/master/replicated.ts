import type { ApplyResult, Compare, Txn, View } from '@conclave/store'
import { OutcomeUnknown, Unavailable } from './errors.ts'

/** The log as a service needs it: somebody who agrees, and says how fresh a read is. */
export interface Agreement {
  /** @throws Unavailable, OutcomeUnknown */
  propose(txn: Txn): Promise<ApplyResult>
  /** Resolves once everything acknowledged before the call is applied here. @throws Unavailable */
  linearize(): Promise<void>
}

/** The state here, and the way to change it everywhere. */
export class Replicated {
  readonly view: View
  readonly #agreement: Agreement
  #guard: (txn: Txn) => Txn | undefined = (txn) => txn
  #isStopped = false

  constructor(view: View, agreement: Agreement) {
    this.view = view
    this.#agreement = agreement
  }

  /** After this, {@link view} shows every change that was acknowledged before the call. */
  refresh(): Promise<void> {
    // Without a promise of its own: those who ask together have one in common.
    return this.#isStopped ? Promise.reject(stopping()) : this.#agreement.linearize()
  }

  /** Every transaction passes by `guard`, which may add claims, or see that one does not hold any more. */
  guardBy(guard: (txn: Txn) => Txn | undefined): void {
    this.#guard = guard
  }

  /** Answers with the revision, or undefined when a claim did not hold and nothing changed. */
  async commit(wanted: Txn): Promise<number | undefined> {
    this.#checkWorks()
    const txn = this.#guard(wanted)
    if (txn === undefined) return undefined
    const { succeeded, rejection, revision } = await this.#agreement.propose(txn)
    if (rejection !== undefined) {
      // A repetition that came after a later command of its session: what it came to is forgotten.
      throw new OutcomeUnknown(`the log refused a transaction as ${rejection}`)
    }
    return succeeded ? revision : undefined
  }

  /** Whoever asks after this is told, rather than left to wait for a member that does no more. */
  stop(): void {
    this.#isStopped = true
  }

  #checkWorks(): void {
    if (this.#isStopped) throw stopping()
  }
}

const stopping = (): Unavailable => new Unavailable('this master is stopping')

/** Between writers that keep overtaking each other, so many tries until one gives up. */
const triesMax = 32

/** The claim that nobody wrote `key` since `known` was read; without it, that it is still not there. */
export const isStill = (
  key: string,
  known: { readonly modRevision: number } | undefined,
): Compare => ({ key, target: 'modRevision', is: '=', operand: known?.modRevision ?? 0 })

/** What looking at the state came to: an answer, or a change to be tried. */
export type Decision<T> =
  | { readonly refuse: () => Promise<Error> }
  | { readonly commit: Txn; readonly committed: (revision: number) => T }

/** A decision at once: most looks wait for nothing, and they are many. */
export type Look<T> = Decision<T> | Promise<Decision<T>>

/**
 * Decides on the state as it is here, then changes it if it was still so. The first look may be at
 * an old state, which costs nothing when all is well: a change is only made if its claims hold, and
 * a refusal counts only after a look that is known to be fresh.
 *
 * @throws Unavailable when others were always faster
 */
export async function decideAndCommit<T>(
  replicated: Replicated,
  decide: () => Look<T>,
): Promise<T> {
  for (let tries = 0; tries < triesMax; tries++) {
    const isFresh = tries > 0
    if (isFresh) await replicated.refresh()
    const looked = decide()
    const decision = looked instanceof Promise ? await looked : looked
    if ('refuse' in decision) {
      if (isFresh) throw await decision.refuse()
      continue
    }
    const revision = await replicated.commit(decision.commit)
    if (revision !== undefined) return decision.committed(revision)
  }
  throw new Unavailable('others kept changing the same record; try again')
}
