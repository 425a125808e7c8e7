import type { Show } from './legacy/show.ts'
import type { EventDraft, FromAgent, MasterEvent, SchedulerEvent, ToAgent } from '@conclave/model'

/*
 * What the cluster core is told and what it decides. The core is the leader's: it is built from the
 * records of the store when a term begins, and thrown away with the term.
 */

/** A record of the store to be written whole, or, without a value, deleted. */
export interface RecordChange {
  readonly key: string
  readonly value?: Uint8Array
}

/**
 * What should be done, in this order. A `commit` is one transaction; every effect behind it waits
 * until it is in the log. When it does not get there the term is over, and so is this core.
 */
export type ClusterEffect =
  | { readonly do: 'commit'; readonly changes: readonly RecordChange[] }
  | { readonly do: 'send-agent'; readonly connection: number; readonly message: ToAgent }
  | { readonly do: 'close-agent'; readonly connection: number }
  | { readonly do: 'send-framework'; readonly streamId: string; readonly event: SchedulerEvent }
  | { readonly do: 'close-framework'; readonly streamId: string }
  | { readonly do: 'send-operator'; readonly streamId: string; readonly event: MasterEvent }
  | { readonly do: 'close-operator'; readonly streamId: string }
  | { readonly do: 'emit'; readonly event: EventDraft }

/** What arrives without an answer that anybody waits for. */
export type ClusterInput =
  /** Once a second, on the leader's clock. */
  | { readonly kind: 'tick' }
  | {
      readonly kind: 'agent-message'
      readonly connection: number
      /** The id in the agent's certificate. */
      readonly agentName: string
      readonly message: Extract<
        FromAgent,
        {
          type:
            | 'register'
            | 'status-update'
            | 'executor-message'
            | 'executor-started'
            | 'executor-ended'
            | 'files-rotated'
        }
      >
    }
  | { readonly kind: 'agent-disconnected'; readonly connection: number }
  | { readonly kind: 'framework-disconnected'; readonly streamId: string }
  /** Somebody who followed the state is gone. */
  | { readonly kind: 'operator-disconnected'; readonly streamId: string }
  /** The same inline values in other envelopes, by their ids: the cluster's keys have changed. */
  | { readonly kind: 'resealed'; readonly envelopes: ReadonlyMap<string, string> }

/** A status and a plain text body, in Mesos' own words. */
export interface PlainAnswer {
  readonly status: number
  readonly body: string
}

/** What the core asks of the rest of the master while it decides. All of it answers at once. */
export interface ClusterSurroundings {
  readonly nowMs: () => number
  readonly uuid: () => string
  /** The current version of a secret, or null while there is none: what a grant is issued for. */
  readonly secretVersion: (path: string) => number | null
  /** How a message may be shown in a text, such as why something was refused. */
  readonly show: Show
  /** Whether this principal may read that secret: a task gets nothing that its framework may not. */
  readonly mayRead: (uid: string, path: string, taskId: string) => boolean
}
