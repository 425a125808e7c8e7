import type { Caller } from '../master-api.ts'
import type { NodeView } from '../workloads/workload-api.ts'

/** What became of a thing in the state. */
export type NewsChange = 'created' | 'updated' | 'removed'

/** What it was, if it was there, and what it is, if it still is. */
export interface Turn<Word> {
  readonly before: Word | undefined
  readonly after: Word | undefined
}

/** Something in the state has changed: what it is, and nothing of what is in it. */
export type StateNews =
  | {
      readonly kind: 'secret'
      readonly change: NewsChange
      readonly id: string
      readonly path: string
    }
  | {
      readonly kind: 'document'
      readonly change: NewsChange
      /** The document's own kind, such as `docker-network`. */
      readonly of: string
      readonly id: string
      readonly name: string
    }
  | {
      readonly kind: 'agent'
      readonly change: NewsChange
      readonly agentId: string
      readonly hostname: string
      readonly state: Turn<NodeView['state']>
    }
  /** What people say of an agent, by the name of its certificate. */
  | {
      readonly kind: 'node'
      readonly change: NewsChange
      readonly name: string
      readonly availability: Turn<NodeView['availability']>
      readonly role: Turn<NodeView['role']>
    }
  | {
      readonly kind: 'master'
      readonly change: NewsChange
      readonly masterId: string
      readonly role: Turn<'voter' | 'learner'>
    }

/** For faces that tell their clients of what changes. On any master, for operators. */
export interface NewsApi {
  /**
   * What changes from now on, all that came since the last look at once. Who reads too slowly misses the
   * oldest of it.
   * @throws AccessDenied
   */
  follow(caller: Caller, signal: AbortSignal): AsyncIterable<readonly StateNews[]>
}
