import type { NodeId } from '@conclave/raft'
import type { Fault } from './fault.ts'
import type { Violation } from './world.ts'

/**
 * What happens in a run, as data: for tools that draw it, or that check it against another model of Raft.
 * Keys and values of clients are in none of it but as texts that a run made up.
 */
export type TraceEvent =
  /** A member's replica after an event, when something of it is new. */
  | ({ readonly event: 'state' } & StateSeen)
  /** A message that arrives. */
  | {
      readonly event: 'message'
      readonly from: NodeId
      readonly to: NodeId
      readonly type: string
      /** Of Raft's own messages all of it, but what is in the entries. */
      readonly term?: number
      readonly index?: number
      readonly logTerm?: number
      readonly commit?: number
      readonly reject?: boolean
      /** The terms of the entries, which follow `index`. */
      readonly entryTerms?: readonly number[]
      /** Which piece of a snapshot. */
      readonly number?: number
    }
  /** Its process or its machine: starts, loses power, freezes, …. */
  | { readonly event: 'member'; readonly member: NodeId; readonly what: string }
  | { readonly event: 'fault'; readonly fault: Fault }
  | { readonly event: 'heal' }
  /** A client is answered. */
  | {
      readonly event: 'answer'
      readonly client: number
      readonly question: string
      readonly key: string
      readonly answer: string
      readonly revision?: number
    }
  | { readonly event: 'broken'; readonly rule: Violation['rule']; readonly what: string }

export interface StateSeen {
  readonly member: NodeId
  readonly role: string
  readonly term: number
  readonly commitIndex: number
  readonly appliedIndex: number
  /** The last entry that it has asked its journal for. */
  readonly lastIndex: number
  /** The last entry of which its journal has said that it is durable. */
  readonly durableIndex: number
  readonly voters: readonly NodeId[]
  readonly learners: readonly NodeId[]
}

/** An event and when it happened, in µs of virtual time. */
export type Traced = TraceEvent & { readonly atUs: number }

/** Tells of a member's state when it is another than the last time. */
export class StateTracer {
  readonly #tell: (event: TraceEvent) => void
  readonly #last = new Map<NodeId, string>()

  constructor(tell: (event: TraceEvent) => void) {
    this.#tell = tell
  }

  seen(state: StateSeen): void {
    const text = JSON.stringify(state)
    if (this.#last.get(state.member) === text) return
    this.#last.set(state.member, text)
    this.#tell({ event: 'state', ...state })
  }
}
