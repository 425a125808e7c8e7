import type { ConfState, HardState, NodeId } from '../entry.ts'
import type { Message } from '../message.ts'
import type { RawNode } from '../raw-node.ts'

/** What a member did, and what it was afterwards: one line of a trace. Source: reference raft.md §5.6. */
export interface TraceEvent {
  readonly name: 'Start' | 'Ready' | 'Send' | 'Receive' | 'Drop' | 'Crash'
  /** Whose state this is: who sent, who received. */
  readonly nid: NodeId
  readonly role: string
  readonly state: HardState
  readonly applied: number
  /** Index and term of its last entry. */
  readonly log: { readonly index: number; readonly term: number }
  readonly conf: ConfState
  readonly msg?: {
    readonly type: string
    readonly from: NodeId
    readonly to: NodeId
    readonly term: number
    readonly logTerm: number
    readonly index: number
    readonly entries: number
    readonly commit: number
    readonly reject: boolean
  }
}

export type TraceSink = (event: TraceEvent) => void

export function traceEvent(name: TraceEvent['name'], node: RawNode, one?: Message): TraceEvent {
  const { id, softState, hardState, applied, lastIndex, config } = node.status()
  return {
    name,
    nid: id,
    role: softState.state,
    state: hardState,
    applied,
    log: { index: lastIndex, term: node.raft.log.lastTerm() },
    conf: config,
    ...(one && { msg: summaryOf(one) }),
  }
}

/** Without contents, and without what waits for the disk. */
function summaryOf({ entries, ...one }: Message): NonNullable<TraceEvent['msg']> {
  const { type, from, to, term, logTerm, index, commit, reject } = one
  return { type, from, to, term, logTerm, index, entries: entries.length, commit, reject }
}
